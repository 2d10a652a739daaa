//! `GraphiQL`, the page for exploring the graph: embedded at build time, served from the shop's own origin only.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// By build.rs: `FILES`, empty when the build could not get them; `OURS`; and `MISSING`, the reason.
mod built {
    include!(concat!(env!("OUT_DIR"), "/graphiql_files.rs"));
}

/// The document in the first tab: several named operations, of which the reader picks one to run.
pub const EXAMPLES: &str = include_str!("graphiql/examples.graphql");

const PAGE: &str = include_str!("graphiql/page.html");

/// Inline styles are the editor's way of placing things; scripts come from files, and only from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page's links carry each file's version, so a browser that has one never needs to ask again.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// `GET /graphiql` and the files it loads.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = || async { page() };
    Router::new().route("/graphiql", get(page)).route("/graphiql/", get(page)).route("/graphiql/{file}", get(file))
}

/// Whether this build has the page.
#[must_use]
pub fn is_here() -> bool {
    !built::FILES.is_empty()
}

fn page() -> Response {
    if !is_here() {
        // Not 200: the page asked for is not there, and whoever checks for it by machine should hear so.
        let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        return (StatusCode::SERVICE_UNAVAILABLE, guards(), no_store, Html(page_without_files())).into_response();
    }
    // A page this small needs no ETag; it only must never be kept, or it would name old versions.
    let caching = [(header::CACHE_CONTROL, ASK_AGAIN)];
    (guards(), caching, Html(page_with_versions())).into_response()
}

async fn file(Path(name): Path<String>, RawQuery(query): RawQuery, request: HeaderMap) -> Response {
    let known = files().find(|(known, ..)| *known == name);
    let Some((name, sum, bytes)) = known else {
        return (StatusCode::NOT_FOUND, guards()).into_response();
    };
    let Ok(tag) = HeaderValue::try_from(format!("\"{sum}\"")) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // While a new release starts beside the old one, one's page may ask the other for a file: not to be kept.
    let this_one = query.as_deref() == Some(&version(sum));
    let caching = [(header::CACHE_CONTROL, if this_one { FOREVER } else { ASK_AGAIN }), (header::ETAG, tag)];
    if already_has(&request, sum) {
        return (StatusCode::NOT_MODIFIED, guards(), caching).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)))];
    (guards(), caching, content_type, Bytes::from_static(bytes)).into_response()
}

fn files() -> impl Iterator<Item = (&'static str, &'static str, &'static [u8])> {
    built::FILES.iter().chain(built::OURS).copied()
}

/// Every link to one of the files, with its version.
fn page_with_versions() -> String {
    files().fold(PAGE.to_owned(), |page, (name, sum, _)| {
        page.replace(&format!("\"/graphiql/{name}\""), &format!("\"/graphiql/{name}?{}\"", version(sum)))
    })
}

/// The query string of a file's link.
fn version(sum: &str) -> String {
    format!("v={}", sum.get(..16).unwrap_or(sum))
}

fn page_without_files() -> String {
    let reason = built::MISSING.replace('&', "&amp;").replace('<', "&lt;");
    include_str!("graphiql/missing.html").replace("{reason}", &reason)
}

/// Whether `If-None-Match` names the file as it is; a proxy that compressed it may have weakened the tag.
fn already_has(request: &HeaderMap, sum: &str) -> bool {
    let asked = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    asked.flat_map(|tags| tags.split(',')).map(str::trim).any(|tag| {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || strong.trim_matches('"') == sum
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("graphql") => "application/graphql; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn guards() -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}
