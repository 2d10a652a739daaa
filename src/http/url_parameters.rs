//! Parameters of the URL. Invalid ones are answered in the format of REST responses, not in that of the framework.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
    response::Response,
};
use serde::de::DeserializeOwned;

use super::{request_id::RequestId, rest_response};
use crate::base::Error;

/// Parameters of the query string.
#[derive(Debug, Clone, Copy)]
pub struct QueryParameters<T>(pub T);

/// Parameters of the path.
#[derive(Debug, Clone, Copy)]
pub struct PathParameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        let parameters = Query::try_from_uri(&parts.uri);
        parameters.map(|Query(parameters)| Self(parameters)).map_err(|error| reject(parts, error.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParameters<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let parameters = Path::from_request_parts(parts, state).await;
        parameters.map(|Path(parameters)| Self(parameters)).map_err(|error| reject(parts, error.body_text()))
    }
}

fn reject(parts: &Parts, message: String) -> Response {
    let request_id = parts.extensions.get::<RequestId>().map_or("", |RequestId(request_id)| request_id);
    rest_response::error_to_response(request_id, &Error::bad_input("", message))
}
