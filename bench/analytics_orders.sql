-- Generates orders for measurements of analytics, with a line each, in a migrated PostgreSQL database without orders:
--   psql -v orders=1000000 -f bench/analytics_orders.sql DATABASE
-- A year of orders of 200,000 customers to five countries; one in ten is canceled.
SET synchronous_commit = off;
INSERT INTO orders (number, guest_access_token, email, customer_name_normalized, language, status, payment_status,
    fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, shipping_address,
    version, placed_at, created_at, updated_at)
SELECT 'T' || (1000000 + n), 'token-of-the-order-no-' || (1000000 + n), 'g' || (n * 7919 % 200000) || '@example.com', '', 'en',
    CASE WHEN n % 10 = 0 THEN 'canceled' ELSE 'confirmed' END, CASE WHEN n % 10 = 0 THEN 'voided' ELSE 'authorized' END,
    'unfulfilled', 'KES', 2000, 100, 50, 0, 0, 1950,
    jsonb_build_object('countryCode', (ARRAY['KE', 'UG', 'TZ', 'RW', 'ET'])[1 + n % 5]), 1, at, at, at
FROM (SELECT n, timestamptz '2025-11-27T00:00:00Z' + n * (interval '365 days' / :orders) AS at
    FROM generate_series(1::bigint, :orders) AS n) AS generated;
INSERT INTO order_history (order_id, event_type, actor_kind, actor_id, is_public, created_at)
SELECT id, 'placed', CASE WHEN id % 4 = 0 THEN 'api_key' ELSE 'anonymous' END, CASE WHEN id % 4 = 0 THEN 1 + id % 3 END, TRUE,
    placed_at FROM orders;
INSERT INTO category (id, name, name_normalized, slug, position, path, created_at, updated_at)
VALUES (1, 'Goods', 'goods', 'goods', 0, '1/', now(), now());
INSERT INTO product (id, slug, name, name_normalized, category_id, status, featured, sku, price, current_price,
    max_current_price, discount_percent, in_stock, created_at, updated_at)
SELECT n, 'product-' || n, 'Product ' || n, 'product ' || n, 1, 'active', FALSE, 'P' || n, 1000, 1000, 1000, 0, TRUE, now(), now()
FROM generate_series(1, 2000) AS n;
INSERT INTO order_line (order_id, position, product_id, sku, name, variant_name, quantity, unit_list_price, unit_price, discount,
    tax_rate_bps, tax, tax_excluded_total, total, track_stock, quantity_fulfilled, quantity_refunded, quantity_canceled,
    created_at, updated_at)
SELECT id, 0, 1 + (id * 7919 * (id % 13)) % 2000, 'S', 'N', 'V', 2, 1000, 950, 100, 0, 0, 0, 1900, FALSE, 0, 0, 0, placed_at, placed_at FROM orders;
ANALYZE;
