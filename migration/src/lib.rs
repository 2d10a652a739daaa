//! Database migrations: one directory of SQL files per migration, in the order of application.
//!
//! Each migration has an `up` script per database. Its down script is `down.sql` if it is the same for both.
//! Migrations follow expand and contract, because the previous version keeps running while the next one starts: a
//! migration that removes something has a name with the suffix `_contract`. `docs/UPGRADES.md` has the rules.

pub use sea_orm_migration::prelude::*;

use sea_orm_migration::sea_orm::DbBackend;

/// The text of a script for each database.
#[derive(Debug, Clone, Copy)]
struct SqlScript {
    postgres: &'static str,
    sqlite: &'static str,
}

/// A migration that executes SQL scripts.
#[derive(Debug)]
struct SqlMigration {
    name: &'static str,
    up: SqlScript,
    down: SqlScript,
}

impl SqlScript {
    /// Executes all statements of the script for the database.
    async fn execute(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let text = match manager.get_database_backend() {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        };
        manager.get_connection().execute_unprepared(text).await?;
        Ok(())
    }
}

impl MigrationName for SqlMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlMigration {
    // Also on SQLite, so that an interrupted migration leaves no partial changes.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.up.execute(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.down.execute(manager).await
    }
}

/// Returns the migration of a directory, with its down script, or its down scripts for PostgreSQL and SQLite.
macro_rules! sql_migration {
    ($name:literal, $down:literal) => {
        sql_migration!($name, $down, $down)
    };
    ($name:literal, $down_postgres:literal, $down_sqlite:literal) => {
        Box::new(SqlMigration {
            name: $name,
            up: SqlScript {
                postgres: include_str!(concat!($name, "/up.postgres.sql")),
                sqlite: include_str!(concat!($name, "/up.sqlite.sql")),
            },
            down: SqlScript {
                postgres: include_str!(concat!($name, "/", $down_postgres)),
                sqlite: include_str!(concat!($name, "/", $down_sqlite)),
            },
        })
    };
}

/// An index of a table that existed in an earlier release. It is built after the migrations, outside of their transaction,
/// because the writers of its table would wait for it otherwise.
#[derive(Debug, Clone, Copy)]
pub struct ConcurrentIndex {
    /// The name of the index.
    pub name: &'static str,
    /// Whether it is unique.
    pub is_unique: bool,
    /// The table, the columns and the condition: `cart (updated_at) WHERE status = 'open'`.
    pub definition: &'static str,
}

impl ConcurrentIndex {
    /// Returns the statement that creates the index, unless it exists.
    #[must_use]
    pub fn create_statement(&self, is_concurrent: bool) -> String {
        let Self { name, is_unique, definition } = self;
        let unique = if *is_unique { "UNIQUE " } else { "" };
        let concurrently = if is_concurrent { "CONCURRENTLY " } else { "" };
        format!("CREATE {unique}INDEX {concurrently}IF NOT EXISTS {name} ON {definition}")
    }
}

/// The indexes that are built after the migrations.
pub const CONCURRENT_INDEXES: [ConcurrentIndex; 6] = [
    // What uses a picture of the shop; images at other addresses are not in them.
    media_use_index("product_image_media_idx", "product_image (url) WHERE url LIKE '/media/%'"),
    media_use_index("variant_media_idx", "variant (image) WHERE image LIKE '/media/%'"),
    media_use_index("category_media_idx", "category (image) WHERE image LIKE '/media/%'"),
    media_use_index("order_line_media_idx", "order_line (image) WHERE image LIKE '/media/%'"),
    // Images at other addresses, until they are copied.
    media_use_index("product_image_remote_idx", "product_image (url) WHERE url LIKE 'http%'"),
    media_use_index("variant_remote_image_idx", "variant (image) WHERE image LIKE 'http%'"),
];

const fn media_use_index(name: &'static str, definition: &'static str) -> ConcurrentIndex {
    ConcurrentIndex { name, is_unique: false, definition }
}

/// The list of all migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            sql_migration!("m20261126_000001_infrastructure", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000002_identity", "down.sql"),
            sql_migration!("m20261126_000003_customer", "down.sql"),
            sql_migration!("m20261126_000004_catalog", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000005_inventory", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000006_pricing", "down.sql"),
            sql_migration!("m20261126_000007_cart", "down.sql"),
            sql_migration!("m20261126_000008_order", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000009_payment", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000010_notification", "down.sql"),
            sql_migration!("m20261126_000011_analytics", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261126_000012_operations", "down.sql"),
            sql_migration!("m20261126_000013_webhook", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261127_000002_oauth", "down.sql"),
            sql_migration!("m20261127_000003_media", "down.sql"),
            sql_migration!("m20261127_000004_analytics_figures", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261127_000005_search_tiers", "down.postgres.sql", "down.sqlite.sql"),
            sql_migration!("m20261127_000006_search_rules", "down.sql"),
        ]
    }
}
