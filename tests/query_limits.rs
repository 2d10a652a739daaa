//! What a document may ask: no trick makes the server do unbounded work, and what was asked once opens no door.

use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    exponential_and_cyclic_fragments_are_rejected,
    documents_over_the_size_and_depth_limits_are_rejected,
    nested_lists_multiply_query_cost,
    category_tree_is_limited_by_response_values,
    introspection_in_production_is_rejected,
    directives_are_applied_and_validated,
    cached_document_still_validates_variables,
    concurrent_requests_do_not_share_results,
];

const INTROSPECTION_QUERY: &str = include_str!("browser/introspection.graphql");
const TOO_COMPLEX: (u16, &str) = (400, "QUERY_TOO_COMPLEX");
const INVALID: (u16, &str) = (400, "GRAPHQL_VALIDATION_FAILED");

async fn send_query(app: &TestApp, query: &str, variables: Value) -> HttpResponse {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = app.build_request(reqwest::Method::POST, "/graphql").header("content-type", "application/json");
    HttpResponse::send(request.body(body)).await
}

/// The status and the code of an answer that is an error.
async fn rejection_of(app: &TestApp, query: &str) -> (u16, String) {
    let http_response = send_query(app, query, json!({})).await;
    (http_response.status, http_response.error_code())
}

async fn query_data(app: &TestApp, query: &str, variables: Value) -> Value {
    let body = send_query(app, query, variables).await.json();
    assert!(body.get("errors").is_none(), "{query}: {body}");
    body["data"].clone()
}

fn assert_rejection(refusal: &(u16, String), expected: (u16, &str), context: &str) {
    assert_eq!((refusal.0, refusal.1.as_str()), expected, "{context}");
}

async fn exponential_and_cyclic_fragments_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let link = |n: usize, times: usize| {
        let spreads = format!("...f{} ", n + 1).repeat(times);
        format!("fragment f{n} on Query {{ {spreads}}} ")
    };
    let chain = |length: usize, times: usize| {
        let links: String = (0..length).map(|n| link(n, times)).collect();
        format!("{links} fragment f{length} on Query {{ __typename }}")
    };
    assert_rejection(&rejection_of(&app, &format!("{{ ...f0 }} {}", chain(60, 2))).await, TOO_COMPLEX, "a bomb");
    assert_rejection(
        &rejection_of(&app, &format!("{{ __typename }} {}", chain(60, 2))).await,
        TOO_COMPLEX,
        "one nobody lights",
    );
    assert_rejection(
        &rejection_of(&app, &format!("{{ ...f0 }} {}", chain(5_000, 1))).await,
        TOO_COMPLEX,
        "a long fuse",
    );
    assert_rejection(
        &rejection_of(&app, &format!("{{ __typename }} {}", chain(5_000, 1))).await,
        TOO_COMPLEX,
        "a long fuse unused",
    );
    assert_eq!(
        query_data(&app, &format!("{{ ...f0 }} {}", chain(5, 2)), json!({})).await,
        json!({ "__typename": "Query" })
    );
    for cycle in [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ... { ...a } }",
        "{ __typename } fragment a on Query { shop { name } ...a }",
        "{ category(slug: \"x\") { ...c } } fragment c on Category { children { ...c } }",
    ] {
        assert_rejection(&rejection_of(&app, cycle).await, INVALID, cycle);
    }
    // Each of many selections spreads a fragment of many fields.
    let repeat_items =
        |count: usize, make_item: &dyn Fn(usize) -> String| (0..count).map(make_item).collect::<Vec<_>>().concat();
    let shop_fields = repeat_items(2_000, &|n| format!("a{n}:shop{{...F}} "));
    let names = repeat_items(2_000, &|n| format!("b{n}:name "));
    let document = format!("{{ __typename }} fragment U on Query {{ {shop_fields} }} fragment F on Shop {{ {names} }}");
    assert_rejection(&rejection_of(&app, &document).await, TOO_COMPLEX, "a square");
    // The shop is there as before.
    assert_eq!(query_data(&app, "{ __typename }", json!({})).await, json!({ "__typename": "Query" }));
}

