//! Cart lines with attributes: several lines of a variant, their stock, and their way into the order.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, shipping_address},
};

integration_tests![
    equal_attributes_are_one_line_and_others_are_not,
    lines_are_updated_by_id_and_combined_when_equal,
    attributes_are_swapped_between_lines,
    lines_of_a_variant_share_its_stock,
    invalid_attributes_are_all_reported,
    guest_lines_are_merged_by_variant_and_attributes,
    attributes_are_copied_to_the_order,
    quantities_are_adjusted_to_the_stock_if_allowed,
    errors_state_the_variant_and_what_is_available,
];

const LINES: &str = "cart { version lines { id quantity attributes { key value } addedAt }
    problems { code blocking lineId } } userErrors { code field }";

async fn add_lines(app: &TestApp, cart: &str, lines: Value) -> GraphqlResponse {
    let query =
        format!("mutation($id: ID!, $lines: [LineInput!]!) {{ cartLinesAdd(id: $id, lines: $lines) {{ {LINES} }} }}");
    app.query_with_variables(&query, json!({ "id": cart, "lines": lines })).await
}

async fn update_lines(app: &TestApp, cart: &str, lines: Value) -> GraphqlResponse {
    let query = format!(
        "mutation($id: ID!, $lines: [CartLineUpdateInput!]!) {{ cartLinesUpdate(id: $id, lines: $lines) {{ {LINES} }} }}"
    );
    app.query_with_variables(&query, json!({ "id": cart, "lines": lines })).await
}

fn engraving(text: &str) -> Value {
    json!([{ "key": "engraving", "value": text }])
}

/// Returns the quantity and the first attribute's value of each line.
fn summarize(cart: &Value) -> Vec<Value> {
    let lines = cart["lines"].as_array().unwrap_or_else(|| panic!("no lines in {cart}"));
    lines.iter().map(|line| json!([line["quantity"], line["attributes"][0]["value"]])).collect()
}

fn line_id(cart: &Value, index: usize) -> Value {
    cart["lines"][index]["id"].clone()
}

async fn equal_attributes_are_one_line_and_others_are_not(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    let two = json!([{ "key": "a", "value": "x" }, { "key": "b", "value": "y" }]);
    let reversed = json!([{ "key": "b", "value": "y" }, { "key": " a ", "value": "x" }]);
    let lines = json!([
        { "variantId": mug, "quantity": 2, "attributes": two },
        { "variantId": mug, "quantity": 3, "attributes": reversed },
        { "variantId": mug, "quantity": 1, "attributes": [] },
        { "variantId": mug, "quantity": 1, "attributes": engraving("") },
    ]);
    let added = add_lines(&app, &cart, lines).await;
    let after = added.data_at("/cartLinesAdd/cart");
    assert_eq!(summarize(after), [json!([2, null]), json!([5, "x"]), json!([1, ""])]);
    assert_eq!(after["lines"][1]["attributes"], two);
    // The response has the ids that the database assigned.
    let query = "query($id: ID!) { cart(id: $id) { lines { id quantity attributes { key value } addedAt } } }";
    let stored = app.query_with_variables(query, json!({ "id": cart })).await;
    assert_eq!(stored.data_at("/cart/lines"), &after["lines"]);
    let again = add_lines(&app, &cart, json!([{ "variantId": mug, "quantity": 1, "attributes": reversed }])).await;
    let again = again.data_at("/cartLinesAdd/cart");
    assert_eq!((line_id(again, 1), again["lines"][1]["quantity"].clone()), (line_id(after, 1), json!(6)));
}

async fn lines_are_updated_by_id_and_combined_when_equal(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let cart = app.create_cart(None, &[]).await;
    let lines = ["A", "B"].map(|text| json!({ "variantId": mug, "quantity": 2, "attributes": engraving(text) }));
    let added = add_lines(&app, &cart, json!(lines)).await;
    let before = added.data_at("/cartLinesAdd/cart").clone();
    let (first, second) = (line_id(&before, 0), line_id(&before, 1));
    let renamed = update_lines(&app, &cart, json!([{ "id": second, "attributes": engraving("C") }])).await;
    let renamed = renamed.data_at("/cartLinesUpdate/cart");
    assert_eq!(summarize(renamed), [json!([2, "A"]), json!([2, "C"])]);
    assert_eq!(
        (line_id(renamed, 1), &renamed["lines"][1]["addedAt"]),
        (second.clone(), &before["lines"][1]["addedAt"])
    );
    let combined =
        update_lines(&app, &cart, json!([{ "id": second, "quantity": 3, "attributes": engraving("A") }])).await;
    let combined = combined.data_at("/cartLinesUpdate/cart");
    assert_eq!((summarize(combined), line_id(combined, 0)), (vec![json!([5, "A"])], first.clone()));
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart_line").await, 1);
    let rejected =
        update_lines(&app, &cart, json!([{ "id": second, "quantity": 1 }, { "id": first }, { "id": first }])).await;
    let expected = [("NOT_FOUND", "lines.0.id"), ("VALIDATION_ERROR", "lines.2.id")];
    assert_eq!(
        rejected.user_errors("cartLinesUpdate"),
        expected.map(|(code, field)| (code.to_owned(), field.to_owned()))
    );
    // A line of another cart is not found.
    let other = app.create_cart(None, &[(&mug, 1)]).await;
    let foreign = update_lines(&app, &other, json!([{ "id": first, "quantity": 1 }])).await;
    assert_eq!(foreign.user_errors("cartLinesUpdate"), [("NOT_FOUND".to_owned(), "lines.0.id".to_owned())]);
}

