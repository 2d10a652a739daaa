//! `/graphql`: GraphQL over HTTP, by the specification.
//!
//! A request that is not well formed is answered 4xx. A well-formed one that cannot be executed is answered 400 to
//! clients that speak `application/graphql-response+json`, 200 to those of `application/json`. What was executed is 200.

use std::{net::SocketAddr, sync::Arc};

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
    App, bearer,
    bounded::{self, Bounded},
    graphql_request::{self, GraphqlRequest, RequestError},
    negotiate::Media,
    request_id::RequestId,
};
use crate::{
    base::error::Code,
    graphql::{
        context::{Scope, Visit, drive},
        document::ValidDocument,
        error::{Stage, finish},
        limits, prepare, shape, variables,
    },
};

/// Answers one request.
pub async fn handle(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let Some(media) = Media::accepted(&headers) else {
        let message = "Answers are application/graphql-response+json or application/json; `Accept` allows neither.";
        return refuse(Media::Json, RequestError::http(StatusCode::NOT_ACCEPTABLE, message), &id, false);
    };
    let visit = match bearer::visit(&app, &headers, peer, &id).await {
        Ok(visit) => visit,
        Err(why) => return refuse(media, RequestError::denied(&why), &id, false),
    };
    let request = match graphql_request::read(&method, &headers, &uri, body) {
        Ok(request) => request,
        Err(error) => return refuse(media, error, &id, false),
    };
    let limit = app.shared.config.server.request_timeout;
    let most = app.shared.config.graphql.max_response_bytes;
    let outcome = tokio::time::timeout(limit, answer(&app, &method, request, visit)).await;
    match outcome {
        Ok(Ok((answer, timing))) => respond(media, (&answer, most), timing, &id),
        Ok(Err(error)) => refuse(media, error, &id, true),
        Err(_) => {
            let message = format!("The answer took longer than {} s.", limit.as_secs());
            let mut error = ServerError::new(message, None);
            error.extensions.get_or_insert_default().set("code", "TIMEOUT");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            refuse(media, RequestError { status, stage: Stage::Execute, errors: vec![error] }, &id, false)
        }
    }
}

/// The cost of a request, for its header.
type Timing = Option<HeaderValue>;

/// What was executed, or why nothing was.
type Outcome = Result<(Answer, Timing), RequestError>;

/// A request that is ready to be executed.
struct Operation {
    document: Arc<ValidDocument>,
    name: Option<String>,
    variables: Variables,
}

async fn answer(app: &Arc<App>, method: &Method, request: GraphqlRequest, visit: Visit) -> Outcome {
    let GraphqlRequest { query, operation: name, variables, .. } = request;
    let document = app.documents.get(query, &app.shared.config.graphql).await.map_err(|error| {
        let named = |one: &&(Option<String>, OperationType)| name.is_none() || one.0 == name;
        let reads = error.operations.iter().filter(named).all(|(_, ty)| *ty == OperationType::Query);
        check_method(method, reads).err().unwrap_or_else(|| error.into())
    })?;
    let invalid = |error| RequestError::graphql(Stage::Validate, error);
    let operation = select(&document.executable, name.as_deref()).map_err(invalid)?;
    check_method(method, operation.ty == OperationType::Query)?;
    let writes = operation.ty == OperationType::Mutation;
    if writes && visit.caller.permissions().is_empty() {
        let most = app.shared.config.graphql.max_mutation_fields;
        limits::check_root_fields(&document.executable, operation, most).map_err(invalid)?;
    }
    let variables = variables::coerce_variables(operation, variables.unwrap_or_default()).map_err(invalid)?;
    variables::check_conditions(&document.executable, operation, &variables).map_err(invalid)?;
    let operation = Operation { document: Arc::clone(&document), name, variables };
    if !writes {
        return execute(app, operation, visit).await;
    }
    // What is written is carried out to its end, whether or not the client waits for the answer.
    let app = Arc::clone(app);
    let task = tokio::spawn(async move { execute(&app, operation, visit).await }.in_current_span());
    task.await.unwrap_or_else(|why| match why.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(why) => {
            tracing::warn!(error = %why, "a mutation was ended with the server");
            let mut error = ServerError::new("The server is stopping; please try again.", None);
            error.extensions.get_or_insert_default().set("code", Code::Unavailable.as_str());
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(RequestError { status, stage: Stage::Execute, errors: vec![error] })
        }
    })
}

