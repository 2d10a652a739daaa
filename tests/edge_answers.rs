//! What every answer has: its fields in the order of the query, an id, its cost, and nothing of ours when we fail.

use axum::{Router, routing::get};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Reply, Shop},
    stories,
};

stories![
    fields_come_in_the_order_of_the_query,
    a_failure_is_null_and_no_more,
    the_cost_is_told_where_it_should_be,
    every_answer_has_the_id_of_its_request,
    a_panic_is_answered_for,
    health_says_what_is_wrong,
    other_pages_may_call_where_they_are_let,
    long_answers_are_compressed,
];

fn post(shop: &Shop, query: &str) -> reqwest::RequestBuilder {
    let body = json!({ "query": query }).to_string();
    shop.request(Method::POST, "/graphql").header("content-type", "application/json").body(body)
}

async fn fields_come_in_the_order_of_the_query(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let cases = [
        (
            "{ products(first: 1) { totalCount nodes { tags name variants(first: 1) { stockQuantity sku } id \
             category { description name } } facets { vendors(first: 1) { count value } categories(first: 1) { count } } \
             pageInfo { hasNextPage } } shop { name } category(slug: \"kitchen\") { productCount name } }",
            "data products totalCount nodes tags name variants stockQuantity sku id category description name facets \
             vendors count value categories count pageInfo hasNextPage shop name category productCount name",
        ),
        (
            "{ z: category(slug: \"kitchen\") { productCount } products(first: 1) { ...P edges { node { inStock name } \
             cursor } } a: shop { name } } fragment P on ProductConnection { facets { tags(first: 1) { value } } \
             nodes { ...Q name } } fragment Q on Product { tags slug }",
            "data z productCount products facets tags value nodes tags slug name edges node inStock name cursor a name",
        ),
        (
            "{ products(first: 1) { nodes { id } totalCount nodes { description name } } }",
            "data products nodes id description name totalCount",
        ),
    ];
    for (query, expected) in cases {
        let reply = Reply::of(post(&shop, query)).await;
        assert_eq!(keys(&reply.text), expected.split(' ').collect::<Vec<_>>(), "{}", reply.text);
    }
    // Behind an interface each type has the order of its own fragments, and no field that was not asked for.
    let ids = shop.ask("{ product(slug: \"mug\") { id category { id } } }").await;
    let ids = json!([ids.at("/product/id"), ids.at("/product/category/id")]);
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Category { productCount slug } ... on Product { tags slug } } }";
    let body = json!({ "query": query, "variables": { "ids": ids } });
    let text = shop.post(body).await.text().await.expect("a body");
    assert!(text.starts_with(r#"{"data":{"nodes":[{"tags":["#), "{text}");
    assert!(text.contains(r#","slug":"mug"},{"productCount":"#) && text.ends_with("}]}}"), "{text}");
    let empty = json!({ "query": "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Category { slug } } }", "variables": { "ids": ids } });
    let answer: Value = shop.post(empty).await.json().await.expect("JSON");
    assert_eq!(answer["data"]["nodes"][0], json!({}), "{answer}");
}

/// The names in a JSON text, in order.
fn keys(text: &str) -> Vec<&str> {
    let parts: Vec<_> = text.split('"').collect();
    let strings = parts.windows(2).skip(1).step_by(2);
    strings.filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect()
}

async fn a_failure_is_null_and_no_more(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let wrong = Reply::of(post(&shop, "{ shop { name } node(id: \"nonsense\") { id } z: shop { name } }")).await;
    let name = json!({ "name": "Savannah" });
    assert_eq!((wrong.status, wrong.code().as_str()), (200, "BAD_USER_INPUT"));
    assert_eq!(wrong.body()["data"], json!({ "shop": name, "node": null, "z": name }));

    shop.sql("ALTER TABLE product_tag RENAME TO gone").await.expect("renamed");
    shop.sql("ALTER TABLE product_description RENAME TO gone_too").await.expect("renamed");
    let cases = [
        (
            "{ product(slug: \"mug\") { slug description } }",
            json!({ "product": { "slug": "mug", "description": null } }),
        ),
        ("{ product(slug: \"mug\") { description } }", json!({ "product": { "description": null } })),
        ("{ product(slug: \"mug\") { slug tags } shop { name } }", json!({ "product": null, "shop": name })),
        ("{ products(first: 3) { nodes { slug tags } } }", json!(null)),
    ];
    for (query, data) in cases {
        let reply = Reply::of(post(&shop, query)).await;
        assert_eq!((reply.status, reply.code().as_str()), (200, "INTERNAL"), "{query}");
        assert_eq!(reply.body()["data"], data, "{query}");
        assert_eq!(reply.message(), "Something went wrong on our side.");
        assert!(!reply.text.contains("product_tag") && !reply.text.contains("gone"), "{reply:?}");
    }
    shop.db.clone().close().await;
    let reply = Reply::of(post(&shop, "{ product(slug: \"mug\") { slug } }")).await;
    assert_eq!((reply.status, reply.code().as_str()), (200, "UNAVAILABLE"), "{reply:?}");
}

async fn the_cost_is_told_where_it_should_be(backend: Backend) {
    let query = "{ products(first: 3) { totalCount nodes { name tags } } }";
    let cost = async |settings: &[(&str, &str)]| {
        let shop = Shop::open_with(backend, settings).await;
        let reply = Reply::of(post(&shop, query)).await;
        assert_eq!(reply.status, 200);
        reply.header("server-timing").map(str::to_owned)
    };
    let told = cost(&[]).await.expect("told in development");
    let time = told.strip_prefix("db;dur=").and_then(|rest| rest.strip_suffix(";desc=\"2 statements\""));
    assert!(time.is_some_and(|time| time.parse::<f64>().is_ok()), "{told}");
    assert_eq!(cost(&[("SAVANNAH_SHOP__MODE", "production")]).await, None);
    let settings = [("SAVANNAH_SHOP__MODE", "production"), ("SAVANNAH_GRAPHQL__TIMING", "true")];
    assert!(cost(&settings).await.is_some());
    assert_eq!(cost(&[("SAVANNAH_GRAPHQL__TIMING", "false")]).await, None);

    let shop = Shop::demo(backend).await;
    for (query, statements) in
        [("{ shop { name } }", "0 statements"), ("{ product(slug: \"mug\") { id } }", "1 statement")]
    {
        let reply = Reply::of(post(&shop, query)).await;
        let told = reply.header("server-timing").expect("told");
        assert!(told.ends_with(&format!(";desc=\"{statements}\"")), "{told}");
    }
}

async fn every_answer_has_the_id_of_its_request(backend: Backend) {
    let shop = Shop::open(backend).await;
    let paths =
        ["/", "/nothing", "/health", "/health/live", "/health/ready", "/graphiql", "/graphiql/nothing", "/graphql"];
    for path in paths {
        let given = "abc-DEF_1.2:3";
        let reply = Reply::of(shop.request(Method::GET, path).header("x-request-id", given)).await;
        assert_eq!(reply.header("x-request-id"), Some(given), "{path}");
        let longest = "x".repeat(128);
        let reply = Reply::of(shop.request(Method::OPTIONS, path).header("x-request-id", &longest)).await;
        assert_eq!(reply.header("x-request-id"), Some(longest.as_str()), "{path}");
        let too_long = "x".repeat(129);
        for bad in ["", " ", "two words", "a\tb", "a,b", "{\"a\":1}", "a\u{e9}", &too_long] {
            let value = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).expect("a value");
            let reply = Reply::of(shop.request(Method::GET, path).header("x-request-id", value)).await;
            let id = reply.header("x-request-id").expect("an id");
            assert!(id != bad && id.len() == 32, "{bad:?} became {id}");
        }
    }
    let reply = Reply::of(shop.request(Method::GET, "/nothing").header("x-request-id", "mine")).await;
    assert_eq!((reply.status, reply.header("content-type")), (404, Some("application/json")));
    let body = reply.body();
    assert_eq!((&body["error"]["code"], &body["meta"]["request_id"]), (&json!("NOT_FOUND"), &json!("mine")));
    assert!(body["error"]["message"].is_string() && body["error"].get("details").is_some());
    assert!(
        body["meta"]["timestamp"].as_str().is_some_and(|time| time.parse::<chrono::DateTime<chrono::Utc>>().is_ok())
    );
}

async fn a_panic_is_answered_for(backend: Backend) {
    let shop = Shop::open(backend).await;
    let broken = || async { panicking(true) };
    let router = savannah::http::dressed(Router::new().route("/broken", get(broken)), &shop.app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, router).into_future());
    for _ in 0..2 {
        let request = reqwest::Client::new().get(format!("http://{address}/broken")).header("x-request-id", "mine");
        let reply = Reply::of(request.header("origin", "https://page.example")).await;
        assert_eq!((reply.status, reply.header("x-request-id")), (500, Some("mine")));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "or the page could not read it");
        let body = reply.body();
        assert_eq!((&body["error"]["code"], &body["meta"]["request_id"]), (&json!("INTERNAL"), &json!("mine")));
        assert!(!reply.text.contains("wants"), "{reply:?}");
    }
}

