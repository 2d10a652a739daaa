//! The Redis client: bounded calls, the circuit breaker, and the server without Redis.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use savannah::infra::{RedisClient, RedisUnavailable, config::RedisConfig, redis_client::RedisScript};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, FakeRedisMode, FakeRedisServer, RedisProcess, ServerCertificate, TestApp,
        has_redis_server_and_openssl, has_redis_server_binary, has_shared_redis, shared_redis_url,
    },
};

integration_tests![
    server_without_redis_serves_requests,
    server_with_misbehaving_redis_serves_requests,
    invalid_redis_url_is_reported_without_its_password,
    ; needs(has_shared_redis):
    values_expire_and_are_deleted,
    script_runs_atomically_and_survives_a_flush_of_scripts,
    rejected_command_does_not_disconnect,
    keys_of_two_databases_are_separate,
    ; needs(has_redis_server_binary):
    client_reconnects_to_a_restarted_server,
    frozen_server_costs_later_calls_nothing,
    ; needs(has_redis_server_and_openssl):
    encrypted_connection_requires_a_trusted_certificate,
];

/// Longest wait for a condition on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Timeout of commands that must succeed.
const LONG_TIMEOUT: (&str, &str) = ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000");
const SHORT_RETRY: (&str, &str) = ("SAVANNAH_REDIS__RETRY_MILLIS", "20");

static INCREMENT: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new("local n = redis.call('INCRBY', KEYS[1], ARGV[1]) redis.call('PEXPIRE', KEYS[1], 60000) return n")
});

fn redis_config(url: &str, timeout_millis: u64) -> RedisConfig {
    RedisConfig { url: url.into(), key_prefix: "test".to_owned(), timeout_millis, retry_millis: 20 }
}

async fn connect(url: &str, timeout_millis: u64) -> RedisClient {
    let database_id = uuid::Uuid::now_v7().to_string();
    RedisClient::connect(&redis_config(url, timeout_millis), &database_id).await.expect("a valid URL")
}

async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started_at = Instant::now();
    while !condition().await {
        assert!(started_at.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn health(app: &TestApp, path: &str) -> (u16, Value) {
    let response = app.build_request(reqwest::Method::GET, path).send().await.expect("a response");
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("JSON");
    (status, body["data"]["parts"]["redis"].clone())
}

async fn server_without_redis_serves_requests(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("REDIS_URL", "")]).await;
    assert!(!app.http_app.state.redis.is_configured());
    assert_eq!(app.http_app.state.redis.get("key").await, Err(RedisUnavailable));
    assert_eq!(health(&app, "/health/ready").await, (200, Value::Null));
    app.query("{ shop { name } }").await.data_at("/shop/name");
}

async fn server_with_misbehaving_redis_serves_requests(backend: Backend) {
    let modes =
        [FakeRedisMode::Hang, FakeRedisMode::Nonsense, FakeRedisMode::WrongType, FakeRedisMode::Disconnect].map(Some);
    for mode in modes.into_iter().chain([None]) {
        let fake = match mode {
            Some(mode) => Some(FakeRedisServer::start(mode).await),
            None => None,
        };
        // Port 1 refuses connections.
        let url = fake.as_ref().map_or("redis://127.0.0.1:1", |fake| fake.url.as_str());
        let app = TestApp::start_with_settings(backend, &[("REDIS_URL", url), SHORT_RETRY]).await;
        let redis = &app.http_app.state.redis;
        let started_at = Instant::now();
        for _ in 0..100 {
            app.query("{ shop { name } }").await.data_at("/shop/name");
            assert_eq!(redis.get("key").await, Err(RedisUnavailable), "{mode:?}");
            assert_eq!(redis.set("key", b"value", PATIENCE).await, Err(RedisUnavailable), "{mode:?}");
        }
        // One timeout of 100 ms each would be 20 s.
        assert!(started_at.elapsed() < Duration::from_secs(10), "{mode:?}: {:?}", started_at.elapsed());
        let (status, part) = health(&app, "/health/ready").await;
        assert_eq!((status, &part["status"]), (200, &json!("unavailable")), "{mode:?}");
    }
}

async fn invalid_redis_url_is_reported_without_its_password(_: Backend) {
    for url in ["http://:sesame@redis", "redis://:sesame@redis:port", "sesame", "rediss://:sesame@"] {
        let variables = [("REDIS_URL".into(), url.into())].into_iter();
        let file = std::path::Path::new("/nowhere/savannah.toml");
        let message = savannah::infra::Config::load_from(file, variables).expect_err(url);
        assert!(message.contains("REDIS_URL") && !message.contains("sesame"), "{message}");
    }
}

async fn values_expire_and_are_deleted(backend: Backend) {
    let url = shared_redis_url().expect("a server");
    let app = TestApp::start_with_settings(backend, &[("REDIS_URL", &url), LONG_TIMEOUT]).await;
    let redis = &app.http_app.state.redis;
    assert_eq!(redis.get("absent").await, Ok(None));
    redis.set("short", b"\0\xff", Duration::ZERO).await.expect("a stored value");
    redis.set("long", b"value", PATIENCE).await.expect("a stored value");
    wait_until("the value expires", async || redis.get("short").await == Ok(None)).await;
    assert_eq!(redis.get("long").await, Ok(Some(b"value".to_vec())));
    assert_eq!(redis.delete(&["absent", "long"]).await, Ok(1));
    assert_eq!(redis.get("long").await, Ok(None));
    assert_eq!(redis.delete(&[]).await, Ok(0));
    let (status, part) = health(&app, "/health").await;
    assert_eq!((status, &part["status"]), (200, &json!("healthy")));
}

