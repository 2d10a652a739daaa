//! Merging of guest carts into customer carts after login.

use futures_util::future::join_all;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, cart_line_quantities},
};

integration_tests![
    guest_cart_merge_without_customer_cart_transfers_it,
    merged_quantities_are_summed_and_capped,
    concurrent_merges_count_each_line_once,
    merged_or_ordered_cart_is_not_merged_again,
    merge_keeps_customer_details_over_guest_details,
    login_with_guest_cart_merges_it,
];

const MERGE_CART: &str = "mutation($id: ID!) { cartMerge(id: $id) {
    cart { id version note email lines { sku quantity } problems { code } shippingAddress { city } }
    userErrors { code field } } }";

async fn merge_cart(app: &TestApp, token: &str, id: &str) -> GraphqlResponse {
    app.query_as(token, MERGE_CART, json!({ "id": id })).await
}

fn merged_lines(response: &GraphqlResponse) -> Vec<(String, i64)> {
    cart_line_quantities(response.data_at("/cartMerge/cart"))
}

fn sku_quantities(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

async fn guest_cart_merge_without_customer_cart_transfers_it(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let (token, guest) = (app.login(Role::Customer).await, app.create_cart(None, &[(&mug, 2)]).await);
    let merged = merge_cart(&app, &token, &guest).await;
    assert_eq!(
        (merged.data_at("/cartMerge/cart/id"), merged_lines(&merged)),
        (&json!(guest), sku_quantities(&[("MUG", 2)]))
    );
    let my_cart = app.query_as(&token, "{ me { customer { cart { id } } } }", json!({})).await;
    assert_eq!(my_cart.data_at("/me/customer/cart/id"), &json!(guest));
    // After the merge the guest token no longer gives access.
    assert_eq!(app.query_cart(None, &guest).await, Value::Null);
    let repeated = merge_cart(&app, &token, &guest).await;
    assert_eq!(merged_lines(&repeated), sku_quantities(&[("MUG", 2)]));
    let anonymous = app.query_with_variables(MERGE_CART, json!({ "id": guest })).await;
    assert_eq!(anonymous.error_code(), "UNAUTHENTICATED");
    let unknown = merge_cart(&app, &token, &"x".repeat(43)).await;
    assert_eq!(unknown.user_errors("cartMerge"), [("NOT_FOUND".into(), "id".into())]);
}

async fn merged_quantities_are_summed_and_capped(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 10, Some(9)).await, app.create_product("bowl", 10, Some(5)).await);
    let (untracked, sold_out) =
        (app.create_product("free", 10, None).await, app.create_product("late", 10, Some(3)).await);
    let token = app.login(Role::Customer).await;
    let customer_cart = app.create_cart(Some(&token), &[(&mug, 2), (&bowl, 3), (&untracked, 9_000)]).await;
    let guest = app.create_cart(None, &[(&sold_out, 2), (&mug, 3), (&bowl, 4), (&untracked, 9_000)]).await;
    app.execute_sql(
        "UPDATE inventory_level SET on_hand = 0 WHERE variant_id = (SELECT id FROM variant WHERE sku = 'LATE')",
    )
    .await
    .expect("sold");
    let merged = merge_cart(&app, &token, &guest).await;
    let expected = sku_quantities(&[("MUG", 5), ("BOWL", 5), ("FREE", 10_000), ("LATE", 1)]);
    assert_eq!(
        (merged.data_at("/cartMerge/cart/id"), merged_lines(&merged)),
        (&json!(customer_cart), expected.clone())
    );
    assert_eq!(merged.strings_at("/cartMerge/cart/problems", "code"), ["SOLD_OUT"]);
    // The remaining stock is less than the customer's quantity: the line is kept and the cart reports an issue.
    app.execute_sql("UPDATE inventory_level SET on_hand = 1").await.expect("sold");
    let second = app.create_cart(None, &[(&mug, 1)]).await;
    let merged = merge_cart(&app, &token, &second).await;
    assert_eq!(merged_lines(&merged), expected);
    let state = app.query_cart(Some(&token), &guest).await;
    assert_eq!((state["status"].clone(), cart_line_quantities(&state)), (json!("MERGED"), sku_quantities(&[])));
    assert_eq!(app.query_cart(None, &guest).await, Value::Null);
    let sold_out = app.mutate_cart_lines(Some(&token), "cartLinesAdd", &guest, &[(&mug, 1)]).await;
    assert_eq!(sold_out.user_errors("cartLinesAdd"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
}

async fn concurrent_merges_count_each_line_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(500)).await;
    let token = app.login(Role::Customer).await;
    // Without a customer cart, then with one; the same guest cart, several guest carts, and concurrent additions.
    for round in 0..5 {
        let before = app.query_scalar("SELECT COALESCE(sum(quantity), 0) FROM cart_line").await;
        let (first, second) = (app.create_cart(None, &[(&mug, 2)]).await, app.create_cart(None, &[(&mug, 3)]).await);
        let cart_ids = [&first, &second, &first, &second, &first, &first];
        let merged = join_all(cart_ids.map(|id| merge_cart(&app, &token, id))).await;
        for response in &merged {
            assert_eq!(response.user_errors("cartMerge"), [], "{}", response.body);
        }
        assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, before + 5, "{round}");
        assert_eq!(app.query_scalar("SELECT count(*) FROM cart WHERE status = 'open'").await, 1, "{round}");
    }
    let guest = app.create_cart(None, &[(&mug, 1)]).await;
    let customer_cart = app
        .query_as(&token, "{ me { customer { cart { id } } } }", json!({}))
        .await
        .data_at("/me/customer/cart/id")
        .clone();
    let customer_cart = customer_cart.as_str().expect("an id");
    let lines = [(mug.as_str(), 1)];
    let customer_token = Some(token.as_str());
    let add = || app.mutate_cart_lines(customer_token, "cartLinesAdd", customer_cart, &lines);
    let (merged, ..) =
        tokio::join!(merge_cart(&app, &token, &guest), add(), add(), add(), app.create_cart(customer_token, &lines));
    assert_eq!(merged.user_errors("cartMerge"), []);
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, 30);
}

