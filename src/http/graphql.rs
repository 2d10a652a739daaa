//! `/graphql`: GraphQL over HTTP, by the specification.
//!
//! Status codes: 4xx for a malformed request. For a well-formed request that cannot be executed, 400 with
//! `application/graphql-response+json` and 200 with `application/json`. 200 for an executed request.

use std::{net::SocketAddr, sync::Arc};

use async_graphql::{ServerError, parser::types::OperationType};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};

use super::{
    App, authentication,
    content_negotiation::ResponseMediaType,
    graphql_execution::{RequestHead, execute_mutation, execute_operation, prepare_operation},
    graphql_request::{self, GraphqlRequest, RequestError},
    graphql_response::{ExecutedRequest, ExecutionResult, ResponseOrigin, error_response, operation_response},
    idempotency::IdempotentMutation,
    request_id::RequestId,
    response_cache::{self, CacheableQuery, ReceivedRequest, render_cached_response},
    write_position,
};
use crate::{
    graphql::{context::RequestInfo, error::ErrorStage},
    infra::telemetry::RequestRecord,
};

/// Handles one GraphQL request.
pub async fn handle_graphql(
    State(app): State<Arc<App>>,
    (Extension(RequestId(request_id)), Extension(record)): (Extension<RequestId>, Extension<Arc<RequestRecord>>),
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let head = RequestHead { method: &method, headers: &headers };
    let received = body.as_ref().ok().and_then(|body| ReceivedRequest::identify(&app, head, &uri, body));
    let request = || graphql_request::parse_request(&method, &headers, &uri, body);
    respond(&app, head, Origin { peer, request_id, record, received }, request).await
}

/// Handles a request by the address of a published operation.
pub async fn handle_operation_address(
    State(app): State<Arc<App>>,
    (Extension(RequestId(request_id)), Extension(record)): (Extension<RequestId>, Extension<Arc<RequestRecord>>),
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let request = || {
        let invalid_path = |_| RequestError::from_http(StatusCode::BAD_REQUEST, "The path is not UTF-8.");
        let Path((app_name, operation)) = path.map_err(invalid_path)?;
        graphql_request::parse_address_request(&uri, app_name, operation)
    };
    let head = RequestHead { method: &method, headers: &headers };
    let received = ReceivedRequest::identify(&app, head, &uri, &[]);
    respond(&app, head, Origin { peer, request_id, record, received }, request).await
}

/// Origin of a request, and its identity in the response cache.
struct Origin {
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request_id: String,
    record: Arc<RequestRecord>,
    received: Option<ReceivedRequest>,
}

/// Executes a request and responds; `parse_request` is called after the authentication.
async fn respond(
    app: &Arc<App>,
    head: RequestHead<'_>,
    Origin { peer, request_id, record, received }: Origin,
    parse_request: impl FnOnce() -> Result<GraphqlRequest, RequestError>,
) -> Response {
    let headers = head.headers;
    let Some(media_type) = ResponseMediaType::from_accept_header(headers) else {
        let message = "Responses are application/graphql-response+json or application/json; `Accept` allows neither.";
        return error_response(
            ResponseMediaType::Json,
            RequestError::from_http(StatusCode::NOT_ACCEPTABLE, message),
            &request_id,
            false,
        );
    };
    if let (Some(cache), Some(received)) = (&app.response_cache, received)
        && let Some((hit, operation)) = cache.find_received(app, received, |_| true)
    {
        // The record is new.
        let _ = record.operation.set(operation);
        return render_cached_response(app, hit, media_type, head).await;
    }
    let request_info = match authentication::authenticate_request(app, headers, peer, &request_id).await {
        Ok(request_info) => RequestInfo { record, ..request_info },
        Err(error) => {
            return error_response(media_type, RequestError::from_authentication_failure(&error), &request_id, false);
        }
    };
    // The record is new.
    let _ = request_info.record.actor.set(request_info.caller.actor());
    let request = match parse_request() {
        Ok(request) => request,
        Err(error) => return error_response(media_type, error, &request_id, false),
    };
    match execute_in_time(app, head, ReceivedGraphqlRequest { request, received }, request_info).await {
        Ok(Ok(ExecutedRequest { origin: ResponseOrigin::Cached(hit), .. })) => {
            render_cached_response(app, hit, media_type, head).await
        }
        Ok(Ok(executed)) => operation_response(media_type, executed, &request_id),
        Ok(Err(error)) => error_response(media_type, error, &request_id, true),
        Err(timeout) => error_response(media_type, timeout, &request_id, false),
    }
}

/// Parsed request with its identity in the response cache.
pub(super) struct ReceivedGraphqlRequest {
    /// Request.
    pub(super) request: GraphqlRequest,
    /// Identity in the response cache; `None` if the response is not cached.
    pub(super) received: Option<ReceivedRequest>,
}

/// Prepares and executes a request within the time limit of requests.
///
/// # Errors
/// Returns the error of a request that took too long.
pub(super) async fn execute_in_time(
    app: &Arc<App>,
    head: RequestHead<'_>,
    request: ReceivedGraphqlRequest,
    request_info: RequestInfo,
) -> Result<ExecutionResult, RequestError> {
    let request_timeout = app.state.config.server.request_timeout;
    // In a box: the future is large, and the router moves the future of its handler several times.
    let execution = Box::pin(prepare_and_execute(app, head, request, request_info));
    tokio::time::timeout(request_timeout, execution).await.map_err(|_| RequestError::timed_out(request_timeout))
}

async fn prepare_and_execute(
    app: &Arc<App>,
    head: RequestHead<'_>,
    ReceivedGraphqlRequest { request, received }: ReceivedGraphqlRequest,
    request_info: RequestInfo,
) -> ExecutionResult {
    let idempotent_mutation = IdempotentMutation::from_request(app, head.headers, &request_info, &request);
    let operation = prepare_operation(app, head, request, &request_info).await?;
    match operation.operation_type {
        OperationType::Query => {
            let query = CacheableQuery::select(received, &operation);
            let replica_position = write_position::find_required_position(app, head.headers, request_info.caller).await;
            let request_info = RequestInfo { replica_position, ..request_info };
            let execute =
                |cache_recorder| execute_operation(app, operation, RequestInfo { cache_recorder, ..request_info });
            response_cache::execute_query(app, query, execute).await
        }
        OperationType::Mutation => {
            let idempotent_mutation = idempotent_mutation.map_err(RequestError::from_error)?;
            execute_mutation(app, operation, idempotent_mutation, request_info).await
        }
        OperationType::Subscription => {
            let message = "Subscriptions are answered over WebSocket (`graphql-transport-ws`), or as a stream of events \
                           with `Accept: text/event-stream`.";
            Err(RequestError::from_graphql(ErrorStage::Validate, ServerError::new(message, None)))
        }
    }
}
