//! OpenID provider for tests, and a browser with cookies that follows its redirects.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use reqwest::{Url, header, redirect::Policy};
use savannah::base::Clock;
use serde_json::{Value, json};

use super::{Backend, TestApp};

/// Redirect URI of the test app.
pub const APP_REDIRECT_URI: &str = "https://app.example/in?from=shop";

/// Maximum number of redirects.
const MAX_REDIRECTS: usize = 20;

/// A certified OpenID provider, run by Node.js; stopped on drop.
pub struct FakeOidcProvider {
    child: Child,
    pub issuer: String,
    http: reqwest::Client,
}

impl FakeOidcProvider {
    /// Starts the provider on a free port, or on the port of a previous issuer.
    pub async fn start(issuer: Option<&str>) -> Self {
        let port = issuer.and_then(|issuer| issuer.rsplit(':').next()).unwrap_or("0").to_owned();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/provider.mjs");
        let mut node = Command::new("node");
        node.arg(script).arg(port).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let out = child.stdout.take().expect("process output");
        let read = move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line.trim().to_owned())
        };
        let issuer = tokio::task::spawn_blocking(read).await.expect("a reader").expect("the issuer URL");
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider did not start: {issuer:?}");
        Self { child, issuer, http: reqwest::Client::new() }
    }

    /// Starts a server that trusts this provider. Its clock is set to the provider's time.
    pub async fn start_app(&self, backend: Backend) -> TestApp {
        self.shop_with(backend, &[]).await
    }

    /// Starts a server that trusts this provider, with additional settings.
    pub async fn shop_with(&self, backend: Backend, settings: &[(&str, &str)]) -> TestApp {
        let own = [
            ("SAVANNAH_IDENTITY__ALLOWED_REDIRECT_URIS", APP_REDIRECT_URI),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__ISSUER", &self.issuer),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__CLIENT_ID", "savannah"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__CLIENT_SECRET", "sesame-sesame-sesame"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__ACCEPT_TOKENS", "true"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__AUDIENCE", "savannah"),
        ];
        let shop = TestApp::start_with_settings(backend, &[&own, settings].concat()).await;
        shop.clock.set(Clock::default().now());
        shop
    }

    async fn post_control(&self, action: &str, operation: Value) -> String {
        let request = self.http.post(format!("{}/test/{action}", self.issuer)).json(&operation);
        let response = request.send().await.expect("a response");
        assert!(response.status().is_success(), "{action}: {}", response.status());
        response.text().await.expect("text")
    }

    /// Sets the user who logs in; `None` for no user.
    pub async fn set_login_user(&self, name: Option<&str>) {
        self.post_control("who", json!({ "name": name })).await;
    }

    /// Returns an access token of a user, issued by the provider.
    pub async fn issue_access_token(&self, name: &str) -> String {
        self.post_control("access", json!({ "name": name })).await
    }

    /// Returns a forged token: the given claims over those of a valid one.
    pub async fn forge_token(&self, header: Value, claims: Value, signer: &str) -> String {
        let now = Clock::default().now().timestamp();
        let mut all = json!({ "iss": self.issuer, "aud": "savannah", "sub": "forger", "iat": now, "exp": now + 600 });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        self.post_control("forge", json!({ "header": header, "claims": all, "by": signer })).await
    }

    /// Replaces the signing key.
    pub async fn rotate_keys(&self) {
        self.post_control("turn", json!({})).await;
    }

    /// Returns how many times its keys were requested.
    pub async fn count_key_requests(&self) -> u64 {
        self.post_control("keys-read", json!({})).await.parse().expect("a number")
    }
}

impl Drop for FakeOidcProvider {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Browser that keeps cookies by origin.
pub struct CookieBrowser {
    http: reqwest::Client,
    cookie_jar: Mutex<BTreeMap<(String, String), String>>,
}

/// Result of a navigation.
#[derive(Debug)]
pub struct NavigationResult {
    pub url: String,
    pub status: u16,
    pub body: Value,
}

impl CookieBrowser {
    pub fn new() -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { http, cookie_jar: Mutex::default() }
    }

    /// Follows redirects until a URL begins with `url_prefix` or a response is not a redirect.
    pub async fn navigate(&self, url: &str, url_prefix: &str) -> NavigationResult {
        let mut url = Url::parse(url).expect("a URL");
        for _ in 0..MAX_REDIRECTS {
            let origin = url.origin().ascii_serialization();
            let cookies = self.cookie_header(&origin);
            let response = self.http.get(url.clone()).header(header::COOKIE, cookies).send().await.expect("a response");
            self.store_cookies(&origin, &response);
            let status = response.status();
            let Some(to) = response.headers().get(header::LOCATION).filter(|_| status.is_redirection()) else {
                let body = response.json().await.unwrap_or_default();
                return NavigationResult { url: url.into(), status: status.as_u16(), body };
            };
            url = url.join(to.to_str().expect("a URL")).expect("a URL");
            if url.as_str().starts_with(url_prefix) {
                return NavigationResult { url: url.into(), status: status.as_u16(), body: Value::Null };
            }
        }
        panic!("too many redirects, the last to {url}");
    }

    /// Returns the number of cookies of an origin.
    pub fn count_cookies(&self, origin: &str) -> usize {
        self.cookie_jar.lock().expect("cookies").keys().filter(|(cookie_origin, _)| cookie_origin == origin).count()
    }

    fn cookie_header(&self, origin: &str) -> String {
        let jar = self.cookie_jar.lock().expect("cookies");
        let site_cookies = jar.iter().filter(|((cookie_origin, _), _)| cookie_origin == origin);
        site_cookies.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn store_cookies(&self, origin: &str, response: &reqwest::Response) {
        let mut jar = self.cookie_jar.lock().expect("cookies");
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie");
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            let key = (origin.to_owned(), name.to_owned());
            if value.is_empty() || attributes.contains("Max-Age=0") {
                jar.remove(&key);
            } else {
                jar.insert(key, value.to_owned());
            }
        }
    }
}
