//! The shop itself, and what it tells the world.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(Debug, DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}

const UP: &str = "
CREATE TABLE shop (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE TABLE outbox (
    id {key},
    kind TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    payload {json} NOT NULL,
    created_at {time} NOT NULL
)
";

const DOWN: &str = "
DROP TABLE outbox
--
DROP TABLE shop
";
