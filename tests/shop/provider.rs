//! An OpenID provider to tell stories with, and a browser that goes there and back.

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

use super::{Backend, Shop};

/// Where the stories' app has people sent back to.
pub const APP: &str = "https://app.example/in?from=shop";

/// More steps than any way has.
const FARTHEST: usize = 20;

/// A certified provider, run by Node; it ends with its story.
pub struct Provider {
    child: Child,
    pub issuer: String,
    http: reqwest::Client,
}

impl Provider {
    /// One on a port of its own, or on the one that another had.
    pub async fn start(issuer: Option<&str>) -> Self {
        let port = issuer.and_then(|issuer| issuer.rsplit(':').next()).unwrap_or("0").to_owned();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/provider.mjs");
        let mut node = Command::new("node");
        node.arg(script).arg(port).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let out = child.stdout.take().expect("its words");
        let read = move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line.trim().to_owned())
        };
        let issuer = tokio::task::spawn_blocking(read).await.expect("a reader").expect("its address");
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider did not start: {issuer:?}");
        Self { child, issuer, http: reqwest::Client::new() }
    }

    /// A shop that knows people by it. Its clock is set to the time that the provider has.
    pub async fn shop(&self, backend: Backend) -> Shop {
        self.shop_with(backend, &[]).await
    }

    /// The same with settings of its own.
    pub async fn shop_with(&self, backend: Backend, settings: &[(&str, &str)]) -> Shop {
        let own = [
            ("SAVANNAH_IDENTITY__REDIRECTS", APP),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__ISSUER", &self.issuer),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__CLIENT_ID", "savannah"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__CLIENT_SECRET", "sesame-sesame-sesame"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__ACCEPT_TOKENS", "true"),
            ("SAVANNAH_IDENTITY__PROVIDERS__KEYCLOAK__AUDIENCE", "savannah"),
        ];
        let shop = Shop::open_with(backend, &[&own, settings].concat()).await;
        shop.clock.set(Clock::default().now());
        shop
    }

    async fn wish(&self, what: &str, how: Value) -> String {
        let request = self.http.post(format!("{}/test/{what}", self.issuer)).json(&how);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        answer.text().await.expect("text")
    }

    /// Who signs in there from now on; nobody does with `None`.
    pub async fn let_in(&self, name: Option<&str>) {
        self.wish("who", json!({ "name": name })).await;
    }

    /// An access token of somebody, as the provider makes it.
    pub async fn access(&self, name: &str) -> String {
        self.wish("access", json!({ "name": name })).await
    }

    /// A token as somebody might forge it: the claims that are said over those of a good one.
    pub async fn forge(&self, header: Value, claims: Value, by: &str) -> String {
        let now = Clock::default().now().timestamp();
        let mut all = json!({ "iss": self.issuer, "aud": "savannah", "sub": "forger", "iat": now, "exp": now + 600 });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        self.wish("forge", json!({ "header": header, "claims": all, "by": by })).await
    }

    /// Signs with a new key from now on, and forgets the old one.
    pub async fn turn_keys(&self) {
        self.wish("turn", json!({})).await;
    }

    /// How often its keys were read.
    pub async fn keys_read(&self) -> u64 {
        self.wish("keys-read", json!({})).await.parse().expect("a number")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser: it keeps cookies, each for the host and port that set it.
pub struct Browser {
    http: reqwest::Client,
    jar: Mutex<BTreeMap<(String, String), String>>,
}

/// Where a browser has come to.
#[derive(Debug)]
pub struct Landed {
    pub url: String,
    pub status: u16,
    pub body: Value,
}

impl Browser {
    pub fn new() -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { http, jar: Mutex::default() }
    }

    /// Goes where it is sent, until it is sent to what begins with `until`, or gets an answer.
    pub async fn go(&self, url: &str, until: &str) -> Landed {
        let mut url = Url::parse(url).expect("an address");
        for _ in 0..FARTHEST {
            let place = url.origin().ascii_serialization();
            let cookies = self.cookies(&place);
            let answer = self.http.get(url.clone()).header(header::COOKIE, cookies).send().await.expect("an answer");
            self.keep(&place, &answer);
            let status = answer.status();
            let Some(to) = answer.headers().get(header::LOCATION).filter(|_| status.is_redirection()) else {
                let body = answer.json().await.unwrap_or_default();
                return Landed { url: url.into(), status: status.as_u16(), body };
            };
            url = url.join(to.to_str().expect("an address")).expect("an address");
            if url.as_str().starts_with(until) {
                return Landed { url: url.into(), status: status.as_u16(), body: Value::Null };
            }
        }
        panic!("it is sent around in circles, now to {url}");
    }

    /// How many cookies it has of a place.
    pub fn cookies_of(&self, place: &str) -> usize {
        self.jar.lock().expect("cookies").keys().filter(|(of, _)| of == place).count()
    }

    fn cookies(&self, place: &str) -> String {
        let jar = self.jar.lock().expect("cookies");
        let own = jar.iter().filter(|((of, _), _)| of == place);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&self, place: &str, answer: &reqwest::Response) {
        let mut jar = self.jar.lock().expect("cookies");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie");
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            let key = (place.to_owned(), name.to_owned());
            if value.is_empty() || attributes.contains("Max-Age=0") {
                jar.remove(&key);
            } else {
                jar.insert(key, value.to_owned());
            }
        }
    }
}
