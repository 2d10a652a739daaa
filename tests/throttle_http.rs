//! Limits of REST requests: a throttled one is answered 429 with the seconds to wait.

use chrono::TimeDelta;
use reqwest::Method;

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![login_starts_beyond_the_limit_are_answered_429_with_retry_after, refused_login_start_writes_nothing];

/// A shop that knows people by a provider which is never there: who is sent to it is answered 503.
async fn shop_with_provider(backend: Backend) -> TestApp {
    let settings = [
        ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1"),
        ("SAVANNAH_THROTTLE__OIDC_LOGINS_PER_IP", "3/10m"),
        ("SAVANNAH_IDENTITY__ALLOWED_REDIRECT_URIS", "https://app.example/in"),
        ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__ISSUER", "http://127.0.0.1:1"),
        ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__CLIENT_ID", "savannah"),
    ];
    TestApp::start_with_settings(backend, &settings).await
}

async fn start_login(shop: &TestApp, address: &str, redirect: &str) -> HttpResponse {
    let challenge = savannah::base::digest::sha256_base64url("the app's own word");
    let path = format!("/auth/keycloak/login?redirect={redirect}&challenge={challenge}");
    HttpResponse::send(shop.build_request(Method::GET, &path).header("x-forwarded-for", address)).await
}

/// Fails unless it was throttled and says for how many seconds.
fn assert_throttled(reply: &HttpResponse, seconds: u64) {
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &"RATE_LIMITED".into()), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some(seconds.to_string().as_str()), "{reply:?}");
    assert!(reply.header("location").is_none() && reply.header("set-cookie").is_none(), "{reply:?}");
}

async fn login_starts_beyond_the_limit_are_answered_429_with_retry_after(backend: Backend) {
    const GOOD: &str = "https://app.example/in";
    let shop = shop_with_provider(backend).await;
    // Whatever comes of them, they are counted.
    assert_eq!(start_login(&shop, "192.0.2.1", GOOD).await.status, 503);
    assert_eq!(start_login(&shop, "192.0.2.1", "https://evil.example/").await.status, 400);
    let last = start_login(&shop, "192.0.2.1", GOOD).await;
    assert_eq!((last.status, last.header("retry-after")), (503, None), "{last:?}");
    assert_throttled(&start_login(&shop, "192.0.2.1", GOOD).await, 600);
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(599));
    assert_throttled(&start_login(&shop, "192.0.2.1", GOOD).await, 1);
    // Others are not concerned, and one network of IPv6 is one caller.
    assert_eq!(start_login(&shop, "192.0.2.2", GOOD).await.status, 503);
    for host in 1..=3 {
        assert_eq!(start_login(&shop, &format!("2001:db8:0:1::{host}"), GOOD).await.status, 503);
    }
    assert_throttled(&start_login(&shop, "2001:db8:0:1::9", GOOD).await, 600);
    assert_eq!(start_login(&shop, "2001:db8:0:2::9", GOOD).await.status, 503);
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(1));
    assert_eq!(start_login(&shop, "192.0.2.1", GOOD).await.status, 503, "the window has ended");
}

async fn refused_login_start_writes_nothing(backend: Backend) {
    let shop = shop_with_provider(backend).await;
    for _ in 0..8 {
        start_login(&shop, "192.0.2.1", "https://app.example/in").await;
    }
    assert_eq!(shop.query_scalar("SELECT count(*) FROM throttle").await, 1);
    assert_eq!(shop.query_scalar("SELECT count(*) FROM oidc_login_state").await, 0);
    // What is not limited has no header that says so.
    let live = HttpResponse::send(shop.build_request(Method::GET, "/health/live")).await;
    assert_eq!((live.status, live.header("retry-after")), (200, None));
}
