//! `/graphql`: GraphQL over HTTP, by the specification.
//!
//! A request that is not well formed is answered 4xx. A well-formed one that cannot be executed is answered 400 to
//! clients that speak `application/graphql-response+json`, 200 to those of `application/json`. What was executed is 200.

use std::{net::SocketAddr, sync::Arc};

use async_graphql::{
    Name, Response as Answer, ServerError, Value, Variables,
    parser::types::{BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    App, bearer,
    documents::Refused,
    negotiate::{self, Media},
    request_id::RequestId,
};
use crate::{
    base::{Error, error::Code},
    graphql::{
        context::{Scope, Visit, drive},
        error::{Stage, finish},
        limits, prepare, shape,
    },
    identity::outside::Denied,
};

/// What a caller sends.
#[derive(Debug, Deserialize)]
struct Call {
    query: String,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    #[expect(dead_code, reason = "checked to be a map; nothing here reads it yet")]
    extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The same in an address: the parameters of a GET.
#[derive(Debug, Deserialize)]
struct Address {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Why a request is not executed.
struct Refusal {
    status: StatusCode,
    stage: Stage,
    errors: Vec<ServerError>,
}

impl Refusal {
    /// The request is not one of GraphQL over HTTP.
    fn http(status: StatusCode, message: impl Into<String>) -> Self {
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", "BAD_REQUEST");
        Self { status, stage: Stage::Validate, errors: vec![error] }
    }

    /// It brings something to show who asks, and that does not hold or cannot be looked into. Why is for the log.
    fn denied(why: &Denied) -> Self {
        let (status, code, message) = match why {
            Denied::Refused(why) => {
                tracing::info!(reason = %why, "a token was refused");
                (StatusCode::UNAUTHORIZED, Code::Unauthenticated, "The token does not hold; sign in again.")
            }
            Denied::Unreachable(why) => {
                tracing::warn!(reason = why, "a token could not be checked");
                let message = "The token cannot be checked just now: its issuer does not answer. Try again.";
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            }
            Denied::Fault(why) => {
                tracing::error!(error = why.log(), "a token could not be checked");
                let message = "The token cannot be checked just now. Try again.";
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            }
        };
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", code.as_str());
        Self { status, stage: Stage::Validate, errors: vec![error] }
    }

    /// It is one, but cannot be executed.
    fn graphql(stage: Stage, error: ServerError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, stage, errors: vec![error] }
    }
}

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
        return refuse(Media::Json, Refusal::http(StatusCode::NOT_ACCEPTABLE, message), &id, false);
    };
    let visit = match bearer::visit(&app, &headers, peer, &id).await {
        Ok(visit) => visit,
        Err(why) => return refuse(media, Refusal::denied(&why), &id, false),
    };
    let call = match read(&method, &headers, &uri, body) {
        Ok(call) => call,
        Err(refusal) => return refuse(media, refusal, &id, false),
    };
    let limit = app.shared.config.server.request_timeout;
    let outcome = tokio::time::timeout(limit, execute(&app, &method, call, visit)).await;
    match outcome {
        Ok(Ok((answer, timing))) => respond(media, StatusCode::OK, &answer, timing),
        Ok(Err(refusal)) => refuse(media, refusal, &id, true),
        Err(_) => {
            let message = format!("The answer took longer than {} s.", limit.as_secs());
            let mut error = ServerError::new(message, None);
            error.extensions.get_or_insert_default().set("code", "TIMEOUT");
            let refusal =
                Refusal { status: StatusCode::SERVICE_UNAVAILABLE, stage: Stage::Execute, errors: vec![error] };
            refuse(media, refusal, &id, false)
        }
    }
}

/// What the caller asks, from the body or from the address.
fn read(
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Call, Refusal> {
    match *method {
        Method::POST => {}
        Method::GET | Method::HEAD => return read_address(uri),
        _ => return Err(Refusal::http(StatusCode::METHOD_NOT_ALLOWED, "Use POST, or GET for queries.")),
    }
    if !negotiate::is_json(headers) {
        let message = "The body must be JSON in UTF-8, and `Content-Type: application/json` must say so.";
        return Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = body.map_err(|why| match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        _ => Refusal::http(StatusCode::BAD_REQUEST, "The body did not arrive whole."),
    })?;
    if body.trim_ascii_start().starts_with(b"[") {
        let message = "One request at a time: a list of requests is not answered.";
        return Err(Refusal::http(StatusCode::BAD_REQUEST, message));
    }
    serde_json::from_slice(&body).map_err(|why| {
        let message = match why.classify() {
            serde_json::error::Category::Data => format!("The body is not a GraphQL request: {why}."),
            _ => format!("The body is not JSON: {why}."),
        };
        Refusal::http(StatusCode::BAD_REQUEST, message)
    })
}

fn read_address(uri: &Uri) -> Result<Call, Refusal> {
    let bad = |message: String| Refusal::http(StatusCode::BAD_REQUEST, message);
    let address = Query::try_from_uri(uri).ok().filter(|_| well_encoded(uri.query().unwrap_or_default()));
    let Some(Query(Address { query, operation, variables, extensions })) = address else {
        return Err(bad("The address cannot be read: each parameter once, percent-encoded UTF-8.".into()));
    };
    let query = query.ok_or_else(|| bad("`query` is missing. Explore at /graphiql.".into()))?;
    let map = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
        Some(text) => serde_json::from_str(&text).map_err(|why| bad(format!("`{name}` is not a JSON object: {why}."))),
        None => Ok(None),
    };
    let operation = operation.filter(|name| !name.is_empty());
    Ok(Call { query, operation, variables: map("variables", variables)?, extensions: map("extensions", extensions)? })
}

