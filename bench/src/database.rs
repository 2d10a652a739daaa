//! The benchmark databases: created once per size and reused by later runs.

use std::{
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Result, args::Options, process};

/// A seeded database.
#[derive(Debug)]
pub struct BenchDatabase {
    /// The database URL.
    pub url: String,
    /// The PostgreSQL version.
    pub version: String,
    /// The seeding time, if it was seeded in this run.
    pub seeding_time: Option<Duration>,
}

/// Creates the database of this size if it does not exist, and migrates it.
pub async fn prepare_database(options: &Options, server: &Path, products: u64) -> Result<BenchDatabase> {
    let mut admin = open_connection(&options.database).await?;
    let name = format!("savannah_bench_{products}");
    let url = sibling_database_url(&options.database, &name)?;
    let completion_comment = format!("{products} products in {} categories, complete", options.categories);
    let query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
    let existing_comment: Option<Option<String>> = sqlx::query_scalar(query)
        .bind(&*name)
        .fetch_optional(&mut admin)
        .await
        .map_err(|error| postgres_error(&error))?;
    let is_reusable = !options.fresh && existing_comment.flatten().as_ref() == Some(&completion_comment);
    if !is_reusable {
        execute_sql(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        execute_sql(&mut admin, format!("CREATE DATABASE {name}")).await?;
    }
    run_savannah_command(server, &url, &["migrate"])?;
    let mut seeding_time = None;
    if !is_reusable {
        eprintln!("filling {name}: {products} products in {} categories", options.categories);
        let started = Instant::now();
        let (product_count, category_count) = (products.to_string(), options.categories.to_string());
        run_savannah_command(server, &url, &["seed", "--products", &product_count, "--categories", &category_count])?;
        seeding_time = Some(started.elapsed());
        let mut db = open_connection(&url).await?;
        execute_sql(&mut db, "VACUUM ANALYZE".to_owned()).await?;
        // The comment marks complete seeding; a database of an aborted run is recreated.
        execute_sql(&mut admin, format!("COMMENT ON DATABASE {name} IS '{completion_comment}'")).await?;
    }
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut admin)
        .await
        .map_err(|error| postgres_error(&error))?;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    Ok(BenchDatabase { url, version, seeding_time })
}

/// Recreates a database: migrated and seeded with a catalog, not analyzed. Returns its URL.
pub async fn create_database(options: &Options, server: &Path, name: &str, products: u32) -> Result<String> {
    let mut admin = open_connection(&options.database).await?;
    let url = sibling_database_url(&options.database, name)?;
    execute_sql(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    execute_sql(&mut admin, format!("CREATE DATABASE {name}")).await?;
    run_savannah_command(server, &url, &["migrate"])?;
    run_savannah_command(server, &url, &["seed", "--products", &products.to_string(), "--categories", "20"])?;
    Ok(url)
}

/// Opens a connection.
pub async fn open_connection(url: &str) -> Result<PgConnection> {
    let options =
        PgConnectOptions::from_str(url).map_err(|error| format!("the database's address is wrong: {error}"))?;
    PgConnection::connect_with(&options).await.map_err(|error| format!("the database cannot be reached: {error}"))
}

async fn execute_sql(db: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.map(|_| ()).map_err(|error| postgres_error(&error))
}

fn postgres_error(error: &sqlx::Error) -> String {
    format!("PostgreSQL refuses: {error}")
}

/// Returns the URL of another database of the same server.
fn sibling_database_url(url: &str, name: &str) -> Result<String> {
    let invalid_url = || "BENCH_DATABASE_URL must be postgres://USER@HOST/DATABASE".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid_url)?;
    let (authority, query_string) = rest
        .split_once('?')
        .map_or((rest, String::new()), |(authority, query_string)| (authority, format!("?{query_string}")));
    let (host, _) = authority.split_once('/').ok_or_else(invalid_url)?;
    Ok(format!("{scheme}://{host}/{name}{query_string}"))
}

/// Runs a `savannah` command.
pub fn run_savannah_command(server: &Path, url: &str, arguments: &[&str]) -> Result<()> {
    let mut command = process::savannah_command(server, url);
    // Progress messages go to stderr; stdout is reserved for the report.
    command.args(arguments).env("RUST_LOG", "warn").stdout(std::io::stderr());
    let status = command.status().map_err(|error| format!("{} cannot be run: {error}", server.display()))?;
    let subcommand = arguments[0];
    if status.success() { Ok(()) } else { Err(format!("`savannah {subcommand}` failed: {status}")) }
}