async fn merged_or_ordered_cart_is_not_merged_again(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let (token, other_token) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    app.create_cart(Some(&token), &[(&mug, 1)]).await;
    let guest = app.create_cart(None, &[(&mug, 2)]).await;
    assert_eq!(merged_lines(&merge_cart(&app, &token, &guest).await), sku_quantities(&[("MUG", 3)]));
    assert_eq!(merged_lines(&merge_cart(&app, &token, &guest).await), sku_quantities(&[("MUG", 3)]));
    let rejected = merge_cart(&app, &other_token, &guest).await;
    assert_eq!(rejected.user_errors("cartMerge"), [("NOT_FOUND".into(), "id".into())]);
    let ordered = app.create_cart(None, &[(&mug, 2)]).await;
    app.execute_sql(&format!("UPDATE cart SET status = 'ordered', order_id = 7 WHERE token = '{ordered}'"))
        .await
        .expect("an order");
    let late_response = merge_cart(&app, &token, &ordered).await;
    assert_eq!(late_response.user_errors("cartMerge"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
    // After the customer's cart was ordered too, earlier merges are not repeated: the customer gets an empty cart.
    app.execute_sql("UPDATE cart SET status = 'ordered', order_id = 8 WHERE status = 'open'").await.expect("an order");
    assert_eq!(merged_lines(&merge_cart(&app, &token, &guest).await), sku_quantities(&[]));
}

async fn merge_keeps_customer_details_over_guest_details(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let token = app.login(Role::Customer).await;
    let customer_cart = app.create_cart(Some(&token), &[(&mug, 1)]).await;
    let guest = app.create_cart(None, &[(&mug, 2)]).await;
    let set_details = "mutation($id: ID!, $note: String!, $email: String) {
        cartNoteUpdate(id: $id, note: $note) { userErrors { code } }
        cartContactUpdate(id: $id, input: { email: $email }) { userErrors { code } } }";
    app.query_as(&token, set_details, json!({ "id": customer_cart, "note": "mine", "email": null }))
        .await
        .data_at("/cartNoteUpdate");
    app.query_with_variables(set_details, json!({ "id": guest, "note": "theirs", "email": "guest@example.com" }))
        .await
        .data_at("/cartNoteUpdate");
    let merged = merge_cart(&app, &token, &guest).await;
    let cart = merged.data_at("/cartMerge/cart");
    assert_eq!((&cart["note"], &cart["email"]), (&json!("mine"), &json!("guest@example.com")));
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart WHERE note = 'theirs' OR email = 'x'").await, 0);
}

async fn login_with_guest_cart_merges_it(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let guest = app.create_cart(None, &[(&mug, 2)]).await;
    let register = "mutation($id: ID) { customerRegister(input: { email: \"wanjiku@example.com\", password: \"correct horse\", cartId: $id }) {
        tokens { accessToken } userErrors { code } } }";
    let created = app.query_with_variables(register, json!({ "id": guest })).await;
    let token = created.data_at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned();
    let my_cart = app.query_as(&token, "{ me { customer { cart { id itemCount } } } }", json!({})).await;
    assert_eq!(my_cart.data_at("/me/customer/cart"), &json!({ "id": guest, "itemCount": 2 }));
    let login = "mutation($id: ID) { login(input: { email: \"wanjiku@example.com\", password: \"correct horse\", cartId: $id }) {
        tokens { accessToken } userErrors { code } } }";
    let second = app.create_cart(None, &[(&mug, 3)]).await;
    // An unknown cart does not prevent login.
    for id in [json!(second), json!(second), json!(null), json!("nothing"), json!("x".repeat(43))] {
        let response = app.query_with_variables(login, json!({ "id": id })).await;
        assert!(response.data_at("/login/tokens/accessToken").is_string(), "{}", response.body);
    }
    let my_cart = app.query_as(&token, "{ me { customer { cart { id itemCount } } } }", json!({})).await;
    assert_eq!(my_cart.data_at("/me/customer/cart"), &json!({ "id": guest, "itemCount": 5 }));
}
