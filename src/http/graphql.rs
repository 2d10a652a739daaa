//! `/graphql`: GraphQL over HTTP, by the specification.
//!
//! Status codes: 4xx for a malformed request. For a well-formed request that cannot be executed, 400 with
//! `application/graphql-response+json` and 200 with `application/json`. 200 for an executed request.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use async_graphql::{
    Response as Answer, ServerError, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::{
    App, authentication,
    bounded_json::{self, BoundedJson},
    content_negotiation::ResponseMediaType,
    graphql_request::{self, GraphqlRequest, RequestError},
    idempotency::{self, IdempotentMutation, REPLAYED_HEADER},
    request_id::RequestId,
    response_cache::{self, CacheHit, CacheableQuery, ReceivedRequest, SelectedQuery, render_cached_response},
};
use crate::{
    base::{Error, error::PublicErrorCode},
    graphql::{
        context::{RequestContext, RequestInfo},
        error::{ErrorStage, finalize_errors},
        execution::{document::ValidDocument, document_rewrite, limits, response_shape, variables},
        load_batching::run_with_batching,
    },
};

/// Handles one GraphQL request.
pub async fn handle_graphql(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let Some(media_type) = ResponseMediaType::from_accept_header(&headers) else {
        let message = "Responses are application/graphql-response+json or application/json; `Accept` allows neither.";
        return error_response(
            ResponseMediaType::Json,
            RequestError::from_http(StatusCode::NOT_ACCEPTABLE, message),
            &request_id,
            false,
        );
    };
    let head = RequestHead { method: &method, headers: &headers };
    let received = body.as_ref().ok().and_then(|body| ReceivedRequest::identify(&app, head, &uri, body));
    if let (Some(cache), Some(received)) = (&app.response_cache, received)
        && let Some(hit) = cache.find_received(received, &app.state.db)
    {
        return render_cached_response(&app, hit, media_type, head).await;
    }
    let request_info = match authentication::authenticate_request(&app, &headers, peer, &request_id).await {
        Ok(request_info) => request_info,
        Err(error) => {
            return error_response(media_type, RequestError::from_authentication_failure(&error), &request_id, false);
        }
    };
    let request = match graphql_request::parse_request(&method, &headers, &uri, body) {
        Ok(request) => request,
        Err(error) => return error_response(media_type, error, &request_id, false),
    };
    let request_timeout = app.state.config.server.request_timeout;
    let request = ReceivedGraphqlRequest { request, received };
    let outcome = tokio::time::timeout(request_timeout, prepare_and_execute(&app, head, request, request_info)).await;
    match outcome {
        Ok(Ok(ExecutedRequest { origin: ResponseOrigin::Cached(hit), .. })) => {
            render_cached_response(&app, hit, media_type, head).await
        }
        Ok(Ok(executed)) => operation_response(media_type, executed, &request_id),
        Ok(Err(error)) => error_response(media_type, error, &request_id, true),
        Err(_) => {
            let message = format!("The request took longer than {} s.", request_timeout.as_secs());
            let mut error = ServerError::new(message, None);
            error.extensions.get_or_insert_default().set("code", "TIMEOUT");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            error_response(
                media_type,
                RequestError { status, stage: ErrorStage::Execute, errors: vec![error] },
                &request_id,
                false,
            )
        }
    }
}

/// Status codes of well-formed requests that are rejected; with `application/json` they are answered 200.
const REJECTION_STATUSES: [StatusCode; 4] =
    [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS];

/// Value of the `Server-Timing` header.
type ServerTiming = Option<HeaderValue>;

/// Method and headers of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// Parsed request with its identity in the response cache.
struct ReceivedGraphqlRequest {
    request: GraphqlRequest,
    received: Option<ReceivedRequest>,
}

/// Response of an executed request.
#[derive(Debug)]
pub struct ExecutedRequest {
    /// Serialized response.
    pub body: Vec<u8>,
    /// Whether a field of the operation has returned an object; false if all of them have failed.
    pub has_payload: bool,
    /// Whether the response contains tokens of a session.
    pub contains_tokens: bool,
    /// Whether the response has errors.
    pub has_errors: bool,
    origin: ResponseOrigin,
    timing: ServerTiming,
}

/// Where the response of a request comes from.
#[derive(Debug)]
enum ResponseOrigin {
    /// The request was executed.
    Executed,
    /// A request with the same idempotency key was executed before.
    Replayed,
    /// The response is in the response cache.
    Cached(CacheHit),
}

impl ExecutedRequest {
    /// Creates the response of a request that was executed before.
    #[must_use]
    pub fn replay(body: Vec<u8>) -> Self {
        Self { origin: ResponseOrigin::Replayed, ..Self::with_body(body) }
    }

    /// Creates the response of a request that was answered from the cache.
    #[must_use]
    pub fn from_cache(hit: CacheHit) -> Self {
        Self { origin: ResponseOrigin::Cached(hit), ..Self::with_body(Vec::new()) }
    }

