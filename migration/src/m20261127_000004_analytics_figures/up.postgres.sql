-- Analytics: daily figures of orders, products and carts, each the sum of contributions.

-- What each order contributes to the figures of a day: the day on which it was placed, and each day on which a part of it
-- was refunded. Written by the handler of its events and by the rebuild, from the current state of the order, so that an
-- event that is handled again changes nothing. Rows are replaced, never updated. There is no personal data in it.
CREATE TABLE order_figure (
    order_id BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    day DATE NOT NULL,
    channel TEXT COLLATE "C" NOT NULL CHECK (length(channel) BETWEEN 1 AND 40),
    -- Destination; empty if the order has no address.
    country TEXT COLLATE "C" NOT NULL CHECK (length(country) IN (0, 2)),
    orders BIGINT NOT NULL CHECK (orders >= 0),
    canceled_orders BIGINT NOT NULL CHECK (canceled_orders >= 0),
    units BIGINT NOT NULL CHECK (units >= 0),
    new_customers BIGINT NOT NULL CHECK (new_customers >= 0),
    returning_orders BIGINT NOT NULL CHECK (returning_orders >= 0),
    gross_sales BIGINT NOT NULL CHECK (gross_sales >= 0),
    discounts BIGINT NOT NULL CHECK (discounts >= 0),
    shipping BIGINT NOT NULL CHECK (shipping >= 0),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    canceled_sales BIGINT NOT NULL CHECK (canceled_sales >= 0),
    total_sales BIGINT NOT NULL CHECK (total_sales >= 0),
    refunds BIGINT NOT NULL CHECK (refunds >= 0),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, day),
    -- An order is placed once: it counts as placed or as canceled, of a new or of a returning customer.
    CHECK (orders + canceled_orders <= 1),
    CHECK (new_customers + returning_orders = orders + canceled_orders),
    CHECK (orders = 1 OR units + gross_sales + discounts + shipping + tax + canceled_sales + total_sales = 0)
);
CREATE INDEX order_figure_day_idx ON order_figure (day);

-- The sums of `order_figure` by day, channel and country, maintained by triggers. Rows are updated
-- often: with room in their page, no index entry is added.
CREATE TABLE daily_figure (
    day DATE NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    country TEXT COLLATE "C" NOT NULL,
    orders BIGINT NOT NULL CHECK (orders >= 0),
    canceled_orders BIGINT NOT NULL CHECK (canceled_orders >= 0),
    units BIGINT NOT NULL CHECK (units >= 0),
    new_customers BIGINT NOT NULL CHECK (new_customers >= 0),
    returning_orders BIGINT NOT NULL CHECK (returning_orders >= 0),
    gross_sales BIGINT NOT NULL CHECK (gross_sales >= 0),
    discounts BIGINT NOT NULL CHECK (discounts >= 0),
    shipping BIGINT NOT NULL CHECK (shipping >= 0),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    canceled_sales BIGINT NOT NULL CHECK (canceled_sales >= 0),
    total_sales BIGINT NOT NULL CHECK (total_sales >= 0),
    refunds BIGINT NOT NULL CHECK (refunds >= 0),
    PRIMARY KEY (day, channel, country),
    CHECK (new_customers + returning_orders = orders + canceled_orders)
) WITH (fillfactor = 70);

