-- Catalog: category tree, products, variants and their child rows, product counts, and the search index.
--
-- `version` is incremented by every visible change of an edit. It is not incremented by stock changes of orders or by
-- scheduled price changes, because those do not conflict with an edit.

-- Incremented by every change of a category: the cached tree of each process is current if it has this version.
CREATE TABLE category_tree_version (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO category_tree_version (id, version) VALUES (1, 1);

CREATE TABLE category (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parent_id BIGINT REFERENCES category (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_normalized TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE CHECK (slug <> ''),
    description TEXT,
    description_html TEXT,
    seo_title TEXT CHECK (length(seo_title) BETWEEN 1 AND 200),
    seo_description TEXT CHECK (length(seo_description) BETWEEN 1 AND 500),
    image TEXT CHECK (image <> ''),
    image_alt TEXT,
    position INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    CHECK (parent_id <> id),
    CHECK (description IS NULL OR description_html IS NOT NULL),
    CHECK (image IS NOT NULL OR image_alt IS NULL)
);
-- Siblings have different names.
CREATE UNIQUE INDEX category_parent_id_name_normalized_key ON category (COALESCE(parent_id, 0), name_normalized)
    WHERE deleted_at IS NULL;
CREATE INDEX category_parent_id_idx ON category (parent_id);

-- `sku`, the prices and `in_stock` are derived from the variants. Triggers on `counted_sale` maintain `units_sold`.
CREATE TABLE product (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE CHECK (slug <> ''),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
    name_normalized TEXT NOT NULL,
    vendor TEXT,
    vendor_normalized TEXT,
    category_id BIGINT NOT NULL REFERENCES category (id),
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    featured BOOLEAN NOT NULL,
    image TEXT,
    sku TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price >= 0),
    sale_price BIGINT CHECK (sale_price >= 0 AND sale_price <= price),
    current_price BIGINT NOT NULL CHECK (current_price = COALESCE(sale_price, price)),
    max_current_price BIGINT NOT NULL CHECK (max_current_price >= current_price),
    discount_percent BIGINT NOT NULL,
    next_price_change_at TIMESTAMP,
    sale_ends_at TIMESTAMP,
    in_stock BOOLEAN NOT NULL,
    units_sold BIGINT NOT NULL DEFAULT 0 CHECK (units_sold >= 0),
    version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    CHECK ((vendor IS NULL) = (vendor_normalized IS NULL)),
    CHECK (sale_ends_at IS NULL OR sale_price IS NOT NULL),
    CHECK (discount_percent = CASE WHEN price > 0 THEN (price - current_price) * 100 / price ELSE 0 END)
);
-- The storefront lists: one index per sort order, for all products and within a category.
CREATE INDEX product_featured_created_at_idx ON product (featured, created_at, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_created_at_idx ON product (created_at, id) WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_current_price_idx ON product (current_price, id) WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_name_normalized_idx ON product (name_normalized, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_featured_created_at_idx ON product (category_id, featured, created_at, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_created_at_idx ON product (category_id, created_at, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_current_price_idx ON product (category_id, current_price, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_name_normalized_idx ON product (category_id, name_normalized, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_units_sold_idx ON product (units_sold, id) WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_units_sold_idx ON product (category_id, units_sold, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_discount_percent_idx ON product (discount_percent, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_category_id_discount_percent_idx ON product (category_id, discount_percent, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_vendor_normalized_created_at_idx ON product (vendor_normalized, created_at, id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX product_on_sale_created_at_idx ON product (created_at, id)
    WHERE status = 'active' AND deleted_at IS NULL AND sale_price IS NOT NULL;
-- The staff lists and background jobs.
CREATE INDEX product_unpublished_created_at_idx ON product (created_at, id)
    WHERE status <> 'active' AND deleted_at IS NULL;
CREATE INDEX product_updated_at_idx ON product (updated_at, id);
CREATE INDEX product_category_id_idx ON product (category_id);
CREATE INDEX product_next_price_change_at_idx ON product (next_price_change_at)
    WHERE next_price_change_at IS NOT NULL;

-- A separate table, so that lists do not read descriptions, and titles and descriptions for search engines.
CREATE TABLE product_description (
    product_id BIGINT PRIMARY KEY REFERENCES product (id) ON DELETE CASCADE,
    html TEXT NOT NULL,
    text TEXT NOT NULL,
    seo_title TEXT CHECK (length(seo_title) BETWEEN 1 AND 200),
    seo_description TEXT CHECK (length(seo_description) BETWEEN 1 AND 500)
);

CREATE TABLE product_option (
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    name TEXT NOT NULL CHECK (name <> ''),
    PRIMARY KEY (product_id, position)
);

CREATE TABLE product_tag (
    tag_normalized TEXT NOT NULL CHECK (tag_normalized <> ''),
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (tag_normalized, product_id)
);
CREATE INDEX product_tag_product_id_idx ON product_tag (product_id);

CREATE TABLE product_image (
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    url TEXT NOT NULL CHECK (url <> ''),
    alt TEXT,
    PRIMARY KEY (product_id, position)
);

CREATE TABLE variant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sku TEXT NOT NULL UNIQUE CHECK (length(sku) BETWEEN 1 AND 200),
    name TEXT NOT NULL,
    options_normalized TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price >= 0),
    sale_price BIGINT CHECK (sale_price >= 0 AND sale_price <= price),
    sale_starts_at TIMESTAMP,
    sale_ends_at TIMESTAMP,
    weight_grams BIGINT CHECK (weight_grams >= 0),
    -- In thousandths of the unit.
    content_quantity BIGINT CHECK (content_quantity > 0),
    content_unit TEXT CHECK (content_unit IN ('mg', 'g', 'kg', 'ml', 'cl', 'l', 'mm', 'cm', 'm', 'm2', 'item')),
    image TEXT,
    barcode TEXT,
    track_stock BOOLEAN NOT NULL,
    allow_backorder BOOLEAN NOT NULL DEFAULT false,
    position INTEGER NOT NULL CHECK (position >= 0),
    version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    CHECK (sale_starts_at < sale_ends_at),
    CHECK ((content_quantity IS NULL) = (content_unit IS NULL)),
    CHECK (sale_price IS NOT NULL OR (sale_starts_at IS NULL AND sale_ends_at IS NULL))
);
CREATE INDEX variant_product_id_position_idx ON variant (product_id, position, id);
CREATE INDEX variant_barcode_idx ON variant (barcode, id) WHERE barcode IS NOT NULL;
CREATE INDEX variant_lower_sku_idx ON variant (lower(sku));
-- A combination of option values exists once in a product.
CREATE UNIQUE INDEX variant_product_id_options_normalized_key ON variant (product_id, options_normalized)
    WHERE deleted_at IS NULL;

CREATE TABLE variant_option (
    variant_id BIGINT NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (name <> ''),
    name_normalized TEXT NOT NULL,
    value TEXT NOT NULL CHECK (value <> ''),
    value_normalized TEXT NOT NULL,
    PRIMARY KEY (variant_id, position)
);
CREATE INDEX variant_option_name_value_normalized_idx ON variant_option (name_normalized, value_normalized, product_id);
CREATE INDEX variant_option_product_id_idx ON variant_option (product_id);

-- The number of published products directly in a category, maintained by triggers on every change of a product.
CREATE TABLE category_product_count (
    category_id BIGINT PRIMARY KEY REFERENCES category (id) ON DELETE CASCADE,
    product_count BIGINT NOT NULL CHECK (product_count >= 0)
);

-- Row by row: there is a single writer.
CREATE TRIGGER category_product_count_insert AFTER INSERT ON product
WHEN NEW.status = 'active' AND NEW.deleted_at IS NULL BEGIN
    INSERT INTO category_product_count VALUES (NEW.category_id, 1)
    ON CONFLICT (category_id) DO UPDATE SET product_count = product_count + 1;
END;
CREATE TRIGGER category_product_count_update AFTER UPDATE OF category_id, status, deleted_at ON product BEGIN
    UPDATE category_product_count SET product_count = product_count - 1
    WHERE category_id = OLD.category_id AND OLD.status = 'active' AND OLD.deleted_at IS NULL;
    INSERT INTO category_product_count
    SELECT NEW.category_id, 1 WHERE NEW.status = 'active' AND NEW.deleted_at IS NULL
    ON CONFLICT (category_id) DO UPDATE SET product_count = product_count + 1;
END;
CREATE TRIGGER category_product_count_delete AFTER DELETE ON product
WHEN OLD.status = 'active' AND OLD.deleted_at IS NULL BEGIN
    UPDATE category_product_count SET product_count = product_count - 1 WHERE category_id = OLD.category_id;
END;

-- The search index: one row per product. Both databases index the same normalized words, so that they return the same
-- results.
-- The ASCII tokenizer splits only at spaces.
CREATE VIRTUAL TABLE product_search USING fts5 (
    name, document, content = '', contentless_delete = 1, detail = 'column', prefix = '2 3', tokenize = 'ascii'
);
CREATE TRIGGER product_search_delete AFTER DELETE ON product BEGIN
    DELETE FROM product_search WHERE rowid = OLD.id;
END;

-- The vocabulary for typo correction: a mistyped word is compared with terms that have the same prefix, the same
-- suffix, or the same first and last letter.
CREATE TABLE search_term (
    term TEXT PRIMARY KEY,
    reversed TEXT NOT NULL,
    end_letters TEXT NOT NULL
);
CREATE INDEX search_term_length_term_idx ON search_term (length(term), term);
CREATE INDEX search_term_length_reversed_idx ON search_term (length(term), reversed);
CREATE INDEX search_term_length_end_letters_idx ON search_term (length(term), end_letters, term);