async fn script_runs_atomically_and_survives_a_flush_of_scripts(_: Backend) {
    let redis = connect(&shared_redis_url().expect("a server"), 10_000).await;
    let calls = (0..50).map(|_| redis.run_script::<i64>(&INCREMENT, &["count"], &[b"2"]));
    let mut results: Vec<i64> =
        futures_util::future::join_all(calls).await.into_iter().map(|result| result.expect("a count")).collect();
    results.sort_unstable();
    assert_eq!(results, (1..=50).map(|n| n * 2).collect::<Vec<_>>());
    // A script that this server has never seen is sent with the first call.
    let unique = RedisScript::new(&format!("return '{}'", uuid::Uuid::now_v7()));
    assert!(redis.run_script::<String>(&unique, &[], &[]).await.is_ok());
}

async fn rejected_command_does_not_disconnect(_: Backend) {
    let redis = connect(&shared_redis_url().expect("a server"), 10_000).await;
    redis.set("text", b"not a number", PATIENCE).await.expect("a stored value");
    assert_eq!(redis.run_script::<i64>(&INCREMENT, &["text"], &[b"1"]).await, Err(RedisUnavailable));
    assert!(redis.is_available());
    assert_eq!(redis.get("text").await, Ok(Some(b"not a number".to_vec())));
}

async fn keys_of_two_databases_are_separate(backend: Backend) {
    let url = shared_redis_url().expect("a server");
    let settings = [("REDIS_URL", url.as_str()), LONG_TIMEOUT];
    let first = TestApp::start_with_settings(backend, &settings).await;
    let other_database = TestApp::start_with_settings(backend, &settings).await;
    let second_instance = first.start_second_instance(&settings).await;
    first.http_app.state.redis.set("key", b"value", PATIENCE).await.expect("a stored value");
    assert_eq!(second_instance.http_app.state.redis.get("key").await, Ok(Some(b"value".to_vec())));
    assert_eq!(other_database.http_app.state.redis.get("key").await, Ok(None));
}

async fn client_reconnects_to_a_restarted_server(_: Backend) {
    let server = RedisProcess::start().await;
    let redis = connect(&server.url(), 10_000).await;
    redis.set("key", b"value", PATIENCE).await.expect("a stored value");
    let port = server.port;
    drop(server);
    wait_until("the failure is noticed", async || redis.get("key").await == Err(RedisUnavailable)).await;
    assert!(!redis.is_available());
    let _restarted = RedisProcess::start_on(port).await;
    wait_until("the client reconnects", async || redis.get("key").await == Ok(None)).await;
}

async fn frozen_server_costs_later_calls_nothing(_: Backend) {
    let server = RedisProcess::start().await;
    let redis = connect(&server.url(), 500).await;
    wait_until("the server responds", async || redis.set("key", b"value", PATIENCE).await.is_ok()).await;
    server.freeze(true);
    // Concurrent calls share the wait for one timeout.
    let started_at = Instant::now();
    let calls = futures_util::future::join_all((0..100).map(|_| redis.get("key"))).await;
    assert!(calls.iter().all(Result::is_err));
    assert!(started_at.elapsed() >= Duration::from_millis(500), "{:?}", started_at.elapsed());
    let started_at = Instant::now();
    for _ in 0..1000 {
        assert_eq!(redis.get("key").await, Err(RedisUnavailable));
    }
    assert!(started_at.elapsed() < Duration::from_millis(500), "{:?}", started_at.elapsed());
    server.freeze(false);
    wait_until("the client reconnects", async || redis.get("key").await == Ok(Some(b"value".to_vec()))).await;
}

async fn encrypted_connection_requires_a_trusted_certificate(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let certificate = ServerCertificate::create_in(sandbox.path());
    let server = RedisProcess::start_encrypted(&certificate).await;
    let (encrypted, plain) = (format!("rediss://127.0.0.1:{}", server.port), server.url());
    let other_directory = tempfile::tempdir().expect("a directory");
    let other_certificate = ServerCertificate::create_in(other_directory.path());
    let [own_authority, other_authority] =
        [&certificate, &other_certificate].map(|certificate| certificate.certificate.to_str().expect("UTF-8"));
    let cases = [
        (encrypted.as_str(), own_authority, "healthy"),
        (&encrypted, other_authority, "unavailable"),
        (&plain, own_authority, "unavailable"),
    ];
    for (url, authority, expected) in cases {
        let variables = [("REDIS_URL", url), ("SSL_CERT_FILE", authority), LONG_TIMEOUT];
        let running = sandbox.start_server(&variables).await;
        let health = reqwest::get(format!("http://{}/health", running.address)).await.expect("a response");
        let health: Value = health.json().await.expect("JSON");
        assert_eq!(health["data"]["parts"]["redis"]["status"], expected, "{url} {authority} {health}");
    }
}
