//! Database migrations: one directory of SQL files per migration, in the order of application.
//!
//! Each migration has an `up` script per database. Its down script is `down.sql` if it is the same for both.
//! Migrations follow expand and contract, because the previous version keeps running while the next one starts.

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
        ]
    }
}
