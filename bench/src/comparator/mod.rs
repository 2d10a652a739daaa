//! The other side of the comparison: what one would write by hand, in the plain way, if the shop were only these
//! questions. One prepared statement each, rows read in place, the answer written by `serde_json`.

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

mod answer;
mod catalog;
mod selling;

/// A question as clients of GraphQL send it.
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
    input: Option<selling::Input>,
    #[serde(default)]
    lines: Vec<selling::Line>,
}

/// Serves until it is ended.
pub fn run(port: u16, database: &str) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().map_err(|why| format!("the comparator cannot start: {why}"))?;
    runtime.block_on(serve(port, database))
}

async fn serve(port: u16, database: &str) -> Result<()> {
    let options =
        PgConnectOptions::from_str(database).map_err(|why| format!("the database's address is wrong: {why}"))?;
    // As many connections as the shop takes by itself, and the same two settings of them.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX))
        .test_before_acquire(false)
        .connect_with(options.options([("jit", "off")]))
        .await
        .map_err(|why| format!("the comparator cannot reach the database: {why}"))?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|why| format!("the comparator cannot listen on port {port}: {why}"))?
        .tap_io(|stream| {
            // Without it answers are merely slower.
            let _ = stream.set_nodelay(true);
        });
    let router = Router::new().route("/graphql", post(handle)).with_state(pool);
    axum::serve(listener, router).await.map_err(|why| format!("the comparator stopped: {why}"))
}

async fn handle(State(pool): State<PgPool>, body: Bytes) -> Response {
    let asked: Request<'_> = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(why) => return (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
    };
    match dispatch(&pool, &asked).await {
        Ok(Some(json)) => ([(CONTENT_TYPE, "application/graphql-response+json")], json).into_response(),
        Ok(None) => StatusCode::BAD_REQUEST.into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

/// The answer; `None` when the question is not one of those it knows.
async fn dispatch(pool: &PgPool, asked: &Request<'_>) -> sqlx::Result<Option<Vec<u8>>> {
    let Variables { id, slug, search, input, lines } = &asked.variables;
    if asked.query.is_empty() {
        return Ok(None);
    }
    match (&*asked.operation_name, id, input) {
        ("CheckoutComplete", None, Some(input)) => return selling::checkout(pool, input).await,
        ("CartLinesAdd", Some(word), None) => return selling::add(pool, word, lines).await,
        _ => {}
    }
    let json = match (&*asked.operation_name, id, slug, search) {
        ("Listing", None, None, None) => catalog::listing(pool).await?,
        ("ListingVariants", None, None, None) => catalog::listing_variants(pool).await?,
        ("Category", Some(id), None, None) => match answer::key_of(id, "Category") {
            Some(key) => catalog::category(pool, key).await?,
            None => return Ok(None),
        },
        ("Product", None, Some(slug), None) => catalog::product(pool, slug).await?,
        ("Tree", None, None, None) => catalog::tree(pool).await?,
        ("Search", None, None, Some(typed)) => catalog::search(pool, typed).await?,
        _ => return Ok(None),
    };
    Ok(Some(json))
}
