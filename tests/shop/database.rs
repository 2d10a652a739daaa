//! A database for each story, copied from one that was migrated once.

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

/// The kinds of database a shop runs on.
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

    /// Whether it can be tested here.
    pub fn is_here(self) -> bool {
        self == Self::Sqlite || server().is_some()
    }
}

/// The PostgreSQL server for tests, if one was named.
fn server() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// One at a time: a template may not be copied twice at once.
static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);
static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static FOLDER: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// A story's own database.
pub struct Own {
    url: String,
}

impl Own {
    pub async fn make(backend: Backend) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match backend {
            Backend::Sqlite => {
                static TEMPLATE: OnceCell<PathBuf> = OnceCell::const_new();
                let template = TEMPLATE.get_or_init(sqlite_template).await;
                let file = template.with_file_name(format!("{number}.db"));
                std::fs::copy(template, &file).expect("a copy");
                Self { url: format!("sqlite://{}", file.display()) }
            }
            Backend::Postgres => {
                static TEMPLATE: OnceCell<String> = OnceCell::const_new();
                let template = TEMPLATE.get_or_init(postgres_template).await;
                let name = format!("{template}_{number}");
                let _copying = COPYING.lock().await;
                let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
                on_server(&sql).await;
                MADE.lock().expect("names").push(name.clone());
                Self { url: with_name(&name) }
            }
        }
    }

    /// A database without any table. The one of SQLite lies in the folder that its user works in.
    pub async fn empty(backend: Backend) -> Self {
        if backend == Backend::Sqlite {
            return Self { url: "sqlite://data/savannah.db".to_owned() };
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("savannah_test_{}_{number}", std::process::id());
        on_server(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        MADE.lock().expect("names").push(name.clone());
        Self { url: with_name(&name) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection of the story's own, beside whoever else uses it.
    pub async fn open(&self) -> Db {
        open(&self.url).await
    }
}

async fn open(url: &str) -> Db {
    let vars = [("DATABASE_URL".into(), url.into())].into_iter();
    let mut config =
        savannah::infra::Config::read(std::path::Path::new("/nowhere/savannah.toml"), vars).expect("settings");
    config.database.connections = 1;
    Db::open(&config.database, Clock::default()).await.expect("a database")
}

async fn sqlite_template() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("savannah-test").tempdir().expect("a folder");
    let file = folder.path().join("template.db");
    let db = open(&format!("sqlite://{}", file.display())).await;
    Migrator::up(db.owner(), None).await.expect("migrations");
    db.owner().execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("a checkpoint");
    db.close().await;
    FOLDER.lock().expect("the folder").replace(folder);
    file
}

async fn postgres_template() -> String {
    let name = format!("savannah_test_{}", std::process::id());
    on_server(&format!("DROP DATABASE IF EXISTS {name}")).await;
    on_server(&format!("CREATE DATABASE {name}")).await;
    MADE.lock().expect("names").push(name.clone());
    let db = open(&with_name(&name)).await;
    Migrator::up(db.owner(), None).await.expect("migrations");
    db.close().await;
    name
}

/// The address of another database on the same server.
fn with_name(name: &str) -> String {
    let url = server().expect("a server");
    let (base, query) = url.split_once('?').map_or((url.as_str(), ""), |(base, query)| (base, query));
    let root = base.rfind('/').filter(|at| !base[..*at].ends_with('/')).map_or(base, |at| &base[..at]);
    if query.is_empty() { format!("{root}/{name}") } else { format!("{root}/{name}?{query}") }
}

async fn on_server(sql: &str) {
    let db = open(&server().expect("a server")).await;
    db.owner().execute_unprepared(sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    db.close().await;
}

/// Removes what the stories leave behind.
pub fn clear_up() {
    FOLDER.lock().expect("the folder").take();
    let made: Vec<String> = MADE.lock().expect("names").drain(..).collect();
    super::runtime().block_on(async {
        for name in made.iter().rev() {
            on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    });
}
