-- Inventory: stock locations, stock levels and the ledger of stock movements. Reservations reference order lines and
-- are in the baseline of orders.

CREATE TABLE location (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    active BOOLEAN NOT NULL DEFAULT TRUE CHECK (active OR NOT is_default),
    address JSONB,
    version INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX location_name_key ON location (name);
CREATE UNIQUE INDEX location_is_default_key ON location (is_default) WHERE is_default;
INSERT INTO location (id, name, is_default, created_at, updated_at)
VALUES (1, 'Default', true, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP);

-- A change of `on_hand` sets its reason, reference and actor in the `last_` columns; triggers copy them to the ledger.
CREATE TABLE inventory_level (
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    location_id BIGINT NOT NULL REFERENCES location (id),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    low_stock_threshold BIGINT CHECK (low_stock_threshold >= 0),
    last_reason TEXT NOT NULL DEFAULT 'count' CHECK (last_reason IN
        ('opening', 'count', 'received', 'damaged', 'lost', 'correction', 'sold', 'returned', 'transfer')),
    last_reference TEXT,
    last_actor TEXT NOT NULL DEFAULT 'system',
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (variant_id, location_id),
    CHECK (reserved <= on_hand)
);
CREATE INDEX inventory_level_low_stock_idx ON inventory_level (variant_id, location_id)
    WHERE low_stock_threshold IS NOT NULL AND on_hand - reserved <= low_stock_threshold;

-- The ledger of on-hand stock: written by triggers only, append-only; its sum is always the on-hand quantity.
CREATE TABLE stock_movement (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    variant_id BIGINT NOT NULL,
    location_id BIGINT NOT NULL,
    delta BIGINT NOT NULL CHECK (delta <> 0),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reason TEXT NOT NULL CHECK (reason IN
        ('opening', 'count', 'received', 'damaged', 'lost', 'correction', 'sold', 'returned', 'transfer')),
    reference TEXT,
    actor TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    FOREIGN KEY (variant_id, location_id) REFERENCES inventory_level (variant_id, location_id) ON DELETE CASCADE
);
CREATE INDEX stock_movement_variant_id_location_id_idx ON stock_movement (variant_id, location_id, id);
CREATE INDEX stock_movement_variant_id_idx ON stock_movement (variant_id, id);
CREATE INDEX stock_movement_reference_idx ON stock_movement (reference) WHERE reference IS NOT NULL;

CREATE TRIGGER record_stock_movement_insert AFTER INSERT ON inventory_level WHEN NEW.on_hand <> 0 BEGIN
    INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, reference, actor, created_at) VALUES
    (NEW.variant_id, NEW.location_id, NEW.on_hand, NEW.on_hand, NEW.last_reason, NEW.last_reference, NEW.last_actor,
     NEW.updated_at);
END;
CREATE TRIGGER record_stock_movement_update AFTER UPDATE OF on_hand ON inventory_level
WHEN NEW.on_hand <> OLD.on_hand BEGIN
    INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, reference, actor, created_at) VALUES
    (NEW.variant_id, NEW.location_id, NEW.on_hand - OLD.on_hand, NEW.on_hand, NEW.last_reason, NEW.last_reference,
     NEW.last_actor, NEW.updated_at);
END;

-- Each movement begins with the quantity after the previous one and ends with the on-hand quantity.
CREATE TRIGGER check_stock_movement_balance BEFORE INSERT ON stock_movement
WHEN NEW.on_hand <> (SELECT on_hand FROM inventory_level AS i
    WHERE i.variant_id = NEW.variant_id AND i.location_id = NEW.location_id)
OR NEW.on_hand - NEW.delta <> COALESCE((SELECT on_hand FROM stock_movement AS m
    WHERE m.variant_id = NEW.variant_id AND m.location_id = NEW.location_id ORDER BY id DESC LIMIT 1), 0) BEGIN
    SELECT RAISE(ABORT, 'stock movement does not lead from the previous movement to the on-hand quantity');
END;

-- Movements are deleted only together with their stock level.
CREATE TRIGGER forbid_stock_movement_update BEFORE UPDATE ON stock_movement BEGIN
    SELECT RAISE(ABORT, 'stock movements are append-only');
END;
CREATE TRIGGER forbid_stock_movement_delete BEFORE DELETE ON stock_movement
WHEN EXISTS (SELECT 1 FROM inventory_level AS i
    WHERE i.variant_id = OLD.variant_id AND i.location_id = OLD.location_id) BEGIN
    SELECT RAISE(ABORT, 'stock movements are append-only');
END;
