//! The response of an operation, as the result of an endpoint. The resource is not parsed, but copied.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{endpoint::ResultShape, rest_error::OperationError};

/// Result of an operation.
#[derive(Debug, Default)]
pub struct OperationResult<'a> {
    /// Resource, or list of resources; `None` if there is none.
    pub resource: Option<&'a RawValue>,
    /// Position of the page.
    pub page: Option<PagePosition>,
    /// Number of all items, if it was requested.
    pub total_count: Option<i64>,
    /// Adjustments of a cart that are no errors.
    pub warnings: Option<&'a RawValue>,
    /// Whether the resource was deleted.
    pub is_deleted: bool,
    /// Whether the caller is known: false if the resource is of the caller's account, and there is none.
    pub has_caller: bool,
    /// Errors of the execution.
    pub errors: Vec<OperationError>,
}

/// Position of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PagePosition {
    /// Whether there are items after it.
    pub has_next_page: bool,
    /// Whether there are items before it.
    pub has_previous_page: bool,
    /// Cursor of the first item.
    pub start_cursor: Option<String>,
    /// Cursor of the last item.
    pub end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct GraphqlAnswer<T> {
    #[serde(default = "no_data")]
    data: Option<ResultData<T>>,
    #[serde(default)]
    errors: Vec<AnswerError>,
}

/// Absent data.
const fn no_data<T>() -> Option<ResultData<T>> {
    None
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct ResultData<T> {
    result: Option<T>,
}

#[derive(Deserialize)]
struct AnswerError {
    message: String,
    #[serde(default)]
    extensions: AnswerErrorExtensions,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnswerErrorExtensions {
    code: String,
    field: Vec<String>,
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionAnswer<'a> {
    #[serde(borrow)]
    nodes: &'a RawValue,
    page_info: PagePosition,
    total_count: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAnswer<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    warnings: Option<&'a RawValue>,
    deleted_id: Option<String>,
    user_errors: Vec<UserErrorAnswer>,
}

#[derive(Deserialize)]
struct UserErrorAnswer {
    code: String,
    message: String,
    field: Vec<String>,
}

#[derive(Deserialize)]
struct Nested<T> {
    resource: Option<T>,
}

/// Reads the response of an operation.
///
/// # Errors
/// Returns an error if the response does not have the shape.
pub fn read_result(shape: ResultShape, response: &[u8]) -> serde_json::Result<OperationResult<'_>> {
    match shape {
        ResultShape::Resource | ResultShape::List => {
            let (resource, errors) = read::<&RawValue>(response)?;
            Ok(OperationResult { resource, has_caller: true, errors, ..OperationResult::default() })
        }
        ResultShape::Connection => {
            let (connection, errors) = read::<ConnectionAnswer<'_>>(response)?;
            let Some(ConnectionAnswer { nodes, page_info, total_count }) = connection else {
                return Ok(OperationResult { has_caller: true, errors, ..OperationResult::default() });
            };
            Ok(OperationResult {
                resource: Some(nodes),
                page: Some(page_info),
                total_count,
                has_caller: true,
                errors,
                ..OperationResult::default()
            })
        }
        ResultShape::Own => {
            let (own, errors) = read::<Nested<&RawValue>>(response)?;
            let has_caller = own.is_some();
            let resource = own.and_then(|own| own.resource);
            Ok(OperationResult { resource, has_caller, errors, ..OperationResult::default() })
        }
        ResultShape::OwnOfCustomer => {
            let (own, errors) = read::<Nested<Nested<&RawValue>>>(response)?;
            let has_caller = own.is_some();
            let resource = own.and_then(|own| own.resource?.resource);
            Ok(OperationResult { resource, has_caller, errors, ..OperationResult::default() })
        }
        ResultShape::Payload | ResultShape::Deletion => {
            let (payload, mut errors) = read::<PayloadAnswer<'_>>(response)?;
            let Some(payload) = payload else {
                return Ok(OperationResult { has_caller: true, errors, ..OperationResult::default() });
            };
            let PayloadAnswer { resource, warnings, deleted_id, user_errors } = payload;
            let to_error =
                |UserErrorAnswer { code, message, field }| OperationError { code, message, field, retry_after: None };
            errors.extend(user_errors.into_iter().map(to_error));
            let is_deleted = deleted_id.is_some();
            Ok(OperationResult {
                resource,
                warnings,
                is_deleted,
                has_caller: true,
                errors,
                ..OperationResult::default()
            })
        }
    }
}

/// Reads the only root field of a response, and its errors.
fn read<'a, T: Deserialize<'a>>(response: &'a [u8]) -> serde_json::Result<(Option<T>, Vec<OperationError>)> {
    let GraphqlAnswer { data, errors } = serde_json::from_slice::<GraphqlAnswer<T>>(response)?;
    let to_error = |AnswerError { message, extensions: AnswerErrorExtensions { code, field, retry_after } }| {
        OperationError { code, message, field, retry_after }
    };
    Ok((data.and_then(|data| data.result), errors.into_iter().map(to_error).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_is_copied() {
        let response = br#"{"data":{"result":{"id":"a","price":"1.50"}}}"#;
        let result = read_result(ResultShape::Resource, response).expect("a result");
        assert_eq!(result.resource.map(RawValue::get), Some(r#"{"id":"a","price":"1.50"}"#));
        let missing = read_result(ResultShape::Resource, br#"{"data":{"result":null}}"#).expect("a result");
        assert!(missing.resource.is_none() && missing.errors.is_empty());
    }

    #[test]
    fn errors_of_both_kinds_are_read() {
        let response =
            br#"{"data":null,"errors":[{"message":"No.","extensions":{"code":"FORBIDDEN","requestId":"1"}}]}"#;
        let result = read_result(ResultShape::Payload, response).expect("a result");
        assert_eq!(result.errors[0].code, "FORBIDDEN");
        let response = br#"{"data":{"result":{"resource":null,"userErrors":[{"code":"NOT_FOUND","message":"m","field":["id"]}]}}}"#;
        let result = read_result(ResultShape::Payload, response).expect("a result");
        assert_eq!((result.errors[0].code.as_str(), result.errors[0].field.len()), ("NOT_FOUND", 1));
    }

    #[test]
    fn own_resource_needs_a_caller() {
        let anonymous = read_result(ResultShape::OwnOfCustomer, br#"{"data":{"result":null}}"#).expect("a result");
        assert!(!anonymous.has_caller);
        let response = br#"{"data":{"result":{"resource":{"resource":null}}}}"#;
        let without_cart = read_result(ResultShape::OwnOfCustomer, response).expect("a result");
        assert!(without_cart.has_caller && without_cart.resource.is_none());
    }
}
