//! Versions of catalog rows for optimistic locking, and an index of unpublished products.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// The version is incremented by every visible change of an edit. It is not incremented by stock changes of orders or
/// by scheduled price changes, because those do not conflict with an edit.
const UP: &str = "
ALTER TABLE category ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0)
--
ALTER TABLE product ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0)
--
ALTER TABLE variant ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0)
--
CREATE INDEX product_unlisted ON product (created_at, id) WHERE status <> 'active' AND deleted_at IS NULL
--
CREATE INDEX product_category ON product (category_id)
--
CREATE INDEX category_parent ON category (parent_id)
--
CREATE INDEX audit_action ON audit (action, id)
";

const DOWN: &str = "
DROP INDEX audit_action
--
DROP INDEX category_parent
--
DROP INDEX product_category
--
DROP INDEX product_unlisted
--
ALTER TABLE variant DROP COLUMN version
--
ALTER TABLE product DROP COLUMN version
--
ALTER TABLE category DROP COLUMN version
";
