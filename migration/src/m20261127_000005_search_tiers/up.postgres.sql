-- Search: the words of names in a narrow table, in the order of search results. A search reads the newest rows of it, or
-- its index of words, and of the products those of its page only: the documents of all matches would be a page of the
-- table each.
--
-- Triggers maintain it, in the transaction of the change, also for the previous release, which does not know it.

-- What staff prefer among equally good matches of a search.
CREATE TABLE search_ranking (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    -- Whether products that are sold out are behind all others of a tier.
    sold_out_last BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
);
INSERT INTO search_ranking (id, sold_out_last, version) VALUES (1, false, 1);

CREATE TABLE search_boost (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    attribute TEXT NOT NULL CHECK (attribute IN ('featured', 'vendor', 'tag')),
    value TEXT CHECK (length(value) BETWEEN 1 AND 200),
    value_normalized TEXT COLLATE "C",
    -- By how much newer than it is a product with the attribute is ranked.
    days INTEGER NOT NULL CHECK (days BETWEEN -3650 AND 3650 AND days <> 0),
    CHECK ((attribute = 'featured') = (value IS NULL)),
    CHECK ((value IS NULL) = (value_normalized IS NULL))
);
CREATE UNIQUE INDEX search_boost_attribute_value_key ON search_boost (attribute, COALESCE(value_normalized, ''));

-- The time by which a product is sorted within a tier: its creation, moved by its boosts; by a thousand years if it is
-- sold out.
ALTER TABLE product ADD COLUMN ranked_at TIMESTAMPTZ;
UPDATE product SET ranked_at = created_at;
ALTER TABLE product ALTER COLUMN ranked_at SET DEFAULT now();
ALTER TABLE product ALTER COLUMN ranked_at SET NOT NULL;
-- Names that begin with a search text are found without their products: in the order of the ranking among the names with
-- the same first character, or all of them by the names, which have the time.
CREATE INDEX product_first_character_ranked_at_idx ON product (substr(name_normalized, 1, 1), ranked_at, id)
    INCLUDE (name_normalized) WHERE status = 'active' AND deleted_at IS NULL;
DROP INDEX product_name_normalized_idx;
CREATE INDEX product_name_normalized_idx ON product (name_normalized, id) INCLUDE (ranked_at)
    WHERE status = 'active' AND deleted_at IS NULL;

CREATE VIEW product_ranking AS
SELECT p.id, p.created_at + interval '24 hours' * (
    COALESCE((SELECT SUM(b.days) FROM search_boost AS b WHERE CASE b.attribute
        WHEN 'featured' THEN p.featured
        WHEN 'vendor' THEN p.vendor_normalized = b.value_normalized
        ELSE EXISTS (SELECT 1 FROM product_tag AS t WHERE t.product_id = p.id AND t.tag_normalized = b.value_normalized)
    END), 0) - CASE WHEN NOT p.in_stock AND (SELECT s.sold_out_last FROM search_ranking AS s) THEN 365000 ELSE 0 END
) AS ranked_at
FROM product AS p;

CREATE FUNCTION product_rank_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM search_boost) OR (SELECT s.sold_out_last FROM search_ranking AS s) THEN
        UPDATE product AS p SET ranked_at = r.ranked_at FROM product_ranking AS r
        WHERE r.id = p.id AND p.ranked_at <> r.ranked_at AND p.id IN (SELECT w.id FROM written_rows AS w);
    ELSE
        UPDATE product AS p SET ranked_at = w.created_at FROM written_rows AS w
        WHERE w.ranked_at <> w.created_at AND p.id = w.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER product_rank_insert AFTER INSERT ON product
    REFERENCING NEW TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_rank_inserted();

CREATE FUNCTION product_rank_updated() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE product AS p SET ranked_at = r.ranked_at FROM product_ranking AS r
    WHERE p.id = NEW.id AND r.id = NEW.id AND p.ranked_at <> r.ranked_at;
    RETURN NULL;
END $$;
CREATE TRIGGER product_rank_update AFTER UPDATE OF created_at, featured, in_stock, vendor_normalized ON product
    FOR EACH ROW WHEN ((OLD.created_at, OLD.featured, OLD.in_stock, OLD.vendor_normalized)
        IS DISTINCT FROM (NEW.created_at, NEW.featured, NEW.in_stock, NEW.vendor_normalized))
    EXECUTE FUNCTION product_rank_updated();

