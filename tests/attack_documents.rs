//! Requests of an attacker: each is refused quickly or bounded, and the server goes on answering.

use futures_util::future::join_all;
use reqwest::Method;
use savannah::identity::Role;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    shop::{Backend, Reply, Shop},
    stories,
};

stories![
    nested_values_by_post_and_get_are_refused,
    brackets_in_strings_and_comments_are_answered,
    documents_over_the_size_limit_are_refused,
    facets_beyond_the_budget_are_refused,
    statements_beyond_the_budget_are_refused,
    facets_asked_twice_are_computed_once,
    counts_and_facets_are_priced,
    root_fields_of_mutations_are_limited,
    customer_export_is_answered_once,
    answers_over_the_size_limit_are_refused,
    invalid_documents_are_refused,
    absent_variables_leave_values_unchanged,
    absent_variables_take_schema_defaults,
    null_in_a_condition_is_refused,
    mutations_complete_after_their_request_timed_out,
    every_answer_forbids_caching,
];

const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

async fn ask(shop: &Shop, query: &str, variables: Value) -> Reply {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = shop.request(Method::POST, "/graphql").header("content-type", "application/json");
    Reply::of(request.body(body)).await
}

async fn get(shop: &Shop, query: &str) -> Reply {
    let encoded = query.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    Reply::of(shop.request(Method::GET, &format!("/graphql?query={encoded}"))).await
}

async fn is_alive(shop: &Shop) {
    assert_eq!(ask(shop, "{ __typename }", json!({})).await.text, r#"{"data":{"__typename":"Query"}}"#);
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(" ")
}

async fn nested_values_by_post_and_get_are_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
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
            for reply in [ask(&shop, &query, json!({})).await, get(&shop, &query).await] {
                assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX), "{}", &query[..40]);
                assert!(reply.text.len() < 400, "{reply:?}");
            }
        }
    }
    is_alive(&shop).await;
}

async fn brackets_in_strings_and_comments_are_answered(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let brackets = "[{(".repeat(15_000);
    for text in [
        format!("{{ product(slug: \"\"\"{brackets}\"\"\") {{ name }} }}"),
        format!("{{ product(slug: \"{brackets}\") {{ name }} }}"),
        format!("{{ product(slug: \"none\") {{ name }} }} #{brackets}"),
    ] {
        let reply = ask(&shop, &text, json!({})).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"data":{"product":null}}"#));
    }
}

async fn documents_over_the_size_limit_are_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let long = format!("{{a(b:[{}])}}", "[]".repeat(500_000));
    for reply in join_all((0..6).map(|_| ask(&shop, &long, json!({})))).await {
        assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX));
        assert!(reply.message().contains("65536 bytes") && reply.message().contains("variables"), "{reply:?}");
    }
    // Data in variables is not the document's.
    let query = "query ($slug: String!) { product(slug: $slug) { name } }";
    assert_eq!(ask(&shop, query, json!({ "slug": "x".repeat(200_000) })).await.status, 200);
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_DOCUMENT_BYTES", "20")]).await;
    assert_eq!(ask(&shop, "{ __typename }", json!({})).await.status, 200);
    assert_eq!(ask(&shop, "{ __typename } # 1234", json!({})).await.code(), TOO_COMPLEX);
}

async fn facets_beyond_the_budget_are_refused(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let facets = many(60, |n| format!("f{n}: facets {{ options {{ name }} tags {{ count }} vendors {{ count }} }}"));
    let query = format!("{{ products(first: 0, filter: {{ inStock: true }}) {{ {facets} }} }}");
    let reply = ask(&shop, &query, json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX));
    let counts = many(90, |n| {
        format!("a{n}: products(first: 0, filter: {{ inStock: true, search: \"lamp0\" }}) {{ totalCount }}")
    });
    let reply = ask(&shop, &format!("{{ {counts} }}"), json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (200, TOO_COMPLEX), "ninety counts cost less than the limit");
    assert!(reply.message().contains("60 database statements"), "{reply:?}");
    let reply = ask(&shop, &format!("{{ {} }}", many(600, |n| format!("a{n}: __typename"))), json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX), "600 aliases");
    is_alive(&shop).await;
}

