//! The ranking of search results: sold-out products, boosts, and the products that change meanwhile.

use chrono::TimeDelta;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, GraphqlResponse, TestApp, parse_datetime,
        search_shop::{ShopProduct, insert_products},
    },
};

integration_tests![
    sold_out_products_are_last_in_their_tier,
    boosts_move_products_and_follow_their_changes,
    many_products_are_ranked_by_a_job_and_read_in_pages,
    invalid_rankings_are_rejected,
    ranking_is_for_staff_and_audited,
];

const UPDATE: &str = "mutation($input: SearchRankingUpdateInput!, $version: Int) {
    searchRankingUpdate(input: $input, expectedVersion: $version) {
        searchRanking { soldOutLast boosts { attribute value days } version } userErrors { field code } } }";

async fn update_ranking(app: &TestApp, staff: &str, input: Value) -> GraphqlResponse {
    let response = app.query_as(staff, UPDATE, json!({ "input": input })).await;
    app.drain_jobs().await;
    response
}

async fn create_product(app: &TestApp, staff: &str, input: Value) -> Value {
    let mutation = "mutation($input: ProductCreateInput!) { productCreate(input: $input) {
        product { id variants { id } } userErrors { message } } }";
    let mut input = input;
    input["status"] = json!("ACTIVE");
    input["categoryId"] = app.query("{ categories { id } }").await.data_at("/categories/0/id").clone();
    let created = app.query_as(staff, mutation, json!({ "input": input })).await;
    created.data_at("/productCreate/product").clone()
}

async fn update_product(app: &TestApp, staff: &str, product: &Value, input: Value) {
    let mutation = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
        product { id } userErrors { message } } }";
    let updated = app.query_as(staff, mutation, json!({ "id": product["id"], "input": input })).await;
    assert!(updated.data_at("/productUpdate/product/id").is_string(), "{}", updated.body);
}

async fn search(app: &TestApp, text: &str) -> Vec<String> {
    let query = "query($search: String) { products(first: 50, filter: { search: $search }) { nodes { name } } }";
    app.query_with_variables(query, json!({ "search": text })).await.strings_at("/products/nodes", "name")
}

/// Starts a server with a category and creates products, a day after each other.
async fn start_with_lamps(backend: Backend, lamps: &[(&str, Value)]) -> (TestApp, String, Vec<Value>) {
    let app = TestApp::start(backend).await;
    app.create_categories(std::iter::once(vec!["Things".to_owned()])).await;
    let mut products = Vec::new();
    for (index, (name, fields)) in lamps.iter().enumerate() {
        app.clock.set(app.clock.now() + TimeDelta::days(1));
        let mut input = json!({ "name": name, "variants": [{ "sku": format!("L{index}"), "price": "1.00" }] });
        for (field, value) in fields.as_object().into_iter().flatten() {
            input[field] = value.clone();
        }
        let admin = app.login(Role::Admin).await;
        products.push(create_product(&app, &admin, input).await);
    }
    let admin = app.login(Role::Admin).await;
    (app, admin, products)
}

async fn sold_out_products_are_last_in_their_tier(backend: Backend) {
    let sold_out = |sku: &str| json!({ "variants": [{ "sku": sku, "price": "1.00", "stockQuantity": 0 }] });
    let in_stock = json!({ "variants": [{ "sku": "IN", "price": "1.00", "stockQuantity": 1 }] });
    let lamps = [
        ("Lamp oak", in_stock),
        ("Lamp pine", sold_out("PINE")),
        ("New lamp", json!({})),
        ("Old lamp", sold_out("OLD")),
    ];
    let (app, admin, products) = start_with_lamps(backend, &lamps).await;
    let by_time = ["Lamp pine", "Lamp oak", "Old lamp", "New lamp"];
    assert_eq!(search(&app, "lamp").await, by_time);
    let updated = update_ranking(&app, &admin, json!({ "soldOutLast": true })).await;
    let ranking = json!({ "soldOutLast": true, "boosts": [], "version": 2 });
    assert_eq!(updated.data_at("/searchRankingUpdate/searchRanking"), &ranking);
    assert_eq!(search(&app, "lamp").await, ["Lamp oak", "Lamp pine", "New lamp", "Old lamp"]);
    // Sold out, and in stock again.
    let set_stock = async |product: &Value, quantity: i32| {
        let mutation =
            "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) {
            variant { id } userErrors { message } } }";
        let variables = json!({ "id": product["variants"][0]["id"], "input": { "stockQuantity": quantity } });
        let updated = app.query_as(&admin, mutation, variables).await;
        assert!(updated.data_at("/productVariantUpdate/variant/id").is_string(), "{}", updated.body);
    };
    set_stock(&products[0], 0).await;
    assert_eq!(search(&app, "lamp").await, ["Lamp pine", "Lamp oak", "New lamp", "Old lamp"]);
    set_stock(&products[3], 3).await;
    assert_eq!(search(&app, "lamp").await, by_time);
    set_stock(&products[0], 2).await;
    assert_eq!(search(&app, "lamp").await, ["Lamp oak", "Lamp pine", "Old lamp", "New lamp"]);
    // An exact match is first, whether or not it is sold out.
    assert_eq!(search(&app, "lamp pine").await, ["Lamp pine"]);
    update_ranking(&app, &admin, json!({ "soldOutLast": false })).await;
    assert_eq!(search(&app, "lamp").await, by_time);
}

