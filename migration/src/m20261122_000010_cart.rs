//! Shipping methods, tax rates and carts.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Shipping methods are soft-deleted, because carts reference them. A cart's addresses are copies, independent of later
/// changes of a saved address. `order_id` has no foreign key here, because the order table is created by a later
/// migration.
const UP: &str = "
CREATE TABLE tax_rate (
    id {key},
    country_code TEXT NOT NULL CHECK (length(country_code) = 2 AND country_code = upper(country_code)),
    category_id BIGINT REFERENCES category (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    basis_points INTEGER NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
    included BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE UNIQUE INDEX tax_rate_place ON tax_rate (country_code, COALESCE(category_id, 0))
--
CREATE TABLE shipping_method (
    id {key},
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description TEXT CHECK (length(description) BETWEEN 1 AND 1000),
    countries TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('flat', 'weight')),
    price BIGINT NOT NULL CHECK (price BETWEEN 0 AND 1000000000000000),
    price_per_kg BIGINT CHECK (price_per_kg BETWEEN 0 AND 1000000000000000),
    min_grams BIGINT CHECK (min_grams >= 0),
    max_grams BIGINT CHECK (max_grams >= 0),
    free_from BIGINT CHECK (free_from BETWEEN 0 AND 1000000000000000),
    taxable BOOLEAN NOT NULL,
    position INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    CHECK ((kind = 'weight') = (price_per_kg IS NOT NULL)),
    CHECK (min_grams <= max_grams)
)
--
CREATE INDEX shipping_method_order ON shipping_method (position, id) WHERE deleted_at IS NULL
--
CREATE TABLE cart (
    id {key},
    word TEXT {bytewise} NOT NULL UNIQUE CHECK (length(word) >= 32),
    account_id BIGINT REFERENCES account (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'ordered', 'merged')),
    order_id BIGINT UNIQUE,
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    shipping_address {json},
    billing_address {json},
    shipping_method_id BIGINT REFERENCES shipping_method (id),
    note TEXT CHECK (length(note) BETWEEN 1 AND 1000),
    version INTEGER NOT NULL CHECK (version > 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK ((state = 'ordered') = (order_id IS NOT NULL)),
    CHECK (state <> 'merged' OR account_id IS NOT NULL)
)
--
CREATE UNIQUE INDEX cart_open ON cart (account_id) WHERE state = 'open'
--
CREATE INDEX cart_account ON cart (account_id, id) WHERE account_id IS NOT NULL
--
CREATE INDEX cart_untouched ON cart (updated_at) WHERE account_id IS NULL OR state <> 'open'
--
CREATE INDEX cart_untouched_customer ON cart (updated_at) WHERE account_id IS NOT NULL AND state = 'open'
--
CREATE TABLE cart_line (
    cart_id BIGINT NOT NULL REFERENCES cart (id) ON DELETE CASCADE,
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (cart_id, variant_id)
)
--
CREATE INDEX cart_line_variant ON cart_line (variant_id)
";

const DOWN: &str = "
DROP TABLE cart_line
--
DROP TABLE cart
--
DROP TABLE shipping_method
--
DROP TABLE tax_rate
";