async fn statements_beyond_the_budget_are_refused(backend: Backend) {
    let settings = [("SAVANNAH_GRAPHQL__MAX_STATEMENTS", "2"), ("SAVANNAH_GRAPHQL__MAX_STATEMENTS_STAFF", "3")];
    let shop = Shop::open_with(backend, &settings).await;
    let products = |count| format!("{{ {} }}", many(count, |n| format!("a{n}: product(slug: \"s{n}\") {{ id }}")));
    assert_eq!(shop.ask(&products(2)).await.statements, 2);
    let answer = shop.ask(&products(3)).await;
    assert_eq!((answer.code(), answer.statements), (TOO_COMPLEX, 2));
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(1));
    let staff = shop.sign_in(Role::Admin).await;
    assert_eq!(shop.ask_as(&staff, &products(3), json!({})).await.statements, 3);
    assert_eq!(shop.ask_as(&staff, &products(4), json!({})).await.code(), TOO_COMPLEX);
    // A transaction that has begun is finished: a cart takes more statements than are left.
    let cart = shop.ask("mutation { cartCreate(input: {}) { cart { id } userErrors { code } } }").await;
    assert!(cart.at("/cartCreate/cart/id").is_string());
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 1);

    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_DATABASE_TIME", "0")]).await;
    assert_eq!(shop.ask(&products(1)).await.code(), TOO_COMPLEX);
}

async fn facets_asked_twice_are_computed_once(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let facets = "vendors(first: 3) { value count } all: vendors { value count } tags(first: 1) { value }
        options(first: 1) { name values { value } } every: options { name values { value } }
        categories(first: 1) { count } roots: categories { count } priceRanges { min } twice: priceRanges { min }";
    let query = format!(
        "{{ products(first: 0) {{ a: facets {{ {facets} }} b: facets {{ {facets} }} x: totalCount y: totalCount }} }}"
    );
    let answer = shop.ask(&query).await;
    assert_eq!(answer.at("/products/a"), answer.at("/products/b"));
    assert_eq!(answer.statements, 6, "five facets and a count");
    let all = answer.at("/products/a/all").as_array().expect("a list").clone();
    let few = answer.at("/products/a/vendors").as_array().expect("a list").clone();
    assert_eq!(few[..], all[..few.len()]);
    for option in answer.at("/products/a/options").as_array().expect("a list") {
        assert_eq!(option["values"].as_array().map(Vec::len), Some(1));
    }
}

async fn counts_and_facets_are_priced(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "1000")]).await;
    let within = "{ products(first: 50) { totalCount nodes { id name } facets { vendors { value count } } } }";
    assert!(shop.ask(within).await.body.get("errors").is_none());
    for over in [
        "{ products(first: 0) { facets { vendors { value } tags { value } categories { count } } } }",
        "{ products(first: 0) { a: totalCount b: totalCount c: totalCount d: totalCount e: totalCount f: totalCount } }",
        "{ a: products(first: 0) { facets { tags { value } } } b: products(first: 0) { facets { tags { value } } } \
           c: products(first: 0) { facets { tags { value } } } }",
    ] {
        let reply = ask(&shop, over, json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX), "{over}");
    }
}

async fn root_fields_of_mutations_are_limited(backend: Backend) {
    let shop = Shop::open(backend).await;
    let carts = |count| {
        format!("mutation {{ {} }}", many(count, |n| format!("a{n}: cartCreate(input: {{}}) {{ cart {{ id }} }}")))
    };
    let reply = ask(&shop, &carts(11), json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX));
    assert!(reply.message().contains("10 root fields"), "{reply:?}");
    let hidden = "mutation { ...F ...F2 } fragment F on Mutation { ...G ... { ...H } } \
        fragment F2 on Mutation { x: cartCreate(input: {}) { cart { id } } } ";
    let part = |name: char| {
        let fields =
            many(5, |n| format!("{}{n}: cartCreate(input: {{}}) {{ cart {{ id }} }}", name.to_ascii_lowercase()));
        format!("fragment {name} on Mutation {{ {fields} }} ")
    };
    let reply = ask(&shop, &format!("{hidden}{}{}", part('G'), part('H')), json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, TOO_COMPLEX), "in fragments");
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 0);
    let staff = shop.sign_in(Role::Admin).await;
    let answer = shop.ask_as(&staff, &carts(11), json!({})).await;
    assert!(answer.at("/a10/cart/id").is_string());
    // Of a query the limit is another.
    assert_eq!(
        ask(&shop, &format!("{{ {} }}", many(100, |n| format!("a{n}: __typename"))), json!({})).await.status,
        200
    );
    assert_eq!(
        ask(&shop, &format!("{{ {} }}", many(101, |n| format!("a{n}: __typename"))), json!({})).await.code(),
        TOO_COMPLEX
    );
}

