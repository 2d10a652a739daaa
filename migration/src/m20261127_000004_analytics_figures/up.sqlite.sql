-- Analytics: daily figures of orders, products and carts, each the sum of contributions.

-- What each order contributes to the figures of a day: the day on which it was placed, and each day on which a part of it
-- was refunded. Written by the handler of its events and by the rebuild, from the current state of the order, so that an
-- event that is handled again changes nothing. Rows are replaced, never updated. There is no personal data in it.
CREATE TABLE order_figure (
    order_id BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    day DATE NOT NULL,
    channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 40),
    -- Destination; empty if the order has no address.
    country TEXT NOT NULL CHECK (length(country) IN (0, 2)),
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
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (order_id, day),
    -- An order is placed once: it counts as placed or as canceled, of a new or of a returning customer.
    CHECK (orders + canceled_orders <= 1),
    CHECK (new_customers + returning_orders = orders + canceled_orders),
    CHECK (orders = 1 OR units + gross_sales + discounts + shipping + tax + canceled_sales + total_sales = 0)
);
CREATE INDEX order_figure_day_idx ON order_figure (day);

-- The sums of `order_figure` by day, channel and country, maintained by triggers.
CREATE TABLE daily_figure (
    day DATE NOT NULL,
    channel TEXT NOT NULL,
    country TEXT NOT NULL,
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
);

-- The units of each order line that count as sold on the day of the order, and their value. Replaced in the same way.
CREATE TABLE order_line_figure (
    order_line_id INTEGER PRIMARY KEY REFERENCES order_line (id) ON DELETE CASCADE,
    order_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    day DATE NOT NULL,
    units BIGINT NOT NULL CHECK (units > 0),
    sales BIGINT NOT NULL CHECK (sales >= 0),
    created_at TIMESTAMP NOT NULL
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
);

-- The carts that were filled, until they are deleted by their retention: whether each counts, and was ordered.
CREATE TABLE cart_figure (
    cart_id INTEGER PRIMARY KEY,
    day DATE NOT NULL,
    carts BIGINT NOT NULL CHECK (carts IN (0, 1)),
    ordered_carts BIGINT NOT NULL CHECK (ordered_carts BETWEEN 0 AND carts),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
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
    id INTEGER PRIMARY KEY CHECK (id = 1),
    time_zone TEXT CHECK (length(time_zone) BETWEEN 1 AND 64),
    cart_position BIGINT NOT NULL CHECK (cart_position >= 0),
    rebuild_started_at TIMESTAMP
);
INSERT INTO analytics_state (id, time_zone, cart_position) VALUES (1, NULL, 0);

CREATE TRIGGER add_order_figures AFTER INSERT ON order_figure BEGIN
    INSERT INTO daily_figure (day, channel, country,
        orders, canceled_orders, units, new_customers, returning_orders, gross_sales, discounts, shipping, tax,
        canceled_sales, total_sales, refunds)
    VALUES (NEW.day, NEW.channel, NEW.country,
        NEW.orders, NEW.canceled_orders, NEW.units, NEW.new_customers, NEW.returning_orders, NEW.gross_sales,
        NEW.discounts, NEW.shipping, NEW.tax, NEW.canceled_sales, NEW.total_sales, NEW.refunds)
    ON CONFLICT (day, channel, country) DO UPDATE SET
        orders = orders + excluded.orders, canceled_orders = canceled_orders + excluded.canceled_orders,
        units = units + excluded.units, new_customers = new_customers + excluded.new_customers,
        returning_orders = returning_orders + excluded.returning_orders,
        gross_sales = gross_sales + excluded.gross_sales, discounts = discounts + excluded.discounts,
        shipping = shipping + excluded.shipping, tax = tax + excluded.tax,
        canceled_sales = canceled_sales + excluded.canceled_sales, total_sales = total_sales + excluded.total_sales,
        refunds = refunds + excluded.refunds;
END;
CREATE TRIGGER remove_order_figures AFTER DELETE ON order_figure BEGIN
    UPDATE daily_figure SET
        orders = orders - OLD.orders, canceled_orders = canceled_orders - OLD.canceled_orders,
        units = units - OLD.units, new_customers = new_customers - OLD.new_customers,
        returning_orders = returning_orders - OLD.returning_orders, gross_sales = gross_sales - OLD.gross_sales,
        discounts = discounts - OLD.discounts, shipping = shipping - OLD.shipping, tax = tax - OLD.tax,
        canceled_sales = canceled_sales - OLD.canceled_sales, total_sales = total_sales - OLD.total_sales,
        refunds = refunds - OLD.refunds
    WHERE day = OLD.day AND channel = OLD.channel AND country = OLD.country;
END;
CREATE TRIGGER add_order_line_figures AFTER INSERT ON order_line_figure BEGIN
    INSERT INTO daily_product_figure (day, product_id,
        units, sales)
    VALUES (NEW.day, NEW.product_id,
        NEW.units, NEW.sales)
    ON CONFLICT (day, product_id) DO UPDATE SET
        units = units + excluded.units, sales = sales + excluded.sales;
END;
CREATE TRIGGER remove_order_line_figures AFTER DELETE ON order_line_figure BEGIN
    UPDATE daily_product_figure SET
        units = units - OLD.units, sales = sales - OLD.sales
    WHERE day = OLD.day AND product_id = OLD.product_id;
END;
CREATE TRIGGER add_cart_figures AFTER INSERT ON cart_figure BEGIN
    INSERT INTO daily_cart_figure (day, carts, ordered_carts) VALUES (NEW.day, NEW.carts, NEW.ordered_carts)
    ON CONFLICT (day) DO UPDATE SET carts = carts + excluded.carts,
        ordered_carts = ordered_carts + excluded.ordered_carts;
END;
CREATE TRIGGER change_cart_figures AFTER UPDATE ON cart_figure BEGIN
    UPDATE daily_cart_figure SET carts = carts - OLD.carts + NEW.carts,
        ordered_carts = ordered_carts - OLD.ordered_carts + NEW.ordered_carts WHERE day = NEW.day;
END;
CREATE TRIGGER forbid_order_figure_update BEFORE UPDATE ON order_figure BEGIN
    SELECT RAISE(ABORT, 'figures of an order are replaced, not updated');
END;
CREATE TRIGGER forbid_order_line_figure_update BEFORE UPDATE ON order_line_figure BEGIN
    SELECT RAISE(ABORT, 'figures of an order are replaced, not updated');
END;
