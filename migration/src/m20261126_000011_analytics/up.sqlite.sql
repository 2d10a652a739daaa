-- Analytics: figures that are kept from events.

-- The units of each order line that count as sold: ordered and not canceled, in the period of the sort order
-- `BEST_SELLING`. A schedule deletes older rows. Keyed by the line, so that an event that is handled again counts once.
CREATE TABLE counted_sale (
    order_line_id INTEGER PRIMARY KEY REFERENCES order_line (id) ON DELETE CASCADE,
    product_id BIGINT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    units BIGINT NOT NULL CHECK (units >= 0),
    sold_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX counted_sale_sold_at_idx ON counted_sale (sold_at);
CREATE INDEX counted_sale_product_id_idx ON counted_sale (product_id);

-- `product.units_sold` is the sum of the rows of the product.
CREATE TRIGGER add_counted_units AFTER INSERT ON counted_sale BEGIN
    UPDATE product SET units_sold = units_sold + NEW.units WHERE id = NEW.product_id;
END;
CREATE TRIGGER change_counted_units AFTER UPDATE ON counted_sale BEGIN
    UPDATE product SET units_sold = units_sold - OLD.units WHERE id = OLD.product_id;
    UPDATE product SET units_sold = units_sold + NEW.units WHERE id = NEW.product_id;
END;
CREATE TRIGGER remove_counted_units AFTER DELETE ON counted_sale BEGIN
    UPDATE product SET units_sold = units_sold - OLD.units WHERE id = OLD.product_id;
END;
