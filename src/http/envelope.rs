//! The one shape of REST answers: `{"data", "meta"}` or `{"error", "meta"}`.

use std::panic::AssertUnwindSafe;

use axum::{
    Extension, Json,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::request_id::RequestId;
use crate::base::{Clock, Error, error::Code};

/// A good answer.
#[must_use]
pub fn data(status: StatusCode, id: &str, data: &Value) -> Response {
    (status, Json(json!({ "data": data, "meta": meta(id) }))).into_response()
}

/// A bad one.
#[must_use]
pub fn error(status: StatusCode, id: &str, code: &str, message: &str) -> Response {
    let error = json!({ "code": code, "message": message, "details": null });
    (status, Json(json!({ "error": error, "meta": meta(id) }))).into_response()
}

/// What a caller did that cannot be, or a fault of ours, which is logged here.
#[must_use]
pub fn refuse(id: &str, why: &Error) -> Response {
    let problem = why.public();
    if matches!(why, Error::Fault(_)) {
        tracing::error!(error = why.log(), "a request failed");
    }
    let mut answer = error(status(problem.code), id, problem.code.as_str(), &problem.message);
    if let Error::RateLimited { retry_after } = why {
        answer.headers_mut().insert(header::RETRY_AFTER, (*retry_after).into());
    }
    answer
}

const fn status(code: Code) -> StatusCode {
    match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::VersionConflict | Code::IllegalTransition => StatusCode::CONFLICT,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn meta(id: &str) -> Value {
    json!({ "timestamp": Clock::default().now(), "request_id": id })
}

/// There is nothing at this path.
pub async fn not_found(Extension(RequestId(id)): Extension<RequestId>) -> Response {
    let message = "There is nothing here. The API is at /graphql, its explorer at /graphiql.";
    error(StatusCode::NOT_FOUND, &id, "NOT_FOUND", message)
}

/// This path does not do that.
pub async fn method_not_allowed(Extension(RequestId(id)): Extension<RequestId>) -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, &id, "METHOD_NOT_ALLOWED", "This path is for GET.")
}

/// Answers for a handler that panicked. The panic itself has been told by its hook; the log gets the request's line.
pub async fn catch(Extension(RequestId(id)): Extension<RequestId>, request: Request, next: Next) -> Response {
    // Nothing of a request outlives it but the caches, whose writes are whole or not there.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(cause) => {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
            tracing::error!(cause = text.unwrap_or("unknown"), "a request panicked");
            error(StatusCode::INTERNAL_SERVER_ERROR, &id, "INTERNAL", "Something went wrong on our side.")
        }
    }
}