async fn documents_over_the_size_and_depth_limits_are_rejected(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_DEPTH", "5")]).await;
    let repeat_items =
        |count: usize, make_item: &dyn Fn(usize) -> String| (0..count).map(make_item).collect::<Vec<_>>().concat();
    let aliases =
        |count: usize| format!("{{ shop {{ {} }} }}", repeat_items(count - 1, &|n| format!("a{n}: __typename ")));
    assert_rejection(&rejection_of(&app, &aliases(2_001)).await, TOO_COMPLEX, "2,001 aliases");
    let response = query_data(&app, &aliases(2_000), json!({})).await;
    assert_eq!(response["shop"].as_object().map(serde_json::Map::len), Some(1_999));
    let document = format!("query A {} query B {}", aliases(1_001), aliases(1_000));
    assert_rejection(&rejection_of(&app, &document).await, TOO_COMPLEX, "in two operations");

    assert_eq!(
        query_data(&app, "{ category(slug: \"x\") { parent { parent { parent { id } } } } }", json!({})).await,
        json!({ "category": null })
    );
    let deep = "{ category(slug: \"x\") { parent { parent { parent { parent { id } } } } } }";
    assert_rejection(&rejection_of(&app, deep).await, TOO_COMPLEX, "six deep");
    let hidden = "{ category(slug: \"x\") { ...a } } fragment a on Category { parent { parent { ...b } } } \
        fragment b on Category { ... { parent { parent { id } } } }";
    assert_rejection(&rejection_of(&app, hidden).await, TOO_COMPLEX, "six deep in fragments");
    let inline = format!("{}{{ __typename }}{}", "{ ... ".repeat(30), "}".repeat(30));
    assert_eq!(query_data(&app, &inline, json!({})).await, json!({ "__typename": "Query" }));
    for (open, close) in [("{a", "}"), ("{...", "}"), ("{a(a:[", "])}"), ("{a(a:{a:", "})}")] {
        let http_response =
            send_query(&app, &format!("{}{}", open.repeat(20_000), close.repeat(20_000)), json!({})).await;
        assert!(
            http_response.status == 400 && !http_response.error_code().is_empty() && http_response.text.len() < 1_000,
            "{http_response:?}"
        );
    }

    let arguments = repeat_items(10_001, &|n| format!("a{n}: 1 "));
    assert_rejection(
        &rejection_of(&app, &format!("{{ product({arguments}) {{ id }} }}")).await,
        TOO_COMPLEX,
        "arguments",
    );
    let variables = repeat_items(10_001, &|n| format!("$v{n}: Int "));
    assert_rejection(
        &rejection_of(&app, &format!("query ({variables}) {{ __typename }}")).await,
        TOO_COMPLEX,
        "variables",
    );
    // One request is not answered with thousands of errors.
    let unknown = repeat_items(1_000, &|n| format!("nothing{n} "));
    let http_response = send_query(&app, &format!("{{ shop {{ name {unknown} }} }}"), json!({})).await;
    assert_eq!(http_response.json()["errors"].as_array().map(Vec::len), Some(10));
    assert_rejection(
        &rejection_of(&app, &format!("{{ shop {} {{ name }} }}", "@skip(if: false) ".repeat(9))).await,
        INVALID,
        "directives",
    );
}

async fn nested_lists_multiply_query_cost(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let nested = |limit: &str| {
        let inner = format!(
            "products({limit}) {{ category {{ products({limit}) {{ category {{ products({limit}) {{ id }} }} }} }} }}"
        );
        format!("{{ category(slug: \"kitchen\") {{ {inner} }} }}")
    };
    assert_rejection(&rejection_of(&app, &nested("limit: 100")).await, TOO_COMPLEX, "a million products");
    assert!(query_data(&app, &nested("limit: 2"), json!({})).await["category"]["products"].is_array());
    // The numbers may come from variables, and their defaults.
    let query = format!("query ($n: Int = 100) {}", nested("limit: $n"));
    let http_response = send_query(&app, &query, json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), TOO_COMPLEX);
    let http_response = send_query(&app, &query, json!({ "n": 100 })).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), TOO_COMPLEX);
    assert!(query_data(&app, &query, json!({ "n": 1 })).await["category"].is_object());
    let aliases: String = (0..30)
        .map(|n| format!("a{n}: products(first: 100) {{ nodes {{ id name sku slug price featured vendor }} }} "))
        .collect::<Vec<_>>()
        .concat();
    assert_rejection(&rejection_of(&app, &format!("{{ {aliases} }}")).await, TOO_COMPLEX, "pages side by side");
    // A number that cannot be costs nothing, and is refused for what it is.
    let http_response = send_query(&app, "{ products(first: -1) { nodes { id } } }", json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (200, "BAD_USER_INPUT"));
}

async fn category_tree_is_limited_by_response_values(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_RESPONSE_VALUES", "60")]).await;
    app.import_products(savannah::import_export::import::DEMO_CATALOG_CSV).await;
    assert!(query_data(&app, "{ categories { id } }", json!({})).await["categories"].is_array());
    let http_response =
        send_query(&app, "{ categories { descendants { id name slug ancestors { id } } } }", json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (200, "QUERY_TOO_COMPLEX"));
    assert!(http_response.error_message().contains("60 values"), "{http_response:?}");
    assert_eq!(http_response.json()["data"], json!(null), "the roots may not be null");
}

async fn introspection_in_production_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let schema = query_data(&app, INTROSPECTION_QUERY, json!({})).await;
    let types = schema["__schema"]["types"].as_array().expect("types");
    assert!(types.iter().any(|one| one["name"] == "Product"));
    assert_eq!(query_data(&app, "{ __type(name: \"Shop\") { name } }", json!({})).await["__type"]["name"], "Shop");

    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    for query in [INTROSPECTION_QUERY, "{ __schema { queryType { name } } }", "{ __type(name: \"Shop\") { name } }"] {
        let http_response = send_query(&app, query, json!({})).await;
        assert_eq!(http_response.error_code(), INVALID.1);
        assert!(http_response.status == 400 && !http_response.text.contains("Product"), "{http_response:?}");
    }
    let http_response = send_query(&app, "{ sho { name } }", json!({})).await;
    assert!(http_response.status == 400 && !http_response.text.contains("shop"), "no suggestions: {http_response:?}");
    assert_eq!(query_data(&app, "{ __typename }", json!({})).await["__typename"], "Query");

    let settings = [("SAVANNAH_SHOP__MODE", "production"), ("SAVANNAH_GRAPHQL__INTROSPECTION", "true")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    assert!(query_data(&app, INTROSPECTION_QUERY, json!({})).await["__schema"]["types"].is_array());
}

