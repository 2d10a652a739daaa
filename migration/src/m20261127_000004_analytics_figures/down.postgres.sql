DROP TABLE analytics_state;
DROP TABLE daily_cart_figure;
DROP TABLE cart_figure;
DROP TABLE daily_product_figure;
DROP TABLE order_line_figure;
DROP TABLE daily_figure;
DROP TABLE order_figure;
DROP FUNCTION add_order_figures, remove_order_figures, add_order_line_figures, remove_order_line_figures,
    add_cart_figures, change_cart_figures, forbid_figure_update;