    /// Adds the response in the cache, which is sent instead of the body.
    #[must_use]
    pub fn with_cached(self, hit: CacheHit) -> Self {
        Self { origin: ResponseOrigin::Cached(hit), ..self }
    }

    fn with_body(body: Vec<u8>) -> Self {
        Self {
            body,
            has_payload: true,
            contains_tokens: false,
            has_errors: false,
            origin: ResponseOrigin::Executed,
            timing: None,
        }
    }
}

/// Response of an executed request, or the error of one that was not executed.
pub type ExecutionResult = Result<ExecutedRequest, RequestError>;

/// Validated operation, ready for execution.
struct GraphqlOperation {
    document: Arc<ValidDocument>,
    name: Option<String>,
    variables: Variables,
}

async fn prepare_and_execute(
    app: &Arc<App>,
    RequestHead { method, headers }: RequestHead<'_>,
    ReceivedGraphqlRequest { request, received }: ReceivedGraphqlRequest,
    request_info: RequestInfo,
) -> ExecutionResult {
    let idempotent_mutation = IdempotentMutation::from_request(app, headers, &request_info, &request);
    let GraphqlRequest { query, operation: name, variables, .. } = request;
    let document = app.document_cache.get_or_parse(query, &app.state.config.graphql).await.map_err(|error| {
        let is_selected = |candidate: &&(Option<String>, OperationType)| name.is_none() || candidate.0 == name;
        let is_read_only = error
            .operations
            .iter()
            .filter(is_selected)
            .all(|(_, operation_type)| *operation_type == OperationType::Query);
        validate_method(method, is_read_only).err().unwrap_or_else(|| error.into())
    })?;
    let validation_error = |error| RequestError::from_graphql(ErrorStage::Validate, error);
    let operation = select_operation(&document.executable, name.as_deref()).map_err(validation_error)?;
    validate_method(method, operation.ty == OperationType::Query)?;
    let is_mutation = operation.ty == OperationType::Mutation;
    if is_mutation && request_info.caller.permissions().is_empty() {
        let max_mutation_fields = app.state.config.graphql.max_mutation_fields;
        limits::check_root_fields(&document.executable, operation, max_mutation_fields).map_err(validation_error)?;
    }
    let variables = variables::coerce_variables(operation, variables.unwrap_or_default()).map_err(validation_error)?;
    variables::check_condition_variables(&document.executable, operation, &variables).map_err(validation_error)?;
    if !is_mutation {
        let query = SelectedQuery { document: &document, name: name.as_deref(), variables: &variables };
        let query = CacheableQuery::select(received, query);
        let operation = GraphqlOperation { document, name, variables };
        let execute =
            |cache_recorder| execute_operation(app, operation, RequestInfo { cache_recorder, ..request_info });
        return response_cache::execute_query(app, query, execute).await;
    }
    let operation = GraphqlOperation { document: Arc::clone(&document), name, variables };
    let idempotent_mutation = idempotent_mutation.map_err(RequestError::from_error)?;
    // A mutation runs to completion even if the client disconnects.
    let app = Arc::clone(app);
    let mutation_task = async move {
        let execution = execute_operation(&app, operation, request_info);
        match idempotent_mutation {
            Some(mutation) => Box::pin(idempotency::execute_once(&app, mutation, execution)).await,
            None => execution.await,
        }
    };
    tokio::spawn(mutation_task.in_current_span()).await.unwrap_or_else(|join_error| match join_error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(join_error) => {
            tracing::warn!(error = %join_error, "mutation canceled by server shutdown");
            let mut error = ServerError::new("The server is stopping; please try again.", None);
            error.extensions.get_or_insert_default().set("code", PublicErrorCode::Unavailable.as_str());
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(RequestError { status, stage: ErrorStage::Execute, errors: vec![error] })
        }
    })
}

fn validate_method(method: &Method, is_read_only: bool) -> Result<(), RequestError> {
    if *method == Method::POST || is_read_only {
        return Ok(());
    }
    Err(RequestError::from_http(StatusCode::METHOD_NOT_ALLOWED, "GET is for queries; use POST."))
}

