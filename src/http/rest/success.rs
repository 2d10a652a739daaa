//! Responses to REST requests that have succeeded: the envelope and its headers.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{answer::OperationResult, links::PageLinks, parameters::parse_query, rest_error::OperationError};
use crate::base::Clock;

/// Metadata of a response.
#[derive(Debug, Serialize)]
pub struct ResponseMeta<'a> {
    timestamp: DateTime<Utc>,
    request_id: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    page: Option<PageMeta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    /// Fields that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<PartialError<'a>>>,
}

/// Metadata of a page.
#[derive(Debug, Serialize)]
struct PageMeta {
    next: Option<String>,
    prev: Option<String>,
    total_count: Option<i64>,
}

/// Error of a part of the response.
#[derive(Debug, Serialize)]
struct PartialError<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> PartialError<'a> {
    fn new(error: &'a OperationError) -> Self {
        Self { code: &error.code, message: &error.message }
    }
}

/// Identity and version of a resource.
#[derive(Default, Deserialize)]
struct ResourceIdentity {
    id: Option<String>,
    version: Option<i64>,
}

impl<'a> ResponseMeta<'a> {
    /// Creates the metadata that all responses have.
    #[must_use]
    pub fn new(request_id: &'a str) -> Self {
        Self { timestamp: Clock::default().now(), request_id, page: None, warnings: None, errors: None }
    }
}

/// What a success response is built of.
#[derive(Debug)]
pub struct SuccessParts<'a> {
    /// Status.
    pub status: StatusCode,
    /// Address of the request.
    pub uri: &'a Uri,
    /// Path below which a created resource is found, if this is its creation.
    pub collection: Option<&'a str>,
    /// Id of the request.
    pub request_id: &'a str,
    /// Whether the resource is a single one, which has an entity tag.
    pub is_single: bool,
}

/// Builds the response of an operation that has succeeded.
#[must_use]
pub fn success_response(parts: &SuccessParts<'_>, result: &OperationResult<'_>) -> Response {
    let SuccessParts { status, uri, collection, request_id, is_single } = *parts;
    let mut headers: Vec<(HeaderName, String)> = Vec::new();
    let mut meta = ResponseMeta::new(request_id);
    if let Some(page) = &result.page {
        let links = PageLinks::build(uri, &parse_query(uri).unwrap_or_default(), page);
        headers.extend(links.to_header().map(|links| (header::LINK, links)));
        let PageLinks { next, prev } = links;
        meta.page = Some(PageMeta { next, prev, total_count: result.total_count });
    }
    // A list without adjustments is no news.
    meta.warnings = result.warnings.filter(|warnings| warnings.get() != "[]");
    let errors: Vec<PartialError<'_>> = result.errors.iter().map(PartialError::new).collect();
    let meta_json = serde_json::to_vec(&ResponseMeta { errors: (!errors.is_empty()).then_some(errors), ..meta });
    if let Some(resource) = result.resource.filter(|_| is_single) {
        let ResourceIdentity { id, version } = serde_json::from_str(resource.get()).unwrap_or_default();
        headers.extend(version.map(|version| (header::ETAG, format!("\"{version}\""))));
        let location = collection.zip(id).map(|(collection, id)| format!("{collection}/{id}"));
        headers.extend(location.map(|location| (header::LOCATION, location)));
    }
    let mut response = if status == StatusCode::NO_CONTENT {
        status.into_response()
    } else {
        let resource = result.resource.map_or("null", RawValue::get);
        let body = [b"{\"data\":", resource.as_bytes(), b",\"meta\":", &meta_json.unwrap_or_default(), b"}"].concat();
        let content_type = HeaderValue::from_static("application/json");
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    };
    let response_headers = response.headers_mut();
    // A response depends on the caller and the time.
    response_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, text) in headers {
        if let Ok(value) = HeaderValue::try_from(text) {
            response_headers.insert(name, value);
        }
    }
    response
}
