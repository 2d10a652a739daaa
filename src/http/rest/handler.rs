//! Handles REST requests: finds the endpoint, executes its operation, and puts the result into the envelope.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    answer::read_result,
    body::ReceivedBody,
    endpoint::{RestMethod, ResultShape},
    openapi::openapi_document,
    rest_error::RestError,
    route::{RestRoute, RouteMatch, prepare_routes},
    success::{SuccessParts, success_response},
    variables::{RequestParts, build_variables, translate_errors},
    version::{RestVersion, VERSIONS},
};
use crate::{
    graphql::context::RequestInfo,
    http::{
        App, authentication,
        graphql::{ReceivedGraphqlRequest, execute_in_time},
        graphql_execution::RequestHead,
        graphql_request::{GraphqlRequest, RequestError},
        graphql_response::{ExecutedRequest, ResponseOrigin},
        idempotency::{self, REPLAYED_HEADER},
        persisted_query::DocumentReference,
        request_id::RequestId,
        response_cache::ReceivedRequest,
        write_position::{self, WRITE_POSITION_HEADER},
    },
    identity::Caller,
    infra::telemetry::RequestRecord,
};

/// Start of the paths of all versions.
const API_PREFIX: &str = "/api/";

/// Request to a REST endpoint.
struct RestRequest<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    uri: &'a Uri,
    body: ReceivedBody,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request_id: &'a str,
    record: Arc<RequestRecord>,
}

/// Handles a request below `/api`.
pub async fn handle_rest(
    State(app): State<Arc<App>>,
    (Extension(RequestId(request_id)), Extension(record)): (Extension<RequestId>, Extension<Arc<RequestRecord>>),
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let path = uri.path().strip_prefix(API_PREFIX).unwrap_or_default();
    if path == "openapi.json" {
        return describe(&method, &request_id);
    }
    let (version_name, rest) = path.split_once('/').unwrap_or((path, ""));
    let Some(version) = RestVersion::find(version_name) else {
        let names = VERSIONS.map(|version| version.name).join(", ");
        let message = format!("There is no such version of the REST API. Supported versions: {names}.");
        return RestError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message).into_response(&request_id);
    };
    // As in the designs, paths end with a slash or do not.
    let resource_path = rest.strip_suffix('/').unwrap_or(rest);
    let request =
        RestRequest { method: &method, headers: &headers, uri: &uri, body, peer, request_id: &request_id, record };
    let response = match prepare_routes().find(&method, resource_path) {
        RouteMatch::Found(route, path_values) => {
            // In a box: the future is large, and the router moves the future of its handler several times.
            Box::pin(respond(&app, route, path_values, request)).await
        }
        RouteMatch::OtherMethods(methods) => Err(method_error(methods)),
        RouteMatch::Unknown => {
            let message = "There is no such resource. The resources are products, categories, orders, customers and cart; \
                           /api/openapi.json describes them.";
            Err(RestError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message))
        }
    };
    let mut response = response.unwrap_or_else(|error| error.into_response(&request_id));
    version.insert_headers(response.headers_mut());
    response
}

