//! Malicious requests: each is rejected quickly or bounded, and the server keeps responding.

use futures_util::future::join_all;
use reqwest::Method;
use savannah::identity::Role;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, EventStreamClient, HttpResponse, TestApp, WebSocketClient},
};

integration_tests![
    nested_values_by_post_and_get_are_rejected,
    brackets_in_strings_and_comments_are_accepted,
    documents_over_the_size_limit_are_rejected,
    facets_over_the_budget_are_rejected,
    statements_over_the_budget_are_rejected,
    facets_requested_twice_are_computed_once,
    counts_and_facets_add_to_query_cost,
    root_fields_of_mutations_are_limited,
    customer_export_twice_in_a_request_is_rejected,
    responses_over_the_size_limit_are_rejected,
    invalid_documents_are_rejected,
    absent_variables_leave_values_unchanged,
    absent_variables_take_schema_defaults,
    null_in_a_directive_condition_is_rejected,
    mutation_after_request_timeout_completes,
];

const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

async fn send_query(app: &TestApp, query: &str, variables: Value) -> HttpResponse {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = app.build_request(Method::POST, "/graphql").header("content-type", "application/json");
    HttpResponse::send(request.body(body)).await
}

async fn send_get_query(app: &TestApp, query: &str) -> HttpResponse {
    let encoded = query.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    HttpResponse::send(app.build_request(Method::GET, &format!("/graphql?query={encoded}"))).await
}

async fn assert_server_answers(app: &TestApp) {
    assert_eq!(send_query(app, "{ __typename }", json!({})).await.text, r#"{"data":{"__typename":"Query"}}"#);
}

fn repeat_fields(count: usize, make_field: impl Fn(usize) -> String) -> String {
    (0..count).map(make_field).collect::<Vec<_>>().join(" ")
}

async fn nested_values_by_post_and_get_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    for (open, close) in [("[", "]"), ("{x:", "}"), ("[{x:", "}]")] {
        let value = format!("{}1{}", open.repeat(1_500), close.repeat(1_500));
        let queries = [
            format!("{{a(b:{value}){{c}}}}"),
            format!("query($v:Int={value}){{shop{{name}}}}"),
            format!("{{shop@include(if:{value}){{name}}}}"),
            format!("query($v:Int@include(if:{value})){{shop{{name}}}}"),
            format!("{{...F}}fragment F on Query@include(if:{value}){{shop{{name}}}}"),
            format!("query($v:{}Int{}){{shop{{name}}}}", "[".repeat(1_500), "]".repeat(1_500)),
        ];
        for query in queries {
            for http_response in [send_query(&app, &query, json!({})).await, send_get_query(&app, &query).await] {
                assert_eq!(
                    (http_response.status, http_response.error_code().as_str()),
                    (400, TOO_COMPLEX),
                    "{}",
                    &query[..40]
                );
                assert!(http_response.text.len() < 400, "{http_response:?}");
            }
        }
    }
    assert_server_answers(&app).await;
}

async fn brackets_in_strings_and_comments_are_accepted(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let brackets = "[{(".repeat(15_000);
    for text in [
        format!("{{ product(slug: \"\"\"{brackets}\"\"\") {{ name }} }}"),
        format!("{{ product(slug: \"{brackets}\") {{ name }} }}"),
        format!("{{ product(slug: \"none\") {{ name }} }} #{brackets}"),
    ] {
        let http_response = send_query(&app, &text, json!({})).await;
        assert_eq!((http_response.status, http_response.text.as_str()), (200, r#"{"data":{"product":null}}"#));
    }
}

async fn documents_over_the_size_limit_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long = format!("{{a(b:[{}])}}", "[]".repeat(500_000));
    for http_response in join_all((0..6).map(|_| send_query(&app, &long, json!({})))).await {
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX));
        assert!(
            http_response.error_message().contains("65536 bytes")
                && http_response.error_message().contains("variables"),
            "{http_response:?}"
        );
    }
    // Strings in variables do not count towards the document.
    let query = "query ($slug: String!) { product(slug: $slug) { name } }";
    assert_eq!(send_query(&app, query, json!({ "slug": "x".repeat(200_000) })).await.status, 200);
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_DOCUMENT_BYTES", "20")]).await;
    assert_eq!(send_query(&app, "{ __typename }", json!({})).await.status, 200);
    assert_eq!(send_query(&app, "{ __typename } # 1234", json!({})).await.error_code(), TOO_COMPLEX);
}