async fn attributes_are_swapped_between_lines(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let cart = app.create_cart(None, &[]).await;
    let lines = [("A", 1), ("B", 2)]
        .map(|(text, quantity)| json!({ "variantId": mug, "quantity": quantity, "attributes": engraving(text) }));
    let added = add_lines(&app, &cart, json!(lines)).await;
    let before = added.data_at("/cartLinesAdd/cart").clone();
    let swap = json!([
        { "id": line_id(&before, 0), "attributes": engraving("B") },
        { "id": line_id(&before, 1), "attributes": engraving("A") },
    ]);
    let swapped = update_lines(&app, &cart, swap).await;
    let after = swapped.data_at("/cartLinesUpdate/cart");
    assert_eq!(summarize(after), [json!([1, "B"]), json!([2, "A"])]);
    assert_eq!([line_id(after, 0), line_id(after, 1)], [line_id(&before, 0), line_id(&before, 1)]);
}

async fn lines_of_a_variant_share_its_stock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let cart = app.create_cart(None, &[(&mug, 3)]).await;
    let engraved = |quantity: i64| json!([{ "variantId": mug, "quantity": quantity, "attributes": engraving("A") }]);
    let refused = add_lines(&app, &cart, engraved(3)).await;
    let expected = [("INSUFFICIENT_STOCK".to_owned(), "lines.0.quantity".to_owned())];
    assert_eq!(refused.user_errors("cartLinesAdd"), expected);
    let added = add_lines(&app, &cart, engraved(2)).await;
    let before = added.data_at("/cartLinesAdd/cart").clone();
    assert_eq!(summarize(&before), [json!([3, null]), json!([2, "A"])]);
    // Units move from one line to the other, whichever is named first.
    let moved = json!([{ "id": line_id(&before, 1), "quantity": 4 }, { "id": line_id(&before, 0), "quantity": 1 }]);
    let moved = update_lines(&app, &cart, moved).await;
    assert_eq!(summarize(moved.data_at("/cartLinesUpdate/cart")), [json!([1, null]), json!([4, "A"])]);
    let refused = update_lines(&app, &cart, json!([{ "id": line_id(&before, 1), "quantity": 5 }])).await;
    assert_eq!(refused.user_errors("cartLinesUpdate"), expected);
    // Only the line beyond the stock has the issue.
    app.execute_sql("UPDATE inventory_level SET on_hand = 4").await.expect("sold");
    let state = app.query_cart(None, &cart).await;
    let problem = |issue: &Value| json!([issue["code"], issue["blocking"], issue["lineId"], issue["available"]]);
    let problems: Vec<Value> = state["problems"].as_array().expect("a list").iter().map(problem).collect();
    assert_eq!(problems, [json!(["INSUFFICIENT_STOCK", true, line_id(&before, 1), 4])]);
}

async fn invalid_attributes_are_all_reported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let cart = app.create_cart(None, &[]).await;
    let many: Vec<Value> = (0..21).map(|number| json!({ "key": number.to_string(), "value": "" })).collect();
    let invalid = json!([
        { "key": "", "value": "x" }, { "key": "a".repeat(101), "value": "x" }, { "key": "a", "value": "x".repeat(1001) },
        { "key": "a", "value": "x" }, { "key": "b", "value": "\u{1e}" },
    ]);
    let lines = json!([{ "variantId": mug, "attributes": invalid }, { "variantId": mug, "attributes": many }]);
    let refused = add_lines(&app, &cart, lines).await;
    let paths: Vec<String> = refused.user_errors("cartLinesAdd").into_iter().map(|(_, path)| path).collect();
    let expected = [
        "0.attributes.0.key",
        "0.attributes.1.key",
        "0.attributes.2.value",
        "0.attributes.3.key",
        "0.attributes.4.value",
        "1.attributes",
    ];
    assert_eq!(paths, expected.map(|path| format!("lines.{path}")));
    let largest: Vec<Value> = (10..30)
        .map(|number| json!({ "key": format!("{number}{}", "é".repeat(98)), "value": "é".repeat(1000) }))
        .collect();
    let added = add_lines(&app, &cart, json!([{ "variantId": mug, "attributes": largest }])).await;
    assert_eq!(added.data_at("/cartLinesAdd/cart/lines/0/attributes"), &json!(largest));
}

