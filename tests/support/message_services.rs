//! Fake SMTP server and fake SMS service.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// SMTP server, run by Node.js; stopped on drop.
pub struct FakeSmtpServer {
    child: Child,
    pub port: String,
    control_url: String,
    http: reqwest::Client,
}

impl FakeSmtpServer {
    pub async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mailbox/mailbox.mjs");
        let mut node = Command::new("node");
        node.arg(script).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let out = child.stdout.take().expect("process output");
        let read = move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line.trim().to_owned())
        };
        let line = tokio::task::spawn_blocking(read).await.expect("a reader").expect("a line with ports");
        let (port, control) = line.split_once(' ').unwrap_or_else(|| panic!("the mailbox did not start: {line:?}"));
        let control = format!("http://127.0.0.1:{control}");
        Self { child, port: port.to_owned(), control_url: control, http: reqwest::Client::new() }
    }

    /// Returns the settings that send emails to this server.
    pub fn settings(&self) -> [(&str, &str); 7] {
        [
            ("SAVANNAH_EMAIL__TRANSPORT", "smtp"),
            ("SAVANNAH_EMAIL__HOST", "127.0.0.1"),
            ("SAVANNAH_EMAIL__PORT", &self.port),
            ("SAVANNAH_EMAIL__TLS", "none"),
            ("SAVANNAH_EMAIL__USERNAME", "shop"),
            ("SAVANNAH_EMAIL__PASSWORD", "sesame"),
            ("SAVANNAH_EMAIL__TIMEOUT", "1s"),
        ]
    }

    /// Sets how emails are handled: `take`, `refuse`, `busy`, `hang`.
    pub async fn set_mode(&self, mode: &str) {
        let response = self.http.post(format!("{}/mode/{mode}", self.control_url)).send().await.expect("a response");
        assert!(response.status().is_success());
    }

    /// Returns all accepted emails, parsed by an independent library.
    pub async fn received_emails(&self) -> Vec<Value> {
        let response = self.http.get(format!("{}/letters", self.control_url)).send().await.expect("a response");
        response.json().await.expect("emails")
    }
}

impl Drop for FakeSmtpServer {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Behavior of the fake SMS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsServiceMode {
    Accepts,
    Hangs,
    Fails,
    ReturnsInvalidBody,
    RejectsNumber,
    InsufficientBalance,
}

/// Fake of the Africa's Talking API, as documented.
pub struct FakeSmsService {
    pub url: String,
    mode: Arc<Mutex<SmsServiceMode>>,
    received: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    server: tokio::task::JoinHandle<()>,
}

impl FakeSmsService {
    pub async fn start() -> Self {
        let (mode, received) = (Arc::new(Mutex::new(SmsServiceMode::Accepts)), Arc::new(Mutex::new(Vec::new())));
        let state = (Arc::clone(&mode), Arc::clone(&received));
        let response = move |headers: HeaderMap, body: Bytes| {
            let (mode, received) = state.clone();
            async move {
                let mode = *mode.lock().expect("mode");
                if mode == SmsServiceMode::Hangs {
                    std::future::pending::<()>().await;
                }
                respond_to_sms(mode, &received, &headers, &body)
            }
        };
        let router = Router::new().route("/version1/messaging", post(response));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("a service") });
        Self { url, mode, received, server }
    }

    /// Returns the settings that send SMS to this service.
    pub fn settings(&self) -> [(&str, &str); 6] {
        [
            ("SAVANNAH_SMS__TRANSPORT", "africastalking"),
            ("SAVANNAH_SMS__URL", &self.url),
            ("SAVANNAH_SMS__USERNAME", "duka"),
            ("SAVANNAH_SMS__API_KEY", "atsk_secret"),
            ("SAVANNAH_SMS__SENDER", "SAVANNAH"),
            ("SAVANNAH_SMS__TIMEOUT", "1s"),
        ]
    }

    /// Sets the behavior.
    pub fn set_mode(&self, mode: SmsServiceMode) {
        *self.mode.lock().expect("mode") = mode;
    }

    /// Returns the form fields of all accepted messages.
    pub fn received_messages(&self) -> Vec<BTreeMap<String, String>> {
        self.received.lock().expect("notifications").clone()
    }
}

impl Drop for FakeSmsService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn respond_to_sms(
    mode: SmsServiceMode,
    received: &Mutex<Vec<BTreeMap<String, String>>>,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("apikey") != "atsk_secret" {
        return (StatusCode::UNAUTHORIZED, "The supplied authentication is invalid").into_response();
    }
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    let body = std::str::from_utf8(body).expect("a form");
    let form = reqwest::Url::parse(&format!("form:?{body}")).expect("a form");
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    let (code, status) = match mode {
        SmsServiceMode::Accepts | SmsServiceMode::Hangs => (101, "Success"),
        SmsServiceMode::RejectsNumber => (403, "InvalidPhoneNumber"),
        SmsServiceMode::InsufficientBalance => (405, "InsufficientBalance"),
        SmsServiceMode::Fails => return (StatusCode::SERVICE_UNAVAILABLE, "upstream").into_response(),
        SmsServiceMode::ReturnsInvalidBody => {
            return (StatusCode::OK, "<html>Welcome to our hotel</html>").into_response();
        }
    };
    let mut received = received.lock().expect("notifications");
    let (number, is_accepted) = (fields["to"].clone(), code == 101);
    let id = if is_accepted { format!("ATXid_{}", received.len() + 1) } else { "None".to_owned() };
    if is_accepted {
        received.push(fields);
    }
    let message = format!("Sent to {}/1 Total Cost: KES 0.8000", u8::from(is_accepted));
    let response_body = json!({ "SMSMessageData": { "Message": message, "Recipients": [{
        "statusCode": code, "number": number, "status": status, "cost": "KES 0.8000", "messageId": id, "messageParts": 1,
    }] } });
    (StatusCode::CREATED, axum::Json(response_body)).into_response()
}
