//! `GET /media/{token}/{name}`: pictures, with lasting cache headers, conditional and range requests. Without the
//! database: what is not in the storage does not exist.

use std::{net::SocketAddr, ops::Range, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use object_store::ObjectMeta;

use super::{
    App, authentication,
    http_date::{format_http_date, parse_http_date},
    media_range::{RangeOutcome, parse_range},
    rate_limit,
    request_id::RequestId,
    rest_response,
    url_parameters::PathParameters,
};
use crate::{
    base::Result,
    media::{MediaToken, entity::PictureFormat, library::rendition_key},
};

/// Names are random and contents never change.
const LASTING: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A rendition may be made a moment later.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Nothing in a picture may run, whatever a browser makes of it.
const PICTURE_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
/// Maximum length of the name of a rendition.
const MAX_NAME_LENGTH: usize = 16;

/// Serves a picture.
pub async fn handle_picture(
    State(app): State<Arc<App>>,
    PathParameters((token, name)): PathParameters<(String, String)>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let found = match find_picture(&app, &token, &name, (&method, &headers)).await {
        Ok(found) => found,
        Err(error) => return rest_response::error_to_response(&request_id, &error),
    };
    if let Some(response) = found {
        return response;
    }
    // Pictures are not limited, because a page has many; guesses are.
    let address = authentication::client_address(&app, &headers, peer);
    if let Err(error) = rate_limit::charge_rest_request(&app, &address).await {
        return rest_response::error_to_response(&request_id, &error);
    }
    let message = "There is no such picture, or its renditions are still being made.";
    let mut response = rest_response::error_response(StatusCode::NOT_FOUND, &request_id, "NOT_FOUND", message);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// Returns the response for a picture; `None` if it does not exist.
async fn find_picture(
    app: &App,
    token: &str,
    name: &str,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Option<Response>> {
    let (Some(_), Some(format)) = (MediaToken::parse(token), parse_name(name)) else { return Ok(None) };
    let key = rendition_key(token, name);
    let storage = &app.state.media.storage;
    let is_conditional =
        [header::RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].iter().any(|name| headers.contains_key(name));
    if method != Method::HEAD && !is_conditional {
        let file = storage.open_file(&key, None).await?;
        return Ok(file.map(|file| {
            let response = (picture_headers(&file.meta, format), Body::from_stream(file.bytes)).into_response();
            with_length(response, file.meta.size)
        }));
    }
    let Some(meta) = storage.find(&key).await? else { return Ok(None) };
    let common = picture_headers(&meta, format);
    if is_not_modified(headers, &meta) {
        return Ok(Some((StatusCode::NOT_MODIFIED, common).into_response()));
    }
    let range = if is_range_current(headers, &meta) {
        parse_range(headers.get(header::RANGE), meta.size)
    } else {
        RangeOutcome::Complete
    };
    let (status, range) = match range {
        RangeOutcome::Complete => (StatusCode::OK, 0..meta.size),
        RangeOutcome::Partial(range) => (StatusCode::PARTIAL_CONTENT, range),
        RangeOutcome::Unsatisfiable => {
            let range = content_range("*", meta.size);
            let headers = [(header::CONTENT_RANGE, range), (header::CACHE_CONTROL, NO_STORE)];
            return Ok(Some((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()));
        }
    };
    let length = range.end - range.start;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let Some(file) = storage.open_file(&key, Some(range.clone())).await? else { return Ok(None) };
        Body::from_stream(file.bytes)
    };
    let mut response = (status, common, body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let Range { start, end } = range;
        let range = content_range(&format!("{start}-{}", end.saturating_sub(1)), meta.size);
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(Some(with_length(response, length)))
}

/// Returns the format of a rendition by its name: `640.webp` or `full.jpg`. Others are not looked up.
fn parse_name(name: &str) -> Option<PictureFormat> {
    let (stem, extension) = name.split_once('.').filter(|_| name.len() <= MAX_NAME_LENGTH)?;
    let is_width = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    let formats = [PictureFormat::Jpeg, PictureFormat::Png, PictureFormat::Webp, PictureFormat::Avif];
    formats.into_iter().find(|format| format.extension() == extension).filter(|_| is_width || stem == "full")
}

/// Returns the entity tag of a file, quoted.
fn entity_tag(meta: &ObjectMeta) -> Option<String> {
    let tag = meta.e_tag.as_deref()?;
    let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    Some(format!("\"{tag}\""))
}

fn picture_headers(meta: &ObjectMeta, format: PictureFormat) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(format.mime_type())),
        (header::CACHE_CONTROL, LASTING),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("inline")),
        // Storefronts of other origins show pictures, also isolated ones.
        (header::HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    ]);
    if let Some(tag) = entity_tag(meta).and_then(|tag| HeaderValue::try_from(tag).ok()) {
        headers.insert(header::ETAG, tag);
    }
    if let Ok(modified) = HeaderValue::try_from(format_http_date(meta.last_modified)) {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    headers
}

fn with_length(mut response: Response, length: u64) -> Response {
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

fn content_range(range: &str, size: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes {range}/{size}")).unwrap_or_else(|_| HeaderValue::from_static("bytes */*"))
}

/// Returns whether the client has this file. `If-None-Match` goes before `If-Modified-Since`.
fn is_not_modified(headers: &HeaderMap, meta: &ObjectMeta) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let tag = entity_tag(meta);
        let has_tag = |list: &str| {
            list.split(',')
                .map(str::trim)
                .any(|part| part == "*" || Some(part.trim_start_matches("W/")) == tag.as_deref())
        };
        return tags.filter_map(|value| value.to_str().ok()).any(has_tag);
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(parse_http_date);
    since.is_some_and(|since| meta.last_modified.timestamp() <= since.timestamp())
}

/// Returns whether a range is of the file that the client has a part of.
fn is_range_current(headers: &HeaderMap, meta: &ObjectMeta) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else { return true };
    if let Some(time) = parse_http_date(value) {
        return meta.last_modified.timestamp() == time.timestamp();
    }
    // Only strong tags are equal here.
    value.to_str().ok() == entity_tag(meta).as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_renditions_are_looked_up() {
        assert_eq!(parse_name("640.webp"), Some(PictureFormat::Webp));
        assert_eq!(parse_name("full.jpg"), Some(PictureFormat::Jpeg));
        for name in ["..", "", ".jpg", "full", "full.svg", "full.gif", "../a.jpg", "640.webp.exe", "-1.png", "x.png"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
