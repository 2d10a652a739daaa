-- Analytics: figures that are kept from events.

-- The units of each order line that count as sold: ordered and not canceled, in the period of the sort order
-- `BEST_SELLING`. A schedule deletes older rows. Keyed by the line, so that an event that is handled again counts once.
CREATE TABLE counted_sale (
    order_line_id BIGINT PRIMARY KEY REFERENCES order_line (id) ON DELETE CASCADE,
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    units BIGINT NOT NULL CHECK (units >= 0),
    sold_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX counted_sale_sold_at_idx ON counted_sale (sold_at);
CREATE INDEX counted_sale_product_id_idx ON counted_sale (product_id);

-- `product.units_sold` is the sum of the rows of the product.
-- Rows are locked in a fixed order, so that writers do not deadlock.
CREATE FUNCTION add_counted_units() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT product_id, sum(units) AS step FROM inserted_rows
        GROUP BY product_id HAVING sum(units) <> 0 ORDER BY product_id LOOP
        UPDATE product SET units_sold = units_sold + change.step WHERE id = change.product_id;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION change_counted_units() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT product_id, sum(step) AS step FROM (
        SELECT product_id, units AS step FROM inserted_rows
        UNION ALL SELECT product_id, -units FROM deleted_rows
    ) AS steps GROUP BY product_id HAVING sum(step) <> 0 ORDER BY product_id LOOP
        UPDATE product SET units_sold = units_sold + change.step WHERE id = change.product_id;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION remove_counted_units() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT product_id, sum(units) AS step FROM deleted_rows
        GROUP BY product_id HAVING sum(units) <> 0 ORDER BY product_id LOOP
        UPDATE product SET units_sold = units_sold - change.step WHERE id = change.product_id;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER add_counted_units AFTER INSERT ON counted_sale
    REFERENCING NEW TABLE AS inserted_rows FOR EACH STATEMENT EXECUTE FUNCTION add_counted_units();
CREATE TRIGGER change_counted_units AFTER UPDATE ON counted_sale
    REFERENCING OLD TABLE AS deleted_rows NEW TABLE AS inserted_rows
    FOR EACH STATEMENT EXECUTE FUNCTION change_counted_units();
CREATE TRIGGER remove_counted_units AFTER DELETE ON counted_sale
    REFERENCING OLD TABLE AS deleted_rows FOR EACH STATEMENT EXECUTE FUNCTION remove_counted_units();
