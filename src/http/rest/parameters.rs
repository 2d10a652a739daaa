//! Parameters of the path and the query string, as values of variables.

use apollo_compiler::ast;
use axum::{
    extract::Query,
    http::{StatusCode, Uri},
};
use serde_json::{Map, Value};

use super::{
    endpoint::ParameterPlace,
    rest_error::RestError,
    route::{RestRoute, TypedParameter},
};
use crate::http::graphql_request::is_valid_percent_encoding;

/// Maximum length of a name that an error repeats. Characters.
const MAX_NAME_LENGTH: usize = 100;

/// Adds the parameters of a request to the variables.
///
/// # Errors
/// Returns an error that names the parameters that are unknown, repeated or not of their type.
pub fn add_parameters(
    route: &RestRoute,
    path_values: Vec<(&'static str, String)>,
    uri: &Uri,
    variables: &mut Map<String, Value>,
) -> Result<(), RestError> {
    let mut invalid = Vec::new();
    for (name, value) in path_values {
        if let Some(parameter) = find_parameter(route, ParameterPlace::Path, name) {
            insert_at(variables, &parameter.path, Value::String(value));
        }
    }
    for (name, text) in parse_query(uri)? {
        let Some(parameter) = find_parameter(route, ParameterPlace::Query, &name) else {
            let name: String = name.chars().take(MAX_NAME_LENGTH).collect();
            invalid.push((name, explain_unknown(route)));
            continue;
        };
        let value = match parse_value(&parameter.ty, text) {
            Ok(value) => value,
            Err(reason) => {
                invalid.push((name, reason));
                continue;
            }
        };
        let is_list = parameter.ty.is_list();
        let slot = slot_at(variables, &parameter.path);
        match (is_list, slot) {
            (true, Value::Array(values)) => values.push(value),
            (true, slot) => *slot = Value::Array(vec![value]),
            (false, slot @ Value::Null) => *slot = value,
            (false, _) => invalid.push((name, "may be given once only".to_owned())),
        }
    }
    RestError::of_fields(StatusCode::BAD_REQUEST, "BAD_REQUEST", invalid).map_or(Ok(()), Err)
}

/// Returns the parameters of a query string, decoded.
///
/// # Errors
/// Returns an error if it is not percent-encoded UTF-8.
pub fn parse_query(uri: &Uri) -> Result<Vec<(String, String)>, RestError> {
    let invalid = || RestError::bad_request("The query string is not percent-encoded UTF-8.");
    if !is_valid_percent_encoding(uri.query().unwrap_or_default()) {
        return Err(invalid());
    }
    Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|_| invalid())
}

fn find_parameter<'a>(route: &'a RestRoute, place: ParameterPlace, name: &str) -> Option<&'a TypedParameter> {
    route.parameters.iter().find(|typed| typed.parameter.place == place && typed.parameter.name == name)
}

fn explain_unknown(route: &RestRoute) -> String {
    let is_query = |typed: &&TypedParameter| typed.parameter.place == ParameterPlace::Query;
    let known: Vec<&str> = route.parameters.iter().filter(is_query).map(|typed| typed.parameter.name).collect();
    if known.is_empty() {
        return "is unknown; there are no query parameters here".to_owned();
    }
    format!("is unknown; the query parameters are {}", known.join(", "))
}

/// Converts the text of a parameter to the JSON type of its variable.
fn parse_value(ty: &ast::Type, text: String) -> Result<Value, String> {
    match ty.inner_named_type().as_str() {
        "Int" => text.parse::<i32>().map(Value::from).map_err(|_| "must be an integer".to_owned()),
        "Boolean" => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("must be true or false".to_owned()),
        },
        _ => Ok(Value::String(text)),
    }
}

/// Sets the value at a path, and creates the objects around it.
pub fn insert_at(variables: &mut Map<String, Value>, path: &[&str], value: Value) {
    *slot_at(variables, path) = value;
}

/// Returns the value at a path, and creates it with the objects around it: null if it is new.
fn slot_at<'a>(variables: &'a mut Map<String, Value>, path: &[&str]) -> &'a mut Value {
    let (first, rest) = path.split_first().unwrap_or((&"", &[]));
    let mut slot = variables.entry(*first).or_insert(Value::Null);
    for segment in rest {
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot = &mut slot[*segment];
    }
    slot
}
