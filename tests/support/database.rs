//! A database for each test, copied from a migrated template.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use migration::{Migrator, MigratorTrait};
use savannah::{base::Clock, infra::Db};
use sea_orm::ConnectionTrait;
use tokio::sync::OnceCell;

/// Supported database backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Returns whether the backend is available in this environment.
    pub fn is_available(self) -> bool {
        self == Self::Sqlite || postgres_server_url().is_some()
    }
}

/// Returns the URL of the PostgreSQL server for tests, if configured.
fn postgres_server_url() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// Serializes copies: PostgreSQL cannot copy a template concurrently.
static TEMPLATE_COPY_LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static NEXT_DATABASE_NUMBER: AtomicU32 = AtomicU32::new(0);
static CREATED_DATABASES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SQLITE_DIRECTORY: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);
static MEDIA_DIRECTORY: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// Database of one test.
#[derive(Clone)]
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    pub async fn create_migrated(backend: Backend) -> Self {
        let number = NEXT_DATABASE_NUMBER.fetch_add(1, Ordering::Relaxed);
        match backend {
            Backend::Sqlite => {
                static TEMPLATE: OnceCell<PathBuf> = OnceCell::const_new();
                let template = TEMPLATE.get_or_init(create_sqlite_template).await;
                let file = template.with_file_name(format!("{number}.db"));
                std::fs::copy(template, &file).expect("a copy");
                Self { url: format!("sqlite://{}", file.display()) }
            }
            Backend::Postgres => {
                static TEMPLATE: OnceCell<String> = OnceCell::const_new();
                let template = TEMPLATE.get_or_init(create_postgres_template).await;
                let name = format!("{template}_{number}");
                let _copying = TEMPLATE_COPY_LOCK.lock().await;
                let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
                execute_on_server(&sql).await;
                CREATED_DATABASES.lock().expect("names").push(name.clone());
                Self { url: database_url(&name) }
            }
        }
    }

    /// Creates an empty database. The SQLite file is in the working directory of the process.
    pub async fn create_empty(backend: Backend) -> Self {
        if backend == Backend::Sqlite {
            return Self { url: "sqlite://data/savannah.db".to_owned() };
        }
        let number = NEXT_DATABASE_NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("savannah_test_{}_{number}", std::process::id());
        execute_on_server(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        CREATED_DATABASES.lock().expect("names").push(name.clone());
        Self { url: database_url(&name) }
    }

    /// Refers to an existing database.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Returns the folder of the pictures of this database, which all its instances share.
    pub fn media_folder(&self) -> PathBuf {
        let mut directory = MEDIA_DIRECTORY.lock().expect("the directory");
        let create = || tempfile::Builder::new().prefix("savannah-media").tempdir().expect("a directory");
        let name: String = self.url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        directory.get_or_insert_with(create).path().join(name)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a separate connection.
    pub async fn connect(&self) -> Db {
        connect_database(&self.url).await
    }
}

async fn connect_database(url: &str) -> Db {
    let variables = [("DATABASE_URL".into(), url.into())].into_iter();
    let mut config = savannah::infra::Config::load_from(std::path::Path::new("/nowhere/savannah.toml"), variables)
        .expect("settings");
    config.database.max_connections = 1;
    // A busy machine may take long to copy a database.
    config.database.statement_timeout = std::time::Duration::from_mins(5);
    Db::connect(&config.database, Clock::default()).await.expect("a database")
}

async fn create_sqlite_template() -> PathBuf {
    let directory = tempfile::Builder::new().prefix("savannah-test").tempdir().expect("a directory");
    let file = directory.path().join("template.db");
    let db = connect_database(&format!("sqlite://{}", file.display())).await;
    Migrator::up(db.writer_connection(), None).await.expect("migrations");
    db.writer_connection().execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("a checkpoint");
    db.close().await;
    SQLITE_DIRECTORY.lock().expect("the directory").replace(directory);
    file
}

async fn create_postgres_template() -> String {
    let name = format!("savannah_test_{}", std::process::id());
    execute_on_server(&format!("DROP DATABASE IF EXISTS {name}")).await;
    execute_on_server(&format!("CREATE DATABASE {name}")).await;
    CREATED_DATABASES.lock().expect("names").push(name.clone());
    let db = connect_database(&database_url(&name)).await;
    Migrator::up(db.writer_connection(), None).await.expect("migrations");
    db.close().await;
    name
}

/// Returns the URL of another database on the same server.
fn database_url(name: &str) -> String {
    let url = postgres_server_url().expect("a server");
    let (base, query) = url.split_once('?').map_or((url.as_str(), ""), |(base, query)| (base, query));
    let root = base.rfind('/').filter(|offset| !base[..*offset].ends_with('/')).map_or(base, |offset| &base[..offset]);
    if query.is_empty() { format!("{root}/{name}") } else { format!("{root}/{name}?{query}") }
}

async fn execute_on_server(sql: &str) {
    let db = connect_database(&postgres_server_url().expect("a server")).await;
    db.writer_connection().execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    db.close().await;
}

/// Deletes all databases created by tests.
pub fn drop_created_databases() {
    SQLITE_DIRECTORY.lock().expect("the directory").take();
    MEDIA_DIRECTORY.lock().expect("the directory").take();
    let names: Vec<String> = CREATED_DATABASES.lock().expect("names").drain(..).collect();
    super::runtime().block_on(async {
        for name in names.iter().rev() {
            execute_on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    });
}