async fn facets_over_the_budget_are_rejected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let facets =
        repeat_fields(60, |n| format!("f{n}: facets {{ options {{ name }} tags {{ count }} vendors {{ count }} }}"));
    let query = format!("{{ products(first: 0, filter: {{ inStock: true }}) {{ {facets} }} }}");
    let http_response = send_query(&app, &query, json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX));
    let counts = repeat_fields(90, |n| {
        format!("a{n}: products(first: 0, filter: {{ inStock: true, search: \"lamp0\" }}) {{ totalCount }}")
    });
    let http_response = send_query(&app, &format!("{{ {counts} }}"), json!({})).await;
    assert_eq!(
        (http_response.status, http_response.error_code().as_str()),
        (200, TOO_COMPLEX),
        "ninety counts cost less than the limit"
    );
    assert!(http_response.error_message().contains("60 database statements"), "{http_response:?}");
    let http_response =
        send_query(&app, &format!("{{ {} }}", repeat_fields(600, |n| format!("a{n}: __typename"))), json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX), "600 aliases");
    assert_server_answers(&app).await;
}

async fn statements_over_the_budget_are_rejected(backend: Backend) {
    let settings = [("SAVANNAH_GRAPHQL__MAX_STATEMENTS", "2"), ("SAVANNAH_GRAPHQL__MAX_STATEMENTS_STAFF", "3")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let products =
        |count| format!("{{ {} }}", repeat_fields(count, |n| format!("a{n}: product(slug: \"s{n}\") {{ id }}")));
    assert_eq!(app.query(&products(2)).await.statements, 2);
    let response = app.query(&products(3)).await;
    assert_eq!((response.error_code(), response.statements), (TOO_COMPLEX, 2));
    assert_eq!(response.body["errors"].as_array().map(Vec::len), Some(1));
    let staff = app.login(Role::Admin).await;
    assert_eq!(app.query_as(&staff, &products(3), json!({})).await.statements, 3);
    assert_eq!(app.query_as(&staff, &products(4), json!({})).await.error_code(), TOO_COMPLEX);
    // An open transaction completes: a cart takes more statements than the remaining budget.
    let cart = app.query("mutation { cartCreate(input: {}) { cart { id } userErrors { code } } }").await;
    assert!(cart.data_at("/cartCreate/cart/id").is_string());
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);

    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_DATABASE_TIME", "0s")]).await;
    assert_eq!(app.query(&products(1)).await.error_code(), TOO_COMPLEX);
}

async fn facets_requested_twice_are_computed_once(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let facets = "vendors(first: 3) { value count } all: vendors { value count } tags(first: 1) { value }
        options(first: 1) { name values { value } } every: options { name values { value } }
        categories(first: 1) { count } roots: categories { count } priceRanges { count } twice: priceRanges { count }";
    let query = format!(
        "{{ products(first: 0) {{ a: facets {{ {facets} }} b: facets {{ {facets} }} x: totalCount y: totalCount }} }}"
    );
    let response = app.query(&query).await;
    assert_eq!(response.data_at("/products/a"), response.data_at("/products/b"));
    assert_eq!(response.statements, 2, "the facets and a count");
    let all = response.data_at("/products/a/all").as_array().expect("a list").clone();
    let few = response.data_at("/products/a/vendors").as_array().expect("a list").clone();
    assert_eq!(few[..], all[..few.len()]);
    for option in response.data_at("/products/a/options").as_array().expect("a list") {
        assert_eq!(option["values"].as_array().map(Vec::len), Some(1));
    }
}

