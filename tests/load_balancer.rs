//! nginx with the configuration of the repository in front of two instances on one PostgreSQL: cache and load balancer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, HttpResponse, NginxProcess, RESPONSE_CACHE_ON, RunningProcess, TestApp, has_nginx,
        query_path,
    },
};

integration_tests![
    ; needs(has_nginx):
    proxy_caches_public_responses_and_revalidates_them,
    proxy_passes_tokens_request_ids_and_upgrades,
    killed_instance_fails_no_read,
];

const LISTING: &str = "{ products(first: 5) { nodes { name price } } }";

/// Two instances on one database, with nginx in front of them.
struct BalancedShop {
    app: TestApp,
    instances: Vec<RunningProcess>,
    nginx: NginxProcess,
    client: Client,
    _sandbox: CliSandbox,
}

impl BalancedShop {
    async fn start(backend: Backend) -> Self {
        let app = TestApp::start_with_demo_catalog(backend).await;
        let sandbox = CliSandbox::new(&[
            ("DATABASE_URL", app.database_url()),
            RESPONSE_CACHE_ON,
            ("SAVANNAH_SHOP__MODE", "development"),
            ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1"),
            ("SAVANNAH_CACHE__HTTP_SHARED_MAX_AGE", "1s"),
            ("SAVANNAH_CACHE__HTTP_STALE_WHILE_REVALIDATE", "0s"),
        ]);
        let mut instances = Vec::new();
        for _ in 0..2 {
            instances.push(sandbox.start_server_with_args(&["serve", "--no-demo"], &[]).await);
        }
        let nginx = NginxProcess::start(&[&instances[0].address, &instances[1].address]).await;
        let client = Client::builder().no_gzip().build().expect("a client");
        Self { app, instances, nginx, client, _sandbox: sandbox }
    }

    fn get(&self, query: &str) -> reqwest::RequestBuilder {
        self.client.get(self.nginx.url(&query_path(query)))
    }
}

fn cache_status(http_response: &HttpResponse) -> &str {
    http_response.header("x-cache-status").unwrap_or_default()
}

async fn proxy_caches_public_responses_and_revalidates_them(backend: Backend) {
    let shop = BalancedShop::start(backend).await;
    let first = HttpResponse::send(shop.get(LISTING)).await;
    assert_eq!((first.status, cache_status(&first)), (200, "MISS"), "{first:?}");
    let second = HttpResponse::send(shop.get(LISTING)).await;
    assert_eq!(cache_status(&second), "HIT", "{second:?}");
    assert_eq!(second.text, first.text);
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    let entity_tag = second.header("etag").expect("an entity tag").to_owned();
    let not_modified = HttpResponse::send(shop.get(LISTING).header("if-none-match", &entity_tag)).await;
    assert_eq!(not_modified.status, 304, "{not_modified:?}");
    // Compressed responses are separate.
    let compressed = shop.get(LISTING).header("accept-encoding", "gzip").send().await.expect("a response");
    assert_ne!(compressed.headers()["x-cache-status"], "HIT");
    // After s-maxage, nginx asks with the entity tag; unchanged content is not sent again.
    let started_at = Instant::now();
    loop {
        let again = HttpResponse::send(shop.get(LISTING)).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        if ["REVALIDATED", "UPDATING", "STALE"].contains(&cache_status(&again)) {
            break;
        }
        assert!(started_at.elapsed() < Duration::from_secs(20), "{again:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A change is visible after s-maxage at the latest.
    let admin = shop.app.login(Role::Admin).await;
    let id = shop.app.query("{ products(first: 1) { nodes { id } } }").await;
    let update = "mutation($id: ID!) { productUpdate(id: $id, input: { name: \"Changed\" }) { userErrors { code } } }";
    shop.app.query_as(&admin, update, json!({ "id": id.data_at("/products/nodes/0/id") })).await;
    let started_at = Instant::now();
    while !HttpResponse::send(shop.get(LISTING)).await.text.contains("Changed") {
        assert!(started_at.elapsed() < Duration::from_secs(20), "the change is not visible");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn proxy_passes_tokens_request_ids_and_upgrades(backend: Backend) {
    let shop = BalancedShop::start(backend).await;
    let register =
        "mutation { customerRegister(input: { email: \"wanjiku@example.com\", password: \"lamps and kettles\" }) {
        tokens { accessToken } userErrors { code message } } }";
    let register = shop.client.post(shop.nginx.url("/graphql")).json(&json!({ "query": register }));
    let registered = HttpResponse::send(register).await.json();
    let token = registered.pointer("/data/customerRegister/tokens/accessToken").and_then(Value::as_str);
    let token = token.unwrap_or_else(|| panic!("no token in {registered}")).to_owned();
    for _ in 0..2 {
        for request in [shop.get(LISTING).bearer_auth(&token), shop.get("{ me { email } }").bearer_auth(&token)] {
            let private = HttpResponse::send(request).await;
            assert_eq!(private.status, 200, "{private:?}");
            assert_ne!(cache_status(&private), "HIT", "{private:?}");
            assert_eq!(private.header("cache-control"), Some("no-store"));
        }
        let anonymous = HttpResponse::send(shop.get("{ me { email } }")).await;
        assert_eq!(anonymous.json()["data"]["me"], Value::Null, "{anonymous:?}");
        let mutation = json!({ "query": "mutation { cartCreate { cart { id } } }" });
        let created = HttpResponse::send(shop.client.post(shop.nginx.url("/graphql")).json(&mutation)).await;
        assert!(created.json()["data"]["cartCreate"]["cart"]["id"].is_string(), "{created:?}");
    }
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM cart").await, 2);
    let named = HttpResponse::send(shop.get(LISTING).header("x-request-id", "my-request")).await;
    assert_eq!(named.header("x-request-id"), Some("my-request"));
    // A request to upgrade is passed to the shop and never answered from the cache.
    HttpResponse::send(shop.get(LISTING)).await;
    let upgrade = shop.get(LISTING).header("connection", "upgrade").header("upgrade", "websocket");
    let upgrade = upgrade.send().await.expect("a response");
    assert_ne!(upgrade.headers().get("x-cache-status").map(reqwest::header::HeaderValue::as_bytes), Some(&b"HIT"[..]));
}

/// Clients read all the time, each time something that no cache has, while one instance is killed.
async fn killed_instance_fails_no_read(backend: Backend) {
    let shop = Arc::new(BalancedShop::start(backend).await);
    let (is_done, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let (shop, is_done, reads) = (Arc::clone(&shop), Arc::clone(&is_done), Arc::clone(&reads));
            tokio::spawn(async move {
                let mut number = 0;
                while !is_done.load(Ordering::SeqCst) {
                    number += 1;
                    let query = format!("{{ c{reader}x{number}: products(first: 3) {{ nodes {{ name }} }} }}");
                    let response = shop.get(&query).send().await.expect("a response");
                    assert_eq!(response.status(), 200);
                    let body: Value = response.json().await.expect("JSON");
                    assert!(body.get("errors").is_none(), "{body}");
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let wait_for_reads = async |count: usize| {
        let (target, started_at) = (reads.load(Ordering::SeqCst) + count, Instant::now());
        while reads.load(Ordering::SeqCst) < target && !readers.iter().any(tokio::task::JoinHandle::is_finished) {
            assert!(started_at.elapsed() < Duration::from_mins(1), "the clients make no progress");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait_for_reads(100).await;
    shop.instances[1].send_signal("KILL");
    wait_for_reads(300).await;
    is_done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("no failed request");
    }
}
