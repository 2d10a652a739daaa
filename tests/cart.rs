//! Cart lines of guests and customers, sequential and concurrent.

use futures_util::future::join_all;
use savannah::{
    base::Patch,
    catalog::{ProductPatch, PublicationStatus},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, cart_line_quantities, line_inputs, simple_product},
};

integration_tests![
    guest_cart_lines_are_added_set_removed_and_cleared,
    lines_with_the_same_variant_are_merged,
    invalid_lines_are_all_reported_and_none_is_added,
    lines_above_available_stock_are_rejected,
    cart_above_two_hundred_lines_is_rejected,
    line_add_statement_count_is_independent_of_cart_size,
    concurrent_line_adds_are_all_counted,
    customer_has_one_open_cart_across_devices,
    cart_of_another_customer_is_not_accessible,
    ordered_cart_cannot_be_changed,
    cart_lists_issues_that_block_checkout,
    stale_cart_version_is_rejected,
];

const REMOVE_LINES: &str = "mutation($id: ID!, $lines: [ID!]!) { cartLinesRemove(id: $id, lineIds: $lines) {
    cart { version itemCount lines { sku quantity } } userErrors { code field } } }";
const CLEAR_CART: &str =
    "mutation($id: ID!) { cartClear(id: $id) { cart { version itemCount } userErrors { code field } } }";

fn user_errors(response: &GraphqlResponse, mutation: &str) -> Vec<(String, String)> {
    response.user_errors(mutation)
}

fn error_pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

fn sku_quantities(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

async fn guest_cart_lines_are_added_set_removed_and_cleared(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 10, Some(5)).await, app.create_product("bowl", 20, Some(5)).await);
    let id = app.create_cart(None, &[]).await;
    assert_eq!((id.len(), app.query_cart(None, &id).await["version"].clone()), (43, json!(1)));
    let added = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&bowl, 2), (&mug, 1)]).await;
    let cart = added.data_at("/cartLinesAdd/cart");
    assert_eq!(
        (cart_line_quantities(cart), &cart["version"], &cart["itemCount"]),
        (sku_quantities(&[("BOWL", 2), ("MUG", 1)]), &json!(2), &json!(3))
    );
    let set = app.mutate_cart_lines(None, "cartLinesUpdate", &id, &[(&mug, 4)]).await;
    assert_eq!(cart_line_quantities(set.data_at("/cartLinesUpdate/cart")), sku_quantities(&[("BOWL", 2), ("MUG", 4)]));
    // An update without changes keeps the version.
    let repeated = app.mutate_cart_lines(None, "cartLinesUpdate", &id, &[(&mug, 4)]).await;
    assert_eq!(repeated.data_at("/cartLinesUpdate/cart/version"), &json!(3));
    let remove = async |lines: Value| app.query_with_variables(REMOVE_LINES, json!({ "id": id, "lines": lines })).await;
    let bowl_line = app.query_line_id(&id, &bowl).await;
    let removed = remove(json!([bowl_line])).await;
    assert_eq!(cart_line_quantities(removed.data_at("/cartLinesRemove/cart")), sku_quantities(&[("MUG", 4)]));
    assert_eq!(remove(json!([bowl_line])).await.data_at("/cartLinesRemove/cart/version"), &json!(4));
    let cleared = app.query_with_variables(CLEAR_CART, json!({ "id": id })).await;
    assert_eq!(cleared.data_at("/cartClear/cart"), &json!({ "version": 5, "itemCount": 0 }));
    assert_eq!(app.query_cart(None, &id).await["lines"], json!([]));
}

async fn lines_with_the_same_variant_are_merged(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let id = app.create_cart(None, &[(&mug, 1), (&mug, 1)]).await;
    let added = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1), (&mug, 1)]).await;
    assert_eq!(cart_line_quantities(added.data_at("/cartLinesAdd/cart")), sku_quantities(&[("MUG", 4)]));
    // The sum exceeds the stock, though each line does not.
    let added = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1), (&mug, 1)]).await;
    assert_eq!(user_errors(&added, "cartLinesAdd"), error_pairs(&[("INSUFFICIENT_STOCK", "lines.1.quantity")]));
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart_line").await, 1);
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, 4);
}

