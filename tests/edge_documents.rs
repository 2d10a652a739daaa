//! What a document may ask: no trick makes the server do unbounded work, and what was asked once opens no door.

use serde_json::{Value, json};

use crate::{
    shop::{Backend, Reply, Shop},
    stories,
};

stories![
    no_fragments_blow_it_up,
    documents_have_a_size,
    lists_within_lists_are_paid_for,
    the_tree_is_paid_for_by_what_it_holds,
    the_schema_is_told_to_developers_only,
    every_directive_is_looked_at,
    a_document_that_is_known_opens_no_door,
    nothing_of_one_request_is_in_another,
];

const INTROSPECTION: &str = include_str!("browser/introspection.graphql");
const TOO_COMPLEX: (u16, &str) = (400, "QUERY_TOO_COMPLEX");
const INVALID: (u16, &str) = (400, "GRAPHQL_VALIDATION_FAILED");

async fn ask(shop: &Shop, query: &str, variables: Value) -> Reply {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = shop.request(reqwest::Method::POST, "/graphql").header("content-type", "application/json");
    Reply::of(request.body(body)).await
}

/// The status and the code of an answer that is an error.
async fn refused(shop: &Shop, query: &str) -> (u16, String) {
    let reply = ask(shop, query, json!({})).await;
    (reply.status, reply.code())
}

async fn data(shop: &Shop, query: &str, variables: Value) -> Value {
    let body = ask(shop, query, variables).await.body();
    assert!(body.get("errors").is_none(), "{query}: {body}");
    body["data"].clone()
}

fn is(refusal: &(u16, String), expected: (u16, &str), what: &str) {
    assert_eq!((refusal.0, refusal.1.as_str()), expected, "{what}");
}

async fn no_fragments_blow_it_up(backend: Backend) {
    let shop = Shop::open(backend).await;
    let link = |n: usize, times: usize| {
        let spreads = format!("...f{} ", n + 1).repeat(times);
        format!("fragment f{n} on Query {{ {spreads}}} ")
    };
    let chain = |length: usize, times: usize| {
        let links: String = (0..length).map(|n| link(n, times)).collect();
        format!("{links} fragment f{length} on Query {{ __typename }}")
    };
    is(&refused(&shop, &format!("{{ ...f0 }} {}", chain(60, 2))).await, TOO_COMPLEX, "a bomb");
    is(&refused(&shop, &format!("{{ __typename }} {}", chain(60, 2))).await, TOO_COMPLEX, "one nobody lights");
    is(&refused(&shop, &format!("{{ ...f0 }} {}", chain(5_000, 1))).await, TOO_COMPLEX, "a long fuse");
    is(&refused(&shop, &format!("{{ __typename }} {}", chain(5_000, 1))).await, TOO_COMPLEX, "a long fuse unused");
    assert_eq!(data(&shop, &format!("{{ ...f0 }} {}", chain(5, 2)), json!({})).await, json!({ "__typename": "Query" }));
    for circle in [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ... { ...a } }",
        "{ __typename } fragment a on Query { shop { name } ...a }",
        "{ category(slug: \"x\") { ...c } } fragment c on Category { children { ...c } }",
    ] {
        is(&refused(&shop, circle).await, INVALID, circle);
    }
    // Each of many selections spreads a fragment of many fields.
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().concat();
    let shops = many(2_000, &|n| format!("a{n}:shop{{...F}} "));
    let names = many(2_000, &|n| format!("b{n}:name "));
    let square = format!("{{ __typename }} fragment U on Query {{ {shops} }} fragment F on Shop {{ {names} }}");
    is(&refused(&shop, &square).await, TOO_COMPLEX, "a square");
    // The shop is there as before.
    assert_eq!(data(&shop, "{ __typename }", json!({})).await, json!({ "__typename": "Query" }));
}

