//! Orders: snapshots of the purchased items, stock reservations, fulfillments, payments and refunds.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Triggers maintain all sums: reserved stock from reservations, fulfilled quantities of lines from fulfillments,
/// captured and refunded amounts from the payment ledger. Limits are checked with every addition.
///
/// Of a line, `cancelled` units are never shipped, `returned` units were shipped and restocked, and `refunded` units
/// are not paid for: they were refunded or never captured.
const UP: &str = "
CREATE TABLE customer_order (
    id {key},
    number TEXT NOT NULL UNIQUE CHECK (length(number) BETWEEN 6 AND 20),
    token TEXT NOT NULL UNIQUE CHECK (length(token) >= 22),
    account_id BIGINT REFERENCES account (id),
    cart_id BIGINT,
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    name_key TEXT {bytewise} NOT NULL,
    language TEXT NOT NULL CHECK (length(language) BETWEEN 2 AND 10),
    status TEXT NOT NULL CHECK (status IN
        ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'refunded')),
    payment_status TEXT NOT NULL CHECK (payment_status IN
        ('pending', 'authorised', 'paid', 'partially_refunded', 'refunded', 'voided')),
    fulfilment_status TEXT NOT NULL CHECK (fulfilment_status IN ('unfulfilled', 'partial', 'fulfilled')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    subtotal BIGINT NOT NULL CHECK (subtotal >= 0),
    discount BIGINT NOT NULL CHECK (discount BETWEEN 0 AND subtotal),
    shipping BIGINT NOT NULL CHECK (shipping >= 0),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    tax_added BIGINT NOT NULL CHECK (tax_added BETWEEN 0 AND tax),
    total BIGINT NOT NULL CHECK (total = subtotal - discount + shipping + tax_added),
    shipping_method_id BIGINT,
    shipping_name TEXT,
    shipping_address {json},
    billing_address {json},
    note TEXT CHECK (length(note) <= 1000),
    version INTEGER NOT NULL CHECK (version > 0),
    expires_at {time} CHECK (expires_at IS NULL OR status = 'pending'),
    placed_at {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    forgotten_at {time},
    CHECK (CASE WHEN forgotten_at IS NULL THEN email IS NOT NULL OR phone IS NOT NULL
        ELSE email IS NULL AND phone IS NULL AND note IS NULL AND name_key = ''
            AND status IN ('delivered', 'cancelled', 'refunded') END)
)
--
CREATE UNIQUE INDEX order_cart ON customer_order (cart_id) WHERE status <> 'cancelled'
--
CREATE INDEX order_account ON customer_order (account_id, placed_at, id) WHERE account_id IS NOT NULL
--
CREATE INDEX order_placed ON customer_order (placed_at, id)
--
CREATE INDEX order_status ON customer_order (status, placed_at, id)
--
CREATE INDEX order_total ON customer_order (total, id)
--
CREATE INDEX order_email ON customer_order (lower(email) {bytewise})
--
CREATE INDEX order_phone ON customer_order (phone {bytewise})
--
CREATE INDEX order_number ON customer_order (number {bytewise})
--
CREATE INDEX order_name ON customer_order (name_key)
--
CREATE INDEX order_expires ON customer_order (expires_at) WHERE expires_at IS NOT NULL
--
CREATE TABLE order_line (
    id {key},
    order_id BIGINT NOT NULL REFERENCES customer_order (id),
    position INTEGER NOT NULL CHECK (position >= 0),
    variant_id BIGINT REFERENCES variant (id) ON DELETE SET NULL,
    product_id BIGINT REFERENCES product (id) ON DELETE SET NULL,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    variant_name TEXT NOT NULL,
    image TEXT,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    unit_list BIGINT NOT NULL CHECK (unit_list >= 0),
    unit_price BIGINT NOT NULL CHECK (unit_price BETWEEN 0 AND unit_list),
    discount BIGINT NOT NULL CHECK (discount >= 0),
    tax_name TEXT,
    tax_rate INTEGER NOT NULL CHECK (tax_rate BETWEEN 0 AND 10000),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    tax_added BIGINT NOT NULL CHECK (tax_added BETWEEN 0 AND tax),
    total BIGINT NOT NULL CHECK (total = unit_list * quantity - discount + tax_added),
    weight_grams BIGINT CHECK (weight_grams >= 0),
    tracked BOOLEAN NOT NULL,
    fulfilled BIGINT NOT NULL CHECK (fulfilled BETWEEN 0 AND quantity),
    refunded BIGINT NOT NULL CHECK (refunded BETWEEN 0 AND quantity),
    cancelled BIGINT NOT NULL CHECK (cancelled BETWEEN 0 AND refunded),
    returned BIGINT NOT NULL DEFAULT 0,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK (fulfilled + cancelled <= quantity),
    CHECK (refunded - cancelled <= fulfilled),
    CHECK (returned BETWEEN 0 AND refunded - cancelled),
    UNIQUE (order_id, position),
    UNIQUE (order_id, variant_id)
)
--
CREATE INDEX order_line_sku ON order_line (lower(sku) {bytewise}, order_id)
--
CREATE INDEX order_line_variant ON order_line (variant_id) WHERE variant_id IS NOT NULL
--
CREATE TABLE order_entry (
    id {key},
    order_id BIGINT NOT NULL REFERENCES customer_order (id),
    kind TEXT NOT NULL CHECK (kind IN ('placed', 'status', 'payment', 'fulfilment', 'refund', 'note')),
    from_status TEXT,
    to_status TEXT,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('nobody', 'system', 'account', 'api_key')),
    actor_id BIGINT CHECK ((actor_id IS NOT NULL) = (actor_kind IN ('account', 'api_key'))),
    note TEXT,
    is_public BOOLEAN NOT NULL,
    created_at {time} NOT NULL,
    CHECK ((kind = 'status') = (from_status IS NOT NULL AND to_status IS NOT NULL))
)
--
CREATE INDEX order_entry_order ON order_entry (order_id, id)
--
CREATE TABLE stock_hold (
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    location_id BIGINT NOT NULL,
    variant_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    expires_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (order_line_id, location_id),
    FOREIGN KEY (variant_id, location_id) REFERENCES inventory (variant_id, location_id)
)
--
CREATE INDEX stock_hold_variant ON stock_hold (variant_id, location_id)
--
pg:CREATE FUNCTION stock_held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    IF TG_OP = 'UPDATE' AND (NEW.variant_id <> OLD.variant_id OR NEW.location_id <> OLD.location_id) THEN
pg:        RAISE EXCEPTION 'a promise stays with its variant and location' USING ERRCODE = 'check_violation';
pg:    END IF;
pg:    IF TG_OP = 'DELETE' THEN
pg:        UPDATE inventory SET reserved = reserved - OLD.quantity
pg:        WHERE variant_id = OLD.variant_id AND location_id = OLD.location_id;
pg:    ELSE
pg:        UPDATE inventory SET reserved = reserved + NEW.quantity - CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE OLD.quantity END
pg:        WHERE variant_id = NEW.variant_id AND location_id = NEW.location_id;
pg:    END IF;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER stock_held AFTER INSERT OR UPDATE OF quantity, variant_id, location_id OR DELETE ON stock_hold
pg:    FOR EACH ROW EXECUTE FUNCTION stock_held()
--
pg:CREATE FUNCTION stock_reserved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    RAISE EXCEPTION 'what is reserved is the sum of the promises' USING ERRCODE = 'check_violation';
pg:END $$
--
pg:CREATE TRIGGER stock_reserved BEFORE UPDATE OF reserved ON inventory FOR EACH ROW
pg:    WHEN (NEW.reserved <> OLD.reserved AND pg_trigger_depth() = 0) EXECUTE FUNCTION stock_reserved()
--
lite:CREATE TRIGGER stock_held AFTER INSERT ON stock_hold BEGIN
lite:    UPDATE inventory SET reserved = reserved + NEW.quantity
lite:    WHERE variant_id = NEW.variant_id AND location_id = NEW.location_id;
lite:END
--
lite:CREATE TRIGGER stock_hold_stays BEFORE UPDATE OF variant_id, location_id ON stock_hold
lite:WHEN NEW.variant_id <> OLD.variant_id OR NEW.location_id <> OLD.location_id BEGIN
lite:    SELECT RAISE(ABORT, 'a promise stays with its variant and location');
lite:END
--
lite:CREATE TRIGGER stock_held_change AFTER UPDATE OF quantity ON stock_hold BEGIN
lite:    UPDATE inventory SET reserved = reserved + NEW.quantity - OLD.quantity
lite:    WHERE variant_id = NEW.variant_id AND location_id = NEW.location_id;
lite:END
--
lite:CREATE TRIGGER stock_held_end AFTER DELETE ON stock_hold BEGIN
lite:    UPDATE inventory SET reserved = reserved - OLD.quantity
lite:    WHERE variant_id = OLD.variant_id AND location_id = OLD.location_id;
lite:END
--
lite:CREATE TRIGGER stock_reserved AFTER UPDATE OF reserved ON inventory
lite:WHEN NEW.reserved <> OLD.reserved AND NEW.reserved <> (SELECT COALESCE(SUM(quantity), 0) FROM stock_hold AS h
lite:    WHERE h.variant_id = NEW.variant_id AND h.location_id = NEW.location_id) BEGIN
lite:    SELECT RAISE(ABORT, 'what is reserved is the sum of the promises');
lite:END
--
CREATE TABLE fulfilment (
    id {key},
    order_id BIGINT NOT NULL REFERENCES customer_order (id),
    carrier TEXT CHECK (length(carrier) BETWEEN 1 AND 100),
    tracking_number TEXT CHECK (length(tracking_number) BETWEEN 1 AND 100),
    tracking_url TEXT CHECK (length(tracking_url) BETWEEN 1 AND 2000),
    delivered_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX fulfilment_order ON fulfilment (order_id, id)
--
CREATE TABLE fulfilment_line (
    fulfilment_id BIGINT NOT NULL REFERENCES fulfilment (id),
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (fulfilment_id, order_line_id)
)
--
CREATE INDEX fulfilment_line_of ON fulfilment_line (order_line_id)
--
pg:CREATE FUNCTION line_fulfilled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    UPDATE order_line SET fulfilled = fulfilled + NEW.quantity WHERE id = NEW.order_line_id;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER line_fulfilled AFTER INSERT ON fulfilment_line FOR EACH ROW EXECUTE FUNCTION line_fulfilled()
--
lite:CREATE TRIGGER line_fulfilled AFTER INSERT ON fulfilment_line BEGIN
lite:    UPDATE order_line SET fulfilled = fulfilled + NEW.quantity WHERE id = NEW.order_line_id;
lite:END
--
CREATE TABLE payment (
    id {key},
    order_id BIGINT NOT NULL REFERENCES customer_order (id),
    provider TEXT NOT NULL CHECK (provider <> ''),
    reference TEXT CHECK (reference <> ''),
    status TEXT NOT NULL CHECK (status IN ('pending', 'authorised', 'captured', 'failed', 'voided')),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    captured BIGINT NOT NULL CHECK (captured BETWEEN 0 AND amount),
    refunded BIGINT NOT NULL CHECK (refunded BETWEEN 0 AND captured),
    action_url TEXT,
    error TEXT,
    capture_asked_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK (captured = 0 OR status = 'captured')
)
--
CREATE INDEX payment_order ON payment (order_id, id)
--
CREATE UNIQUE INDEX payment_reference ON payment (provider, reference)
--
CREATE TABLE refund (
    id {key},
    order_id BIGINT NOT NULL REFERENCES customer_order (id),
    payment_id BIGINT NOT NULL REFERENCES payment (id),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    shipping BIGINT NOT NULL DEFAULT 0 CHECK (shipping BETWEEN 0 AND amount),
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'done', 'failed')),
    reason TEXT CHECK (length(reason) <= 1000),
    error TEXT,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX refund_order ON refund (order_id, id)