async fn execute_operation(app: &Arc<App>, operation: GraphqlOperation, request_info: RequestInfo) -> ExecutionResult {
    let config = &app.state.config;
    let GraphqlOperation { document, name, variables } = operation;
    let document = &document.executable;
    let operation = select_operation(document, name.as_deref())
        .map_err(|error| RequestError::from_graphql(ErrorStage::Validate, error))?;
    let request_id = request_info.request_id.clone();

    let mut request = async_graphql::Request::new(String::new()).variables(variables.clone());
    let mut selected_document = document_rewrite::select_operation(document, name.as_deref());
    variables::omit_absent(&mut selected_document, operation, &variables);
    request.operation_name = name;
    request.set_parsed_query(selected_document);
    let (request_context, query_stats, pending_loads) = RequestContext::for_request(&app.state, request_info);
    let contains_tokens = Arc::clone(&request_context.contains_tokens);
    let mut response = run_with_batching(app.schema.execute(request.data(request_context)), pending_loads).await;

    // An error without a path occurred before the execution.
    let was_rejected = response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|execution_error| execution_error.path.is_empty());
    if was_rejected {
        return Err(RequestError {
            status: StatusCode::BAD_REQUEST,
            stage: ErrorStage::Validate,
            errors: response.errors,
        });
    }
    response_shape::shape_response(&mut response, document, operation, &variables);
    finalize_errors(&mut response.errors, ErrorStage::Execute, &request_id);
    let timing = config.graphql.server_timing.resolve(config.shop.mode).then(|| {
        let statement_count = query_stats.statement_count();
        let duration_millis = query_stats.total_time().as_secs_f64() * 1000.0;
        let statement_noun = if statement_count == 1 { "statement" } else { "statements" };
        HeaderValue::from_str(&format!("db;dur={duration_millis:.3};desc=\"{statement_count} {statement_noun}\"")).ok()
    });
    let has_payload = matches!(&response.data, Value::Object(fields)
        if fields.values().any(|value| matches!(value, Value::Object(_))));
    Ok(ExecutedRequest {
        body: serialize_response(&response, config.graphql.max_response_bytes, &request_id)?,
        has_payload,
        contains_tokens: contains_tokens.load(Ordering::Relaxed),
        has_errors: !response.errors.is_empty(),
        origin: ResponseOrigin::Executed,
        timing: timing.flatten(),
    })
}

/// Serializes a response; of one that is too large, an error.
fn serialize_response(response: &Answer, max_response_bytes: usize, request_id: &str) -> Result<Vec<u8>, RequestError> {
    let serialized = bounded_json::serialize_bounded(response, max_response_bytes)
        .map_err(|error| RequestError::from_error(Error::internal("serializing a response", error)))?;
    if let BoundedJson::Complete(body) = serialized {
        return Ok(body);
    }
    let message =
        format!("The operation was executed, but its response is larger than {max_response_bytes} bytes: select less.");
    let mut errors = vec![ServerError::new(message, None)];
    errors[0].extensions.get_or_insert_default().set("code", PublicErrorCode::QueryTooComplex.as_str());
    finalize_errors(&mut errors, ErrorStage::Execute, request_id);
    Ok(serde_json::json!({ "data": null, "errors": errors }).to_string().into_bytes())
}

/// Selects the operation to execute.
fn select_operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, ServerError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations
            .values()
            .next()
            .map(|operation| &operation.node)
            .ok_or_else(|| ServerError::new("There is no operation.", None)),
        (DocumentOperations::Multiple(_), None) => {
            let message = "The document has several operations: name one in `operationName`.";
            Err(ServerError::new(message, None))
        }
        (operations, Some(name)) => {
            let named_operation = operations.iter().find(|(operation_name, _)| {
                operation_name.is_some_and(|operation_name| operation_name.as_str() == name)
            });
            let unknown_operation = || ServerError::new(format!("There is no operation named \"{name}\"."), None);
            named_operation.map(|(_, operation)| &operation.node).ok_or_else(unknown_operation)
        }
    }
}

fn error_response(
    media_type: ResponseMediaType,
    error: RequestError,
    request_id: &str,
    is_well_formed: bool,
) -> Response {
    let RequestError { mut status, stage, mut errors } = error;
    finalize_errors(&mut errors, stage, request_id);
    let needs_allow_header = status == StatusCode::METHOD_NOT_ALLOWED;
    let needs_challenge = status == StatusCode::UNAUTHORIZED;
    if media_type == ResponseMediaType::Json && is_well_formed && REJECTION_STATUSES.contains(&status) {
        status = StatusCode::OK;
    }
    // By the specification, the response to a request that was not executed has no `data`.
    let body = serde_json::json!({ "errors": errors });
    let mut response = build_response(media_type, status, body.to_string().into_bytes(), None);
    if needs_challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, authentication::INVALID_TOKEN_CHALLENGE);
    }
    if needs_allow_header {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

fn operation_response(media_type: ResponseMediaType, executed: ExecutedRequest, request_id: &str) -> Response {
    let ExecutedRequest { body, origin, timing, .. } = executed;
    if !matches!(origin, ResponseOrigin::Replayed) {
        return build_response(media_type, StatusCode::OK, body, timing);
    }
    let body = idempotency::replace_request_id(body, request_id);
    let mut response = build_response(media_type, StatusCode::OK, body, timing);
    response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    response
}

fn build_response(media_type: ResponseMediaType, status: StatusCode, body: Vec<u8>, timing: ServerTiming) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    // A response depends on the caller and the time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(timing) = timing {
        headers.insert("server-timing", timing);
    }
    response
}