async fn directives_are_applied_and_validated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cases = [
        (
            "query ($x: Boolean = true) { shop @include(if: $x) { name } }",
            json!({}),
            json!({ "shop": { "name": "Savannah" } }),
        ),
        ("query ($x: Boolean = true) { shop @include(if: $x) { name } }", json!({ "x": false }), json!({})),
        ("query ($x: Boolean = true) { __typename @skip(if: $x) }", json!({}), json!({})),
        (
            "query ($x: Boolean!) { __typename @include(if: $x) }",
            json!({ "x": true }),
            json!({ "__typename": "Query" }),
        ),
        ("{ shop { name @skip(if: true) } }", json!({}), json!({ "shop": {} })),
        ("{ shop { ...F @include(if: false) } } fragment F on Shop { name }", json!({}), json!({ "shop": {} })),
        ("{ ... @skip(if: true) { shop { name } } }", json!({}), json!({})),
        ("{ shop @skip(if: true) { name } }", json!({}), json!({})),
        ("{ category(slug: \"none\") { name @skip(if: true) } }", json!({}), json!({ "category": null })),
    ];
    for (query, variables, expected) in cases {
        assert_eq!(query_data(&app, query, variables).await, expected, "{query}");
    }
    let invalid = [
        "{ __typename @nothing }",
        "{ shop @nothing { name } }",
        "{ shop @skip { name } }",
        "{ __typename @skip }",
        "{ shop @skip(if: \"yes\") { name } }",
        "query ($x: String) { shop @skip(if: $x) { name } }",
        "query ($x: Boolean!) { shop @skip(if: $x) { name } }",
        "query @skip(if: true) { __typename }",
        "{ shop @include(if: true) @include(if: true) { name } }",
    ];
    for query in invalid {
        let http_response = send_query(&app, query, json!({})).await;
        assert_eq!(
            (http_response.status, http_response.text.contains(INVALID.1)),
            (INVALID.0, true),
            "{query}: {http_response:?}"
        );
    }
}

async fn cached_document_still_validates_variables(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query =
        "query ($first: Int, $filter: ProductFilter) { products(first: $first, filter: $filter) { totalCount } }";
    let invalid = [
        json!({ "first": "one" }),
        json!({ "filter": { "colour": 1 } }),
        json!({ "first": 1, "filter": { "search": 1 } }),
        json!({ "filter": { "inStock": "yes" } }),
        json!({ "filter": { "options": [{ "name": "Size" }] } }),
    ];
    let mut responses = Vec::new();
    for variables in &invalid {
        let http_response = send_query(&app, query, variables.clone()).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), INVALID, "{variables}");
        responses.push(http_response.error_message());
    }
    // Once it was good, it is good again, and what was bad is still bad in the same words.
    for _ in 0..3 {
        assert!(query_data(&app, query, json!({ "first": 1 })).await["products"]["totalCount"].is_number());
        for (variables, message) in invalid.iter().zip(&responses) {
            let http_response = send_query(&app, query, variables.clone()).await;
            assert_eq!((http_response.status, &http_response.error_message()), (400, message), "{variables}");
        }
    }
    // The name of the operation belongs to what was looked at.
    let document = "query A { shop { name } } query B($x: Int!) { products(first: $x) { totalCount } }";
    let named = |name: &str| json!({ "query": document, "operationName": name });
    assert_eq!(app.post_graphql(named("A")).await.status(), 200);
    assert_eq!(app.post_graphql(named("B")).await.status(), 400);
}

async fn concurrent_requests_do_not_share_results(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let slugs = ["mug", "purple-tea", "chai-masala", "baringo-honey", "nyeri-aa-coffee", "olive-wood-bowl"];
    let query_product = |slug: &'static str| {
        let query = format!(
            "query ($slug: String!) {{ product(slug: $slug) {{ slug variants {{ sku product {{ slug tags }} }} }} }} # {}",
            slug.len() % 2
        );
        let app = &app;
        async move { (slug, app.query_with_variables(&query, json!({ "slug": slug })).await) }
    };
    let sequential = futures_util::future::join_all(slugs.map(query_product)).await;
    for _ in 0..10 {
        let responses = futures_util::future::join_all(slugs.iter().chain(&slugs).copied().map(query_product)).await;
        for (slug, response) in &responses {
            let (_, expected) = sequential.iter().find(|(other, _)| other == slug).expect("an answer");
            assert_eq!(response.data_at("/product/slug"), slug);
            assert_eq!((&response.body, response.statements), (&expected.body, expected.statements));
        }
    }
}