--
CREATE INDEX refund_payment ON refund (payment_id)
--
CREATE UNIQUE INDEX refund_shipping ON refund (order_id) WHERE shipping > 0 AND status <> 'failed'
--
CREATE TABLE refund_line (
    refund_id BIGINT NOT NULL REFERENCES refund (id),
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    cancelled BIGINT NOT NULL CHECK (cancelled BETWEEN 0 AND quantity),
    returned BIGINT NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND quantity - cancelled),
    PRIMARY KEY (refund_id, order_line_id)
)
--
pg:CREATE FUNCTION line_refunded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    UPDATE order_line SET refunded = refunded + NEW.quantity, cancelled = cancelled + NEW.cancelled, returned = returned + NEW.returned WHERE id = NEW.order_line_id;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER line_refunded AFTER INSERT ON refund_line FOR EACH ROW EXECUTE FUNCTION line_refunded()
--
lite:CREATE TRIGGER line_refunded AFTER INSERT ON refund_line BEGIN
lite:    UPDATE order_line SET refunded = refunded + NEW.quantity, cancelled = cancelled + NEW.cancelled, returned = returned + NEW.returned WHERE id = NEW.order_line_id;
lite:END
--
CREATE TABLE payment_entry (
    id {key},
    payment_id BIGINT NOT NULL REFERENCES payment (id),
    kind TEXT NOT NULL CHECK (kind IN ('authorise', 'capture', 'refund', 'void', 'fail')),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    reference TEXT NOT NULL CHECK (reference <> ''),
    created_at {time} NOT NULL,
    UNIQUE (payment_id, kind, reference)
)
--
pg:CREATE FUNCTION payment_entered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    IF TG_OP <> 'INSERT' THEN
pg:        RAISE EXCEPTION 'entries of a payment cannot be rewritten' USING ERRCODE = 'check_violation';
pg:    END IF;
pg:    IF NEW.kind = 'capture' THEN
pg:        UPDATE payment SET captured = captured + NEW.amount, status = 'captured', updated_at = NEW.created_at WHERE id = NEW.payment_id;
pg:    ELSIF NEW.kind = 'refund' THEN
pg:        UPDATE payment SET refunded = refunded + NEW.amount, updated_at = NEW.created_at WHERE id = NEW.payment_id;
pg:    END IF;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER payment_entered AFTER INSERT ON payment_entry FOR EACH ROW WHEN (NEW.kind IN ('capture', 'refund'))
pg:    EXECUTE FUNCTION payment_entered()
--
pg:CREATE TRIGGER payment_entry_stays BEFORE UPDATE OR DELETE ON payment_entry
pg:    FOR EACH ROW EXECUTE FUNCTION payment_entered()
--
lite:CREATE TRIGGER payment_captured AFTER INSERT ON payment_entry WHEN NEW.kind = 'capture' BEGIN
lite:    UPDATE payment SET captured = captured + NEW.amount, status = 'captured', updated_at = NEW.created_at WHERE id = NEW.payment_id;
lite:END
--
lite:CREATE TRIGGER payment_refunded AFTER INSERT ON payment_entry WHEN NEW.kind = 'refund' BEGIN
lite:    UPDATE payment SET refunded = refunded + NEW.amount, updated_at = NEW.created_at WHERE id = NEW.payment_id;
lite:END
--
lite:CREATE TRIGGER payment_entry_stays BEFORE UPDATE ON payment_entry BEGIN
lite:    SELECT RAISE(ABORT, 'entries of a payment cannot be rewritten');
lite:END
--
lite:CREATE TRIGGER payment_entry_kept BEFORE DELETE ON payment_entry BEGIN
lite:    SELECT RAISE(ABORT, 'entries of a payment cannot be rewritten');
lite:END
";

const DOWN: &str = "
pg:DROP TRIGGER stock_reserved ON inventory
--
lite:DROP TRIGGER stock_reserved
--
DROP TABLE payment_entry
--
DROP TABLE refund_line
--
DROP TABLE refund
--
DROP TABLE payment
--
DROP TABLE fulfilment_line
--
DROP TABLE fulfilment
--
DROP TABLE stock_hold
--
DROP TABLE order_entry
--
DROP TABLE order_line
--
DROP TABLE customer_order
--
pg:DROP FUNCTION payment_entered, line_refunded, line_fulfilled, stock_held, stock_reserved
";