CREATE FUNCTION product_rank_tagged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE product AS p SET ranked_at = r.ranked_at FROM product_ranking AS r
    WHERE r.id = p.id AND p.ranked_at <> r.ranked_at AND p.id IN (SELECT w.product_id FROM written_rows AS w
        JOIN search_boost AS b ON b.attribute = 'tag' AND b.value_normalized = w.tag_normalized);
    RETURN NULL;
END $$;
CREATE TRIGGER product_tag_rank_insert AFTER INSERT ON product_tag
    REFERENCING NEW TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_rank_tagged();
CREATE TRIGGER product_tag_rank_delete AFTER DELETE ON product_tag
    REFERENCING OLD TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_rank_tagged();

-- The rows of the search index have what searches filter, sort and count by, too: the matches of a search are filtered and
-- counted without their products, tags and variants, each of which would be a page of another table.
ALTER TABLE product_search
    ADD COLUMN ranked_at TIMESTAMPTZ,
    ADD COLUMN status TEXT,
    ADD COLUMN deleted_at TIMESTAMPTZ,
    ADD COLUMN category_id BIGINT,
    ADD COLUMN current_price BIGINT,
    ADD COLUMN sale_price BIGINT,
    ADD COLUMN in_stock BOOLEAN,
    ADD COLUMN featured BOOLEAN,
    ADD COLUMN facet_values TEXT,
    -- Changes of stock and prices find room on the same page, so that the index of words does not change.
    SET (fillfactor = 90);

-- The vendor (v), tags (t) and option values (o) of a product, each once: kind, option, value, and both as displayed. In one
-- text, because that is read faster than an array.
-- In PL/pgSQL, because the plan of a function in SQL is made anew for each product. Variants are restricted to the product
-- for any index: a session keeps the plan that it made while the tables were empty, when all indexes cost the same.
CREATE FUNCTION product_facet_values(key BIGINT) RETURNS TEXT LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN (
        SELECT COALESCE(string_agg(concat_ws(chr(31), f.kind, f.option_key, f.value_key, f.option_name, f.value), chr(30)
            ORDER BY f.kind, f.option_key, f.value_key), '')
        FROM (
            SELECT 'v' AS kind, '' AS option_key, p.vendor_normalized AS value_key, '' AS option_name, p.vendor AS value
            FROM product AS p WHERE p.id = key AND p.vendor_normalized IS NOT NULL
            UNION ALL
            SELECT 't', '', t.tag_normalized, '', t.tag FROM product_tag AS t WHERE t.product_id = key
            UNION ALL
            SELECT 'o', o.name_normalized, o.value_normalized, MIN(o.name), MIN(o.value) FROM variant_option AS o
            JOIN variant AS v ON v.id = o.variant_id AND v.product_id = key AND v.deleted_at IS NULL
            WHERE o.product_id = key GROUP BY o.name_normalized, o.value_normalized
        ) AS f
    );
END $$;

CREATE FUNCTION product_search_fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    SELECT p.ranked_at, p.status, p.deleted_at, p.category_id, p.current_price, p.sale_price, p.in_stock, p.featured,
        product_facet_values(p.id)
    INTO NEW.ranked_at, NEW.status, NEW.deleted_at, NEW.category_id, NEW.current_price, NEW.sale_price, NEW.in_stock,
        NEW.featured, NEW.facet_values
    FROM product AS p WHERE p.id = NEW.product_id;
    -- The category id is a word of the document, with a character that no other word contains, so that the index finds
    -- words within a category.
    IF TG_OP = 'UPDATE' AND OLD.category_id IS NOT NULL THEN
        NEW.document := ts_delete(NEW.document, '#' || OLD.category_id);
    END IF;
    NEW.document := NEW.document || array_to_tsvector(ARRAY['#' || NEW.category_id]);
    RETURN NEW;
END $$;
CREATE TRIGGER product_search_fill BEFORE INSERT OR UPDATE OF document ON product_search
    FOR EACH ROW EXECUTE FUNCTION product_search_fill();

