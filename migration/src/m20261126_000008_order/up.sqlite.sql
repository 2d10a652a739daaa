-- Orders: snapshots of the purchased items, order history, stock reservations and fulfillments. Triggers maintain the
-- sums: reserved stock from reservations, fulfilled quantities from fulfillment lines. Limits are checked with every
-- addition.

-- The name is plural, because `order` is a reserved word.
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number TEXT NOT NULL UNIQUE CHECK (length(number) BETWEEN 6 AND 20),
    guest_access_token TEXT NOT NULL UNIQUE CHECK (length(guest_access_token) >= 22),
    account_id BIGINT REFERENCES account (id),
    cart_id BIGINT,
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    customer_name_normalized TEXT NOT NULL,
    language TEXT NOT NULL CHECK (length(language) BETWEEN 2 AND 10),
    status TEXT NOT NULL CHECK (status IN
        ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'canceled', 'refunded')),
    payment_status TEXT NOT NULL CHECK (payment_status IN
        ('pending', 'authorized', 'paid', 'partially_refunded', 'refunded', 'voided')),
    fulfillment_status TEXT NOT NULL CHECK (fulfillment_status IN ('unfulfilled', 'partial', 'fulfilled')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    list_subtotal BIGINT NOT NULL CHECK (list_subtotal >= 0),
    discount BIGINT NOT NULL CHECK (discount BETWEEN 0 AND list_subtotal),
    shipping BIGINT NOT NULL CHECK (shipping >= 0),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    -- The part of the tax that prices do not include.
    tax_excluded_total BIGINT NOT NULL CHECK (tax_excluded_total BETWEEN 0 AND tax),
    total BIGINT NOT NULL CHECK (total = list_subtotal - discount + shipping + tax_excluded_total),
    shipping_method_id BIGINT,
    shipping_method_name TEXT,
    shipping_tax_name TEXT,
    shipping_tax_rate_bps INTEGER NOT NULL DEFAULT 0 CHECK (shipping_tax_rate_bps BETWEEN 0 AND 10000),
    -- Whether the shipping cost includes its tax.
    shipping_tax_included BOOLEAN NOT NULL DEFAULT FALSE,
    shipping_address JSON,
    billing_address JSON,
    note TEXT CHECK (length(note) <= 1000),
    version INTEGER NOT NULL CHECK (version > 0),
    expires_at TIMESTAMP CHECK (expires_at IS NULL OR status = 'pending'),
    placed_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    anonymized_at TIMESTAMP,
    -- An order has a contact until it is finished and anonymized.
    CHECK (CASE WHEN anonymized_at IS NULL THEN email IS NOT NULL OR phone IS NOT NULL
        ELSE email IS NULL AND phone IS NULL AND note IS NULL AND customer_name_normalized = ''
            AND status IN ('delivered', 'canceled', 'refunded') END)
);
-- A cart is ordered once, unless the order was canceled.
CREATE UNIQUE INDEX orders_cart_id_key ON orders (cart_id) WHERE status <> 'canceled';
CREATE INDEX orders_account_id_placed_at_idx ON orders (account_id, placed_at, id) WHERE account_id IS NOT NULL;
CREATE INDEX orders_placed_at_idx ON orders (placed_at, id);
CREATE INDEX orders_total_idx ON orders (total, id);
CREATE INDEX orders_updated_at_idx ON orders (updated_at, id);
-- The staff lists are filtered by the three statuses; an omitted filter is expanded to all values.
CREATE INDEX orders_statuses_placed_at_idx ON orders (
    status, payment_status, fulfillment_status,
    placed_at, id
);
CREATE INDEX orders_statuses_total_idx ON orders (
    status, payment_status, fulfillment_status,
    total, id
);
-- The staff search, by prefix.
CREATE INDEX orders_lower_email_idx ON orders (lower(email));
CREATE INDEX orders_phone_idx ON orders (phone);
CREATE INDEX orders_number_idx ON orders (number);
CREATE INDEX orders_customer_name_normalized_idx ON orders (customer_name_normalized);
CREATE INDEX orders_expires_at_idx ON orders (expires_at) WHERE expires_at IS NOT NULL;

