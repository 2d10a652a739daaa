//! HTTP responses from cached responses.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{CacheHit, ResponseCache, ResponseSource, encoding::ContentEncoding};
use crate::{
    http::{App, MIN_COMPRESSED_BYTES, content_negotiation::ResponseMediaType, graphql_execution::RequestHead},
    infra::{background, config::CacheConfig},
};

const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Marks a response whose encoding was negotiated: the middleware does not compress it.
#[derive(Debug, Clone, Copy)]
pub struct HasNegotiatedEncoding;

/// Renders a cached response in the encoding that the client accepts; 304 if the client has it.
pub async fn render_cached_response(
    app: &App,
    hit: CacheHit,
    media_type: ResponseMediaType,
    RequestHead { method, headers }: RequestHead<'_>,
) -> Response {
    let response = Arc::clone(&hit.cached.value);
    let is_large = response.body.len() as u64 > MIN_COMPRESSED_BYTES;
    let accepted = if is_large { ContentEncoding::negotiate(headers) } else { ContentEncoding::Identity };
    let is_read = *method != Method::POST;
    let if_none_match = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = is_read && if_none_match.is_some_and(|value| response.matches_entity_tag(value, media_type));
    let (encoding, body) = if is_known {
        (accepted, None)
    } else {
        let (encoding, body) = encode_body(app.response_cache.as_ref(), &hit, accepted).await;
        (encoding, Some(body))
    };
    let mut http_response = Response::new(body.map_or_else(Body::empty, Body::from));
    http_response.extensions_mut().insert(HasNegotiatedEncoding);
    if is_known {
        *http_response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        http_response.headers_mut().insert(header::CONTENT_TYPE, media_type.content_type());
        if let Some(value) = encoding.header_value() {
            http_response.headers_mut().insert(header::CONTENT_ENCODING, value);
        }
    }
    let http_headers = http_response.headers_mut();
    http_headers.append(header::VARY, HeaderValue::from_static("accept, accept-encoding, authorization"));
    let status = match hit.source {
        ResponseSource::Computed => "savannah; fwd=miss; stored",
        ResponseSource::Memory => "savannah; hit",
        ResponseSource::Shared => "savannah; hit; detail=shared",
    };
    http_headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
    if is_read {
        insert_cache_headers(http_headers, &app.state.config.cache, &response.entity_tag(media_type, encoding));
        http_headers.insert(SURROGATE_KEY, response.surrogate_key.clone());
        http_headers.insert(CACHE_TAG, response.cache_tag.clone());
        let age = (app.state.db.now() - hit.cached.computed_at).num_seconds().max(0);
        http_headers.insert(header::AGE, HeaderValue::from(age));
    } else {
        // HTTP caches do not store responses to POST.
        http_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    http_response
}

fn insert_cache_headers(headers: &mut HeaderMap, config: &CacheConfig, entity_tag: &str) {
    let [max_age, shared_max_age, stale_while_revalidate] =
        [config.http_max_age, config.http_shared_max_age, config.http_stale_while_revalidate]
            .map(|duration| duration.as_secs());
    let fresh = format!("public, max-age={max_age}, s-maxage={shared_max_age}");
    let cache_control = if stale_while_revalidate == 0 {
        fresh
    } else {
        format!("{fresh}, stale-while-revalidate={stale_while_revalidate}")
    };
    // Digits and hexadecimal digits are valid in headers.
    if let (Ok(cache_control), Ok(entity_tag)) =
        (HeaderValue::try_from(cache_control), HeaderValue::try_from(entity_tag))
    {
        headers.insert(header::CACHE_CONTROL, cache_control);
        headers.insert(header::ETAG, entity_tag);
    }
}

/// Returns the body in an encoding. It is compressed once, and cached with the response.
async fn encode_body(
    cache: Option<&ResponseCache>,
    hit: &CacheHit,
    encoding: ContentEncoding,
) -> (ContentEncoding, Bytes) {
    let response = &hit.cached.value;
    if let Some(body) = response.encoded_body(encoding) {
        return (encoding, body.clone());
    }
    let uncompressed = response.body.clone();
    match background::compute(move || encoding.compress(&uncompressed)).await {
        Ok(Some(body)) => {
            let encoded = response.as_ref().clone().with_encoded_body(encoding, body.clone());
            if let Some(cache) = cache {
                cache.responses.replace_form(hit.key, hit.cached.with_value(Arc::new(encoded)));
            }
            (encoding, body)
        }
        _ => (ContentEncoding::Identity, response.body.clone()),
    }
}
