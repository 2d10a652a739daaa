//! Headers of a request that become variables: `If-Match` and `Idempotency-Key`.

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::{parameters::insert_at, rest_error::RestError, route::RestRoute};
use crate::http::idempotency;

/// Adds the headers of a request to the variables.
///
/// # Errors
/// Returns an error if a header is invalid or not supported, or a required one is missing.
pub fn add_headers(
    route: &RestRoute,
    headers: &HeaderMap,
    variables: &mut Map<String, Value>,
) -> Result<(), RestError> {
    if let Some(version) = read_version(headers)? {
        if !route.endpoint.has_precondition {
            let message = "If-Match is not supported here: this operation has no expected version.";
            return Err(header_error("If-Match", message));
        }
        variables.insert("expectedVersion".to_owned(), version.into());
    }
    let Some(variable) = route.endpoint.idempotency_variable else { return Ok(()) };
    let key = idempotency::read_key(headers)
        .map_err(|error| header_error("Idempotency-Key", &error.to_public_error().message))?;
    let Some(key) = key else {
        let message =
            "is required: send a new random value for each order, payment or refund, and the same one to retry";
        return Err(header_error("Idempotency-Key", message));
    };
    let path: Vec<&str> = variable.split('.').collect();
    insert_at(variables, &path, key.into());
    Ok(())
}

/// Returns the version of an `If-Match` header; `None` without one, and for `*`.
fn read_version(headers: &HeaderMap) -> Result<Option<i32>, RestError> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if values.next().is_some() || text.contains(',') {
        return Err(header_error("If-Match", "must have one entity tag"));
    }
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match tag.map(str::parse) {
        Some(Ok(version)) => Ok(Some(version)),
        // A tag of another form, such as a weak one, matches no version.
        Some(Err(_)) => Err(stale_error()),
        None if text.starts_with("W/\"") => Err(stale_error()),
        None => Err(header_error("If-Match", "must be an entity tag in quotes, as in the header ETag: \"3\"")),
    }
}

/// Creates the error of a resource that was changed since it was read.
#[must_use]
pub fn stale_error() -> RestError {
    let message =
        "The resource was changed since it was read: its entity tag is not the one in If-Match. Read it again.";
    let mut error = RestError::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", message);
    error.details.insert("If-Match".to_owned(), vec!["does not match the current entity tag".to_owned()]);
    error
}

fn header_error(name: &str, message: &str) -> RestError {
    let messages = vec![(name.to_owned(), message.trim_end_matches('.').to_owned())];
    RestError::of_fields(StatusCode::BAD_REQUEST, "BAD_REQUEST", messages)
        .unwrap_or_else(|| RestError::bad_request(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_of(text: &'static str) -> Result<Option<i32>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, text.parse().expect("a header"));
        read_version(&headers).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn entity_tag_is_a_version() {
        assert_eq!(read_version(&HeaderMap::new()).ok(), Some(None));
        assert_eq!(version_of("\"3\""), Ok(Some(3)));
        assert_eq!(version_of("*"), Ok(None));
        for stale in ["\"x\"", "W/\"3\"", "\"\"", "\"99999999999\""] {
            assert_eq!(version_of(stale), Err(412), "{stale}");
        }
        for malformed in ["3", "\"1\", \"2\"", "\"3"] {
            assert_eq!(version_of(malformed), Err(400), "{malformed}");
        }
    }
}
