DROP TABLE analytics_state;
DROP TABLE daily_cart_figure;
DROP TABLE cart_figure;
DROP TABLE daily_product_figure;
DROP TABLE order_line_figure;
DROP TABLE daily_figure;
DROP TABLE order_figure;