async fn counts_and_facets_add_to_query_cost(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "1000")]).await;
    let within = "{ products(first: 50) { totalCount nodes { id name } facets { vendors { value count } } } }";
    assert!(app.query(within).await.body.get("errors").is_none());
    for over_limit in [
        "{ products(first: 0) { facets { vendors { value } tags { value } categories { count } } } }",
        "{ products(first: 0) { a: totalCount b: totalCount c: totalCount d: totalCount e: totalCount f: totalCount } }",
        "{ a: products(first: 0) { facets { tags { value } } } b: products(first: 0) { facets { tags { value } } } \
           c: products(first: 0) { facets { tags { value } } } }",
    ] {
        let http_response = send_query(&app, over_limit, json!({})).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX), "{over_limit}");
    }
}

async fn root_fields_of_mutations_are_limited(backend: Backend) {
    let app = TestApp::start(backend).await;
    let carts = |count| {
        format!(
            "mutation {{ {} }}",
            repeat_fields(count, |n| format!("a{n}: cartCreate(input: {{}}) {{ cart {{ id }} }}"))
        )
    };
    let http_response = send_query(&app, &carts(11), json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX));
    assert!(http_response.error_message().contains("10 root fields"), "{http_response:?}");
    let hidden = "mutation { ...F ...F2 } fragment F on Mutation { ...G ... { ...H } } \
        fragment F2 on Mutation { x: cartCreate(input: {}) { cart { id } } } ";
    let fragment = |name: char| {
        let fields = repeat_fields(5, |n| {
            format!("{}{n}: cartCreate(input: {{}}) {{ cart {{ id }} }}", name.to_ascii_lowercase())
        });
        format!("fragment {name} on Mutation {{ {fields} }} ")
    };
    let http_response = send_query(&app, &format!("{hidden}{}{}", fragment('G'), fragment('H')), json!({})).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (400, TOO_COMPLEX), "in fragments");
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 0);
    let staff = app.login(Role::Admin).await;
    let response = app.query_as(&staff, &carts(11), json!({})).await;
    assert!(response.data_at("/a10/cart/id").is_string());
    // Queries have another limit.
    assert_eq!(
        send_query(&app, &format!("{{ {} }}", repeat_fields(100, |n| format!("a{n}: __typename"))), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(
        send_query(&app, &format!("{{ {} }}", repeat_fields(101, |n| format!("a{n}: __typename"))), json!({}))
            .await
            .error_code(),
        TOO_COMPLEX
    );
}

async fn customer_export_twice_in_a_request_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    let exports = |count| format!("{{ {} }}", repeat_fields(count, |n| format!("a{n}: customerExport")));
    assert!(app.query_as(&token, &exports(1), json!({})).await.data_at("/a0").is_object());
    assert_eq!(app.query_as(&token, &exports(2), json!({})).await.error_code(), TOO_COMPLEX);
    assert_eq!(app.query_as(&token, &exports(50), json!({})).await.error_code(), TOO_COMPLEX);
}

async fn responses_over_the_size_limit_are_rejected(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_RESPONSE_BYTES", "200")]).await;
    assert_eq!(send_query(&app, "{ shop { name } }", json!({})).await.status, 200);
    let http_response =
        send_query(&app, &format!("{{ {} }}", repeat_fields(20, |n| format!("a{n}: shop {{ name }}"))), json!({}))
            .await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (200, TOO_COMPLEX));
    assert!(
        http_response.error_message().contains("200 bytes") && http_response.json()["data"].is_null(),
        "{http_response:?}"
    );
}