async fn documents_have_a_size(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_DEPTH", "5")]).await;
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().concat();
    let aliases = |count: usize| format!("{{ shop {{ {} }} }}", many(count - 1, &|n| format!("a{n}: __typename ")));
    is(&refused(&shop, &aliases(2_001)).await, TOO_COMPLEX, "2,001 aliases");
    let answer = data(&shop, &aliases(2_000), json!({})).await;
    assert_eq!(answer["shop"].as_object().map(serde_json::Map::len), Some(1_999));
    let halves = format!("query A {} query B {}", aliases(1_001), aliases(1_000));
    is(&refused(&shop, &halves).await, TOO_COMPLEX, "in two operations");

    assert_eq!(
        data(&shop, "{ category(slug: \"x\") { parent { parent { parent { id } } } } }", json!({})).await,
        json!({ "category": null })
    );
    let deep = "{ category(slug: \"x\") { parent { parent { parent { parent { id } } } } } }";
    is(&refused(&shop, deep).await, TOO_COMPLEX, "six deep");
    let hidden = "{ category(slug: \"x\") { ...a } } fragment a on Category { parent { parent { ...b } } } \
        fragment b on Category { ... { parent { parent { id } } } }";
    is(&refused(&shop, hidden).await, TOO_COMPLEX, "six deep in fragments");
    let inline = format!("{}{{ __typename }}{}", "{ ... ".repeat(30), "}".repeat(30));
    assert_eq!(data(&shop, &inline, json!({})).await, json!({ "__typename": "Query" }));
    for (open, close) in [("{a", "}"), ("{...", "}"), ("{a(a:[", "])}"), ("{a(a:{a:", "})}")] {
        let reply = ask(&shop, &format!("{}{}", open.repeat(20_000), close.repeat(20_000)), json!({})).await;
        assert!(reply.status == 400 && !reply.code().is_empty() && reply.text.len() < 1_000, "{reply:?}");
    }

    let arguments = many(10_001, &|n| format!("a{n}: 1 "));
    is(&refused(&shop, &format!("{{ product({arguments}) {{ id }} }}")).await, TOO_COMPLEX, "arguments");
    let variables = many(10_001, &|n| format!("$v{n}: Int "));
    is(&refused(&shop, &format!("query ({variables}) {{ __typename }}")).await, TOO_COMPLEX, "variables");
    // One request is not answered with thousands of errors.
    let unknown = many(1_000, &|n| format!("nothing{n} "));
    let reply = ask(&shop, &format!("{{ shop {{ name {unknown} }} }}"), json!({})).await;
    assert_eq!(reply.body()["errors"].as_array().map(Vec::len), Some(10));
    is(
        &refused(&shop, &format!("{{ shop {} {{ name }} }}", "@skip(if: false) ".repeat(9))).await,
        INVALID,
        "directives",
    );
}

async fn lists_within_lists_are_paid_for(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let nested = |limit: &str| {
        let inner = format!(
            "products({limit}) {{ category {{ products({limit}) {{ category {{ products({limit}) {{ id }} }} }} }} }}"
        );
        format!("{{ category(slug: \"kitchen\") {{ {inner} }} }}")
    };
    is(&refused(&shop, &nested("limit: 100")).await, TOO_COMPLEX, "a million products");
    assert!(data(&shop, &nested("limit: 2"), json!({})).await["category"]["products"].is_array());
    // The numbers may come from variables, and their defaults.
    let query = format!("query ($n: Int = 100) {}", nested("limit: $n"));
    let reply = ask(&shop, &query, json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), TOO_COMPLEX);
    let reply = ask(&shop, &query, json!({ "n": 100 })).await;
    assert_eq!((reply.status, reply.code().as_str()), TOO_COMPLEX);
    assert!(data(&shop, &query, json!({ "n": 1 })).await["category"].is_object());
    let aliases: String = (0..30)
        .map(|n| format!("a{n}: products(first: 100) {{ nodes {{ id name sku slug price featured vendor }} }} "))
        .collect::<Vec<_>>()
        .concat();
    is(&refused(&shop, &format!("{{ {aliases} }}")).await, TOO_COMPLEX, "pages side by side");
    // A number that cannot be costs nothing, and is refused for what it is.
    let reply = ask(&shop, "{ products(first: -1) { nodes { id } } }", json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (200, "BAD_USER_INPUT"));
}

async fn the_tree_is_paid_for_by_what_it_holds(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_VALUES", "60")]).await;
    shop.import(savannah::exchange::import::DEMO).await;
    assert!(data(&shop, "{ categories { id } }", json!({})).await["categories"].is_array());
    let reply = ask(&shop, "{ categories { descendants { id name slug ancestors { id } } } }", json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (200, "QUERY_TOO_COMPLEX"));
    assert!(reply.message().contains("60 values"), "{reply:?}");
    assert_eq!(reply.body()["data"], json!(null), "the roots may not be null");
}

