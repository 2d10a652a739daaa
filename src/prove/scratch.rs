//! The scratch database of a proof, beside the configured one: same server, or same folder.

use reqwest::Url;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    base::Clock,
    infra::{Config, Db, config::DatabaseConfig, find_sqlite_file, private_files},
};

/// A database that exists for a proof only.
#[derive(Debug)]
pub(super) struct ScratchDatabase {
    config: DatabaseConfig,
    kind: ScratchKind,
}

#[derive(Debug)]
enum ScratchKind {
    /// The folder of the file, deleted when it is dropped.
    Sqlite(TempDir),
    /// The name of the database, and the configured one, from which it is dropped.
    Postgres { name: String, server: DatabaseConfig },
}

impl ScratchDatabase {
    /// Creates an empty database.
    ///
    /// # Errors
    /// Returns a message for the operator.
    pub(super) async fn create(config: &Config) -> Result<Self, String> {
        let config = config.database.without_limits();
        if config.is_sqlite() { Self::create_sqlite(config) } else { Self::create_postgres(config).await }
    }

    fn create_sqlite(config: DatabaseConfig) -> Result<Self, String> {
        let file = find_sqlite_file(&config)?;
        // On the disk of the shop, if there is one.
        let folder = private_files::parent_folder(&file);
        let folder = if folder.is_dir() { folder.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix(".savannah-prove-").tempdir_in(&folder);
        let folder = folder.map_err(|error| format!("the scratch database cannot be created: {error}"))?;
        let path = std::path::absolute(folder.path().join("scratch.db")).map_err(|error| error.to_string())?;
        let url = format!("sqlite://{}", path.display());
        Ok(Self { config: DatabaseConfig { url: url.into(), ..config }, kind: ScratchKind::Sqlite(folder) })
    }

    async fn create_postgres(server: DatabaseConfig) -> Result<Self, String> {
        let name = format!("savannah_prove_{}", Uuid::now_v7().simple());
        let url = replace_database(server.url.expose_secret(), &name)?;
        execute_on_server(&server, &format!("CREATE DATABASE {name}")).await.map_err(|error| {
            format!(
                "the scratch database cannot be created: {error}; the user of DATABASE_URL needs the right CREATEDB"
            )
        })?;
        tracing::info!(database = name, "scratch database created");
        let config = DatabaseConfig { url: url.into(), ..server.clone() };
        Ok(Self { config, kind: ScratchKind::Postgres { name, server } })
    }

    /// Returns the settings of connections to it.
    pub(super) fn config(&self) -> &DatabaseConfig {
        &self.config
    }

    /// Connects to it.
    ///
    /// # Errors
    /// Returns a message for the operator.
    pub(super) async fn connect(&self) -> Result<Db, String> {
        Db::connect(&self.config, Clock::default()).await
    }

    /// Drops it, with the connections that are left.
    ///
    /// # Errors
    /// Returns a message for the operator that names what is left.
    pub(super) async fn drop_database(self) -> Result<(), String> {
        match self.kind {
            ScratchKind::Sqlite(folder) => {
                let path = folder.path().to_owned();
                folder.close().map_err(|error| format!("the folder {} cannot be deleted: {error}", path.display()))
            }
            ScratchKind::Postgres { name, server } => {
                let dropped = execute_on_server(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                dropped.map_err(|error| format!("the database {name} cannot be dropped: {error}"))
            }
        }
    }
}

/// Returns the URL of another database on the same server.
fn replace_database(url: &str, name: &str) -> Result<String, String> {
    let mut url = Url::parse(url).map_err(|_| "DATABASE_URL is not a valid PostgreSQL URL".to_owned())?;
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != "dbname").collect();
    url.set_path(name);
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url.into())
}

async fn execute_on_server(config: &DatabaseConfig, sql: &str) -> Result<(), String> {
    let db = Db::connect(config, Clock::default()).await?;
    let outcome = db.writer_connection().execute_unprepared(sql).await;
    db.close().await;
    outcome.map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_of_a_url_is_replaced() {
        let replace = |url: &str| replace_database(url, "scratch").expect("a URL");
        assert_eq!(
            replace("postgres://a:p%40@db:5433/shop?sslmode=require"),
            "postgres://a:p%40@db:5433/scratch?sslmode=require"
        );
        assert_eq!(replace("postgres://a@db"), "postgres://a@db/scratch");
        assert_eq!(replace("postgres://db/shop?dbname=other"), "postgres://db/scratch");
    }
}