async fn invalid_documents_are_rejected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let cases = [
        ("{ product(slug: \"mug\") { category { x: name } ... on Product { category { x: slug } } } }", json!({})),
        (
            "{ product(slug: \"mug\") { category { products(limit: 1) { id } } ... on Product { category { products(limit: 2) { id } } } } }",
            json!({}),
        ),
        ("query($v: String) { products(first: 1, filter: $v) { totalCount } }", json!({ "v": { "inStock": true } })),
        ("query($v: String!) { product(id: $v) { name } }", json!({ "v": "a" })),
        ("query($v: ID!) { nodes(ids: $v) { id } }", json!({ "v": "a" })),
        ("query($v: ID) { node(id: $v) { id } }", json!({ "v": "a" })),
        ("query($v: String!) { products(first: 1, sort: { field: $v }) { totalCount } }", json!({ "v": "NEWEST" })),
        ("query($v: Boolean) { products(first: $v) { totalCount } }", json!({})),
        ("{ products(first: 1, filter: { inStock: true, inStock: false }) { totalCount } }", json!({})),
        ("{ products(first: 1, sort: { field: \"NEWEST\" }) { totalCount } }", json!({})),
        ("query($v: ProductSortField = \"NEWEST\") { products(sort: { field: $v }) { totalCount } }", json!({})),
        ("query($v: ProductSortField!) { products(sort: { field: $v }) { totalCount } }", json!({ "v": "OLDEST" })),
        ("query($v: ProductSortField!) { products(sort: { field: $v }) { totalCount } }", json!({ "v": 1 })),
        ("query($v: ID!) { node(id: $v) { id } }", json!({})),
        ("query($v: ID!) { node(id: $v) { id } }", json!({ "v": null })),
        ("query($v: [ID!]!) { nodes(ids: $v) { id } }", json!({ "v": ["a", null] })),
        ("query($v: Int) { products(first: $v) { totalCount } }", json!({ "v": 3_000_000_000_u64 })),
    ];
    for (query, variables) in cases {
        let http_response = send_query(&app, query, variables).await;
        assert_eq!(
            (http_response.status, http_response.error_code().as_str()),
            (400, INVALID),
            "{query}: {http_response:?}"
        );
    }
    let valid = [
        (
            "query($v: ProductSortField!) { products(first: 1, sort: { field: $v }) { nodes { id } } }",
            json!({ "v": "NEWEST" }),
        ),
        ("query($v: [ID!]!) { nodes(ids: $v) { id } }", json!({ "v": [] })),
        ("{ products(first: 1, filter: { search: \"\\uD83D\\uDE00\" }) { nodes { id } } }", json!({})),
        ("{ products(first: 1, filter: { search: \"\\u{1F600}\" }) { nodes { id } } }", json!({})),
        ("{ shop { ...F } } fragment F on # a comment\nShop { name }", json!({})),
        ("{ shop { ... on # a comment\nShop { name } } }", json!({})),
    ];
    for (query, variables) in valid {
        let http_response = send_query(&app, query, variables).await;
        assert!(
            http_response.status == 200 && http_response.json().get("errors").is_none(),
            "{query}: {http_response:?}"
        );
    }
}

