-- Pricing: tax rates and shipping methods.

CREATE TABLE tax_rate (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    country_code TEXT NOT NULL CHECK (length(country_code) = 2 AND country_code = upper(country_code)),
    category_id BIGINT REFERENCES category (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    rate_bps INTEGER NOT NULL CHECK (rate_bps BETWEEN 0 AND 10000),
    included_in_price BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
-- One rate per country, and one per country and category.
CREATE UNIQUE INDEX tax_rate_country_code_category_id_key ON tax_rate (country_code, COALESCE(category_id, 0));

-- Soft-deleted, because carts reference them.
CREATE TABLE shipping_method (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description TEXT CHECK (length(description) BETWEEN 1 AND 1000),
    countries TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('flat', 'weight')),
    price BIGINT NOT NULL CHECK (price BETWEEN 0 AND 1000000000000000),
    price_per_kg BIGINT CHECK (price_per_kg BETWEEN 0 AND 1000000000000000),
    min_weight_grams BIGINT CHECK (min_weight_grams >= 0),
    max_weight_grams BIGINT CHECK (max_weight_grams >= 0),
    free_shipping_threshold BIGINT CHECK (free_shipping_threshold BETWEEN 0 AND 1000000000000000),
    taxable BOOLEAN NOT NULL,
    position INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    CHECK ((kind = 'weight') = (price_per_kg IS NOT NULL)),
    CHECK (min_weight_grams <= max_weight_grams)
);
CREATE INDEX shipping_method_position_idx ON shipping_method (position, id) WHERE deleted_at IS NULL;