async fn boosts_move_products_and_follow_their_changes(backend: Backend) {
    let (app, admin, products) = start_with_lamps(
        backend,
        &[
            ("Lamp one", json!({ "featured": true })),
            ("Lamp two", json!({ "vendor": "Acme" })),
            ("Lamp three", json!({ "tags": ["Margin: high"] })),
            ("Lamp four", json!({})),
            ("Lamp five", json!({})),
        ],
    )
    .await;
    assert_eq!(search(&app, "lamp").await, ["Lamp five", "Lamp four", "Lamp three", "Lamp two", "Lamp one"]);
    let boosts = json!([
        { "attribute": "FEATURED", "days": 10 },
        { "attribute": "VENDOR", "value": "ACME", "days": 20 },
        { "attribute": "TAG", "value": "margin: high", "days": 30 },
    ]);
    update_ranking(&app, &admin, json!({ "boosts": boosts })).await;
    let boosted = ["Lamp three", "Lamp two", "Lamp one", "Lamp five", "Lamp four"];
    assert_eq!(search(&app, "lamp").await, boosted);
    // Boosts are added, and follow the changes of products.
    update_product(&app, &admin, &products[3], json!({ "featured": true, "tags": ["margin: high"] })).await;
    assert_eq!(search(&app, "lamp").await[..2], ["Lamp four", "Lamp three"]);
    update_product(&app, &admin, &products[3], json!({ "featured": false, "tags": [] })).await;
    assert_eq!(search(&app, "lamp").await, boosted);
    update_product(&app, &admin, &products[1], json!({ "vendor": "Brim" })).await;
    assert_eq!(search(&app, "lamp").await, ["Lamp three", "Lamp one", "Lamp five", "Lamp four", "Lamp two"]);
    update_product(&app, &admin, &products[0], json!({ "vendor": "Acme" })).await;
    assert_eq!(search(&app, "lamp").await[..2], ["Lamp three", "Lamp one"]);
    // A product that is created later is ranked at once; a negative boost moves behind older ones.
    create_product(
        &app,
        &admin,
        json!({ "name": "Lamp six", "featured": true, "tags": ["margin: high"],
        "variants": [{ "sku": "L6", "price": "1.00" }] }),
    )
    .await;
    assert_eq!(search(&app, "lamp").await[0], "Lamp six");
    update_ranking(&app, &admin, json!({ "boosts": [{ "attribute": "FEATURED", "days": -100 }] })).await;
    assert_eq!(
        search(&app, "lamp").await,
        ["Lamp five", "Lamp four", "Lamp three", "Lamp two", "Lamp six", "Lamp one"]
    );
    // Other orders are not affected.
    let newest =
        app.query("{ products(first: 1, filter: { search: \"lamp\" }, sort: { field: NEWEST }) { nodes { name } } }");
    assert_eq!(newest.await.strings_at("/products/nodes", "name"), ["Lamp six"]);
}