fn check_method(method: &Method, reads: bool) -> Result<(), RequestError> {
    if *method == Method::POST || reads {
        return Ok(());
    }
    Err(RequestError::http(StatusCode::METHOD_NOT_ALLOWED, "GET is for queries; use POST."))
}

async fn execute(app: &Arc<App>, operation: Operation, visit: Visit) -> Outcome {
    let config = &app.shared.config;
    let Operation { document, name, variables } = operation;
    let document = &document.executable;
    let operation = select(document, name.as_deref()).map_err(|error| RequestError::graphql(Stage::Validate, error))?;
    let id = visit.request.clone();

    let mut request = async_graphql::Request::new(String::new()).variables(variables.clone());
    let mut alone = prepare::alone(document, name.as_deref());
    variables::omit_absent(&mut alone, operation, &variables);
    request.operation_name = name;
    request.set_parsed_query(alone);
    let (scope, meter, waiting) = Scope::open(&app.shared, visit);
    let mut answer = drive(app.graph.execute(request.data(scope)), waiting).await;

    // An error without a path comes from before the execution.
    let refused =
        answer.data == Value::Null && !answer.errors.is_empty() && answer.errors.iter().all(|one| one.path.is_empty());
    if refused {
        return Err(RequestError { status: StatusCode::BAD_REQUEST, stage: Stage::Validate, errors: answer.errors });
    }
    shape::settle(&mut answer, document, operation, &variables);
    finish(&mut answer.errors, Stage::Execute, &id);
    let timing = config.graphql.timing.on(config.shop.mode).then(|| {
        let statements = meter.statements();
        let millis = meter.time().as_secs_f64() * 1000.0;
        let noun = if statements == 1 { "statement" } else { "statements" };
        HeaderValue::from_str(&format!("db;dur={millis:.3};desc=\"{statements} {noun}\"")).ok()
    });
    Ok((answer, timing.flatten()))
}

/// The operation that is meant.
fn select<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Result<&'a OperationDefinition, ServerError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(one), None) => Ok(&one.node),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => {
            all.values().next().map(|one| &one.node).ok_or_else(|| ServerError::new("There is no operation.", None))
        }
        (DocumentOperations::Multiple(_), None) => {
            let message = "The document has several operations: say which one in `operationName`.";
            Err(ServerError::new(message, None))
        }
        (operations, Some(name)) => {
            let found = operations.iter().find(|(known, _)| known.is_some_and(|known| known.as_str() == name));
            let missing = || ServerError::new(format!("There is no operation named \"{name}\"."), None);
            found.map(|(_, one)| &one.node).ok_or_else(missing)
        }
    }
}

fn refuse(media: Media, error: RequestError, id: &str, well_formed: bool) -> Response {
    let RequestError { mut status, stage, mut errors } = error;
    finish(&mut errors, stage, id);
    let allow = status == StatusCode::METHOD_NOT_ALLOWED;
    let challenge = status == StatusCode::UNAUTHORIZED;
    if media == Media::Json && well_formed && status == StatusCode::BAD_REQUEST {
        status = StatusCode::OK;
    }
    // By the specification an answer to what was not executed has no `data`.
    let body = serde_json::json!({ "errors": errors });
    let mut response = respond_with(media, status, body.to_string().into_bytes(), None);
    if challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer::CHALLENGE);
    }
    if allow {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

fn respond(media: Media, (answer, most): (&Answer, usize), timing: Timing, id: &str) -> Response {
    match bounded::to_json(answer, most) {
        Ok(Bounded::Whole(body)) => respond_with(media, StatusCode::OK, body, timing),
        Ok(Bounded::TooLarge) => {
            let message =
                format!("The operation was executed, but its answer is larger than {most} bytes: ask for less.");
            let mut errors = vec![ServerError::new(message, None)];
            errors[0].extensions.get_or_insert_default().set("code", Code::QueryTooComplex.as_str());
            finish(&mut errors, Stage::Execute, id);
            let body = serde_json::json!({ "data": null, "errors": errors });
            respond_with(media, StatusCode::OK, body.to_string().into_bytes(), timing)
        }
        Err(why) => {
            tracing::error!(error = %why, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn respond_with(media: Media, status: StatusCode, body: Vec<u8>, timing: Timing) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    // An answer depends on who asks and on the moment.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(timing) = timing {
        headers.insert("server-timing", timing);
    }
    response
}