async fn customer_export_is_answered_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    let exports = |count| format!("{{ {} }}", many(count, |n| format!("a{n}: customerExport")));
    assert!(shop.ask_as(&token, &exports(1), json!({})).await.at("/a0").is_object());
    assert_eq!(shop.ask_as(&token, &exports(2), json!({})).await.code(), TOO_COMPLEX);
    assert_eq!(shop.ask_as(&token, &exports(50), json!({})).await.code(), TOO_COMPLEX);
}

async fn answers_over_the_size_limit_are_refused(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_RESPONSE_BYTES", "200")]).await;
    assert_eq!(ask(&shop, "{ shop { name } }", json!({})).await.status, 200);
    let reply = ask(&shop, &format!("{{ {} }}", many(20, |n| format!("a{n}: shop {{ name }}"))), json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (200, TOO_COMPLEX));
    assert!(reply.message().contains("200 bytes") && reply.body()["data"].is_null(), "{reply:?}");
}

async fn invalid_documents_are_refused(backend: Backend) {
    let shop = Shop::demo(backend).await;
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
        ("query($v: String!) { products(first: 1, orderBy: { field: $v }) { totalCount } }", json!({ "v": "NEWEST" })),
        ("query($v: Boolean) { products(first: $v) { totalCount } }", json!({})),
        ("{ products(first: 1, filter: { inStock: true, inStock: false }) { totalCount } }", json!({})),
        ("{ products(first: 1, orderBy: { field: \"NEWEST\" }) { totalCount } }", json!({})),
        ("query($v: ProductOrderField = \"NEWEST\") { products(orderBy: { field: $v }) { totalCount } }", json!({})),
        ("query($v: ProductOrderField!) { products(orderBy: { field: $v }) { totalCount } }", json!({ "v": "OLDEST" })),
        ("query($v: ProductOrderField!) { products(orderBy: { field: $v }) { totalCount } }", json!({ "v": 1 })),
        ("query($v: ID!) { node(id: $v) { id } }", json!({})),
        ("query($v: ID!) { node(id: $v) { id } }", json!({ "v": null })),
        ("query($v: [ID!]!) { nodes(ids: $v) { id } }", json!({ "v": ["a", null] })),
        ("query($v: Int) { products(first: $v) { totalCount } }", json!({ "v": 3_000_000_000_u64 })),
    ];
    for (query, variables) in cases {
        let reply = ask(&shop, query, variables).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, INVALID), "{query}: {reply:?}");
    }
    let good = [
        (
            "query($v: ProductOrderField!) { products(first: 1, orderBy: { field: $v }) { nodes { id } } }",
            json!({ "v": "NEWEST" }),
        ),
        ("query($v: [ID!]!) { nodes(ids: $v) { id } }", json!({ "v": [] })),
        ("{ products(first: 1, filter: { search: \"\\uD83D\\uDE00\" }) { nodes { id } } }", json!({})),
        ("{ products(first: 1, filter: { search: \"\\u{1F600}\" }) { nodes { id } } }", json!({})),
        ("{ shop { ...F } } fragment F on # a comment\nShop { name }", json!({})),
        ("{ shop { ... on # a comment\nShop { name } } }", json!({})),
    ];
    for (query, variables) in good {
        let reply = ask(&shop, query, variables).await;
        assert!(reply.status == 200 && reply.body().get("errors").is_none(), "{query}: {reply:?}");
    }
}