async fn invalid_lines_are_all_reported_and_none_is_added(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, None).await;
    let product_input =
        ProductPatch { status: Patch::Set(PublicationStatus::Draft), ..simple_product("draft", "Draft", 10) };
    let archived = ProductPatch { status: Patch::Set(PublicationStatus::Archived), ..simple_product("old", "Old", 10) };
    app.save_products(&[product_input, archived, simple_product("gone", "Gone", 10)]).await;
    app.execute_sql("UPDATE variant SET deleted_at = created_at WHERE sku = 'GONE'").await.expect("a deletion");
    let ids =
        [app.query_variant_id("DRAFT").await, app.query_variant_id("OLD").await, app.query_variant_id("GONE").await];
    let id = app.create_cart(None, &[(&mug, 1)]).await;
    let before = app.query_cart(None, &id).await;
    let unknown = "UHJvZHVjdFZhcmlhbnQ6OTk5OTk5";
    let invalid_lines: [(&str, i64, &str, &str); 10] = [
        (&mug, 0, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, -1, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, 10_001, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, 10_000, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, i32::MAX.into(), "VALIDATION_ERROR", "lines.0.quantity"),
        (&ids[0], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (&ids[1], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (&ids[2], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (unknown, 1, "NOT_FOUND", "lines.0.variantId"),
        ("Q2F0ZWdvcnk6MQ", 1, "VALIDATION_ERROR", "lines.0.variantId"),
    ];
    for (variant, quantity, code, field) in invalid_lines {
        let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(variant, quantity)]).await;
        assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[(code, field)]), "{variant} {quantity}");
        assert_eq!(response.data_at("/cartLinesAdd/cart"), &Value::Null);
    }
    // `Int` has 32 bits: larger values are invalid.
    for quantity in [1 << 31, i64::MAX] {
        let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, quantity)]).await;
        assert_eq!(response.error_code(), "GRAPHQL_VALIDATION_FAILED", "{quantity}");
        assert!(response.first_error()["message"].as_str().is_some_and(|text| text.contains("lines[0].quantity")));
    }
    // All errors are reported at once, and valid lines are not added either.
    let lines = [(mug.as_str(), 1), (unknown, 1), (&ids[0], 1), (&mug, 0)];
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &lines).await;
    let expected = [
        ("NOT_FOUND", "lines.1.variantId"),
        ("PRODUCT_NOT_AVAILABLE", "lines.2.variantId"),
        ("VALIDATION_ERROR", "lines.3.quantity"),
    ];
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&expected));
    let create =
        "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } userErrors { code field } } }";
    let response = app.query_with_variables(create, json!({ "input": { "lines": line_inputs(&[(&mug, 0)]) } })).await;
    assert_eq!(user_errors(&response, "cartCreate"), error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")]));
    let bowl = app.create_product("bowl", 20, Some(5)).await;
    let response = app.mutate_cart_lines(None, "cartLinesUpdate", &id, &[(&bowl, 1)]).await;
    assert_eq!(user_errors(&response, "cartLinesUpdate"), error_pairs(&[("NOT_FOUND", "lines.0.id")]));
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("VALIDATION_ERROR", "lines")]));
    assert_eq!(app.query_cart(None, &id).await, before);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
    for cart_id in ["", "x", &id[1..], &format!("{id}x"), &"ü".repeat(43), "' OR 1 = 1 --"] {
        assert_eq!(app.query_cart(None, cart_id).await, Value::Null);
        let response = app.mutate_cart_lines(None, "cartLinesAdd", cart_id, &[(&mug, 1)]).await;
        assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("NOT_FOUND", "id")]), "{cart_id}");
    }
}

