//! HTTP responses from cached responses.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{CacheHit, CachedResponse, ResponseCache, ResponseSource, encoding::ContentEncoding};
use crate::{
    http::{App, MIN_COMPRESSED_BYTES, content_negotiation::ResponseMediaType, graphql_execution::RequestHead},
    infra::{background, cache::Cached, config::CacheConfig},
};

const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Capacity for the headers of a response, including those of the middleware.
const HEADER_CAPACITY: usize = 16;

/// Marks a response whose encoding was negotiated: the middleware does not compress it.
#[derive(Debug, Clone, Copy)]
pub struct HasNegotiatedEncoding;

/// Form in which a request accepts a response.
#[derive(Debug, Clone, Copy)]
pub struct RequestedForm {
    media_type: ResponseMediaType,
    /// Encoding of a response that is large enough to be compressed.
    encoding: ContentEncoding,
}

impl RequestedForm {
    /// Selects the form by the headers of a request; `None` if it accepts no media type.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        ResponseMediaType::from_accept_header(headers).map(|media_type| Self::of_media_type(media_type, headers))
    }

    fn of_media_type(media_type: ResponseMediaType, headers: &HeaderMap) -> Self {
        Self { media_type, encoding: ContentEncoding::negotiate(headers) }
    }

    fn encoding_of(self, response: &CachedResponse) -> ContentEncoding {
        let is_large = response.body.len() as u64 > MIN_COMPRESSED_BYTES;
        if is_large { self.encoding } else { ContentEncoding::Identity }
    }

    /// Returns whether the response needs not be compressed first.
    #[must_use]
    pub fn is_ready(self, response: &CachedResponse) -> bool {
        response.encoded_body(self.encoding_of(response)).is_some()
    }
}

/// Renders a cached response in the encoding that the client accepts; 304 if the client has it. It is compressed once,
/// and cached in this form.
pub async fn render_cached_response(
    app: &App,
    mut hit: CacheHit,
    media_type: ResponseMediaType,
    head: RequestHead<'_>,
) -> Response {
    let mut form = RequestedForm::of_media_type(media_type, head.headers);
    let response = &hit.cached.value;
    if !form.is_ready(response) && !is_known(response, media_type, head) {
        match compress_response(app.response_cache.as_ref(), &hit, form.encoding).await {
            Some(compressed) => hit.cached = compressed,
            None => form.encoding = ContentEncoding::Identity,
        }
    }
    let mut response = respond_from_memory(app, &hit, form, head);
    response.extensions_mut().insert(HasNegotiatedEncoding);
    response
}

/// Renders a cached response in the form that a request accepts, or not compressed if it is not cached in this form.
#[must_use]
pub fn respond_from_memory(app: &App, hit: &CacheHit, form: RequestedForm, head: RequestHead<'_>) -> Response {
    let (response, media_type) = (&hit.cached.value, form.media_type);
    let is_known = is_known(response, media_type, head);
    let encoded =
        Some(form.encoding_of(response)).filter(|encoding| response.encoded_body(*encoding).is_some() || is_known);
    let encoding = encoded.unwrap_or(ContentEncoding::Identity);
    let body = response.encoded_body(encoding).filter(|_| !is_known);
    let mut http_response = Response::new(body.map_or_else(Body::empty, |body| Body::from(body.clone())));
    *http_response.headers_mut() = HeaderMap::with_capacity(HEADER_CAPACITY);
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
    if *head.method == Method::POST {
        // HTTP caches do not store responses to POST.
        http_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return http_response;
    }
    if let Some(cache) = &app.response_cache {
        http_headers.insert(header::CACHE_CONTROL, cache.cache_control.clone());
    }
    // Hexadecimal digits are valid in headers.
    if let Ok(entity_tag) = HeaderValue::try_from(response.entity_tag(media_type, encoding)) {
        http_headers.insert(header::ETAG, entity_tag);
    }
    http_headers.insert(SURROGATE_KEY, response.surrogate_key.clone());
    http_headers.insert(CACHE_TAG, response.cache_tag.clone());
    let age = (app.state.db.now() - hit.cached.computed_at).num_seconds().max(0);
    http_headers.insert(header::AGE, HeaderValue::from(age));
    http_response
}

/// Returns whether the client has the response, by its entity tag.
fn is_known(response: &CachedResponse, media_type: ResponseMediaType, head: RequestHead<'_>) -> bool {
    let if_none_match = head.headers.get(header::IF_NONE_MATCH).filter(|_| *head.method != Method::POST);
    let if_none_match = if_none_match.and_then(|value| value.to_str().ok());
    if_none_match.is_some_and(|value| response.matches_entity_tag(value, media_type))
}

/// Returns the value of `Cache-Control` of responses to GET.
pub(super) fn build_cache_control(config: &CacheConfig) -> HeaderValue {
    let [max_age, shared_max_age, stale_while_revalidate] =
        [config.http_max_age, config.http_shared_max_age, config.http_stale_while_revalidate]
            .map(|duration| duration.as_secs());
    let fresh = format!("public, max-age={max_age}, s-maxage={shared_max_age}");
    let cache_control = if stale_while_revalidate == 0 {
        fresh
    } else {
        format!("{fresh}, stale-while-revalidate={stale_while_revalidate}")
    };
    // Digits are valid in headers.
    HeaderValue::try_from(cache_control).unwrap_or(HeaderValue::from_static("no-store"))
}

/// Compresses a response, and stores this form in the cache.
async fn compress_response(
    cache: Option<&ResponseCache>,
    hit: &CacheHit,
    encoding: ContentEncoding,
) -> Option<Cached<Arc<CachedResponse>>> {
    let uncompressed = hit.cached.value.body.clone();
    let body = background::compute(move || encoding.compress(&uncompressed)).await.ok().flatten()?;
    let encoded = hit.cached.value.as_ref().clone().with_encoded_body(encoding, body);
    let compressed = hit.cached.with_value(Arc::new(encoded));
    if let Some(cache) = cache {
        cache.responses.replace_form(hit.key, compressed.clone());
    }
    Some(compressed)
}