/// Responds with the OpenAPI document.
fn describe(method: &Method, request_id: &str) -> Response {
    if RestMethod::of_request(method) != Some(RestMethod::Get) {
        return method_error(vec![RestMethod::Get]).into_response(request_id);
    }
    let mut response = Json(openapi_document()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

fn method_error(mut methods: Vec<RestMethod>) -> RestError {
    methods.sort_unstable();
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if methods.contains(&RestMethod::Get) {
        names.push("HEAD");
    }
    let names = names.join(", ");
    let message = format!("The method is not allowed here; allowed: {names}.");
    let error = RestError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    RestError { allowed_methods: Some(names), ..error }
}

/// Executes the operation of an endpoint.
async fn respond(
    app: &Arc<App>,
    route: &'static RestRoute,
    path_values: Vec<(&'static str, String)>,
    request: RestRequest<'_>,
) -> Result<Response, RestError> {
    let RestRequest { method, headers, uri, body, peer, request_id, record } = request;
    let response_request = ResponseRequest { uri, headers, request_id };
    let is_read = route.endpoint.method == RestMethod::Get;
    // Operations are sent by POST, which allows all kinds.
    let head = RequestHead { method: if is_read { method } else { &Method::POST }, headers };
    let received = if is_read { ReceivedRequest::identify(app, head, uri, &[]) } else { None };
    if let (Some(cache), Some(received)) = (&app.response_cache, received)
        && let Some((hit, operation)) = cache.find_received(app, received, |_| true)
    {
        let _ = record.operation.set(operation);
        return build_response(route, response_request, ExecutedRequest::from_cache(hit));
    }
    let authenticated = authentication::authenticate_request(app, headers, peer, request_id).await;
    let request_info = authenticated.map_err(|error| {
        RestError::of_rejection(RequestError::from_authentication_failure(&error), request_id, true)
    })?;
    let request_info = RequestInfo { record, ..request_info };
    let _ = request_info.record.actor.set(request_info.caller.actor());
    if route.endpoint.needs_token && request_info.caller == Caller::Anonymous {
        let message = "A token is needed: send it as `Authorization: Bearer …`.";
        return Err(RestError::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message));
    }
    let variables = build_variables(route, RequestParts { path_values, uri, headers, body })?;
    let document = DocumentReference::Stored(route.stored.clone());
    let request = GraphqlRequest { document, operation: None, variables: Some(variables) };
    let reject = |error| RestError::of_rejection(error, request_id, false);
    let executed = execute_in_time(app, head, ReceivedGraphqlRequest { request, received }, request_info).await;
    let executed = executed.map_err(reject)?.map_err(reject)?;
    build_response(route, response_request, executed)
}

/// Parts of a request that its response depends on.
#[derive(Clone, Copy)]
struct ResponseRequest<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    request_id: &'a str,
}

/// Converts the response of the operation.
fn build_response(
    route: &RestRoute,
    ResponseRequest { uri, headers, request_id }: ResponseRequest<'_>,
    executed: ExecutedRequest,
) -> Result<Response, RestError> {
    let ExecutedRequest { body, origin, timing, error_summary, write_position, .. } = executed;
    let is_replay = matches!(origin, ResponseOrigin::Replayed);
    let body: Bytes = match origin {
        ResponseOrigin::Cached(hit) => hit.cached.value.body.clone(),
        ResponseOrigin::Replayed => idempotency::replace_request_id(body, request_id).into(),
        ResponseOrigin::Executed => body.into(),
    };
    let endpoint = route.endpoint;
    let mut result = read_result(endpoint.result, &body).map_err(|error| {
        tracing::error!(%error, operation = route.stored.operation, "the response of a stored operation is invalid");
        RestError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "An internal error occurred.")
    })?;
    let has_if_match = headers.contains_key(header::IF_MATCH);
    result.errors = translate_errors(route, has_if_match, std::mem::take(&mut result.errors));
    let has_result = result.resource.is_some() || result.is_deleted;
    let outcome = if has_result {
        let collection = endpoint.created_in.map(|path| format!("{API_PREFIX}v1{path}"));
        let is_single = !matches!(endpoint.result, ResultShape::List | ResultShape::Connection);
        let parts =
            SuccessParts { status: endpoint.status, uri, collection: collection.as_deref(), request_id, is_single };
        Ok(success_response(&parts, &result))
    } else if !result.errors.is_empty() {
        Err(RestError { summary: error_summary, ..RestError::of_operation(result.errors) })
    } else if !result.has_caller {
        let message = "Sign in: the resource is of the customer that the token is of.";
        Err(RestError::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message))
    } else {
        let message = "The resource does not exist, or the caller may not see it.";
        Err(RestError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message))
    };
    let mut response = outcome.unwrap_or_else(|error| error.into_response(request_id));
    if let Some(error_summary) = error_summary.filter(|_| !is_replay) {
        response.extensions_mut().insert(error_summary);
    }
    let response_headers = response.headers_mut();
    if is_replay {
        response_headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    if let Some(timing) = timing {
        response_headers.insert("server-timing", timing);
    }
    if let Some(position) = write_position.and_then(write_position::to_header_value) {
        response_headers.insert(WRITE_POSITION_HEADER, position);
    }
    Ok(response)
}