async fn lines_above_available_stock_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, untracked) = (app.create_product("mug", 10, Some(3)).await, app.create_product("free", 10, None).await);
    let backordered = app.create_product("late", 10, Some(0)).await;
    let id = app.create_cart(None, &[(&mug, 2)]).await;
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, 2)]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("INSUFFICIENT_STOCK", "lines.0.quantity")]));
    let message = response.data_at("/cartLinesAdd/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("only 3 are left"), "{message}");
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&backordered, 1)]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("INSUFFICIENT_STOCK", "lines.0.quantity")]));
    // Untracked stock and backorders are never insufficient.
    app.execute_sql("UPDATE variant SET allow_backorder = true WHERE sku = 'LATE'").await.expect("a change");
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&backordered, 7), (&untracked, 10_000)]).await;
    assert_eq!(
        cart_line_quantities(response.data_at("/cartLinesAdd/cart")),
        sku_quantities(&[("MUG", 2), ("LATE", 7), ("FREE", 10_000)])
    );
}

/// Creates products and returns the IDs of their variants.
async fn create_products(app: &TestApp, count: usize) -> Vec<String> {
    let slugs: Vec<String> = (0..count).map(|number| format!("thing-{number:03}")).collect();
    let product_inputs: Vec<_> = slugs.iter().map(|slug| simple_product(slug, slug, 10)).collect();
    app.save_products(&product_inputs).await;
    join_all(slugs.iter().map(|slug| async { app.query_variant_id(&slug.to_uppercase()).await })).await
}

async fn cart_above_two_hundred_lines_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let ids = create_products(&app, 201).await;
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let id = app.create_cart(None, &lines[..200]).await;
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &lines[200..]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("VALIDATION_ERROR", "lines")]));
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &lines).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("VALIDATION_ERROR", "lines")]));
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &lines[..200]).await;
    let cart = response.data_at("/cartLinesAdd/cart");
    assert_eq!(cart["itemCount"], 400);
    let expected: Vec<_> = (0..200).map(|number| (format!("THING-{number:03}"), 2)).collect();
    assert_eq!(cart_line_quantities(cart), expected, "lines stay where they were put");
}

async fn line_add_statement_count_is_independent_of_cart_size(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let ids = create_products(&app, 102).await;
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let (small, full) = (app.create_cart(None, &lines[..1]).await, app.create_cart(None, &lines[..100]).await);
    let query = "mutation($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { cart {
        lines { quantity unitPriceWhenAdded { amount } } itemCount } userErrors { code } } }";
    let full_query = "mutation($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { cart {
        lines { quantity cost { total { amount } tax { amount } } variant { name } } cost { subtotal { amount } total { amount } }
        problems { code } availableShippingOptions { price { amount } } }
        userErrors { code } } }";
    let read_query = "query($id: ID!) { cart(id: $id) { lines { cost { total { amount } } variant { sku } } cost { total { amount } } problems { code } } }";
    // SQLite cannot write the lines, the cart and the event in one statement.
    let more = if backend == Backend::Sqlite { 2 } else { 0 };
    for (query, expected) in [(query, 3 + more), (full_query, 6 + more), (read_query, 5)] {
        let count_statements = async |id: &str, lines: &[(&str, i64)]| {
            let response = app.query_with_variables(query, json!({ "id": id, "lines": line_inputs(lines) })).await;
            assert!(response.body.get("errors").is_none(), "{}", response.body);
            response.statements
        };
        let costs = [
            count_statements(&small, &lines[101..]).await,
            count_statements(&full, &lines[101..]).await,
            count_statements(&full, &lines[..50]).await,
        ];
        assert_eq!(costs, [expected; 3], "{query}");
    }
}