async fn guest_lines_are_merged_by_variant_and_attributes(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(6)).await;
    let token = app.login(Role::Customer).await;
    app.create_cart(Some(&token), &[(&mug, 2)]).await;
    let guest = app.create_cart(None, &[(&mug, 1)]).await;
    add_lines(&app, &guest, json!([{ "variantId": mug, "quantity": 5, "attributes": engraving("A") }])).await;
    let query = format!("mutation($id: ID!) {{ cartMerge(id: $id) {{ {LINES} }} }}");
    let merged = app.query_as(&token, &query, json!({ "id": guest })).await;
    let cart = merged.data_at("/cartMerge/cart");
    // Together the lines have no more than the stock.
    assert_eq!((summarize(cart), &cart["problems"]), (vec![json!([3, null]), json!([3, "A"])], &json!([])));
    let my_lines = app.query_as(&token, "{ me { customer { cart { lines { id } } } } }", json!({})).await;
    let ids: Vec<Value> = (0..2).map(|index| json!({ "id": line_id(cart, index) })).collect();
    assert_eq!(my_lines.data_at("/me/customer/cart/lines"), &json!(ids));
}

async fn attributes_are_copied_to_the_order(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let lines = json!([
        { "variantId": mug, "quantity": 2, "attributes": engraving("A") },
        { "variantId": mug, "quantity": 1 },
        { "variantId": mug, "quantity": 1, "attributes": engraving("A") },
    ]);
    let order = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) {
        order { lines { quantity attributes { key value } } } userErrors { code field message } } }";
    let input = |lines: &Value, key: &str| {
        json!({ "input": { "lines": lines, "paymentMethodId": "cash_on_delivery", "idempotencyKey": key, "email": "wanjiku@example.com",
            "shippingAddress": { "address": { "lastName": "Kamau", "line1": "Street 1", "city": "Nairobi", "countryCode": "KE" } } } })
    };
    let methods = app.query_scalar("SELECT MIN(id) FROM shipping_method").await;
    let method = savannah::base::GlobalId::new(savannah::base::global_id::NodeType::ShippingMethod, methods).encode();
    let place = async |lines: &Value, key: &str| {
        let mut variables = input(lines, key);
        variables["input"]["shippingMethodId"] = json!(method);
        app.query_with_variables(order, variables).await
    };
    let placed = place(&lines, "00000000-0000-4000-8000-000000000001").await;
    assert_eq!(placed.user_errors("orderCreate"), [], "{}", placed.body);
    assert_eq!(summarize(placed.data_at("/orderCreate/order")), [json!([3, "A"]), json!([1, null])]);
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM stock_reservation").await, 4);
    // One unit is left for both lines: the second does not get it.
    let refused = place(
        &json!([{ "variantId": mug, "attributes": engraving("B") }, { "variantId": mug }]),
        "00000000-0000-4000-8000-000000000002",
    )
    .await;
    let expected = [("INSUFFICIENT_STOCK".to_owned(), "input.lines.1.quantity".to_owned())];
    assert_eq!(refused.user_errors("orderCreate"), expected, "{}", refused.body);
}

const WARNINGS: &str = "cart { lines { quantity attributes { value } } }
    warnings { code field variantId requested added available message } userErrors { code field }";

