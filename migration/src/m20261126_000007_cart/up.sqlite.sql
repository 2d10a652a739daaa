-- Carts. Their addresses are copies, independent of later changes of a saved address. `order_id` has no foreign key,
-- because orders are created by a later migration.

CREATE TABLE cart (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE CHECK (length(token) >= 32),
    account_id BIGINT REFERENCES account (id),
    status TEXT NOT NULL CHECK (status IN ('open', 'ordered', 'merged')),
    order_id BIGINT UNIQUE,
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    shipping_address JSON,
    billing_address JSON,
    shipping_method_id BIGINT REFERENCES shipping_method (id),
    note TEXT CHECK (length(note) BETWEEN 1 AND 1000),
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((status = 'ordered') = (order_id IS NOT NULL)),
    CHECK (status <> 'merged' OR account_id IS NOT NULL)
);
-- A customer has at most one open cart.
CREATE UNIQUE INDEX cart_open_account_id_key ON cart (account_id) WHERE status = 'open';
CREATE INDEX cart_account_id_idx ON cart (account_id, id) WHERE account_id IS NOT NULL;
-- Retention: open carts of customers are kept longer than all others.
CREATE INDEX cart_updated_at_idx ON cart (updated_at) WHERE account_id IS NULL OR status <> 'open';
CREATE INDEX cart_customer_updated_at_idx ON cart (updated_at) WHERE account_id IS NOT NULL AND status = 'open';

-- Lines with the same variant and attributes are one line: the digest stands for the attributes in the unique key.
CREATE TABLE cart_line (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cart_id BIGINT NOT NULL REFERENCES cart (id) ON DELETE CASCADE,
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    attributes JSON NOT NULL DEFAULT '{}' CHECK (json_type(attributes) = 'object'),
    attribute_digest TEXT NOT NULL DEFAULT '' CHECK (length(attribute_digest) IN (0, 43)),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((attributes = '{}') = (attribute_digest = '')),
    UNIQUE (cart_id, variant_id, attribute_digest)
);
CREATE INDEX cart_line_variant_id_idx ON cart_line (variant_id);