async fn many_products_are_ranked_by_a_job_and_read_in_pages(backend: Backend) {
    const COUNT: i64 = 1_300;
    let app = TestApp::start(backend).await;
    let product = |number: i64| ShopProduct {
        id: number,
        name: if number % 3 == 0 { format!("Large lamp {number}") } else { format!("Lamp {number}") },
        other_words: Vec::new(),
        sku: format!("S{number}"),
        created_at: parse_datetime("2026-10-01T00:00:00Z") + TimeDelta::minutes(number * 7_919 % COUNT),
        is_active: true,
        in_stock: number % 5 != 0,
        price: 100,
    };
    let products: Vec<ShopProduct> = (1..=COUNT).map(product).collect();
    insert_products(&app, &products).await;
    let admin = app.login(Role::Admin).await;
    update_ranking(&app, &admin, json!({ "soldOutLast": true })).await;
    let mut expected: Vec<&ShopProduct> = products.iter().collect();
    expected.sort_by_key(|product| {
        (product.name.starts_with("Large"), !product.in_stock, std::cmp::Reverse(product.created_at))
    });
    let expected: Vec<&str> = expected.iter().map(|product| product.name.as_str()).collect();
    for (page, end, cursor) in
        [("first: 100, after", "hasNextPage", "endCursor"), ("last: 100, before", "hasPreviousPage", "startCursor")]
    {
        let query = format!(
            "query($cursor: String) {{ products({page}: $cursor, filter: {{ search: \"lamp\" }}) {{
                nodes {{ name }} pageInfo {{ {end} {cursor} }} }} }}"
        );
        let (mut found, mut position): (Vec<String>, Value) = (Vec::new(), Value::Null);
        loop {
            let response = app.query_with_variables(&query, json!({ "cursor": position })).await;
            let names = response.strings_at("/products/nodes", "name");
            found = if page.starts_with("first") { [found, names].concat() } else { [names, found].concat() };
            if response.data_at(&format!("/products/pageInfo/{end}")) == false {
                break;
            }
            position = response.data_at(&format!("/products/pageInfo/{cursor}")).clone();
        }
        assert_eq!(found, expected, "{page}");
    }
}

async fn invalid_rankings_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let featured = json!({ "attribute": "FEATURED", "days": 1 });
    let many: Vec<Value> =
        (0..51).map(|n| json!({ "attribute": "TAG", "value": format!("t{n}"), "days": 1 })).collect();
    for (boosts, field, code) in [
        (json!([{ "attribute": "FEATURED", "days": 0 }]), "input.boosts.0.days", "VALIDATION_ERROR"),
        (json!([{ "attribute": "FEATURED", "days": 3651 }]), "input.boosts.0.days", "VALIDATION_ERROR"),
        (json!([{ "attribute": "FEATURED", "value": "x", "days": 1 }]), "input.boosts.0.value", "VALIDATION_ERROR"),
        (json!([featured, { "attribute": "TAG", "days": 1 }]), "input.boosts.1.value", "VALIDATION_ERROR"),
        (json!([{ "attribute": "VENDOR", "value": " ", "days": 1 }]), "input.boosts.0.value", "VALIDATION_ERROR"),
        (json!([featured, featured]), "input.boosts.1", "ALREADY_EXISTS"),
        (json!(many), "input.boosts", "VALIDATION_ERROR"),
    ] {
        let response = update_ranking(&app, &admin, json!({ "boosts": boosts })).await;
        let errors = response.user_errors("searchRankingUpdate");
        assert_eq!(errors, [(code.to_owned(), field.to_owned())], "{boosts}: {}", response.body);
    }
    let unchanged = app.query_as(&admin, "{ searchRanking { soldOutLast boosts { days } version } }", json!({})).await;
    assert_eq!(unchanged.data_at("/searchRanking"), &json!({ "soldOutLast": false, "boosts": [], "version": 1 }));
}

async fn ranking_is_for_staff_and_audited(backend: Backend) {
    let app = TestApp::start(backend).await;
    let customer = app.login(Role::Customer).await;
    let refused = app.query_as(&customer, UPDATE, json!({ "input": { "soldOutLast": true } })).await;
    assert!(refused.body.to_string().contains("FORBIDDEN"), "{}", refused.body);
    let admin = app.login(Role::Admin).await;
    let input = json!({ "soldOutLast": true, "boosts": [{ "attribute": "FEATURED", "days": 7 }] });
    let stale = app.query_as(&admin, UPDATE, json!({ "input": input, "version": 4 })).await;
    assert_eq!(stale.user_errors("searchRankingUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    for version in [1, 2] {
        // The second time changes nothing.
        let updated = app.query_as(&admin, UPDATE, json!({ "input": input, "version": version })).await;
        assert_eq!(updated.data_at("/searchRankingUpdate/searchRanking/version"), 2, "{}", updated.body);
    }
    let id = app.query_as(&admin, "{ searchRanking { id } }", json!({})).await.data_at("/searchRanking/id").clone();
    let query = "query($id: ID!) { node(id: $id) { ... on SearchRanking { version } }
        auditLog(filter: { entityId: $id }) { nodes { action before after } } }";
    let entries = app.query_as(&admin, query, json!({ "id": id })).await;
    assert_eq!(entries.data_at("/node/version"), 2);
    let nodes = entries.data_at("/auditLog/nodes").as_array().expect("entries").clone();
    assert_eq!(nodes.len(), 1, "{}", entries.body);
    let after = json!({ "soldOutLast": true, "boosts": [{ "attribute": "featured", "value": null, "days": 7 }] });
    assert_eq!(nodes[0]["after"], after);
}
