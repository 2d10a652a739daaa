//! Stock locations and stock levels.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

const UP: &str = "
CREATE TABLE location (
    id {key},
    name TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE UNIQUE INDEX location_default ON location (is_default) WHERE is_default
--
INSERT INTO location (id, name, is_default, created_at, updated_at)
VALUES (1, 'Default', true, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)
--
pg:SELECT setval(pg_get_serial_sequence('location', 'id'), 1)
--
CREATE TABLE inventory (
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    location_id BIGINT NOT NULL REFERENCES location (id),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (variant_id, location_id),
    CHECK (reserved <= on_hand)
)
";

const DOWN: &str = "
DROP TABLE inventory
--
DROP TABLE location
";
