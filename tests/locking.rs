//! Row locks: a product can be edited while it is ordered, without deadlocks.

use futures_util::future::{join, join_all};
use savannah::{catalog::price_refresh, identity::Role};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    checkout_concurrency::{assert_invariants_and_run_jobs, count_outcomes, start_app_with_many_connections},
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    row_referenced_by_an_open_transaction_can_be_edited,
    product_edited_during_checkout_causes_no_deadlock,
];

const CATALOG_EDITS: [(&str, &str, &str); 6] = [
    ("productUpdate", "ProductUpdateInput!", r#"{ "name": "Mug, large", "vendor": "Kiln", "tags": ["new"] }"#),
    ("productUpdate", "ProductUpdateInput!", r#"{ "description": "<p>Deep.</p>" }"#),
    ("productVariantUpdate", "ProductVariantInput!", r#"{ "price": "120.00" }"#),
    (
        "productVariantUpdate",
        "ProductVariantInput!",
        r#"{ "price": "120.00", "salePrice": "90.00", "stockQuantity": 500 }"#,
    ),
    ("productArchive", "", "null"),
    ("productUpdate", "ProductUpdateInput!", r#"{ "status": "ACTIVE" }"#),
];

/// One of the mutations of the catalog, by the id of what it changes.
async fn run_catalog_edit(app: &TestApp, staff: &str, (mutation, kind, input): (&str, &str, &str), ids: (&str, &str)) {
    let id = if mutation.starts_with("productVariant") { ids.1 } else { ids.0 };
    let (declaration, arguments) = match kind {
        "" => (String::new(), ""),
        kind => (format!(", $input: {kind}"), ", input: $input"),
    };
    let query = format!(
        "mutation($id: ID!{declaration}) {{ {mutation}(id: $id{arguments}) {{ userErrors {{ code field message }} }} }}"
    );
    let input: Value = serde_json::from_str(input).expect("JSON");
    let response = app.query_as(staff, &query, json!({ "id": id, "input": input })).await;
    assert_eq!(response.user_errors(mutation), [], "{mutation} {input}: {}", response.body);
}

async fn row_referenced_by_an_open_transaction_can_be_edited(backend: Backend) {
    // Who waits for a lock longer than this has failed: it is held until all edits are done.
    let settings = [("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "2s"), ("SAVANNAH_DATABASE__MAX_CONNECTIONS", "6")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let variant = app.create_product("mug", 100, Some(20)).await;
    let staff = app.login(Role::Staff).await;
    let product = app.query("{ product(slug: \"mug\") { id } }").await;
    let product = product.data_at("/product/id").as_str().expect("an id").to_owned();
    let cart = app.create_cart(None, &[(&variant, 1)]).await;
    // Each row that these refer to is locked as foreign keys lock: the product, its variant, the cart.
    let references = [
        "INSERT INTO product_tag (tag_normalized, product_id, tag) SELECT 'open', id, 'open' FROM product",
        "INSERT INTO cart (token, status, version, created_at, updated_at) \
         VALUES ('a word of another shopper, as long as words are', 'open', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
         SELECT c.id, v.id, 0, 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM cart AS c, variant AS v \
         WHERE NOT EXISTS (SELECT 1 FROM cart_line AS l WHERE l.cart_id = c.id)",
    ];
    let work = async || {
        for catalog_edit in CATALOG_EDITS {
            run_catalog_edit(&app, &staff, catalog_edit, (&product, &variant)).await;
        }
        let added = app.mutate_cart_lines(None, "cartLinesAdd", &cart, &[(&variant, 2)]).await;
        assert_eq!(added.user_errors("cartLinesAdd"), []);
        // An import of the same product, and the clock that turns a price.
        app.save_products(&[simple_product("mug", "Mug", 130)]).await;
        price_refresh::refresh_prices(&app.db)
            .await
            .unwrap_or_else(|error| panic!("not repriced: {}", error.log_message()));
    };
    let second_db = app.open_second_database().await;
    let lock_transaction = second_db.dry_run(async |tx| {
        for sql in references {
            tx.execute_unprepared(sql).await?;
        }
        // The one writer of SQLite has to end before there can be another.
        if backend == Backend::Postgres {
            work().await;
        }
        Ok(())
    });
    lock_transaction.await.unwrap_or_else(|error| panic!("nothing refers: {}", error.log_message()));
    if backend == Backend::Sqlite {
        work().await;
    }
    second_db.close().await;
    assert_invariants_and_run_jobs(&app).await;
}

async fn product_edited_during_checkout_causes_no_deadlock(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let variant = app.create_product("mug", 100, Some(1000)).await;
    let staff = app.login(Role::Staff).await;
    let product = app.query("{ product(slug: \"mug\") { id } }").await;
    let product = product.data_at("/product/id").as_str().expect("an id").to_owned();
    let items = [(variant.as_str(), 1)];
    let buyers = (0..8).map(async |buyer| {
        let mut all = Vec::new();
        for index in 0..8 {
            all.push(app.create_order(None, &format!("{buyer}-{index}"), &items, json!({})).await);
        }
        count_outcomes(&all, "orderCreate")
    });
    let editors = async {
        for round in 0..8 {
            let name = format!(r#"{{ "name": "Mug {round}" }}"#);
            run_catalog_edit(&app, &staff, ("productUpdate", "ProductUpdateInput!", &name), (&product, &variant)).await;
            let price = format!(r#"{{ "price": "{}.00" }}"#, 100 + round);
            run_catalog_edit(
                &app,
                &staff,
                ("productVariantUpdate", "ProductVariantInput!", &price),
                (&product, &variant),
            )
            .await;
        }
    };
    let (outcomes, ()) = join(join_all(buyers), editors).await;
    assert_eq!(outcomes, vec![(8, Vec::<String>::new()); 8]);
    assert_invariants_and_run_jobs(&app).await;
    if backend == Backend::Postgres {
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(app.close_and_query_statistics(deadlocks).await, 0);
    }
}
