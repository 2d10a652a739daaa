//! Receiver of outbound webhooks, and their registration.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, RwLock},
    time::Instant,
};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use savannah::{
    base::Validator,
    identity::{Caller, Permissions},
    infra::{Config, Db, outbox::Event},
    webhook::endpoint::{EndpointWithSecret, NewEndpoint, WebhookContext, create_endpoint},
};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::TestApp;

/// Receivers listen on the loopback address.
pub const ALLOW_PRIVATE_ADDRESSES: (&str, &str) = ("SAVANNAH_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true");

/// A received request.
#[derive(Debug, Clone)]
pub struct ReceivedWebhook {
    pub path: String,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub trace_parent: Option<String>,
    pub body: String,
    pub accepted: bool,
    pub received_at: Instant,
}

impl ReceivedWebhook {
    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Returns the aggregate and the sequence number of the event.
    pub fn sequence(&self) -> (String, i64) {
        let body = self.json();
        let aggregate = body["aggregate"].as_str().expect("an aggregate").to_owned();
        (aggregate, body["sequence"].as_i64().expect("a number"))
    }
}

/// How a receiver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverResponse {
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(String),
    /// A body without end.
    EndlessBody,
    /// Nothing, until the receiver is dropped.
    Hang,
}

type Respond = dyn Fn(&ReceivedWebhook) -> ReceiverResponse + Send + Sync;

/// HTTP server that records webhooks.
pub struct WebhookReceiver {
    pub url: String,
    received: Arc<Mutex<Vec<ReceivedWebhook>>>,
    accepted_ids: Arc<Mutex<HashSet<String>>>,
    respond: Arc<RwLock<Box<Respond>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl WebhookReceiver {
    /// Starts a receiver that accepts everything.
    pub async fn start() -> Self {
        let received: Arc<Mutex<Vec<ReceivedWebhook>>> = Arc::default();
        let accept: Box<Respond> = Box::new(|_| ReceiverResponse::Status(204));
        let respond = Arc::new(RwLock::new(accept));
        let accepted_ids: Arc<Mutex<HashSet<String>>> = Arc::default();
        let state = (Arc::clone(&received), Arc::clone(&accepted_ids), Arc::clone(&respond));
        let handle = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (received, accepted_ids, respond) = state.clone();
            async move {
                let text = |name: &str| headers[name].to_str().expect("text").to_owned();
                assert_eq!(text("content-type"), "application/json");
                let mut webhook = ReceivedWebhook {
                    path: uri.path().to_owned(),
                    id: text("webhook-id"),
                    timestamp: text("webhook-timestamp"),
                    signature: text("webhook-signature"),
                    trace_parent: headers.get("traceparent").map(|value| value.to_str().expect("text").to_owned()),
                    body: String::from_utf8(body.to_vec()).expect("UTF-8"),
                    accepted: false,
                    received_at: Instant::now(),
                };
                let response = respond.read().expect("a function")(&webhook);
                webhook.accepted = matches!(response, ReceiverResponse::Status(200..=299));
                if webhook.accepted {
                    accepted_ids.lock().expect("ids").insert(webhook.id.clone());
                }
                received.lock().expect("webhooks").push(webhook);
                to_response(response).await
            }
        };
        let router = Router::new().fallback(post(handle));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("a service") });
        Self { url, received, accepted_ids, respond, server }
    }

    /// Sets how requests are answered.
    pub fn respond_with(&self, respond: impl Fn(&ReceivedWebhook) -> ReceiverResponse + Send + Sync + 'static) {
        *self.respond.write().expect("a function") = Box::new(respond);
    }

    /// Answers every request with a status.
    pub fn respond_with_status(&self, status: u16) {
        self.respond_with(move |_| ReceiverResponse::Status(status));
    }

    /// Returns all requests, and forgets them.
    pub fn take_received(&self) -> Vec<ReceivedWebhook> {
        std::mem::take(&mut *self.received.lock().expect("webhooks"))
    }

    /// Returns the number of accepted events, each counted once.
    pub fn accepted_event_count(&self) -> usize {
        self.accepted_ids.lock().expect("ids").len()
    }

    /// Returns the number of requests to a path.
    pub fn request_count(&self, path: &str) -> usize {
        self.received.lock().expect("webhooks").iter().filter(|webhook| webhook.path == path).count()
    }

    /// Returns all requests.
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.received.lock().expect("webhooks").clone()
    }
}

async fn to_response(response: ReceiverResponse) -> Response {
    let status = |status: u16| StatusCode::from_u16(status).expect("a status");
    match response {
        ReceiverResponse::Status(code) => (status(code), "noted").into_response(),
        ReceiverResponse::RetryAfter(code, after) => (status(code), [(header::RETRY_AFTER, after)]).into_response(),
        ReceiverResponse::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        ReceiverResponse::EndlessBody => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 4096]));
            Body::from_stream(chunks).into_response()
        }
        ReceiverResponse::Hang => std::future::pending().await,
    }
}

/// Returns whether one of the signatures of a request is that of the secret, computed by the specification.
pub fn verify_signature(webhook: &ReceivedWebhook, secret: &str) -> bool {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("Base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let content = format!("{}.{}.{}", webhook.id, webhook.timestamp, webhook.body);
    webhook.signature.split(' ').any(|signature| {
        let signature = signature.strip_prefix("v1,").and_then(|tag| BASE64_STANDARD.decode(tag).ok());
        signature.is_some_and(|tag| hmac::verify(&key, content.as_bytes(), &tag).is_ok())
    })
}

/// Registers an endpoint for these event types; returns its key and its secret.
pub async fn register_endpoint(db: &Db, config: &Config, url: &str, event_types: &[&str]) -> (i64, String) {
    let new = NewEndpoint {
        url: url.to_owned(),
        description: String::new(),
        event_types: event_types.iter().map(|name| (*name).to_owned()).collect(),
        payload_query: None,
        permissions: Permissions::default(),
        is_active: true,
    };
    let context = WebhookContext { db, config, caller: Caller::Anonymous };
    let created = create_endpoint(context, new, Validator::default()).await;
    let EndpointWithSecret { row, secret } =
        created.unwrap_or_else(|error| panic!("no endpoint: {}", error.log_message()));
    (row.id, secret.expose_secret().to_owned())
}

/// Sets the clock of an app to the time of the system, as libraries that verify webhooks reject old ones.
pub fn set_clock_to_system_time(app: &TestApp) {
    let seconds = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let now = chrono::DateTime::from_timestamp(i64::try_from(seconds).expect("seconds"), 0);
    app.clock.set(now.expect("a time"));
}

impl TestApp {
    /// Registers an endpoint for these event types; returns its key and its secret.
    pub async fn register_endpoint(&self, url: &str, event_types: &[&str]) -> (i64, String) {
        register_endpoint(&self.db, &self.http_app.state.config, url, event_types).await
    }

    /// Stores events.
    pub async fn emit_events<E: Event>(&self, events: &[E]) {
        self.db.write(async |tx| tx.emit_events(events).await).await.expect("stored events");
    }

    /// Moves the clock forward and runs what is due.
    pub async fn run_jobs_after(&self, delay: chrono::TimeDelta) {
        self.clock.set(self.db.now() + delay);
        self.drain_jobs().await;
    }
}
