//! Catalog constraints of the database, independent of application code.

use savannah::identity::Role;

use crate::{
    customers::{create_address, home_address},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    invalid_catalog_rows_are_rejected_by_the_database,
    invalid_account_rows_are_rejected_by_the_database
];

async fn invalid_catalog_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let before = app.dump_tables().await;
    let invalid_statements = [
        "UPDATE variant SET price = -1 WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET sale_price = price + 1 WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET sale_price = -1 WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET sale_starts_at = created_at WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET sku = 'MUG-INDIGO' WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET sku = '' WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET options_normalized = 'indigo' WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET weight_grams = -1 WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET content_quantity = 0, content_unit = 'g' WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET content_quantity = 1 WHERE sku = 'MUG-SAND'",
        "UPDATE variant SET content_quantity = 1, content_unit = 'ell' WHERE sku = 'MUG-SAND'",
        "UPDATE product SET sale_price = NULL, current_price = price, sale_ends_at = created_at WHERE slug = 'mug'",
        "UPDATE product SET units_sold = -1 WHERE slug = 'mug'",
        "UPDATE product SET discount_percent = discount_percent + 1 WHERE slug = 'mug'",
        "UPDATE product_description SET seo_title = ''",
        "UPDATE category SET seo_description = '' WHERE slug = 'mugs'",
        "UPDATE category SET image = '' WHERE slug = 'mugs'",
        "UPDATE category SET image_alt = 'x' WHERE slug = 'mugs'",
        "UPDATE category SET description = 'x', description_html = NULL WHERE slug = 'mugs'",
        "INSERT INTO counted_sale (order_line_id, product_id, units, sold_at, created_at, updated_at)
            SELECT 0, id, 1, created_at, created_at, created_at FROM product",
        "UPDATE variant SET product_id = 0 WHERE sku = 'MUG-SAND'",
        "UPDATE product SET price = -1, current_price = -1 WHERE slug = 'mug'",
        "UPDATE product SET sale_price = price + 1, current_price = price + 1 WHERE slug = 'mug'",
        "UPDATE product SET current_price = price - 1 WHERE slug = 'mug'",
        "UPDATE product SET max_current_price = current_price - 1 WHERE slug = 'mug'",
        "UPDATE product SET category_id = 0 WHERE slug = 'mug'",
        "UPDATE product SET category_id = NULL WHERE slug = 'mug'",
        "UPDATE product SET status = 'sold' WHERE slug = 'mug'",
        "UPDATE product SET slug = 'market-basket' WHERE slug = 'mug'",
        "UPDATE product SET name = '' WHERE slug = 'mug'",
        "UPDATE product SET vendor = NULL WHERE slug = 'mug'",
        "UPDATE inventory_level SET on_hand = -1",
        "UPDATE inventory_level SET reserved = on_hand + 1",
        "UPDATE inventory_level SET reserved = -1",
        "UPDATE category SET parent_id = id WHERE slug = 'mugs'",
        "UPDATE category SET parent_id = 0 WHERE slug = 'mugs'",
        "UPDATE category SET name_normalized = 'boards & bowls' WHERE slug = 'mugs'",
        "UPDATE category SET parent_id = NULL, name_normalized = 'crafts' WHERE slug = 'mugs'",
        "DELETE FROM category WHERE slug = 'mugs'",
        "UPDATE category_product_count SET product_count = -1",
        "UPDATE location SET is_default = true, id = 2; INSERT INTO location SELECT 3, name, true, created_at, updated_at FROM location",
        "UPDATE shop SET id = 2",
    ];
    for sql in invalid_statements {
        assert!(app.execute_sql(sql).await.is_err(), "the database took: {sql}");
    }
    assert_eq!(app.dump_tables().await, before, "a refusal left something behind");

    app.execute_sql("DELETE FROM product WHERE slug = 'mug'").await.expect("a deletion");
    assert_eq!(app.query_scalar("SELECT count(*) FROM variant WHERE sku LIKE 'MUG-SAND%'").await, 0);
    app.execute_sql("UPDATE product SET status = 'draft' WHERE slug = 'market-basket'").await.expect("a change");
    app.run_pending_jobs().await;
}

async fn invalid_account_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    create_address(&app, &token, home_address()).await;
    create_address(&app, &token, home_address()).await;
    let invalid_statements = [
        "UPDATE address SET is_default_shipping = true",
        "UPDATE address SET is_default_billing = true",
        "UPDATE address SET country_code = 'ke'",
        "UPDATE address SET country_code = 'KEN'",
        "UPDATE address SET phone = '0712345678'",
        "UPDATE address SET line1 = ''",
        "UPDATE address SET city = ''",
        "UPDATE address SET company = ''",
        "UPDATE address SET first_name = '', last_name = ''",
        "UPDATE address SET account_id = 0",
        "UPDATE account SET name_normalized = 'wanjiku', email = NULL, email_normalized = NULL, deleted_at = created_at",
        "UPDATE account SET deleted_at = created_at",
        "UPDATE account SET role = 'king'",
        "INSERT INTO api_key (name, last_four, key_hash, permissions, created_at, updated_at) \
            SELECT '', '', 'x', '', created_at, updated_at FROM account",
    ];
    for sql in invalid_statements {
        assert!(app.execute_sql(sql).await.is_err(), "the database took: {sql}");
    }
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM address WHERE is_default_shipping AND is_default_billing").await,
        1
    );
}
