//! `expectedStockQuantity`: a count is written only if the on-hand quantity equals the expected one.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, simple_product},
};

integration_tests![
    expected_stock_that_is_on_hand_is_accepted,
    expected_stock_after_a_sale_is_refused_with_its_path,
    expected_stock_of_one_row_refuses_the_whole_request,
    concurrent_counts_with_one_expectation_are_accepted_once,
];

const PRODUCT: &str = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
    product { name } userErrors { code field message } } }";
const VARIANT: &str =
    "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) {
    userErrors { code field message } } }";
const UPSERT: &str = "mutation($input: [ProductUpsertInput!]!, $atomic: Boolean!) {
    productsUpsert(products: $input, atomic: $atomic) { created updated userErrors { code field message } } }";

/// Starts a server with two products, five of each on hand; returns a staff token and the IDs of the first product and
/// its variant.
async fn shop_with_stock(backend: Backend) -> (TestApp, String, Value, Value) {
    let shop = TestApp::start(backend).await;
    shop.save_products(&[simple_product("mug", "Mug", 10), simple_product("cup", "Cup", 10)]).await;
    let token = shop.login(Role::Staff).await;
    let ids = shop.query("{ product(slug: \"mug\") { id variants { id } } }").await;
    (shop, token, ids.data_at("/product/id").clone(), ids.data_at("/product/variants/0/id").clone())
}

async fn on_hand(shop: &TestApp, sku: &str) -> i64 {
    shop.query_scalar(&format!(
        "SELECT sum(on_hand) FROM inventory_level WHERE variant_id = (SELECT id FROM variant WHERE sku = '{sku}')"
    ))
    .await
}

/// Sells units: places an order and ships it.
async fn sell(shop: &TestApp, token: &str, variant: &Value, quantity: i64) {
    let made = shop.create_order(None, "sale", &[(variant.as_str().expect("an id"), quantity)], json!({})).await;
    let id = made.data_at("/orderCreate/order/id").as_str().expect("an order").to_owned();
    shop.run_order_mutation(token, "orderConfirm", &id, None).await;
    let input = json!({ "idempotencyKey": "parcel" });
    let sent = shop.run_order_mutation(token, "orderFulfill", &id, Some(("OrderFulfillInput!", input))).await;
    assert_eq!(sent.user_errors("orderFulfill"), []);
}

/// Asserts that one count was rejected, at this field, with the actual quantity in the message.
fn assert_refused(answer: &GraphqlResponse, mutation: &str, field: &str, on_hand: i64) {
    assert_eq!(answer.user_errors(mutation), [("VERSION_CONFLICT".to_owned(), field.to_owned())], "{}", answer.body);
    let message = answer.data_at(&format!("/{mutation}/userErrors/0/message")).as_str().expect("a message");
    assert!(message.starts_with(&format!("there are {on_hand} on hand now")), "{message}");
}

async fn expected_stock_that_is_on_hand_is_accepted(backend: Backend) {
    let (shop, token, product, variant) = shop_with_stock(backend).await;
    let stock_input = |count, expected| json!({ "stockQuantity": count, "expectedStockQuantity": expected });
    let answer = shop.query_as(&token, PRODUCT, json!({ "id": product, "input": stock_input(8, 5) })).await;
    assert_eq!((answer.user_errors("productUpdate"), on_hand(&shop, "MUG").await), (vec![], 8));
    let answer = shop.query_as(&token, VARIANT, json!({ "id": variant, "input": stock_input(9, 8) })).await;
    assert_eq!((answer.user_errors("productVariantUpdate"), on_hand(&shop, "MUG").await), (vec![], 9));
    let rows = json!([{ "slug": "mug", "stockQuantity": 7, "expectedStockQuantity": 9 },
        { "slug": "pot", "name": "Pot", "sku": "POT", "price": "1.00", "stockQuantity": 3, "expectedStockQuantity": 0 }]);
    let answer = shop.query_as(&token, UPSERT, json!({ "input": rows, "atomic": false })).await;
    assert_eq!(answer.user_errors("productsUpsert"), []);
    assert_eq!((on_hand(&shop, "MUG").await, on_hand(&shop, "POT").await), (7, 3));
    // Without an expected quantity the count is overwritten.
    let answer = shop.query_as(&token, PRODUCT, json!({ "id": product, "input": { "stockQuantity": 6 } })).await;
    assert_eq!((answer.user_errors("productUpdate"), on_hand(&shop, "MUG").await), (vec![], 6));
}

async fn expected_stock_after_a_sale_is_refused_with_its_path(backend: Backend) {
    let (shop, token, product, variant) = shop_with_stock(backend).await;
    sell(&shop, &token, &variant, 2).await;
    assert_eq!(on_hand(&shop, "MUG").await, 3);
    let stale = json!({ "name": "Renamed", "stockQuantity": 5, "expectedStockQuantity": 5 });
    let answer = shop.query_as(&token, PRODUCT, json!({ "id": product, "input": stale })).await;
    assert_refused(&answer, "productUpdate", "input.expectedStockQuantity", 3);
    let stale = json!({ "stockQuantity": 5, "expectedStockQuantity": 5 });
    let answer = shop.query_as(&token, VARIANT, json!({ "id": variant, "input": stale })).await;
    assert_refused(&answer, "productVariantUpdate", "input.expectedStockQuantity", 3);
    // Nothing of the request was written; it succeeds after reading again.
    assert_eq!(shop.query_scalar("SELECT count(*) FROM product WHERE name = 'Renamed'").await, 0);
    assert_eq!(on_hand(&shop, "MUG").await, 3);
    let fresh = json!({ "name": "Renamed", "stockQuantity": 5, "expectedStockQuantity": 3 });
    let answer = shop.query_as(&token, PRODUCT, json!({ "id": product, "input": fresh })).await;
    assert_eq!((answer.user_errors("productUpdate"), on_hand(&shop, "MUG").await), (vec![], 5));
    shop.run_pending_jobs().await;
    shop.assert_invariants().await;
}

async fn expected_stock_of_one_row_refuses_the_whole_request(backend: Backend) {
    let (shop, token, ..) = shop_with_stock(backend).await;
    let before = shop.dump_tables().await;
    for atomic in [false, true] {
        let rows = json!([{ "slug": "cup", "name": "Renamed", "stockQuantity": 9 },
            { "slug": "mug", "variants": [{ "sku": "MUG", "stockQuantity": 4, "expectedStockQuantity": 6 }] }]);
        let answer = shop.query_as(&token, UPSERT, json!({ "input": rows, "atomic": atomic })).await;
        assert_refused(&answer, "productsUpsert", "products.1.variants.0.expectedStockQuantity", 5);
        assert_eq!(shop.dump_tables().await, before);
    }
}

async fn concurrent_counts_with_one_expectation_are_accepted_once(backend: Backend) {
    let (shop, token, product, _) = shop_with_stock(backend).await;
    let counts = (0..8).map(|n| {
        let input = json!({ "stockQuantity": 10 + n, "expectedStockQuantity": 5 });
        shop.query_as(&token, PRODUCT, json!({ "id": product, "input": input }))
    });
    let answers = futures_util::future::join_all(counts).await;
    let accepted: Vec<usize> = (0..8).filter(|n| answers[*n].user_errors("productUpdate").is_empty()).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    assert_eq!(on_hand(&shop, "MUG").await, 10 + i64::try_from(accepted[0]).expect("a number"));
    shop.assert_invariants().await;
}