-- Canceled units are never shipped, returned units were shipped and restocked, and refunded units are not paid for:
-- they were refunded or never captured.
CREATE TABLE order_line (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    position INTEGER NOT NULL CHECK (position >= 0),
    variant_id BIGINT REFERENCES variant (id) ON DELETE SET NULL,
    product_id BIGINT REFERENCES product (id) ON DELETE SET NULL,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    variant_name TEXT NOT NULL,
    image TEXT,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    unit_list_price BIGINT NOT NULL CHECK (unit_list_price >= 0),
    unit_price BIGINT NOT NULL CHECK (unit_price BETWEEN 0 AND unit_list_price),
    discount BIGINT NOT NULL CHECK (discount >= 0),
    tax_name TEXT,
    tax_rate_bps INTEGER NOT NULL CHECK (tax_rate_bps BETWEEN 0 AND 10000),
    -- Whether the prices include the tax.
    tax_included BOOLEAN NOT NULL DEFAULT FALSE,
    tax BIGINT NOT NULL CHECK (tax >= 0),
    tax_excluded_total BIGINT NOT NULL CHECK (tax_excluded_total BETWEEN 0 AND tax),
    total BIGINT NOT NULL CHECK (total = unit_list_price * quantity - discount + tax_excluded_total),
    weight_grams BIGINT CHECK (weight_grams >= 0),
    track_stock BOOLEAN NOT NULL,
    attributes JSON NOT NULL DEFAULT '{}' CHECK (json_type(attributes) = 'object'),
    quantity_fulfilled BIGINT NOT NULL CHECK (quantity_fulfilled BETWEEN 0 AND quantity),
    quantity_refunded BIGINT NOT NULL CHECK (quantity_refunded BETWEEN 0 AND quantity),
    quantity_canceled BIGINT NOT NULL CHECK (quantity_canceled BETWEEN 0 AND quantity_refunded),
    quantity_returned BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (quantity_fulfilled + quantity_canceled <= quantity),
    CHECK (quantity_refunded - quantity_canceled <= quantity_fulfilled),
    CHECK (quantity_returned BETWEEN 0 AND quantity_refunded - quantity_canceled),
    CHECK (tax_excluded_total = CASE WHEN tax_included THEN 0 ELSE tax END),
    UNIQUE (order_id, position)
);
CREATE INDEX order_line_lower_sku_order_id_idx ON order_line (lower(sku), order_id);
CREATE INDEX order_line_variant_id_idx ON order_line (variant_id) WHERE variant_id IS NOT NULL;

CREATE TABLE order_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    event_type TEXT NOT NULL CHECK (event_type IN ('placed', 'status', 'payment', 'fulfillment', 'refund', 'note')),
    from_status TEXT,
    to_status TEXT,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('anonymous', 'system', 'account', 'api_key')),
    actor_id BIGINT CHECK ((actor_id IS NOT NULL) = (actor_kind IN ('account', 'api_key'))),
    note TEXT,
    is_public BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    CHECK ((event_type = 'status') = (from_status IS NOT NULL AND to_status IS NOT NULL))
);
CREATE INDEX order_history_order_id_idx ON order_history (order_id, id);

-- Stock reserved for unshipped units. Belongs to the inventory; created here, because it references order lines.
CREATE TABLE stock_reservation (
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    location_id BIGINT NOT NULL,
    variant_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    expires_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (order_line_id, location_id),
    FOREIGN KEY (variant_id, location_id) REFERENCES inventory_level (variant_id, location_id)
);
CREATE INDEX stock_reservation_variant_id_location_id_idx ON stock_reservation (variant_id, location_id);

-- The reserved quantity of a stock level is the sum of its reservations, and changes only with them.
CREATE TRIGGER sync_reserved_quantity_insert AFTER INSERT ON stock_reservation BEGIN
    UPDATE inventory_level SET reserved = reserved + NEW.quantity
    WHERE variant_id = NEW.variant_id AND location_id = NEW.location_id;
END;
CREATE TRIGGER sync_reserved_quantity_update AFTER UPDATE OF quantity ON stock_reservation BEGIN
    UPDATE inventory_level SET reserved = reserved + NEW.quantity - OLD.quantity
    WHERE variant_id = NEW.variant_id AND location_id = NEW.location_id;
END;
CREATE TRIGGER sync_reserved_quantity_delete AFTER DELETE ON stock_reservation BEGIN
    UPDATE inventory_level SET reserved = reserved - OLD.quantity
    WHERE variant_id = OLD.variant_id AND location_id = OLD.location_id;
END;
CREATE TRIGGER forbid_stock_reservation_move BEFORE UPDATE OF variant_id, location_id ON stock_reservation
WHEN NEW.variant_id <> OLD.variant_id OR NEW.location_id <> OLD.location_id BEGIN
    SELECT RAISE(ABORT, 'stock reservation cannot change variant or location');
END;
CREATE TRIGGER forbid_direct_reserved_update AFTER UPDATE OF reserved ON inventory_level
WHEN NEW.reserved <> OLD.reserved AND NEW.reserved <> (SELECT COALESCE(SUM(quantity), 0) FROM stock_reservation AS r
    WHERE r.variant_id = NEW.variant_id AND r.location_id = NEW.location_id) BEGIN
    SELECT RAISE(ABORT, 'reserved quantity must equal the sum of stock reservations');
END;

CREATE TABLE fulfillment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    carrier TEXT CHECK (length(carrier) BETWEEN 1 AND 100),
    tracking_number TEXT CHECK (length(tracking_number) BETWEEN 1 AND 100),
    tracking_url TEXT CHECK (length(tracking_url) BETWEEN 1 AND 2000),
    delivered_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX fulfillment_order_id_idx ON fulfillment (order_id, id);

CREATE TABLE fulfillment_line (
    fulfillment_id BIGINT NOT NULL REFERENCES fulfillment (id),
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (fulfillment_id, order_line_id)
);
CREATE INDEX fulfillment_line_order_line_id_idx ON fulfillment_line (order_line_id);

CREATE TRIGGER sync_order_line_fulfilled AFTER INSERT ON fulfillment_line BEGIN
    UPDATE order_line SET quantity_fulfilled = quantity_fulfilled + NEW.quantity WHERE id = NEW.order_line_id;
END;