/// A handler has an answer; this one never comes to it.
fn panicking(now: bool) -> &'static str {
    assert!(!now, "a story wants this panic");
    "well"
}

async fn health_says_what_is_wrong(backend: Backend) {
    let shop = Shop::open(backend).await;
    let look = async |path: &str| {
        let reply = Reply::of(shop.request(Method::GET, path)).await;
        (reply.status, reply.body()["data"]["status"].as_str().map(str::to_owned), reply.body()["data"].clone())
    };
    let status = async |path: &str| {
        let (status, word, _) = look(path).await;
        (status, word.expect("a word"))
    };
    let well = |status: u16| (status, "healthy".to_owned());
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(status(path).await, well(200), "{path}");
    }
    let (_, _, body) = look("/health").await;
    let kind = if backend == Backend::Sqlite { "sqlite" } else { "postgresql" };
    assert_eq!(body["parts"]["database"]["kind"], kind);
    shop.app.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(status("/health/live").await, well(200));
    assert_eq!(status("/health/ready").await, (503, "stopping".into()));
    shop.app.stopping.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(status("/health/ready").await, well(200));
    shop.db.clone().close().await;
    assert_eq!(status("/health/live").await, well(200));
    assert_eq!(status("/health/ready").await, (503, "unhealthy".into()));
    let (status, _, body) = look("/health").await;
    assert_eq!((status, &body["parts"]["database"]["status"]), (503, &json!("unhealthy")));
}

