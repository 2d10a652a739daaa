-- Search: the words of names in a narrow table, in the order of creation. A search reads the newest rows of it, or its
-- index of words, and of the products those of its page only: the documents of all matches would be a page of the table
-- each.
--
-- Triggers maintain it, in the transaction of the change, also for the previous release, which does not know it.
CREATE TABLE product_search_name (
    product_id BIGINT PRIMARY KEY REFERENCES product_search (product_id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    words TSVECTOR NOT NULL
);

CREATE FUNCTION product_search_name_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO product_search_name AS n (product_id, created_at, words)
    SELECT r.product_id, p.created_at, r.name FROM written_rows AS r JOIN product AS p ON p.id = r.product_id
    ORDER BY r.product_id
    ON CONFLICT (product_id) DO UPDATE SET words = excluded.words WHERE n.words IS DISTINCT FROM excluded.words;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_name_insert AFTER INSERT ON product_search
    REFERENCING NEW TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_search_name_write();
CREATE TRIGGER product_search_name_update AFTER UPDATE ON product_search
    REFERENCING NEW TABLE AS written_rows
    FOR EACH STATEMENT EXECUTE FUNCTION product_search_name_write();

-- Products keep their time of creation; whoever changes it by hand is not left with another order in searches.
CREATE FUNCTION product_search_name_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE product_search_name SET created_at = NEW.created_at WHERE product_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER product_search_name_move AFTER UPDATE OF created_at ON product
    FOR EACH ROW WHEN (OLD.created_at <> NEW.created_at) EXECUTE FUNCTION product_search_name_move();

-- The existing products. Writers of the search index wait, as the triggers above have locked it: nothing is missed.
INSERT INTO product_search_name (product_id, created_at, words)
SELECT s.product_id, p.created_at, s.name FROM product_search AS s JOIN product AS p ON p.id = s.product_id;
CREATE INDEX product_search_name_created_at_idx ON product_search_name (created_at, product_id);
CREATE INDEX product_search_name_words_idx ON product_search_name USING gin (words);
