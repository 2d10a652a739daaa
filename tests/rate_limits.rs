//! Rate limits of requests in cost points, and the reported cost.

use futures_util::future::join_all;
use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, HttpResponse, RedisProcess, TestApp, has_redis_server_binary, has_shared_redis, shared_redis_url,
    },
};

integration_tests![
    request_above_the_points_of_its_network_is_rejected,
    callers_have_separate_buckets,
    rest_request_above_the_points_is_rejected_with_429,
    disabled_rate_limit_adds_no_headers,
    cost_is_reported_on_demand,
    cost_depends_on_variables,
    examples_of_the_cost_page_have_their_costs,
    default_limits_exceed_the_largest_operation,
    ; needs(has_shared_redis):
    instances_with_redis_share_a_bucket,
    concurrent_requests_to_two_instances_never_exceed_the_points,
    ; needs(has_redis_server_binary):
    redis_that_stops_does_not_interrupt_requests,
];

/// Two points.
const SHOP: &str = "{ shop { name } }";
const LONG_TIMEOUT: (&str, &str) = ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000");
const BEHIND_PROXY: (&str, &str) = ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1");
/// Ten points, which a test is too short to restore.
const TEN_POINTS: (&str, &str) = ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "10/7d");

fn build_query(app: &TestApp, address: &str, body: &Value) -> reqwest::RequestBuilder {
    let request = app.build_request(Method::POST, "/graphql").header("accept", "application/graphql-response+json");
    request.header("x-forwarded-for", address).json(body)
}

async fn send(app: &TestApp, address: &str, query: &str) -> HttpResponse {
    HttpResponse::send(build_query(app, address, &json!({ "query": query }))).await
}

async fn reported_cost(app: &TestApp, body: &Value) -> Value {
    let response = HttpResponse::send(build_query(app, "192.0.2.1", body).header("savannah-cost", "1")).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["extensions"]["cost"].clone()
}

