//! The hand-written baseline server: straightforward code for exactly these requests, with one prepared statement per
//! query, rows read in place and responses serialized by `serde_json`.

use std::{borrow::Cow, net::Ipv4Addr, str::FromStr};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use serde::Deserialize;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Result;

mod response;
mod catalog;
mod checkout;

/// A GraphQL request.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow, rename = "operationName")]
    operation_name: Cow<'a, str>,
    #[serde(borrow, default)]
    variables: Variables<'a>,
}

#[derive(Default, Deserialize)]
struct Variables<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    slug: Option<Cow<'a, str>>,
    #[serde(borrow)]
    search: Option<Cow<'a, str>>,
    input: Option<checkout::CheckoutInput>,
    #[serde(default)]
    lines: Vec<checkout::LineInput>,
}

/// Runs the server until the process is terminated.
pub fn run_server(port: u16, database: &str) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("the comparator cannot start: {error}"))?;
    runtime.block_on(serve_requests(port, database))
}

/// Runs a server that answers every request with the listing from memory, until the process is terminated.
pub fn run_memory_server(port: u16, database: &str) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("the server cannot start: {error}"))?;
    runtime.block_on(async {
        let pool = connect_pool(database).await?;
        let listing = catalog::load_listing(&pool).await.map_err(|error| format!("no listing: {error}"))?;
        // The body is read, as a server must that shares its connections.
        let answer = |State(listing): State<Bytes>, _: Bytes| async move {
            ([(CONTENT_TYPE, "application/graphql-response+json")], listing)
        };
        serve_router(port, Router::new().route("/graphql", post(answer)).with_state(Bytes::from(listing))).await
    })
}

async fn serve_requests(port: u16, database: &str) -> Result<()> {
    let pool = connect_pool(database).await?;
    serve_router(port, Router::new().route("/graphql", post(handle_request)).with_state(pool)).await
}

async fn connect_pool(database: &str) -> Result<PgPool> {
    let options =
        PgConnectOptions::from_str(database).map_err(|error| format!("the database's address is wrong: {error}"))?;
    // The same pool size and connection settings as Savannah's defaults.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    PgPoolOptions::new()
        .max_connections(u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX))
        .test_before_acquire(false)
        .connect_with(options.options([("jit", "off")]))
        .await
        .map_err(|error| format!("the comparator cannot reach the database: {error}"))
}

async fn serve_router(port: u16, router: Router) -> Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("the comparator cannot listen on port {port}: {error}"))?
        .tap_io(|stream| {
            // Errors are ignored: without `TCP_NODELAY` responses are only slower.
            let _ = stream.set_nodelay(true);
        });
    axum::serve(listener, router).await.map_err(|error| format!("the comparator stopped: {error}"))
}

async fn handle_request(State(pool): State<PgPool>, body: Bytes) -> Response {
    let request: Request<'_> = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match dispatch_request(&pool, &request).await {
        Ok(Some(json)) => ([(CONTENT_TYPE, "application/graphql-response+json")], json).into_response(),
        Ok(None) => StatusCode::BAD_REQUEST.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Returns the response; `None` if the request is not supported.
async fn dispatch_request(pool: &PgPool, request: &Request<'_>) -> sqlx::Result<Option<Vec<u8>>> {
    let Variables { id, slug, search, input, lines } = &request.variables;
    if request.query.is_empty() {
        return Ok(None);
    }
    match (&*request.operation_name, id, input) {
        ("CheckoutComplete", None, Some(input)) => return checkout::complete_checkout(pool, input).await,
        ("CartLinesAdd", Some(token), None) => return checkout::add_cart_line(pool, token, lines).await,
        _ => {}
    }
    let json = match (&*request.operation_name, id, slug, search) {
        ("Listing", None, None, None) => catalog::load_listing(pool).await?,
        ("ListingVariants", None, None, None) => catalog::load_listing_with_variants(pool).await?,
        ("Category", Some(id), None, None) => match response::decode_global_id(id, "Category") {
            Some(key) => catalog::load_category_page(pool, key).await?,
            None => return Ok(None),
        },
        ("Product", None, Some(slug), None) => catalog::load_product(pool, slug).await?,
        ("Tree", None, None, None) => catalog::load_category_tree(pool).await?,
        ("Search", None, None, Some(search_input)) => catalog::search_products(pool, search_input).await?,
        _ => return Ok(None),
    };
    Ok(Some(json))
}