async fn absent_variables_leave_values_unchanged(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let staff = app.login(Role::Admin).await;
    let product = app.query("{ product(slug: \"mug\") { id vendor description variants { id price } } }").await;
    let before = product.data_at("/product").clone();
    assert!(before["vendor"].is_string(), "{before}");
    let update = "mutation($id: ID!, $name: String, $vendor: String) { productUpdate(id: $id, input: { name: $name, vendor: $vendor }) \
        { product { name vendor } userErrors { message } } }";
    let response = app.query_as(&staff, update, json!({ "id": before["id"], "name": "Lamp 3" })).await;
    assert_eq!(response.data_at("/productUpdate/product"), &json!({ "name": "Lamp 3", "vendor": before["vendor"] }));
    // An explicit null is null; the default of a variable is a value.
    let response = app.query_as(&staff, update, json!({ "id": before["id"], "vendor": null })).await;
    assert_eq!(response.data_at("/productUpdate/product"), &json!({ "name": "Lamp 3", "vendor": null }));
    let defaulted = update.replace("$vendor: String", "$vendor: String = \"Brass\"");
    let response = app.query_as(&staff, &defaulted, json!({ "id": before["id"] })).await;
    assert_eq!(response.data_at("/productUpdate/product/vendor"), "Brass");
    // Also inside a fragment, and in a document with other operations.
    let fragment = format!("query Other {{ shop {{ name }} }} {}", update.replace("mutation(", "mutation M("));
    let body =
        json!({ "query": fragment, "operationName": "M", "variables": { "id": before["id"], "name": "Lamp 4" } });
    let request =
        app.build_request(Method::POST, "/graphql").bearer_auth(&staff).header("content-type", "application/json");
    let http_response = HttpResponse::send(request.body(body.to_string())).await;
    assert_eq!(
        http_response.json()["data"]["productUpdate"]["product"],
        json!({ "name": "Lamp 4", "vendor": "Brass" })
    );
}

async fn absent_variables_take_schema_defaults(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let facets = "query($first: Int) { products(first: 0) { facets { vendors(first: $first) { value } } } }";
    // A nullable variable is allowed here only because the schema has a default.
    let all = app.query_with_variables(facets, json!({})).await;
    assert!(all.data_at("/products/facets/vendors").as_array().is_some_and(|all| all.len() > 1));
    let limited = app.query_with_variables(facets, json!({ "first": 1 })).await;
    assert_eq!(limited.data_at("/products/facets/vendors").as_array().map(Vec::len), Some(1));
    let null = app.query_with_variables(facets, json!({ "first": null })).await;
    assert_eq!(null.error_code(), "BAD_USER_INPUT");
    // Inside an input object, and in a list resolved in a batch.
    let lists = "query($first: Int, $search: String) { products(first: 2, filter: { search: $search }) { nodes { variants(first: $first) { sku } } } }";
    let response = app.query_with_variables(lists, json!({})).await;
    assert_eq!(response.data_at("/products/nodes").as_array().map(Vec::len), Some(2));
}

async fn null_in_a_directive_condition_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    for query in [
        "query ($x: Boolean = true) { shop @include(if: $x) { name } }",
        "query ($x: Boolean = true) { shop { ...F } } fragment F on Shop { name @skip(if: $x) }",
        "query ($x: Boolean = true) { ... @include(if: $x) { shop { name } } }",
    ] {
        let http_response = send_query(&app, query, json!({ "x": null })).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, INVALID), "{query}");
        assert!(http_response.error_message().contains("\"$x\""), "{http_response:?}");
    }
}

async fn mutation_after_request_timeout_completes(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__REQUEST_TIMEOUT", "1s")]).await;
    let locked = app.db.write(async |tx| {
        // On SQLite an open transaction blocks all other writers.
        if backend == Backend::Postgres {
            tx.execute_unprepared("LOCK TABLE cart IN ACCESS EXCLUSIVE MODE").await?;
        }
        let (query, address) = ("mutation { cartCreate { cart { id } } }", app.address.to_string());
        let http_response = send_query(&app, query, json!({})).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (503, "TIMEOUT"));
        let mut client = WebSocketClient::connect(&address, None).await;
        client.subscribe("1", query, json!({})).await;
        assert_eq!(client.receive_error("1").await, "TIMEOUT");
        let mut stream = EventStreamClient::start(&address, json!({ "query": query }), &[]).await;
        let result = stream.next_event().await.expect("a result").json();
        assert_eq!(result["errors"][0]["extensions"]["code"], "TIMEOUT");
        Ok(())
    });
    locked.await.unwrap_or_else(|error| panic!("no lock: {}", error.log_message()));
    let mut attempts = 0;
    while app.query_scalar("SELECT count(*) FROM cart").await < 3 && attempts < 2_000 {
        assert_server_answers(&app).await;
        attempts += 1;
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 3);
}