/// Whether every `%` begins a byte, and all bytes together are UTF-8. What is not would be read as something else.
fn well_encoded(text: &str) -> bool {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The cost of a request, for its header.
type Timing = Option<HeaderValue>;

async fn execute(app: &App, method: &Method, call: Call, visit: Visit) -> Result<(Answer, Timing), Refusal> {
    let config = &app.shared.config;
    let Call { query, operation: name, variables, .. } = call;
    let document = app.documents.get(&query, &config.graphql).map_err(|why| match why {
        Refused::Parse(error) => Refusal::graphql(Stage::Parse, error),
        Refused::Limit(error) => Refusal::graphql(Stage::Validate, error),
    })?;
    let operation = select(&document, name.as_deref()).map_err(|error| Refusal::graphql(Stage::Validate, error))?;
    if *method != Method::POST && operation.ty != OperationType::Query {
        return Err(Refusal::http(StatusCode::METHOD_NOT_ALLOWED, "GET is for queries; use POST."));
    }
    let variables = variables.unwrap_or_default();
    let key = app.documents.request_key((&query, &name, Canonical(&variables)));
    let variables = Variables::from_json(serde_json::Value::Object(variables));
    refuse_null_bytes(&query, &document, &variables)?;
    let id = visit.request.clone();
    let variables = with_defaults(variables, operation).map_err(|error| Refusal::graphql(Stage::Validate, error))?;

    let mut request = async_graphql::Request::new(String::new()).variables(variables.clone());
    request.operation_name = name;
    request.set_parsed_query(prepare::alone(&document, request.operation_name.as_deref()));
    let (scope, meter, waiting) = Scope::open(&app.shared, visit);
    let passed = app.documents.has_passed(key);
    let graph = if passed { &app.graphs.fast } else { &app.graphs.strict };
    let mut answer = drive(graph.execute(request.data(scope)), waiting).await;

    // An error without a path comes from before the execution.
    let refused =
        answer.data == Value::Null && !answer.errors.is_empty() && answer.errors.iter().all(|one| one.path.is_empty());
    if refused {
        return Err(Refusal { status: StatusCode::BAD_REQUEST, stage: Stage::Validate, errors: answer.errors });
    }
    if !passed {
        app.documents.pass(key);
    }
    shape::settle(&mut answer, &document, operation, &variables);
    finish(&mut answer.errors, Stage::Execute, &id);
    let timing = config.graphql.timing.on(config.shop.mode).then(|| {
        let statements = meter.statements();
        let millis = meter.time().as_secs_f64() * 1000.0;
        let noun = if statements == 1 { "statement" } else { "statements" };
        HeaderValue::from_str(&format!("db;dur={millis:.3};desc=\"{statements} {noun}\"")).ok()
    });
    Ok((answer, timing.flatten()))
}

/// Hashes variables in the order they came in.
struct Canonical<'a>(&'a serde_json::Map<String, serde_json::Value>);

impl std::hash::Hash for Canonical<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for (name, value) in self.0 {
            name.hash(state);
            value.hash(state);
        }
    }
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

/// No text in a database holds a null byte, so none gets further than this.
fn refuse_null_bytes(text: &str, document: &ExecutableDocument, variables: &Variables) -> Result<(), Refusal> {
    let in_variables = variables.iter().find_map(|(name, value)| limits::in_value(value, &format!("variables.{name}")));
    // In the document it can only stand as an escape (or as itself, in a string).
    let suspect = text.contains("\\u0000") || text.contains("\\u{") || text.contains('\0');
    let found = in_variables.or_else(|| if suspect { limits::null_byte(document) } else { None });
    let Some(path) = found else { return Ok(()) };
    let mut error = ServerError::new(format!("A text may not hold a null byte; one is in {path}."), None);
    error.extensions.get_or_insert_default().set("code", Error::bad_input("", "").public().code.as_str());
    Err(Refusal::graphql(Stage::Validate, error))
}

/// Puts the defaults of variables in their places, where `@skip` and `@include` look for them, and refuses what they
/// would not see to be wrong: the rest is seen to by the validation.
fn with_defaults(mut variables: Variables, operation: &OperationDefinition) -> Result<Variables, ServerError> {
    for definition in &operation.variable_definitions {
        let name: &Name = &definition.node.name.node;
        if let Some(default) = &definition.node.default_value
            && !variables.contains_key(name)
        {
            variables.insert(name.clone(), default.node.clone());
        }
        let ty = &definition.node.var_type.node;
        let given = variables.get(name).unwrap_or(&Value::Null);
        let right = match given {
            Value::Null => ty.nullable,
            Value::Boolean(_) => true,
            _ => ty.base != BaseType::Named(Name::new("Boolean")),
        };
        if !right {
            let message = format!("Variable \"${name}\" needs a value of type \"{ty}\".");
            return Err(ServerError::new(message, Some(definition.pos)));
        }
    }
    Ok(variables)
}

fn refuse(media: Media, refusal: Refusal, id: &str, well_formed: bool) -> Response {
    let Refusal { mut status, stage, mut errors } = refusal;
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

fn respond(media: Media, status: StatusCode, answer: &Answer, timing: Timing) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => respond_with(media, status, body, timing),
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
    if let Some(timing) = timing {
        headers.insert("server-timing", timing);
    }
    response
}
