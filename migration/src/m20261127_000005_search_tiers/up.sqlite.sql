-- Search: what staff prefer among equally good matches. SQLite's index of words has the names in a column of their own, and
-- its rows by number.
CREATE TABLE search_ranking (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Whether products that are sold out are behind all others of a tier.
    sold_out_last BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
);
INSERT INTO search_ranking (id, sold_out_last, version) VALUES (1, false, 1);

CREATE TABLE search_boost (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    attribute TEXT NOT NULL CHECK (attribute IN ('featured', 'vendor', 'tag')),
    value TEXT CHECK (length(value) BETWEEN 1 AND 200),
    value_normalized TEXT,
    -- By how much newer than it is a product with the attribute is ranked.
    days INTEGER NOT NULL CHECK (days BETWEEN -3650 AND 3650 AND days <> 0),
    CHECK ((attribute = 'featured') = (value IS NULL)),
    CHECK ((value IS NULL) = (value_normalized IS NULL))
);
CREATE UNIQUE INDEX search_boost_attribute_value_key ON search_boost (attribute, COALESCE(value_normalized, ''));

-- The time by which a product is sorted within a tier: its creation, moved by its boosts; by a thousand years if it is
-- sold out.
ALTER TABLE product ADD COLUMN ranked_at TIMESTAMP NOT NULL DEFAULT '';
UPDATE product SET ranked_at = created_at;
CREATE INDEX product_ranked_at_idx ON product (ranked_at, id) WHERE status = 'active' AND deleted_at IS NULL;
-- Names that begin with a search text are found without their products: in the order of the ranking among the names with
-- the same first character, or all of them by the names, which have the time.
CREATE INDEX product_first_character_ranked_at_idx
    ON product (substr(name_normalized, 1, 1), ranked_at, id, name_normalized)
    WHERE status = 'active' AND deleted_at IS NULL;
DROP INDEX product_name_normalized_idx;
CREATE INDEX product_name_normalized_idx ON product (name_normalized, id, ranked_at)
    WHERE status = 'active' AND deleted_at IS NULL;

CREATE VIEW product_ranking AS
SELECT p.id, date(substr(p.created_at, 1, 10), (
    COALESCE((SELECT SUM(b.days) FROM search_boost AS b WHERE CASE b.attribute
        WHEN 'featured' THEN p.featured
        WHEN 'vendor' THEN p.vendor_normalized = b.value_normalized
        ELSE EXISTS (SELECT 1 FROM product_tag AS t WHERE t.product_id = p.id AND t.tag_normalized = b.value_normalized)
    END), 0) - CASE WHEN NOT p.in_stock AND (SELECT s.sold_out_last FROM search_ranking AS s) THEN 365000 ELSE 0 END
) || ' days') || substr(p.created_at, 11) AS ranked_at
FROM product AS p;

CREATE TRIGGER product_rank_insert AFTER INSERT ON product
WHEN NEW.ranked_at <> NEW.created_at OR EXISTS (SELECT 1 FROM search_boost)
    OR (SELECT sold_out_last FROM search_ranking)
BEGIN
    UPDATE product SET ranked_at = (SELECT r.ranked_at FROM product_ranking AS r WHERE r.id = NEW.id) WHERE id = NEW.id;
END;
CREATE TRIGGER product_rank_update AFTER UPDATE OF created_at, featured, in_stock, vendor_normalized ON product
WHEN OLD.created_at <> NEW.created_at OR OLD.featured <> NEW.featured OR OLD.in_stock <> NEW.in_stock
    OR OLD.vendor_normalized IS NOT NEW.vendor_normalized
BEGIN
    UPDATE product SET ranked_at = (SELECT r.ranked_at FROM product_ranking AS r WHERE r.id = NEW.id) WHERE id = NEW.id;
END;
CREATE TRIGGER product_tag_rank_insert AFTER INSERT ON product_tag
WHEN EXISTS (SELECT 1 FROM search_boost WHERE attribute = 'tag' AND value_normalized = NEW.tag_normalized)
BEGIN
    UPDATE product SET ranked_at = (SELECT r.ranked_at FROM product_ranking AS r WHERE r.id = NEW.product_id)
    WHERE id = NEW.product_id;
END;
CREATE TRIGGER product_tag_rank_delete AFTER DELETE ON product_tag
WHEN EXISTS (SELECT 1 FROM search_boost WHERE attribute = 'tag' AND value_normalized = OLD.tag_normalized)
BEGIN
    UPDATE product SET ranked_at = (SELECT r.ranked_at FROM product_ranking AS r WHERE r.id = OLD.product_id)
    WHERE id = OLD.product_id;
END;

-- Products without a row in the search index.
CREATE VIEW product_search_difference AS
SELECT p.id FROM product AS p WHERE p.deleted_at IS NULL AND p.id NOT IN (SELECT s.rowid FROM product_search AS s);
