//! Bodies of requests, as values of variables.

use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Map, Value};

use super::{
    endpoint::{InputBody, Replacement, ReplacementGroup, RequestBody},
    rest_error::RestError,
};
use crate::http::content_negotiation;

/// Body that was received, or why it was not.
pub type ReceivedBody = Result<Bytes, BytesRejection>;

/// Adds the fields of a body to the variables.
///
/// # Errors
/// Returns an error if the body is not a JSON object, or names fields that are unknown or missing.
pub fn add_body(
    body: RequestBody,
    headers: &HeaderMap,
    received: ReceivedBody,
    variables: &mut Map<String, Value>,
) -> Result<(), RestError> {
    let received = received.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            RestError::new(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", "The body is too large.")
        }
        _ => RestError::bad_request("The body was not received completely."),
    })?;
    let fields = parse_object(body, headers, &received)?;
    let invalid = match body {
        RequestBody::Empty => fields
            .into_iter()
            .flatten()
            .map(|(name, _)| (name, "is unknown; there is no body here".to_owned()))
            .collect(),
        RequestBody::Variables(names) => add_variables(names, fields.unwrap_or_default(), variables),
        RequestBody::Input(input) => add_input(input, fields, variables),
    };
    RestError::of_fields(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", invalid).map_or(Ok(()), Err)
}

/// Parses a body; `None` if there is none, and none is needed.
fn parse_object(
    body: RequestBody,
    headers: &HeaderMap,
    received: &[u8],
) -> Result<Option<Map<String, Value>>, RestError> {
    let is_optional = match body {
        RequestBody::Empty => true,
        RequestBody::Input(input) => input.is_optional,
        RequestBody::Variables(_) => false,
    };
    if received.is_empty() && (is_optional || !headers.contains_key(header::CONTENT_TYPE)) {
        let message = "The body is missing: send a JSON object.";
        return if is_optional { Ok(None) } else { Err(RestError::bad_request(message)) };
    }
    if !content_negotiation::has_json_content_type(headers) {
        let message = "The body must be JSON in UTF-8, with `Content-Type: application/json`.";
        return Err(RestError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_REQUEST", message));
    }
    match serde_json::from_slice(received) {
        Ok(Value::Object(fields)) => Ok(Some(fields)),
        Ok(_) => {
            let message = "The body must be a JSON object.";
            Err(RestError::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", message))
        }
        Err(error) => Err(RestError::bad_request(format!("The body is not JSON: {error}."))),
    }
}

fn add_variables(
    names: &[&'static str],
    fields: Map<String, Value>,
    variables: &mut Map<String, Value>,
) -> Vec<(String, String)> {
    let mut invalid = Vec::new();
    for (name, value) in fields {
        if names.contains(&name.as_str()) {
            variables.insert(name, value);
        } else {
            invalid.push((name, format!("is unknown; the fields are {}", names.join(", "))));
        }
    }
    invalid
}

fn add_input(
    InputBody { excluded, replacement, .. }: InputBody,
    fields: Option<Map<String, Value>>,
    variables: &mut Map<String, Value>,
) -> Vec<(String, String)> {
    let Some(mut fields) = fields else { return Vec::new() };
    let mut invalid = Vec::new();
    for name in excluded.iter().filter(|name| fields.contains_key(**name)) {
        let source = if *name == "idempotencyKey" { "the header Idempotency-Key" } else { "the path" };
        invalid.push(((*name).to_owned(), format!("is given by {source}")));
    }
    if let Some(replacement) = replacement {
        complete(&mut fields, replacement, &mut invalid);
    }
    match variables.get_mut("input") {
        // A parameter of the path is a part of the input.
        Some(Value::Object(input)) => input.extend(fields),
        _ => {
            variables.insert("input".to_owned(), Value::Object(fields));
        }
    }
    invalid
}

/// Completes a body that replaces a resource: absent optional fields are cleared.
fn complete(fields: &mut Map<String, Value>, replacement: &Replacement, invalid: &mut Vec<(String, String)>) {
    let Replacement { required, cleared, disabled, group } = replacement;
    let mut require = |fields: &Map<String, Value>, names: &[&str]| {
        let missing = names.iter().filter(|name| !fields.contains_key(**name));
        invalid.extend(missing.map(|name| ((*name).to_owned(), "is required in a complete replacement".to_owned())));
    };
    require(fields, required);
    for name in *cleared {
        fields.entry(*name).or_insert(Value::Null);
    }
    for name in *disabled {
        fields.entry(*name).or_insert(Value::Bool(false));
    }
    let Some(ReplacementGroup { required, cleared }) = group else { return };
    if required.iter().chain(*cleared).any(|name| fields.contains_key(*name)) {
        require(fields, required);
        for name in *cleared {
            fields.entry(*name).or_insert(Value::Null);
        }
    }
}