async fn concurrent_line_adds_are_all_counted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 10, Some(30)).await, app.create_product("bowl", 10, Some(30)).await);
    let id = app.create_cart(None, &[(&mug, 1)]).await;
    let add = |number: usize| {
        let (app, id, mug, bowl) = (&app, &id, &mug, &bowl);
        async move {
            // Every other request has the lines in reverse order.
            let lines = [(mug.as_str(), 1), (bowl.as_str(), 1)];
            let lines = if number.is_multiple_of(2) { lines } else { [lines[1], lines[0]] };
            let response = app.mutate_cart_lines(None, "cartLinesAdd", id, &lines).await;
            assert_eq!(user_errors(&response, "cartLinesAdd"), [], "{}", response.body);
        }
    };
    join_all((0..20).map(add)).await;
    let cart = app.query_cart(None, &id).await;
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, 41);
    assert_eq!((cart["version"].clone(), cart["itemCount"].clone()), (json!(22), json!(41)));
    // Concurrent requests for the remaining stock: 9 more mugs.
    let responses =
        join_all((0..20).map(|_| async { app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1)]).await })).await;
    let success_count = responses.iter().filter(|response| user_errors(response, "cartLinesAdd").is_empty()).count();
    assert_eq!(success_count, 9);
}

async fn customer_has_one_open_cart_across_devices(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let token = app.login(Role::Customer).await;
    let my_cart_query = "{ me { customer { cart { id itemCount } } } }";
    assert_eq!(app.query_as(&token, my_cart_query, json!({})).await.data_at("/me/customer/cart"), &Value::Null);
    let (token, mug) = (Some(token.as_str()), mug.as_str());
    let cart_ids = join_all((0..10).map(|_| async { app.create_cart(token, &[(mug, 1)]).await })).await;
    assert!(cart_ids.iter().all(|id| *id == cart_ids[0]), "{cart_ids:?}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
    let response = app.query_maybe_as(token, my_cart_query, json!({})).await;
    assert_eq!(response.data_at("/me/customer/cart"), &json!({ "id": cart_ids[0], "itemCount": 10 }));
    // Staff see the customers, but not the carts of other accounts in a list.
    let staff = app.login(Role::Staff).await;
    let all = app.query_as(&staff, "{ customers { nodes { cart { id } } } }", json!({})).await;
    assert!(all.data_at("/customers/nodes").as_array().expect("a list").iter().all(|one| one["cart"].is_null()));
    assert_eq!(app.query_cart(Some(&staff), &cart_ids[0]).await["id"], json!(cart_ids[0]));
}

async fn cart_of_another_customer_is_not_accessible(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let (own_token, other_token) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let id = app.create_cart(Some(&other_token), &[(&mug, 1)]).await;
    let before = app.query_cart(Some(&other_token), &id).await;
    let staff = app.login(Role::Staff).await;
    let rest = [
        "cartClear(id: $id)",
        "cartLinesRemove(id: $id, lineIds: [])",
        "cartNoteUpdate(id: $id, note: \"mine\")",
        "cartContactUpdate(id: $id, input: { email: \"mine@example.com\" })",
        "cartShippingMethodUpdate(id: $id)",
        "cartAddressUpdate(id: $id, input: { shipping: null })",
    ];
    for token in [None, Some(own_token.as_str()), Some(staff.as_str())] {
        let response = app.mutate_cart_lines(token, "cartLinesAdd", &id, &[(&mug, 1)]).await;
        assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("NOT_FOUND", "id")]));
        for call in rest {
            let query = format!("mutation($id: ID!) {{ it: {call} {{ cart {{ id }} userErrors {{ code field }} }} }}");
            let response = app.query_maybe_as(token, &query, json!({ "id": id })).await;
            assert_eq!(user_errors(&response, "it"), error_pairs(&[("NOT_FOUND", "id")]), "{call}");
        }
    }
    let merge = "mutation($id: ID!) { cartMerge(id: $id) { userErrors { code field } } }";
    let response = app.query_as(&own_token, merge, json!({ "id": id })).await;
    assert_eq!(user_errors(&response, "cartMerge"), error_pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(app.query_cart(Some(&own_token), &id).await, Value::Null);
    assert_eq!(app.query_cart(None, &id).await, Value::Null);
    assert_eq!(app.query_cart(Some(&other_token), &id).await, before);
    // A guest cart is accessible to every caller with its ID.
    let guest = app.create_cart(None, &[]).await;
    let response = app.mutate_cart_lines(Some(&own_token), "cartLinesAdd", &guest, &[(&mug, 1)]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), []);
}