async fn request_above_the_points_of_its_network_is_rejected(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[TEN_POINTS, BEHIND_PROXY]).await;
    for remaining in [8, 6, 4, 2, 0] {
        let response = send(&app, "192.0.2.1", SHOP).await;
        assert_eq!(response.status, 200, "{response:?}");
        let policy = "\"network\";q=10;w=604800;savannah-unit=\"points\"";
        assert_eq!(response.header("ratelimit-policy"), Some(policy));
        let status = format!("\"network\";r={remaining};t={}", 604_800 / 10 * (10 - remaining));
        assert_eq!(response.header("ratelimit"), Some(status.as_str()));
        assert_eq!(response.header("retry-after"), None);
    }
    let rejected = send(&app, "192.0.2.1", SHOP).await;
    assert_eq!((rejected.status, rejected.error_code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(rejected.json()["errors"][0]["extensions"]["retryAfter"], 120_960);
    assert_eq!(rejected.header("retry-after"), Some("120960"));
    assert_eq!(rejected.header("ratelimit"), Some("\"network\";r=0;t=120960"));
    assert!(rejected.json().get("data").is_none());
    // Clients that know only `application/json` read the code from the body.
    let plain = build_query(&app, "192.0.2.1", &json!({ "query": SHOP })).header("accept", "application/json");
    let plain = HttpResponse::send(plain).await;
    assert_eq!((plain.error_code().as_str(), plain.header("retry-after")), ("RATE_LIMITED", Some("120960")));
    // Invalid documents cost nothing and keep their error; other networks are not concerned.
    assert_eq!(send(&app, "192.0.2.1", "{ nothing }").await.error_code(), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(send(&app, "192.0.2.2", SHOP).await.status, 200);
    // One network of IPv6.
    for host in 1..=5 {
        assert_eq!(send(&app, &format!("2001:db8:0:1::{host}"), SHOP).await.status, 200);
    }
    assert_eq!(send(&app, "2001:db8:0:1::6", SHOP).await.status, 429);
    // Too complex is too complex, also without points.
    let huge = "{ products(first: 100) { nodes { variants(first: 100) { id sku price } } } }";
    assert_eq!(send(&app, "192.0.2.2", huge).await.error_code(), "QUERY_TOO_COMPLEX");
}

async fn callers_have_separate_buckets(backend: Backend) {
    let points = [
        TEN_POINTS,
        ("SAVANNAH_RATE_LIMIT__POINTS_PER_CUSTOMER", "4/7d"),
        ("SAVANNAH_RATE_LIMIT__POINTS_PER_STAFF_ACCOUNT", "6/7d"),
        BEHIND_PROXY,
    ];
    let app = TestApp::start_with_settings(backend, &points).await;
    let (customer, staff) = (app.login(Role::Customer).await, app.login(Role::Staff).await);
    for (token, policy, count) in [(&customer, "customer", 2), (&staff, "staff", 3)] {
        let send_as = async || {
            let request = build_query(&app, "192.0.2.1", &json!({ "query": SHOP })).bearer_auth(token);
            HttpResponse::send(request).await
        };
        for _ in 0..count {
            let response = send_as().await;
            assert_eq!(response.status, 200, "{response:?}");
            assert!(response.header("ratelimit").is_some_and(|text| text.contains(policy)), "{response:?}");
        }
        assert_eq!(send_as().await.status, 429, "{policy}");
    }
    // Their network has its points still.
    assert_eq!(send(&app, "192.0.2.1", SHOP).await.header("ratelimit"), Some("\"network\";r=8;t=120960"));
}

async fn rest_request_above_the_points_is_rejected_with_429(backend: Backend) {
    let points = [("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "20/7d"), BEHIND_PROXY];
    let app = TestApp::start_with_settings(backend, &points).await;
    let read_keys = async || {
        let request = app.build_request(Method::GET, "/.well-known/jwks.json");
        HttpResponse::send(request.header("x-forwarded-for", "192.0.2.1")).await
    };
    for remaining in [10, 0] {
        let response = read_keys().await;
        assert_eq!(response.status, 200, "{response:?}");
        assert!(response.header("ratelimit").is_some_and(|text| text.contains(&format!("r={remaining};"))));
    }
    let rejected = read_keys().await;
    assert_eq!((rejected.status, &rejected.json()["error"]["code"]), (429, &json!("RATE_LIMITED")));
    assert_eq!(rejected.header("retry-after"), Some("302400"));
    // Health checks are not limited.
    let health = app.build_request(Method::GET, "/health").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(HttpResponse::send(health).await.status, 200);
}

async fn disabled_rate_limit_adds_no_headers(backend: Backend) {
    let settings = [("SAVANNAH_RATE_LIMIT__ENABLED", "false"), TEN_POINTS];
    let app = TestApp::start_with_settings(backend, &settings).await;
    for _ in 0..10 {
        let response = send(&app, "192.0.2.1", SHOP).await;
        assert_eq!((response.status, response.header("ratelimit")), (200, None));
    }
    assert_eq!(reported_cost(&app, &json!({ "query": SHOP })).await["throttle"], Value::Null);
}

async fn cost_is_reported_on_demand(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "{ products(first: 3) { nodes { id name } } }";
    assert!(send(&app, "192.0.2.1", query).await.json().get("extensions").is_none());
    let body = json!({ "query": query });
    let response = HttpResponse::send(build_query(&app, "192.0.2.1", &body).header("savannah-cost", "1")).await;
    let cost = &response.json()["extensions"]["cost"];
    assert_eq!((&cost["requested"], &cost["actual"]), (&json!(9), &json!(8)), "{cost}");
    let timing = response.header("server-timing").expect("a timing");
    assert!(timing.contains(&format!("\"{} statement", cost["statements"])), "{timing} {cost}");
    let throttle = &cost["throttle"];
    assert_eq!((&throttle["maximum"], &throttle["restoreRate"]), (&json!(1_000_000_000), &json!(1e9)), "{cost}");
    assert!(throttle["available"].is_u64(), "{cost}");
    // Mutations, too.
    let mutation = "mutation { cartCreate { cart { id } userErrors { code } } }";
    let cost = reported_cost(&app, &json!({ "query": mutation })).await;
    assert!(cost["requested"] == 5 && cost["statements"].as_u64() > Some(0), "{cost}");
}

async fn cost_depends_on_variables(backend: Backend) {
    let app = TestApp::start(backend).await;
    let query = "query($n: Int, $unused: Boolean = true) {
        products(first: $n) { nodes { id @include(if: $unused) } } }
        query Other { shop { name } }";
    // Each twice: measured and from the cache.
    for _ in 0..2 {
        for (variables, cost) in
            [(json!({ "n": 3 }), 6), (json!({ "n": 5 }), 10), (json!({}), 40), (json!({ "n": null }), 40)]
        {
            let body = json!({ "query": query.replacen("query(", "query Main(", 1), "operationName": "Main",
                "variables": variables });
            assert_eq!(reported_cost(&app, &body).await["requested"], cost, "{body}");
        }
        let body = json!({ "query": query.replacen("query(", "query Main(", 1), "operationName": "Other" });
        assert_eq!(reported_cost(&app, &body).await["requested"], 2);
    }
    let ids = json!({ "query": "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": { "ids": ["a", "b"] } });
    assert_eq!(reported_cost(&app, &ids).await["requested"], 2);
}

async fn examples_of_the_cost_page_have_their_costs(backend: Backend) {
    let page = include_str!("../docs/COST.md");
    let app = TestApp::start(backend).await;
    let mut faults = Vec::new();
    let examples: Vec<_> = page.split("```graphql\n").skip(1).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        let (query, rest) = example.split_once("\n```").expect("an end");
        let documented = rest.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number");
        let requested = reported_cost(&app, &json!({ "query": query })).await["requested"].clone();
        if requested != documented {
            faults.push(format!("{query} costs {requested}, not {documented}"));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// A request up to the limit of complexity must fit into a bucket several times.
async fn default_limits_exceed_the_largest_operation(_: Backend) {
    let defaults = std::path::Path::new("/nowhere/savannah.toml");
    let config = savannah::infra::Config::load_from(defaults, std::iter::empty()).expect("settings");
    let limits = config.rate_limit;
    let smallest = [
        limits.points_per_network,
        limits.points_per_customer,
        limits.points_per_api_key,
        limits.points_per_staff_account,
    ]
    .map(|limit| limit.count)
    .into_iter()
    .min()
    .expect("a limit");
    assert!(limits.enabled && smallest as usize >= 20 * config.graphql.max_complexity);
}

async fn instances_with_redis_share_a_bucket(backend: Backend) {
    let url = shared_redis_url().expect("a server");
    let settings = [("REDIS_URL", url.as_str()), LONG_TIMEOUT, TEN_POINTS, BEHIND_PROXY];
    let first = TestApp::start_with_settings(backend, &settings).await;
    let second = first.start_second_instance(&settings).await;
    for app in [&first, &second, &first, &second, &first] {
        assert_eq!(send(app, "192.0.2.1", SHOP).await.status, 200);
    }
    for app in [&first, &second] {
        let rejected = send(app, "192.0.2.1", SHOP).await;
        assert_eq!((rejected.status, rejected.header("retry-after")), (429, Some("120960")));
        assert_eq!(send(app, "192.0.2.2", SHOP).await.status, 200);
    }
    // Without Redis each instance has a bucket of its own.
    let alone = first.start_second_instance(&[TEN_POINTS, BEHIND_PROXY]).await;
    assert_eq!(send(&alone, "192.0.2.1", SHOP).await.header("ratelimit"), Some("\"network\";r=8;t=120960"));
}

async fn concurrent_requests_to_two_instances_never_exceed_the_points(backend: Backend) {
    let url = shared_redis_url().expect("a server");
    let points = ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "41/7d");
    let settings = [("REDIS_URL", url.as_str()), LONG_TIMEOUT, points, BEHIND_PROXY];
    let first = TestApp::start_with_settings(backend, &settings).await;
    let second = first.start_second_instance(&settings).await;
    let requests = (0..60).map(|n| send(if n % 2 == 0 { &first } else { &second }, "192.0.2.1", SHOP));
    let statuses: Vec<u16> = join_all(requests).await.into_iter().map(|response| response.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
}

async fn redis_that_stops_does_not_interrupt_requests(backend: Backend) {
    let server = RedisProcess::start().await;
    let url = server.url();
    let settings =
        [("REDIS_URL", url.as_str()), LONG_TIMEOUT, ("SAVANNAH_REDIS__RETRY_MILLIS", "20"), TEN_POINTS, BEHIND_PROXY];
    let first = TestApp::start_with_settings(backend, &settings).await;
    let second = first.start_second_instance(&settings).await;
    for app in [&first, &second, &first, &second, &first] {
        assert_eq!(send(app, "192.0.2.1", SHOP).await.status, 200);
    }
    assert_eq!(send(&second, "192.0.2.1", SHOP).await.status, 429);
    let port = server.port;
    drop(server);
    // Each instance continues with a bucket of its own, which is limited, too.
    for app in [&first, &second] {
        for _ in 0..5 {
            let response = send(app, "192.0.2.1", SHOP).await;
            assert_eq!(response.status, 200, "{response:?}");
        }
        assert_eq!(send(app, "192.0.2.1", SHOP).await.status, 429);
    }
    // The restarted server is empty.
    let _restarted = RedisProcess::start_on(port).await;
    for app in [&first, &second] {
        while !app.http_app.state.redis.is_available() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    assert_eq!(send(&first, "192.0.2.1", SHOP).await.header("ratelimit"), Some("\"network\";r=8;t=120960"));
    assert_eq!(send(&second, "192.0.2.1", SHOP).await.header("ratelimit"), Some("\"network\";r=6;t=241920"));
}