async fn absent_variables_leave_values_unchanged(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let staff = shop.sign_in(Role::Admin).await;
    let product = shop.ask("{ product(slug: \"mug\") { id vendor description variants { id price } } }").await;
    let before = product.at("/product").clone();
    assert!(before["vendor"].is_string(), "{before}");
    let update = "mutation($id: ID!, $name: String, $vendor: String) { productUpdate(id: $id, input: { name: $name, vendor: $vendor }) \
        { product { name vendor } userErrors { message } } }";
    let answer = shop.ask_as(&staff, update, json!({ "id": before["id"], "name": "Lamp 3" })).await;
    assert_eq!(answer.at("/productUpdate/product"), &json!({ "name": "Lamp 3", "vendor": before["vendor"] }));
    // Null that is provided is null, and a default of the variable is a value.
    let answer = shop.ask_as(&staff, update, json!({ "id": before["id"], "vendor": null })).await;
    assert_eq!(answer.at("/productUpdate/product"), &json!({ "name": "Lamp 3", "vendor": null }));
    let defaulted = update.replace("$vendor: String", "$vendor: String = \"Brass\"");
    let answer = shop.ask_as(&staff, &defaulted, json!({ "id": before["id"] })).await;
    assert_eq!(answer.at("/productUpdate/product/vendor"), "Brass");
    // Also behind a fragment, and where the document has other operations.
    let fragment = format!("query Other {{ shop {{ name }} }} {}", update.replace("mutation(", "mutation M("));
    let body =
        json!({ "query": fragment, "operationName": "M", "variables": { "id": before["id"], "name": "Lamp 4" } });
    let request = shop.request(Method::POST, "/graphql").bearer_auth(&staff).header("content-type", "application/json");
    let reply = Reply::of(request.body(body.to_string())).await;
    assert_eq!(reply.body()["data"]["productUpdate"]["product"], json!({ "name": "Lamp 4", "vendor": "Brass" }));
}

async fn absent_variables_take_schema_defaults(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let facets = "query($first: Int) { products(first: 0) { facets { vendors(first: $first) { value } } } }";
    // A nullable variable may stand there only because the schema has a default.
    let all = shop.ask_with(facets, json!({})).await;
    assert!(all.at("/products/facets/vendors").as_array().is_some_and(|all| all.len() > 1));
    let one = shop.ask_with(facets, json!({ "first": 1 })).await;
    assert_eq!(one.at("/products/facets/vendors").as_array().map(Vec::len), Some(1));
    let null = shop.ask_with(facets, json!({ "first": null })).await;
    assert_eq!(null.code(), "BAD_USER_INPUT");
    // In an input object, and on a list whose objects are written in one go.
    let lists = "query($first: Int, $search: String) { products(first: 2, filter: { search: $search }) { nodes { variants(first: $first) { sku } } } }";
    let answer = shop.ask_with(lists, json!({})).await;
    assert_eq!(answer.at("/products/nodes").as_array().map(Vec::len), Some(2));
}

async fn null_in_a_condition_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    for query in [
        "query ($x: Boolean = true) { shop @include(if: $x) { name } }",
        "query ($x: Boolean = true) { shop { ...F } } fragment F on Shop { name @skip(if: $x) }",
        "query ($x: Boolean = true) { ... @include(if: $x) { shop { name } } }",
    ] {
        let reply = ask(&shop, query, json!({ "x": null })).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, INVALID), "{query}");
        assert!(reply.message().contains("\"$x\""), "{reply:?}");
    }
}

async fn mutations_complete_after_their_request_timed_out(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__REQUEST_TIMEOUT", "1")]).await;
    let held = shop.db.write(async |tx| {
        // On SQLite a transaction that is open keeps all other writers waiting.
        if backend == Backend::Postgres {
            tx.execute_unprepared("LOCK TABLE cart IN ACCESS EXCLUSIVE MODE").await?;
        }
        let reply = ask(&shop, "mutation { cartCreate { cart { id } } }", json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "TIMEOUT"));
        Ok(())
    });
    held.await.unwrap_or_else(|why| panic!("no lock: {}", why.log()));
    let mut tries = 0;
    while shop.number("SELECT count(*) FROM cart").await == 0 && tries < 2_000 {
        is_alive(&shop).await;
        tries += 1;
    }
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 1);
}

async fn every_answer_forbids_caching(backend: Backend) {
    let shop = Shop::open(backend).await;
    let replies = [
        ask(&shop, "{ shop { name } }", json!({})).await,
        ask(&shop, "{", json!({})).await,
        ask(&shop, "{ nothing }", json!({})).await,
        get(&shop, "{ shop { name } }").await,
        get(&shop, "mutation { logout { userErrors { code } } }").await,
        Reply::of(shop.request(Method::PUT, "/graphql")).await,
    ];
    for reply in replies {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    }
    let mut stream = tokio::net::TcpStream::connect(shop.address).await.expect("a connection");
    stream
        .write_all(b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("cache-control: no-store"), "{answer}");
}
