//! The benchmark's own databases: made once for each size, kept from run to run.

use std::{
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Result, args::Options, process};

/// A filled database.
#[derive(Debug)]
pub struct Database {
    /// Its address.
    pub url: String,
    /// The version of PostgreSQL.
    pub version: String,
    /// How long filling it took, if that was done now.
    pub seeding: Option<Duration>,
}

/// Makes sure that the database of this size is there, and up to date.
pub async fn prepare(options: &Options, server: &Path, products: u64) -> Result<Database> {
    let mut admin = connect(&options.database).await?;
    let name = format!("savannah_bench_{products}");
    let url = beside(&options.database, &name)?;
    let whole = format!("{products} products in {} categories, complete", options.categories);
    let ask = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
    let known: Option<Option<String>> =
        sqlx::query_scalar(ask).bind(&*name).fetch_optional(&mut admin).await.map_err(|why| refused(&why))?;
    let kept = !options.fresh && known.flatten().as_ref() == Some(&whole);
    if !kept {
        run(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        run(&mut admin, format!("CREATE DATABASE {name}")).await?;
    }
    savannah(server, &url, &["migrate"])?;
    let mut seeding = None;
    if !kept {
        eprintln!("filling {name}: {products} products in {} categories", options.categories);
        let began = Instant::now();
        let (many, wide) = (products.to_string(), options.categories.to_string());
        savannah(server, &url, &["seed", "--products", &many, "--categories", &wide])?;
        seeding = Some(began.elapsed());
        let mut db = connect(&url).await?;
        run(&mut db, "VACUUM ANALYZE".to_owned()).await?;
        // Only now: a run that was broken off must not leave half a shop behind for the next.
        run(&mut admin, format!("COMMENT ON DATABASE {name} IS '{whole}'")).await?;
    }
    let version: String =
        sqlx::query_scalar("SHOW server_version").fetch_one(&mut admin).await.map_err(|why| refused(&why))?;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    Ok(Database { url, version, seeding })
}

/// Makes a database of this name anew: migrated, with a catalog, and not analyzed. Its address.
pub async fn make(options: &Options, server: &Path, name: &str, products: u32) -> Result<String> {
    let mut admin = connect(&options.database).await?;
    let url = beside(&options.database, name)?;
    run(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    run(&mut admin, format!("CREATE DATABASE {name}")).await?;
    savannah(server, &url, &["migrate"])?;
    savannah(server, &url, &["seed", "--products", &products.to_string(), "--categories", "20"])?;
    Ok(url)
}

/// Opens one connection.
pub async fn connect(url: &str) -> Result<PgConnection> {
    let options = PgConnectOptions::from_str(url).map_err(|why| format!("the database's address is wrong: {why}"))?;
    PgConnection::connect_with(&options).await.map_err(|why| format!("the database cannot be reached: {why}"))
}

async fn run(db: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.map(|_| ()).map_err(|why| refused(&why))
}

fn refused(why: &sqlx::Error) -> String {
    format!("PostgreSQL refuses: {why}")
}

/// The address of another database of the same server.
fn beside(url: &str, name: &str) -> Result<String> {
    let wrong = || "BENCH_DATABASE_URL must be postgres://USER@HOST/DATABASE".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (place, extra) =
        rest.split_once('?').map_or((rest, String::new()), |(place, extra)| (place, format!("?{extra}")));
    let (host, _) = place.split_once('/').ok_or_else(wrong)?;
    Ok(format!("{scheme}://{host}/{name}{extra}"))
}

/// Runs a command of the shop.
fn savannah(server: &Path, url: &str, arguments: &[&str]) -> Result<()> {
    let mut command = process::savannah(server, url);
    // What the shop says while it works is news, not a result.
    command.args(arguments).env("RUST_LOG", "warn").stdout(std::io::stderr());
    let status = command.status().map_err(|why| format!("{} cannot be run: {why}", server.display()))?;
    let what = arguments[0];
    if status.success() { Ok(()) } else { Err(format!("`savannah {what}` failed: {status}")) }
}