-- The units of each order line that count as sold on the day of the order, and their value. Replaced in the same way.
CREATE TABLE order_line_figure (
    order_line_id BIGINT PRIMARY KEY REFERENCES order_line (id) ON DELETE CASCADE,
    order_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    day DATE NOT NULL,
    units BIGINT NOT NULL CHECK (units > 0),
    sales BIGINT NOT NULL CHECK (sales >= 0),
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX order_line_figure_order_id_idx ON order_line_figure (order_id);
CREATE INDEX order_line_figure_day_idx ON order_line_figure (day);

-- The sums of `order_line_figure` by day and product, maintained by triggers. Without a foreign key: the figures of a
-- product that was deleted stay.
CREATE TABLE daily_product_figure (
    day DATE NOT NULL,
    product_id BIGINT NOT NULL,
    units BIGINT NOT NULL CHECK (units >= 0),
    sales BIGINT NOT NULL CHECK (sales >= 0),
    PRIMARY KEY (day, product_id)
) WITH (fillfactor = 70);

-- The carts that were filled, until they are deleted by their retention: whether each counts, and was ordered.
CREATE TABLE cart_figure (
    cart_id BIGINT PRIMARY KEY,
    day DATE NOT NULL,
    carts BIGINT NOT NULL CHECK (carts IN (0, 1)),
    ordered_carts BIGINT NOT NULL CHECK (ordered_carts BETWEEN 0 AND carts),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- The sums of `cart_figure` by day, maintained by triggers. They stay when a row of `cart_figure` is deleted.
CREATE TABLE daily_cart_figure (
    day DATE PRIMARY KEY,
    carts BIGINT NOT NULL CHECK (carts >= 0),
    ordered_carts BIGINT NOT NULL CHECK (ordered_carts BETWEEN 0 AND carts)
);

-- One row, which is locked by everything that changes figures: one at a time. The time zone of the days (null until the
-- first start, which stores the configured one), the position up to which events of carts are counted, and when the
-- rebuild began that has not finished.
CREATE TABLE analytics_state (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    time_zone TEXT CHECK (length(time_zone) BETWEEN 1 AND 64),
    cart_position BIGINT NOT NULL CHECK (cart_position >= 0),
    rebuild_started_at TIMESTAMPTZ
);
INSERT INTO analytics_state (id, time_zone, cart_position) VALUES (1, NULL, 0);

CREATE FUNCTION add_order_figures() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO daily_figure AS d (day, channel, country,
        orders, canceled_orders, units, new_customers, returning_orders, gross_sales, discounts, shipping, tax,
        canceled_sales, total_sales, refunds)
    SELECT day, channel, country,
        sum(orders), sum(canceled_orders), sum(units), sum(new_customers), sum(returning_orders), sum(gross_sales),
        sum(discounts), sum(shipping), sum(tax), sum(canceled_sales), sum(total_sales), sum(refunds)
    FROM inserted_rows GROUP BY day, channel, country ORDER BY day, channel, country
    ON CONFLICT (day, channel, country) DO UPDATE SET
        orders = d.orders + excluded.orders, canceled_orders = d.canceled_orders + excluded.canceled_orders,
        units = d.units + excluded.units, new_customers = d.new_customers + excluded.new_customers,
        returning_orders = d.returning_orders + excluded.returning_orders,
        gross_sales = d.gross_sales + excluded.gross_sales, discounts = d.discounts + excluded.discounts,
        shipping = d.shipping + excluded.shipping, tax = d.tax + excluded.tax,
        canceled_sales = d.canceled_sales + excluded.canceled_sales,
        total_sales = d.total_sales + excluded.total_sales, refunds = d.refunds + excluded.refunds;
    RETURN NULL;
END $$;
CREATE FUNCTION remove_order_figures() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT day, channel, country,
        sum(orders) AS orders, sum(canceled_orders) AS canceled_orders, sum(units) AS units,
        sum(new_customers) AS new_customers, sum(returning_orders) AS returning_orders,
        sum(gross_sales) AS gross_sales, sum(discounts) AS discounts, sum(shipping) AS shipping, sum(tax) AS tax,
        sum(canceled_sales) AS canceled_sales, sum(total_sales) AS total_sales, sum(refunds) AS refunds
        FROM deleted_rows GROUP BY day, channel, country ORDER BY day, channel, country LOOP
        UPDATE daily_figure AS d SET
            orders = d.orders - change.orders, canceled_orders = d.canceled_orders - change.canceled_orders,
            units = d.units - change.units, new_customers = d.new_customers - change.new_customers,
            returning_orders = d.returning_orders - change.returning_orders,
            gross_sales = d.gross_sales - change.gross_sales, discounts = d.discounts - change.discounts,
            shipping = d.shipping - change.shipping, tax = d.tax - change.tax,
            canceled_sales = d.canceled_sales - change.canceled_sales,
            total_sales = d.total_sales - change.total_sales, refunds = d.refunds - change.refunds
        WHERE d.day = change.day AND d.channel = change.channel AND d.country = change.country;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER add_order_figures AFTER INSERT ON order_figure
    REFERENCING NEW TABLE AS inserted_rows FOR EACH STATEMENT EXECUTE FUNCTION add_order_figures();
CREATE TRIGGER remove_order_figures AFTER DELETE ON order_figure
    REFERENCING OLD TABLE AS deleted_rows FOR EACH STATEMENT EXECUTE FUNCTION remove_order_figures();
CREATE FUNCTION add_order_line_figures() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO daily_product_figure AS d (day, product_id,
        units, sales)
    SELECT day, product_id,
        sum(units), sum(sales)
    FROM inserted_rows GROUP BY day, product_id ORDER BY day, product_id
    ON CONFLICT (day, product_id) DO UPDATE SET
        units = d.units + excluded.units, sales = d.sales + excluded.sales;
    RETURN NULL;
END $$;
CREATE FUNCTION remove_order_line_figures() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT day, product_id,
        sum(units) AS units, sum(sales) AS sales
        FROM deleted_rows GROUP BY day, product_id ORDER BY day, product_id LOOP
        UPDATE daily_product_figure AS d SET
            units = d.units - change.units, sales = d.sales - change.sales
        WHERE d.day = change.day AND d.product_id = change.product_id;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER add_order_line_figures AFTER INSERT ON order_line_figure
    REFERENCING NEW TABLE AS inserted_rows FOR EACH STATEMENT EXECUTE FUNCTION add_order_line_figures();
CREATE TRIGGER remove_order_line_figures AFTER DELETE ON order_line_figure
    REFERENCING OLD TABLE AS deleted_rows FOR EACH STATEMENT EXECUTE FUNCTION remove_order_line_figures();
CREATE FUNCTION add_cart_figures() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO daily_cart_figure AS d (day, carts, ordered_carts)
    SELECT day, sum(carts), sum(ordered_carts) FROM inserted_rows GROUP BY day ORDER BY day
    ON CONFLICT (day) DO UPDATE SET carts = d.carts + excluded.carts,
        ordered_carts = d.ordered_carts + excluded.ordered_carts;
    RETURN NULL;
END $$;
CREATE FUNCTION change_cart_figures() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE change record; BEGIN
    FOR change IN SELECT day, sum(carts) AS carts, sum(ordered_carts) AS ordered_carts FROM (
        SELECT day, carts, ordered_carts FROM inserted_rows
        UNION ALL SELECT day, -carts, -ordered_carts FROM deleted_rows
    ) AS steps GROUP BY day ORDER BY day LOOP
        UPDATE daily_cart_figure AS d SET carts = d.carts + change.carts,
            ordered_carts = d.ordered_carts + change.ordered_carts WHERE d.day = change.day;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER add_cart_figures AFTER INSERT ON cart_figure
    REFERENCING NEW TABLE AS inserted_rows FOR EACH STATEMENT EXECUTE FUNCTION add_cart_figures();
CREATE TRIGGER change_cart_figures AFTER UPDATE ON cart_figure
    REFERENCING OLD TABLE AS deleted_rows NEW TABLE AS inserted_rows
    FOR EACH STATEMENT EXECUTE FUNCTION change_cart_figures();
CREATE FUNCTION forbid_figure_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'figures of an order are replaced, not updated' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER forbid_order_figure_update BEFORE UPDATE ON order_figure
    FOR EACH ROW EXECUTE FUNCTION forbid_figure_update();
CREATE TRIGGER forbid_order_line_figure_update BEFORE UPDATE ON order_line_figure
    FOR EACH ROW EXECUTE FUNCTION forbid_figure_update();
