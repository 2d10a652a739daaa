//! The variables of an operation from the parts of a request, checked against their types.

use std::str::FromStr;

use axum::http::{HeaderMap, StatusCode, Uri};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    body::{self, ReceivedBody},
    endpoint::{ParameterPlace, RequestBody},
    parameters, precondition,
    rest_error::{OperationError, RestError},
    route::RestRoute,
};
use crate::{
    base::LanguageCode,
    graphql::execution::variables::{InvalidValue, find_invalid_values, is_basic_scalar},
    http::graphql_execution::select_operation,
};

/// Maximum number of invalid values that are reported for one request.
const MAX_INVALID_VALUES: usize = 50;

/// Parts of a request that become variables.
#[derive(Debug)]
pub struct RequestParts<'a> {
    /// Parameters of the path.
    pub path_values: Vec<(&'static str, String)>,
    /// Address with the query string.
    pub uri: &'a Uri,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: ReceivedBody,
}

/// Part of a request that a field is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldPlace {
    Path,
    Query,
    Header,
    Body,
}

/// Builds the variables of a request.
///
/// # Errors
/// Returns an error that names the values that are unknown, missing or not of their type.
pub fn build_variables(route: &RestRoute, parts: RequestParts<'_>) -> Result<Map<String, Value>, RestError> {
    let RequestParts { path_values, uri, headers, body } = parts;
    let mut variables = Map::new();
    parameters::add_parameters(route, path_values, uri, &mut variables)?;
    body::add_body(route.endpoint.body, headers, body, &mut variables)?;
    precondition::add_headers(route, headers, &mut variables)?;
    check_types(route, &variables)?;
    Ok(variables)
}

fn check_types(route: &RestRoute, variables: &Map<String, Value>) -> Result<(), RestError> {
    let Ok(operation) = select_operation(&route.stored.document.executable, None) else { return Ok(()) };
    let mut invalid_places = Vec::new();
    let invalid = find_invalid_values(operation, variables, is_valid_scalar, MAX_INVALID_VALUES);
    let to_message = |InvalidValue { path, field, reason }| {
        let path = path.replace('[', ".").replace(']', "");
        let segments: Vec<String> = path.split('.').map(str::to_owned).chain(field).collect();
        let (place, name) = locate(route, &segments);
        invalid_places.push(place);
        (name, reason)
    };
    let messages = invalid.into_iter().map(to_message).collect();
    let is_body = invalid_places.contains(&FieldPlace::Body);
    let (status, code) = if is_body {
        (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR")
    } else {
        (StatusCode::BAD_REQUEST, "BAD_REQUEST")
    };
    RestError::of_fields(status, code, messages).map_or(Ok(()), Err)
}

/// Returns whether a value may be one of a scalar, as the scalar's own type would accept it.
fn is_valid_scalar(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("Decimal", Value::String(text)) => Decimal::from_str(text).is_ok(),
        ("Decimal", Value::Number(number)) => number.as_f64().is_some_and(|number| Decimal::try_from(number).is_ok()),
        ("DateTime", Value::String(text)) => DateTime::<Utc>::from_str(text).is_ok(),
        ("LanguageCode", Value::String(code)) => LanguageCode::from_code(&code.to_ascii_lowercase()).is_some(),
        ("CountryCode", Value::String(_)) => true,
        ("Decimal" | "DateTime" | "LanguageCode" | "CountryCode", _) => false,
        _ => is_basic_scalar(name, value),
    }
}

/// Returns the part of the request and the name in it of a path of a variable.
fn locate(route: &RestRoute, segments: &[String]) -> (FieldPlace, String) {
    let starts_with = |path: &[&str]| {
        path.len() <= segments.len() && path.iter().zip(segments).all(|(name, segment)| name == segment)
    };
    // A list has one value for each time that its parameter was given.
    if let Some(typed) = route.parameters.iter().find(|typed| starts_with(&typed.path)) {
        let place = match typed.parameter.place {
            ParameterPlace::Path => FieldPlace::Path,
            ParameterPlace::Query => FieldPlace::Query,
        };
        return (place, typed.parameter.name.to_owned());
    }
    let idempotency_path: Vec<&str> = route.endpoint.idempotency_variable.unwrap_or_default().split('.').collect();
    if starts_with(&idempotency_path) {
        return (FieldPlace::Header, "Idempotency-Key".to_owned());
    }
    match (segments.first().map(String::as_str), route.endpoint.body) {
        (Some("expectedVersion"), _) => (FieldPlace::Header, "If-Match".to_owned()),
        (Some("input"), RequestBody::Input(_)) => (FieldPlace::Body, segments[1..].join(".")),
        (_, RequestBody::Variables(_) | RequestBody::Input(_)) => (FieldPlace::Body, segments.join(".")),
        (_, RequestBody::Empty) => (FieldPlace::Query, segments.join(".")),
    }
}

/// Translates the errors of an operation to the names of a request. The resource that a path names does not exist if the
/// path is invalid, and a version conflict is a failed precondition.
#[must_use]
pub fn translate_errors(route: &RestRoute, has_if_match: bool, errors: Vec<OperationError>) -> Vec<OperationError> {
    let translate = |error: OperationError| {
        let OperationError { code, message, field, retry_after } = error;
        let located = (!field.is_empty()).then(|| locate(route, &field));
        let is_of_header = located.as_ref().is_none_or(|(place, _)| *place == FieldPlace::Header);
        if code == "VERSION_CONFLICT" && has_if_match && is_of_header {
            let RestError { code, message, .. } = precondition::stale_error();
            return OperationError { code, message, field: vec!["If-Match".to_owned()], retry_after };
        }
        let is_invalid = ["BAD_USER_INPUT", "VALIDATION_ERROR", "NOT_FOUND"].contains(&code.as_str());
        let code = match &located {
            Some((FieldPlace::Path, _)) if is_invalid => "NOT_FOUND".to_owned(),
            // The resource exists: one that the body names does not.
            Some((FieldPlace::Body, _)) if is_invalid => "VALIDATION_ERROR".to_owned(),
            Some((FieldPlace::Query | FieldPlace::Header, _)) if is_invalid => "BAD_USER_INPUT".to_owned(),
            _ => code,
        };
        let field = located.map(|(_, name)| name).filter(|name| !name.is_empty()).into_iter().collect();
        OperationError { code, message, field, retry_after }
    };
    errors.into_iter().map(translate).collect()
}