async fn the_schema_is_told_to_developers_only(backend: Backend) {
    let shop = Shop::open(backend).await;
    let schema = data(&shop, INTROSPECTION, json!({})).await;
    let types = schema["__schema"]["types"].as_array().expect("types");
    assert!(types.iter().any(|one| one["name"] == "Product"));
    assert_eq!(data(&shop, "{ __type(name: \"Shop\") { name } }", json!({})).await["__type"]["name"], "Shop");

    let shop = Shop::open_with(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    for query in [INTROSPECTION, "{ __schema { queryType { name } } }", "{ __type(name: \"Shop\") { name } }"] {
        let reply = ask(&shop, query, json!({})).await;
        assert_eq!(reply.code(), INVALID.1);
        assert!(reply.status == 400 && !reply.text.contains("Product"), "{reply:?}");
    }
    let reply = ask(&shop, "{ sho { name } }", json!({})).await;
    assert!(reply.status == 400 && !reply.text.contains("shop"), "no suggestions: {reply:?}");
    assert_eq!(data(&shop, "{ __typename }", json!({})).await["__typename"], "Query");

    let settings = [("SAVANNAH_SHOP__MODE", "production"), ("SAVANNAH_GRAPHQL__INTROSPECTION", "true")];
    let shop = Shop::open_with(backend, &settings).await;
    assert!(data(&shop, INTROSPECTION, json!({})).await["__schema"]["types"].is_array());
}

async fn every_directive_is_looked_at(backend: Backend) {
    let shop = Shop::open(backend).await;
    let shows = [
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
    for (query, variables, expected) in shows {
        assert_eq!(data(&shop, query, variables).await, expected, "{query}");
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
        let reply = ask(&shop, query, json!({})).await;
        assert_eq!((reply.status, reply.text.contains(INVALID.1)), (INVALID.0, true), "{query}: {reply:?}");
    }
}

async fn a_document_that_is_known_opens_no_door(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query =
        "query ($first: Int, $filter: ProductFilter) { products(first: $first, filter: $filter) { totalCount } }";
    let bad = [
        json!({ "first": "one" }),
        json!({ "filter": { "colour": 1 } }),
        json!({ "first": 1, "filter": { "search": 1 } }),
        json!({ "filter": { "inStock": "yes" } }),
        json!({ "filter": { "options": [{ "name": "Size" }] } }),
    ];
    let mut answers = Vec::new();
    for variables in &bad {
        let reply = ask(&shop, query, variables.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), INVALID, "{variables}");
        answers.push(reply.message());
    }
    // Once it was good, it is good again, and what was bad is still bad in the same words.
    for _ in 0..3 {
        assert!(data(&shop, query, json!({ "first": 1 })).await["products"]["totalCount"].is_number());
        for (variables, message) in bad.iter().zip(&answers) {
            let reply = ask(&shop, query, variables.clone()).await;
            assert_eq!((reply.status, &reply.message()), (400, message), "{variables}");
        }
    }
    // The name of the operation belongs to what was looked at.
    let two = "query A { shop { name } } query B($x: Int!) { products(first: $x) { totalCount } }";
    let named = |name: &str| json!({ "query": two, "operationName": name });
    assert_eq!(shop.post(named("A")).await.status(), 200);
    assert_eq!(shop.post(named("B")).await.status(), 400);
}

async fn nothing_of_one_request_is_in_another(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let slugs = ["mug", "purple-tea", "chai-masala", "baringo-honey", "nyeri-aa-coffee", "olive-wood-bowl"];
    let one = |slug: &'static str| {
        let query = format!(
            "query ($slug: String!) {{ product(slug: $slug) {{ slug variants {{ sku product {{ slug tags }} }} }} }} # {}",
            slug.len() % 2
        );
        let shop = &shop;
        async move { (slug, shop.ask_with(&query, json!({ "slug": slug })).await) }
    };
    let alone = futures_util::future::join_all(slugs.map(one)).await;
    for _ in 0..10 {
        let crowd = futures_util::future::join_all(slugs.iter().chain(&slugs).copied().map(one)).await;
        for (slug, answer) in &crowd {
            let (_, expected) = alone.iter().find(|(other, _)| other == slug).expect("an answer");
            assert_eq!(answer.at("/product/slug"), slug);
            assert_eq!((&answer.body, answer.statements), (&expected.body, expected.statements));
        }
    }
}