async fn other_pages_may_call_where_they_are_let(backend: Backend) {
    let origin = async |settings: &[(&str, &str)], from: &str| {
        let shop = Shop::open_with(backend, settings).await;
        let asked = shop.request(Method::OPTIONS, "/graphql").header("origin", from);
        let asked = asked.header("access-control-request-method", "POST");
        let asked = Reply::of(asked.header("access-control-request-headers", "content-type")).await;
        assert_eq!(asked.status, 200);
        let done = Reply::of(post(&shop, "{ __typename }").header("origin", from)).await;
        assert_eq!(done.header("access-control-allow-credentials"), None);
        let allowed = asked.header("access-control-allow-origin").map(str::to_owned);
        assert_eq!(done.header("access-control-allow-origin"), allowed.as_deref());
        if allowed.is_some() {
            let exposed = done.header("access-control-expose-headers").expect("exposed headers");
            assert!(exposed.contains("x-request-id") && exposed.contains("server-timing"), "{exposed}");
            let headers = asked.header("access-control-allow-headers").expect("allowed headers");
            assert!(headers.contains("content-type") && headers.contains("authorization"), "{headers}");
            for name in
                ["apollographql-client-name", "apollo-require-preflight", "baggage", "sentry-trace", "traceparent"]
            {
                assert!(headers.contains(name), "{name} is not in {headers}");
            }
            assert_eq!(asked.header("access-control-allow-methods"), Some("GET,POST"));
        }
        allowed
    };
    let production = ("SAVANNAH_SHOP__MODE", "production");
    let listed = ("SAVANNAH_SERVER__CORS_ORIGINS", "https://shop.example,https://other.example");
    let page = "https://shop.example";
    assert_eq!(origin(&[], page).await.as_deref(), Some("*"));
    assert_eq!(origin(&[production], page).await, None);
    assert_eq!(origin(&[production, listed], page).await.as_deref(), Some(page));
    assert_eq!(origin(&[production, listed], "https://bad.example").await, None);
    assert_eq!(origin(&[listed], "https://bad.example").await, None);
    assert_eq!(origin(&[production, ("SAVANNAH_SERVER__CORS_ORIGINS", "*")], page).await.as_deref(), Some("*"));
}

async fn long_answers_are_compressed(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let long = "{ products(first: 50) { nodes { id name slug sku } } }";
    for (coding, expected) in [("gzip", Some("gzip")), ("br", Some("br")), ("identity", None)] {
        let as_it_is = reqwest::Client::builder().no_gzip().build().expect("a client");
        let request = post(&shop, long).header("accept-encoding", coding).build().expect("a request");
        let answer = as_it_is.execute(request).await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(header("content-encoding").as_deref(), expected, "{coding}");
        assert!(answer.headers().get_all("vary").iter().any(|vary| vary == "accept-encoding"), "{answer:?}");
    }
    let short = post(&shop, "{ __typename }").header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(short.headers().get("content-encoding"), None);
}
