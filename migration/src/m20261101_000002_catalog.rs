//! Categories, products, variants and their child rows.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Triggers keep `category_tally` consistent with every change of a product: one aggregated statement on PostgreSQL
/// (rows are locked in a fixed order, so that writers do not deadlock), row by row on SQLite, which has a single
/// writer.
const UP: &str = "
CREATE TABLE category_tree (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
)
--
INSERT INTO category_tree (id, version) VALUES (1, 1)
--
CREATE TABLE category (
    id {key},
    parent_id BIGINT REFERENCES category (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key TEXT {bytewise} NOT NULL,
    slug TEXT NOT NULL UNIQUE CHECK (slug <> ''),
    description TEXT,
    position INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    CHECK (parent_id <> id)
)
--
CREATE UNIQUE INDEX category_sibling ON category (COALESCE(parent_id, 0), name_key) WHERE deleted_at IS NULL
--
CREATE TABLE product (
    id {key},
    slug TEXT NOT NULL UNIQUE CHECK (slug <> ''),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
    name_key TEXT {bytewise} NOT NULL,
    vendor TEXT,
    vendor_key TEXT {bytewise},
    category_id BIGINT NOT NULL REFERENCES category (id),
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    featured BOOLEAN NOT NULL,
    image TEXT,
    sku TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price >= 0),
    sale_price BIGINT CHECK (sale_price >= 0 AND sale_price <= price),
    price_now BIGINT NOT NULL CHECK (price_now = COALESCE(sale_price, price)),
    price_max BIGINT NOT NULL CHECK (price_max >= price_now),
    in_stock BOOLEAN NOT NULL,
    reprice_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    CHECK ((vendor IS NULL) = (vendor_key IS NULL))
)
--
CREATE INDEX product_best ON product (featured, created_at, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_newest ON product (created_at, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_price ON product (price_now, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_name ON product (name_key, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_category_best ON product (category_id, featured, created_at, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_category_newest ON product (category_id, created_at, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_category_price ON product (category_id, price_now, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_category_name ON product (category_id, name_key, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_vendor ON product (vendor_key, created_at, id) WHERE status = 'active' AND deleted_at IS NULL
--
CREATE INDEX product_sale ON product (created_at, id) WHERE status = 'active' AND deleted_at IS NULL AND sale_price IS NOT NULL
--
CREATE INDEX product_updated ON product (updated_at, id)
--
CREATE INDEX product_reprice ON product (reprice_at) WHERE reprice_at IS NOT NULL
--
CREATE TABLE product_description (
    product_id BIGINT PRIMARY KEY REFERENCES product (id) ON DELETE CASCADE,
    html TEXT NOT NULL,
    text TEXT NOT NULL
)
--
CREATE TABLE product_option (
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    name TEXT NOT NULL CHECK (name <> ''),
    PRIMARY KEY (product_id, position)
)
--
CREATE TABLE product_tag (
    tag_key TEXT {bytewise} NOT NULL CHECK (tag_key <> ''),
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (tag_key, product_id)
)
--
CREATE INDEX product_tag_product ON product_tag (product_id)
--
CREATE TABLE product_image (
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    url TEXT NOT NULL CHECK (url <> ''),
    alt TEXT,
    PRIMARY KEY (product_id, position)
)
--
CREATE TABLE variant (
    id {key},
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sku TEXT NOT NULL UNIQUE CHECK (length(sku) BETWEEN 1 AND 200),
    name TEXT NOT NULL,
    option_key TEXT {bytewise} NOT NULL,
    price BIGINT NOT NULL CHECK (price >= 0),
    sale_price BIGINT CHECK (sale_price >= 0 AND sale_price <= price),
    sale_starts_at {time},
    sale_ends_at {time},
    weight_grams BIGINT CHECK (weight_grams >= 0),
    image TEXT,
    barcode TEXT,
    track_stock BOOLEAN NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    CHECK (sale_starts_at < sale_ends_at),
    CHECK (sale_price IS NOT NULL OR (sale_starts_at IS NULL AND sale_ends_at IS NULL))
)
--
CREATE INDEX variant_product ON variant (product_id, position, id)
--
CREATE INDEX variant_sku_any_case ON variant (lower(sku))
--
CREATE UNIQUE INDEX variant_options ON variant (product_id, option_key) WHERE deleted_at IS NULL
--
CREATE TABLE variant_option (
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (name <> ''),
    name_key TEXT {bytewise} NOT NULL,
    value TEXT NOT NULL CHECK (value <> ''),
    value_key TEXT {bytewise} NOT NULL,
    PRIMARY KEY (variant_id, position)
)
--
CREATE INDEX variant_option_value ON variant_option (name_key, value_key, product_id)
--
CREATE INDEX variant_option_product ON variant_option (product_id)
--
CREATE TABLE category_tally (
    category_id BIGINT PRIMARY KEY REFERENCES category (id) ON DELETE CASCADE,
    products BIGINT NOT NULL CHECK (products >= 0)
)
--
pg:CREATE FUNCTION category_tally_add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
pg:    INSERT INTO category_tally SELECT category_id, count(*) FROM made
pg:    WHERE status = 'active' AND deleted_at IS NULL GROUP BY category_id ORDER BY category_id
pg:    ON CONFLICT (category_id) DO UPDATE SET products = category_tally.products + excluded.products;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE FUNCTION category_tally_move() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
pg:    FOR change IN SELECT category_id, sum(step) AS step FROM (
pg:        SELECT category_id, 1 AS step FROM made WHERE status = 'active' AND deleted_at IS NULL
pg:        UNION ALL SELECT category_id, -1 FROM gone WHERE status = 'active' AND deleted_at IS NULL
pg:    ) AS steps GROUP BY category_id HAVING sum(step) <> 0 ORDER BY category_id LOOP
pg:        UPDATE category_tally SET products = products + change.step WHERE category_id = change.category_id;
pg:        IF NOT FOUND THEN
pg:            INSERT INTO category_tally VALUES (change.category_id, change.step)
pg:            ON CONFLICT (category_id) DO UPDATE SET products = category_tally.products + excluded.products;
pg:        END IF;
pg:    END LOOP;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE FUNCTION category_tally_drop() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
pg:    FOR change IN SELECT category_id, count(*) AS step FROM gone
pg:        WHERE status = 'active' AND deleted_at IS NULL GROUP BY category_id ORDER BY category_id LOOP
pg:        UPDATE category_tally SET products = products - change.step WHERE category_id = change.category_id;
pg:    END LOOP;
pg:    RETURN NULL;
pg:END $$
--
pg:CREATE TRIGGER category_tally_add AFTER INSERT ON product
pg:    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION category_tally_add()
--
pg:CREATE TRIGGER category_tally_move AFTER UPDATE ON product
pg:    REFERENCING OLD TABLE AS gone NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION category_tally_move()
--
pg:CREATE TRIGGER category_tally_drop AFTER DELETE ON product
pg:    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION category_tally_drop()
--
lite:CREATE TRIGGER category_tally_add AFTER INSERT ON product
lite:WHEN NEW.status = 'active' AND NEW.deleted_at IS NULL BEGIN
lite:    INSERT INTO category_tally VALUES (NEW.category_id, 1)
lite:    ON CONFLICT (category_id) DO UPDATE SET products = products + 1;
lite:END
--
lite:CREATE TRIGGER category_tally_move AFTER UPDATE OF category_id, status, deleted_at ON product BEGIN
lite:    UPDATE category_tally SET products = products - 1
lite:    WHERE category_id = OLD.category_id AND OLD.status = 'active' AND OLD.deleted_at IS NULL;
lite:    INSERT INTO category_tally SELECT NEW.category_id, 1 WHERE NEW.status = 'active' AND NEW.deleted_at IS NULL
lite:    ON CONFLICT (category_id) DO UPDATE SET products = products + 1;
lite:END
--
lite:CREATE TRIGGER category_tally_drop AFTER DELETE ON product
lite:WHEN OLD.status = 'active' AND OLD.deleted_at IS NULL BEGIN
lite:    UPDATE category_tally SET products = products - 1 WHERE category_id = OLD.category_id;
lite:END
";

const DOWN: &str = "
DROP TABLE category_tally
--
DROP TABLE variant_option
--
DROP TABLE variant
--
DROP TABLE product_image
--
DROP TABLE product_tag
--
DROP TABLE product_option
--
DROP TABLE product_description
--
DROP TABLE product
--
pg:DROP FUNCTION category_tally_add, category_tally_move, category_tally_drop
--
DROP TABLE category
--
DROP TABLE category_tree
";
