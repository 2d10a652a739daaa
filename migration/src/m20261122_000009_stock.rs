//! Stock movements: a ledger whose sum is always the on-hand stock; and idempotency keys.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Triggers write the ledger on every change of on-hand stock; it is append-only: each movement begins with the
/// quantity after the previous one. The change itself has the reason, the reference and the actor, in the `moved_`
/// columns.
const UP: &str = "
CREATE UNIQUE INDEX location_name ON location (name)
--
ALTER TABLE variant ADD COLUMN backorder BOOLEAN NOT NULL DEFAULT false
--
ALTER TABLE inventory ADD COLUMN low_at BIGINT CHECK (low_at >= 0)
--
ALTER TABLE inventory ADD COLUMN moved_why TEXT NOT NULL DEFAULT 'count' CHECK (moved_why IN
    ('opening', 'count', 'received', 'damaged', 'lost', 'correction', 'sold', 'returned', 'transfer'))
--
ALTER TABLE inventory ADD COLUMN moved_for TEXT
--
ALTER TABLE inventory ADD COLUMN moved_by TEXT NOT NULL DEFAULT 'system'
--
CREATE TABLE stock_movement (
    id {key},
    variant_id BIGINT NOT NULL,
    location_id BIGINT NOT NULL,
    delta BIGINT NOT NULL CHECK (delta <> 0),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reason TEXT NOT NULL CHECK (reason IN
        ('opening', 'count', 'received', 'damaged', 'lost', 'correction', 'sold', 'returned', 'transfer')),
    reference TEXT,
    actor TEXT NOT NULL,
    created_at {time} NOT NULL,
    FOREIGN KEY (variant_id, location_id) REFERENCES inventory (variant_id, location_id) ON DELETE CASCADE
)
--
CREATE INDEX stock_movement_of ON stock_movement (variant_id, location_id, id)
--
CREATE INDEX stock_movement_reference ON stock_movement (reference) WHERE reference IS NOT NULL
--
INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, actor, created_at)
SELECT variant_id, location_id, on_hand, on_hand, 'opening', 'system', updated_at FROM inventory WHERE on_hand > 0
ORDER BY variant_id, location_id
--
CREATE INDEX inventory_low ON inventory (variant_id, location_id) WHERE low_at IS NOT NULL AND on_hand - reserved <= low_at
--
pg:CREATE FUNCTION stock_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, reference, actor, created_at) VALUES
pg:    (NEW.variant_id, NEW.location_id, NEW.on_hand - CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE OLD.on_hand END, NEW.on_hand,
pg:     NEW.moved_why, NEW.moved_for, NEW.moved_by, NEW.updated_at);
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER stock_made AFTER INSERT ON inventory FOR EACH ROW WHEN (NEW.on_hand <> 0) EXECUTE FUNCTION stock_moved()
--
pg:CREATE TRIGGER stock_moved AFTER UPDATE OF on_hand ON inventory
pg:    FOR EACH ROW WHEN (NEW.on_hand <> OLD.on_hand) EXECUTE FUNCTION stock_moved()
--
pg:CREATE FUNCTION stock_movement_fits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    IF NEW.on_hand <> (SELECT on_hand FROM inventory AS i
pg:        WHERE i.variant_id = NEW.variant_id AND i.location_id = NEW.location_id)
pg:    OR NEW.on_hand - NEW.delta <> COALESCE((SELECT on_hand FROM stock_movement AS m
pg:        WHERE m.variant_id = NEW.variant_id AND m.location_id = NEW.location_id ORDER BY id DESC LIMIT 1), 0) THEN
pg:        RAISE EXCEPTION 'a stock movement must lead from the last one to what is on hand' USING ERRCODE = 'check_violation';
pg:    END IF;
pg:    RETURN NEW;
pg:END $$
--
pg:CREATE TRIGGER stock_movement_fits BEFORE INSERT ON stock_movement FOR EACH ROW EXECUTE FUNCTION stock_movement_fits()
--
pg:CREATE FUNCTION stock_movement_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM inventory AS i
pg:        WHERE i.variant_id = OLD.variant_id AND i.location_id = OLD.location_id) THEN
pg:        RETURN OLD;
pg:    END IF;
pg:    RAISE EXCEPTION 'stock movements cannot be rewritten' USING ERRCODE = 'check_violation';
pg:END $$
--
pg:CREATE TRIGGER stock_movement_stays BEFORE UPDATE OR DELETE ON stock_movement
pg:    FOR EACH ROW EXECUTE FUNCTION stock_movement_stays()
--
lite:CREATE TRIGGER stock_made AFTER INSERT ON inventory WHEN NEW.on_hand <> 0 BEGIN
lite:    INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, reference, actor, created_at) VALUES
lite:    (NEW.variant_id, NEW.location_id, NEW.on_hand, NEW.on_hand, NEW.moved_why, NEW.moved_for, NEW.moved_by, NEW.updated_at);
lite:END
--
lite:CREATE TRIGGER stock_moved AFTER UPDATE OF on_hand ON inventory WHEN NEW.on_hand <> OLD.on_hand BEGIN
lite:    INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, reference, actor, created_at) VALUES
lite:    (NEW.variant_id, NEW.location_id, NEW.on_hand - OLD.on_hand, NEW.on_hand, NEW.moved_why, NEW.moved_for, NEW.moved_by,
lite:     NEW.updated_at);
lite:END
--
lite:CREATE TRIGGER stock_movement_fits BEFORE INSERT ON stock_movement
lite:WHEN NEW.on_hand <> (SELECT on_hand FROM inventory AS i
lite:    WHERE i.variant_id = NEW.variant_id AND i.location_id = NEW.location_id)
lite:OR NEW.on_hand - NEW.delta <> COALESCE((SELECT on_hand FROM stock_movement AS m
lite:    WHERE m.variant_id = NEW.variant_id AND m.location_id = NEW.location_id ORDER BY id DESC LIMIT 1), 0) BEGIN
lite:    SELECT RAISE(ABORT, 'a stock movement must lead from the last one to what is on hand');
lite:END
--
lite:CREATE TRIGGER stock_movement_stays BEFORE UPDATE ON stock_movement BEGIN
lite:    SELECT RAISE(ABORT, 'stock movements cannot be rewritten');
lite:END
--
lite:CREATE TRIGGER stock_movement_kept BEFORE DELETE ON stock_movement
lite:WHEN EXISTS (SELECT 1 FROM inventory AS i WHERE i.variant_id = OLD.variant_id AND i.location_id = OLD.location_id) BEGIN
lite:    SELECT RAISE(ABORT, 'stock movements cannot be rewritten');
lite:END
--
CREATE TABLE idempotency (
    scope TEXT NOT NULL CHECK (scope <> ''),
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    digest TEXT NOT NULL CHECK (digest <> ''),
    made BIGINT NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (scope, key)
)
--
CREATE INDEX idempotency_age ON idempotency (created_at)
";

const DOWN: &str = "
DROP TABLE idempotency
--
lite:DROP TRIGGER stock_made
--
lite:DROP TRIGGER stock_moved
--
pg:DROP TRIGGER stock_made ON inventory
--
pg:DROP TRIGGER stock_moved ON inventory
--
DROP TABLE stock_movement
--
pg:DROP FUNCTION stock_moved, stock_movement_fits, stock_movement_stays
--
DROP INDEX inventory_low
--
ALTER TABLE inventory DROP COLUMN moved_by
--
ALTER TABLE inventory DROP COLUMN moved_for
--
ALTER TABLE inventory DROP COLUMN moved_why
--
ALTER TABLE inventory DROP COLUMN low_at
--
ALTER TABLE variant DROP COLUMN backorder
--
DROP INDEX location_name
";