async fn ordered_cart_cannot_be_changed(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let id = app.create_cart(None, &[(&mug, 1)]).await;
    app.execute_sql("UPDATE cart SET status = 'ordered', order_id = 7").await.expect("an order");
    let response = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1)]).await;
    assert_eq!(user_errors(&response, "cartLinesAdd"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let response = app.query_with_variables(CLEAR_CART, json!({ "id": id })).await;
    assert_eq!(user_errors(&response, "cartClear"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let cart = app.query_cart(None, &id).await;
    assert_eq!(
        (cart["status"].clone(), cart_line_quantities(&cart)),
        (json!("ORDERED"), sku_quantities(&[("MUG", 1)]))
    );
}

async fn cart_lists_issues_that_block_checkout(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut ids = Vec::new();
    for slug in ["fine", "gone", "none", "few", "dear", "both"] {
        ids.push(app.create_product(slug, 10, Some(9)).await);
    }
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 3)).collect();
    let id = app.create_cart(None, &lines).await;
    assert_eq!(app.query_cart(None, &id).await["problems"], json!([]));
    for sql in [
        "UPDATE product SET status = 'archived' WHERE slug = 'gone'",
        "UPDATE inventory_level SET on_hand = 0 WHERE variant_id = (SELECT id FROM variant WHERE sku = 'NONE')",
        "UPDATE inventory_level SET on_hand = 2 WHERE variant_id IN (SELECT id FROM variant WHERE sku IN ('FEW', 'BOTH'))",
        "UPDATE variant SET price = 1250 WHERE sku IN ('DEAR', 'BOTH')",
    ] {
        app.execute_sql(sql).await.expect("a change");
    }
    let cart = app.query_cart(None, &id).await;
    let issue_values = |issue: &Value| {
        json!([
            issue["code"],
            issue["variantId"],
            issue["available"],
            issue["priceBefore"]["amount"],
            issue["priceNow"]["amount"]
        ])
    };
    let problems: Vec<Value> = cart["problems"].as_array().expect("a list").iter().map(issue_values).collect();
    let expected = [
        json!(["PRODUCT_NOT_AVAILABLE", ids[1], null, null, null]),
        json!(["SOLD_OUT", ids[2], 0, null, null]),
        json!(["INSUFFICIENT_STOCK", ids[3], 2, null, null]),
        json!(["PRICE_CHANGED", ids[4], null, "10.00", "12.50"]),
        json!(["INSUFFICIENT_STOCK", ids[5], 2, null, null]),
        json!(["PRICE_CHANGED", ids[5], null, "10.00", "12.50"]),
    ];
    assert_eq!(problems, expected);
    // Issues of other lines do not block this line.
    let added = app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&ids[0], 1)]).await;
    assert_eq!(user_errors(&added, "cartLinesAdd"), []);
    // Updating a line accepts its new price.
    let set = app.mutate_cart_lines(None, "cartLinesUpdate", &id, &[(&ids[4], 3), (&ids[5], 2)]).await;
    let codes = set.strings_at("/cartLinesUpdate/cart/problems", "code");
    assert_eq!(codes, ["PRODUCT_NOT_AVAILABLE", "SOLD_OUT", "INSUFFICIENT_STOCK"]);
}

async fn stale_cart_version_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let id = app.create_cart(None, &[(&mug, 1)]).await;
    let version = app.query_cart(None, &id).await["version"].clone();
    let query = "mutation($id: ID!, $lines: [LineInput!]!, $version: Int) {
        cartLinesAdd(id: $id, lines: $lines, expectedVersion: $version) { cart { version } userErrors { code field } } }";
    let variables = json!({ "id": id, "lines": line_inputs(&[(&mug, 1)]), "version": version });
    let (first, second) =
        tokio::join!(app.query_with_variables(query, variables.clone()), app.query_with_variables(query, variables));
    let mut outcomes = [user_errors(&first, "cartLinesAdd"), user_errors(&second, "cartLinesAdd")];
    outcomes.sort();
    assert_eq!(outcomes, [error_pairs(&[]), error_pairs(&[("VERSION_CONFLICT", "expectedVersion")])]);
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, 2);
}
