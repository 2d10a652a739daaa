//! The shop settings row and the outbox of events.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

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
