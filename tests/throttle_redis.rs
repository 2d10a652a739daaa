//! Throttling of anonymous requests with counters in Redis.

use chrono::TimeDelta;
use futures_util::future::join_all;
use savannah::infra::{
    config::RateLimit,
    throttle::{Throttle, ThrottleSubject},
};
use serde_json::json;

use crate::{
    integration_tests,
    support::{
        Backend, GraphqlResponse, RedisProcess, TestApp, has_redis_server_binary, has_shared_redis, shared_redis_url,
    },
};

integration_tests![
    ; needs(has_shared_redis):
    concurrent_actions_of_many_instances_share_one_limit,
    rejected_action_counts_no_subject,
    high_limit_is_counted_in_portions_and_never_exceeded,
    orders_of_two_instances_are_limited_by_ip,
    failed_logins_are_counted_in_the_database,
    ; needs(has_redis_server_binary):
    limit_continues_in_the_database_when_redis_stops,
];

const LONG_TIMEOUT: (&str, &str) = ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000");

fn throttle_subject(name: &str, count: u32, seconds: u64) -> ThrottleSubject {
    ThrottleSubject::new("test", name, RateLimit { count, window: std::time::Duration::from_secs(seconds) })
}

async fn start(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let url = shared_redis_url().expect("a server");
    let settings: Vec<_> = settings.iter().copied().chain([("REDIS_URL", url.as_str()), LONG_TIMEOUT]).collect();
    TestApp::start_with_settings(backend, &settings).await
}

/// Returns the rate limiter of another instance.
fn new_instance(app: &TestApp) -> Throttle {
    Throttle::new(app.http_app.state.redis.clone())
}

/// Returns whether an action was within its limits.
async fn is_allowed(throttle: &Throttle, app: &TestApp, subjects: &[ThrottleSubject]) -> bool {
    match throttle.count_action(&app.db, subjects).await {
        Ok(()) => true,
        Err(savannah::base::Error::RateLimited { .. }) => false,
        Err(error) => panic!("{}", error.log_message()),
    }
}

async fn assert_nothing_counted_in_database(app: &TestApp) {
    assert_eq!(app.query_scalar("SELECT count(*) FROM throttle").await, 0);
}

async fn concurrent_actions_of_many_instances_share_one_limit(backend: Backend) {
    let app = start(backend, &[]).await;
    let instances: Vec<Throttle> = (0..4).map(|_| new_instance(&app)).collect();
    let subjects = [throttle_subject("shared", 7, 60), throttle_subject("roomy", 1000, 60)];
    let actions = (0..40).map(|n| is_allowed(&instances[n % 4], &app, &subjects));
    let allowed = join_all(actions).await.into_iter().filter(|is_within_limit| *is_within_limit).count();
    assert_eq!(allowed, 7);
    let set_seconds =
        |seconds| app.clock.set(crate::support::parse_datetime("2026-11-01T09:00:00Z") + TimeDelta::seconds(seconds));
    set_seconds(59);
    assert!(!is_allowed(&instances[0], &app, &subjects).await);
    assert!(!is_allowed(&new_instance(&app), &app, &subjects).await);
    set_seconds(60);
    assert!(is_allowed(&instances[0], &app, &subjects).await, "the window has ended");
    assert_nothing_counted_in_database(&app).await;
}

async fn rejected_action_counts_no_subject(backend: Backend) {
    let app = start(backend, &[]).await;
    let (full, other) = (throttle_subject("full", 1, 60), throttle_subject("other", 2, 60));
    assert!(is_allowed(&new_instance(&app), &app, std::slice::from_ref(&full)).await);
    for _ in 0..5 {
        assert!(!is_allowed(&new_instance(&app), &app, &[full.clone(), other.clone()]).await);
    }
    // A subject that is named twice is counted once.
    let twice = [other.clone(), other.clone()];
    assert!(is_allowed(&new_instance(&app), &app, &twice).await);
    assert!(is_allowed(&new_instance(&app), &app, &twice).await);
    assert!(!is_allowed(&new_instance(&app), &app, &twice).await);
    assert_nothing_counted_in_database(&app).await;
}

async fn high_limit_is_counted_in_portions_and_never_exceeded(backend: Backend) {
    let app = start(backend, &[]).await;
    let (first, second) = (new_instance(&app), new_instance(&app));
    let high_limit = [throttle_subject("roomy", 200, 60)];
    let mut allowed = 0;
    for n in 0..301 {
        allowed += u32::from(is_allowed(if n % 3 == 0 { &first } else { &second }, &app, &high_limit).await);
    }
    assert!((190..=200).contains(&allowed), "{allowed}");
}

async fn create_unfillable_order(app: &TestApp, email: &str) -> GraphqlResponse {
    app.create_order(None, "key", &[("nothing", 1)], json!({ "email": email })).await
}

async fn orders_of_two_instances_are_limited_by_ip(backend: Backend) {
    let limit = ("SAVANNAH_THROTTLE__ORDERS_PER_IP", "2/1h");
    let first = start(backend, &[limit]).await;
    let url = shared_redis_url().expect("a server");
    let second = first.start_second_instance(&[limit, ("REDIS_URL", &url), LONG_TIMEOUT]).await;
    for (app, email) in [(&first, "a@example.com"), (&second, "b@example.com")] {
        let response = create_unfillable_order(app, email).await;
        assert_eq!(response.body.get("errors"), None, "{}", response.body);
    }
    for (app, email) in [(&first, "c@example.com"), (&second, "d@example.com")] {
        let response = create_unfillable_order(app, email).await;
        assert_eq!(response.error_code(), "RATE_LIMITED");
        assert_eq!(response.first_error()["extensions"]["retryAfter"], 3600);
    }
    assert_nothing_counted_in_database(&first).await;
}

async fn failed_logins_are_counted_in_the_database(backend: Backend) {
    let app = start(backend, &[("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "2/15m")]).await;
    let login = "mutation { login(input: { email: \"amani@example.com\", password: \"wrong horse\" }) {
        userErrors { code } } }";
    for _ in 0..2 {
        let response = app.query(login).await;
        assert_eq!(response.data_at("/login/userErrors/0/code"), "INVALID_CREDENTIALS");
    }
    assert_eq!(app.query(login).await.error_code(), "RATE_LIMITED");
    assert!(app.query_scalar("SELECT count(*) FROM throttle").await > 0);
}

async fn limit_continues_in_the_database_when_redis_stops(backend: Backend) {
    let server = RedisProcess::start().await;
    let url = server.url();
    let app = TestApp::start_with_settings(backend, &[("REDIS_URL", &url), LONG_TIMEOUT]).await;
    let subject = [throttle_subject("shared", 5, 3600)];
    for _ in 0..3 {
        assert!(is_allowed(&new_instance(&app), &app, &subject).await);
    }
    assert_nothing_counted_in_database(&app).await;
    drop(server);
    // The database counts from zero, and no further than the limit.
    let mut allowed = 0;
    for _ in 0..10 {
        allowed += u32::from(is_allowed(&new_instance(&app), &app, &subject).await);
    }
    assert_eq!(allowed, 5);
    assert_eq!(app.query_scalar("SELECT max(count) FROM throttle").await, 5);
}