async fn quantities_are_adjusted_to_the_stock_if_allowed(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 10, Some(5)).await, app.create_product("bowl", 10, Some(0)).await);
    let cart = app.create_cart(None, &[]).await;
    let query = format!(
        "mutation($id: ID!, $lines: [LineInput!]!, $adjust: Boolean! = true) {{
        cartLinesAdd(id: $id, lines: $lines, adjust: $adjust) {{ {WARNINGS} }} }}"
    );
    let add = async |lines: Value| app.query_with_variables(&query, json!({ "id": cart, "lines": lines })).await;
    let lines = json!([
        { "variantId": mug, "quantity": 3, "attributes": engraving("A") },
        { "variantId": bowl, "quantity": 1 },
        { "variantId": mug, "quantity": 4, "attributes": engraving("B") },
    ]);
    let added = add(lines.clone()).await;
    let payload = added.data_at("/cartLinesAdd");
    assert_eq!(summarize(&payload["cart"]), [json!([3, "A"]), json!([2, "B"])], "{}", added.body);
    let summarize_warning = |warning: &Value| {
        json!([
            warning["code"],
            warning["field"],
            warning["variantId"],
            warning["requested"],
            warning["added"],
            warning["available"]
        ])
    };
    let warnings: Vec<Value> = payload["warnings"].as_array().expect("a list").iter().map(summarize_warning).collect();
    let expected = [
        json!(["SOLD_OUT", ["lines", "1"], bowl, 1, 0, 0]),
        json!(["QUANTITY_ADJUSTED", ["lines", "2"], mug, 4, 2, 5]),
    ];
    assert_eq!(warnings, expected);
    // The cart has all that is left: nothing changes, and that is said.
    let again = add(json!([{ "variantId": mug, "quantity": 1 }])).await;
    assert_eq!(again.data_at("/cartLinesAdd/warnings/0/code"), "SOLD_OUT", "{}", again.body);
    assert_eq!(again.data_at("/cartLinesAdd/cart/lines").as_array().map(Vec::len), Some(2));
    // Other errors are still errors, and nothing is added.
    let rejected = add(json!([{ "variantId": mug, "quantity": 0 }])).await;
    let expected = [("VALIDATION_ERROR".to_owned(), "lines.0.quantity".to_owned())];
    assert_eq!(rejected.user_errors("cartLinesAdd"), expected);
    // Without permission the request fails as a whole.
    let strict = json!({ "id": cart, "lines": lines, "adjust": false });
    let strict = app.query_with_variables(&query, strict).await;
    assert_eq!(strict.user_errors("cartLinesAdd").len(), 3, "{}", strict.body);
    assert_eq!(strict.data_at("/cartLinesAdd/warnings"), &json!([]));

    let create = format!("mutation($input: CartCreateInput!) {{ cartCreate(input: $input) {{ {WARNINGS} }} }}");
    let input = json!({ "lines": [{ "variantId": mug, "quantity": 9 }], "adjust": true });
    let created = app.query_with_variables(&create, json!({ "input": input })).await;
    assert_eq!(created.data_at("/cartCreate/cart/lines/0/quantity"), 5, "{}", created.body);
    assert_eq!(created.data_at("/cartCreate/warnings/0/field"), &json!(["input", "lines", "0"]));
}

async fn errors_state_the_variant_and_what_is_available(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 10, Some(3)).await, app.create_product("bowl", 10, Some(9)).await);
    app.execute_sql("UPDATE product SET status = 'archived' WHERE slug = 'bowl'").await.expect("a change");
    let facts = |error: &Value| json!([error["code"], error["variantId"], error["available"], error["limit"]]);
    let cart = app.create_cart(None, &[(&mug, 3)]).await;
    let query = "mutation($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) {
        userErrors { code variantId available limit } } }";
    let lines = json!([
        { "variantId": mug, "quantity": 1 },
        { "variantId": bowl, "quantity": 1 },
        { "variantId": mug, "quantity": 10_001 },
    ]);
    let response = app.query_with_variables(query, json!({ "id": cart, "lines": lines })).await;
    let errors = response.data_at("/cartLinesAdd/userErrors").as_array().expect("a list");
    let expected = [
        json!(["INSUFFICIENT_STOCK", mug, 3, null]),
        json!(["PRODUCT_NOT_AVAILABLE", bowl, null, null]),
        json!(["VALIDATION_ERROR", mug, null, 10_000]),
    ];
    assert_eq!(errors.iter().map(facts).collect::<Vec<_>>(), expected);
    // The same facts at checkout.
    app.execute_sql("UPDATE inventory_level SET on_hand = 2 WHERE on_hand = 3").await.expect("a change");
    let query = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
        userErrors { code variantId available limit } } }";
    let input = json!({ "cartId": cart, "paymentMethodId": "cash_on_delivery", "idempotencyKey": "k", "email": "wanjiku@example.com",
        "shippingAddress": shipping_address(), "expectedTotal": "30.00" });
    let response = app.query_with_variables(query, json!({ "input": input })).await;
    let error = response.data_at("/checkoutComplete/userErrors/0");
    assert_eq!(facts(error), json!(["INSUFFICIENT_STOCK", mug, 2, null]), "{}", response.body);
}