-- Reads the product, because another trigger may have changed it since.
CREATE FUNCTION product_search_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.category_id <> NEW.category_id THEN
        UPDATE product_search SET document = document WHERE product_id = NEW.id;
    ELSE
        UPDATE product_search SET ranked_at = p.ranked_at, status = p.status, deleted_at = p.deleted_at,
            current_price = p.current_price, sale_price = p.sale_price, in_stock = p.in_stock, featured = p.featured
        FROM product AS p WHERE p.id = NEW.id AND product_search.product_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_follow AFTER UPDATE ON product FOR EACH ROW
    WHEN ((OLD.ranked_at, OLD.status, OLD.deleted_at, OLD.category_id, OLD.current_price, OLD.sale_price, OLD.in_stock,
        OLD.featured) IS DISTINCT FROM (NEW.ranked_at, NEW.status, NEW.deleted_at, NEW.category_id, NEW.current_price,
        NEW.sale_price, NEW.in_stock, NEW.featured))
    EXECUTE FUNCTION product_search_follow();

-- Tags and options change together with the words of a product; a variant may be deleted alone.
CREATE FUNCTION product_search_variant_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE product_search SET facet_values = product_facet_values(NEW.product_id) WHERE product_id = NEW.product_id;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_variant_delete AFTER UPDATE OF deleted_at ON variant FOR EACH ROW
    WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)
    EXECUTE FUNCTION product_search_variant_delete();

-- The existing products.
UPDATE product_search SET document = document;
ALTER TABLE product_search
    ALTER COLUMN ranked_at SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN category_id SET NOT NULL,
    ALTER COLUMN current_price SET NOT NULL,
    ALTER COLUMN in_stock SET NOT NULL,
    ALTER COLUMN featured SET NOT NULL,
    ALTER COLUMN facet_values SET NOT NULL;

CREATE TABLE product_search_name (
    product_id BIGINT PRIMARY KEY REFERENCES product_search (product_id) ON DELETE CASCADE,
    ranked_at TIMESTAMPTZ NOT NULL,
    words TSVECTOR NOT NULL
);

CREATE FUNCTION product_search_name_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO product_search_name (product_id, ranked_at, words)
    SELECT r.product_id, r.ranked_at, r.name FROM written_rows AS r ORDER BY r.product_id;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_name_insert AFTER INSERT ON product_search
    REFERENCING NEW TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_search_name_insert();

CREATE FUNCTION product_search_name_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE product_search_name SET ranked_at = NEW.ranked_at, words = NEW.name WHERE product_id = NEW.product_id;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_name_update AFTER UPDATE ON product_search FOR EACH ROW
    WHEN ((OLD.ranked_at, OLD.name) IS DISTINCT FROM (NEW.ranked_at, NEW.name))
    EXECUTE FUNCTION product_search_name_update();

-- The existing products. Writers of the search index wait, as the triggers above have locked it: nothing is missed.
INSERT INTO product_search_name (product_id, ranked_at, words)
SELECT s.product_id, s.ranked_at, s.name FROM product_search AS s;
CREATE INDEX product_search_name_ranked_at_idx ON product_search_name (ranked_at, product_id);
CREATE INDEX product_search_name_words_idx ON product_search_name USING gin (words) WITH (gin_pending_list_limit = 256);

-- Products whose rows in the search index differ from what the triggers write.
CREATE VIEW product_search_difference AS
SELECT p.id FROM product AS p
LEFT JOIN product_search AS s ON s.product_id = p.id
LEFT JOIN product_search_name AS n ON n.product_id = p.id
WHERE CASE WHEN s.product_id IS NULL THEN p.deleted_at IS NULL ELSE
    (s.name, s.ranked_at) IS DISTINCT FROM (n.words, n.ranked_at)
    OR (s.ranked_at, s.status, s.deleted_at, s.category_id, s.current_price, s.sale_price, s.in_stock, s.featured,
        s.facet_values, ARRAY(SELECT w.word FROM unnest(tsvector_to_array(s.document)) AS w (word) WHERE w.word LIKE '#%'))
    IS DISTINCT FROM (p.ranked_at, p.status, p.deleted_at, p.category_id, p.current_price, p.sale_price, p.in_stock,
        p.featured, product_facet_values(p.id), ARRAY['#' || p.category_id])
END;
