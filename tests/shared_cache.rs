//! Responses that instances share through Redis.

use std::time::{Duration, Instant};

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, FakeRedisMode, FakeRedisServer, HttpResponse, RESPONSE_CACHE_ON, TestApp, has_shared_redis,
        send_to_cache, shared_redis_url,
    },
};

integration_tests![
    misbehaving_redis_changes_no_response,
    ; needs(has_shared_redis):
    response_of_one_instance_is_used_by_another,
    shared_response_is_never_older_than_an_answered_write,
    damaged_shared_responses_are_not_used,
];

const LISTING: &str = "{ products(first: 5, sort: { field: NAME }) { nodes { id name price } } }";
const RENAME: &str = "mutation($id: ID!, $name: String!) { productUpdate(id: $id, input: { name: $name }) {
    userErrors { code } } }";
const LONG_TIMEOUT: (&str, &str) = ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000");
const SHARED_HIT: Option<&str> = Some("savannah; hit; detail=shared");

/// Starts two instances with Redis, a demo catalog and running event feeds.
async fn start_instances(backend: Backend) -> [TestApp; 2] {
    let url = shared_redis_url().expect("a URL");
    let settings = [RESPONSE_CACHE_ON, LONG_TIMEOUT, ("REDIS_URL", url.as_str())];
    let first = TestApp::start_with_response_cache(backend, &settings[1..]).await;
    let second = first.start_second_instance(&settings).await;
    first.start_event_feed().await;
    second.start_event_feed().await;
    [first, second]
}

/// Requests the listing from an instance with an empty memory of its own until Redis answers it.
async fn wait_for_shared_hit(app: &TestApp) -> HttpResponse {
    let started_at = Instant::now();
    loop {
        let (http_response, _) = send_to_cache(app.build_get(LISTING)).await;
        if http_response.header("cache-status") == SHARED_HIT {
            return http_response;
        }
        assert!(started_at.elapsed() < Duration::from_secs(20), "{http_response:?}");
        app.db.tag_versions().invalidate_all();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn response_of_one_instance_is_used_by_another(backend: Backend) {
    let [first, second] = Box::pin(start_instances(backend)).await;
    let (computed, _) = send_to_cache(first.build_get(LISTING)).await;
    assert_eq!(computed.header("cache-status"), Some("savannah; fwd=miss; stored"));
    let shared = wait_for_shared_hit(&second).await;
    assert_eq!(shared.text, computed.text);
    assert_eq!(shared.header("etag"), computed.header("etag"));
    assert_eq!(shared.header("surrogate-key"), computed.header("surrogate-key"));
    // Then it is in the memory of the second instance, too.
    assert!(send_to_cache(second.build_get(LISTING)).await.1);
}

async fn shared_response_is_never_older_than_an_answered_write(backend: Backend) {
    let [first, second] = Box::pin(start_instances(backend)).await;
    let admin = first.login(Role::Admin).await;
    let listed = first.query(LISTING).await;
    let id = listed.data_at("/products/nodes/0/id").clone();
    for round in 0..10 {
        // The other instance stores a response of the state before the write.
        send_to_cache(second.build_get(LISTING)).await;
        let name = format!("0 round {round}");
        first.query_as(&admin, RENAME, json!({ "id": id, "name": name })).await.data_at("/productUpdate");
        let (on_writer, _) = send_to_cache(first.build_get(LISTING)).await;
        assert!(on_writer.text.contains(&name), "the writing instance in round {round}: {on_writer:?}");
        let started_at = Instant::now();
        while !send_to_cache(second.build_get(LISTING)).await.0.text.contains(&name) {
            assert!(started_at.elapsed() < Duration::from_secs(10), "the other instance in round {round}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn damaged_shared_responses_are_not_used(backend: Backend) {
    let [first, second] = Box::pin(start_instances(backend)).await;
    let (computed, _) = send_to_cache(first.build_get(LISTING)).await;
    wait_for_shared_hit(&second).await;
    let client = redis::Client::open(shared_redis_url().expect("a URL")).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:response:*").query_async(&mut connection).await.expect("keys");
    assert!(!keys.is_empty(), "no shared responses");
    for key in &keys {
        let _: () = redis::cmd("SET")
            .arg(key)
            .arg("savcach1 nonsense")
            .arg("EX")
            .arg(60)
            .query_async(&mut connection)
            .await
            .expect("set");
    }
    second.db.tag_versions().invalidate_all();
    let (http_response, _) = send_to_cache(second.build_get(LISTING)).await;
    assert_eq!(http_response.header("cache-status"), Some("savannah; fwd=miss; stored"));
    assert_eq!(http_response.text, computed.text);
}

async fn misbehaving_redis_changes_no_response(backend: Backend) {
    for mode in [FakeRedisMode::Hang, FakeRedisMode::Nonsense, FakeRedisMode::WrongType, FakeRedisMode::Disconnect] {
        let server = FakeRedisServer::start(mode).await;
        let settings = [("REDIS_URL", server.url.as_str()), ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "50")];
        let app = TestApp::start_with_response_cache(backend, &settings).await;
        app.start_event_feed().await;
        let admin = app.login(Role::Admin).await;
        let id = app.query(LISTING).await.data_at("/products/nodes/0/id").clone();
        for round in 0..3 {
            let name = format!("0 round {round}");
            app.query_as(&admin, RENAME, json!({ "id": id, "name": name })).await.data_at("/productUpdate");
            for _ in 0..2 {
                let (http_response, _) = send_to_cache(app.build_get(LISTING)).await;
                let body: Value = http_response.json();
                assert_eq!(body["data"]["products"]["nodes"][0]["name"], name.as_str());
            }
        }
    }
}
