//! An SMTP server to send letters to, and an SMS service to send short messages to.

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

/// An SMTP server, run by Node; it ends with its story.
pub struct Mailbox {
    child: Child,
    pub port: String,
    control: String,
    http: reqwest::Client,
}

impl Mailbox {
    pub async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mailbox/mailbox.mjs");
        let mut node = Command::new("node");
        node.arg(script).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let out = child.stdout.take().expect("its words");
        let read = move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line.trim().to_owned())
        };
        let line = tokio::task::spawn_blocking(read).await.expect("a reader").expect("its ports");
        let (port, control) = line.split_once(' ').unwrap_or_else(|| panic!("the mailbox did not start: {line:?}"));
        let control = format!("http://127.0.0.1:{control}");
        Self { child, port: port.to_owned(), control, http: reqwest::Client::new() }
    }

    /// The settings of a shop that sends its letters there.
    pub fn settings(&self) -> [(&str, &str); 7] {
        [
            ("SAVANNAH_MAIL__SEND", "smtp"),
            ("SAVANNAH_MAIL__HOST", "127.0.0.1"),
            ("SAVANNAH_MAIL__PORT", &self.port),
            ("SAVANNAH_MAIL__TLS", "none"),
            ("SAVANNAH_MAIL__USER", "shop"),
            ("SAVANNAH_MAIL__PASSWORD", "sesame"),
            ("SAVANNAH_MAIL__TIMEOUT", "1"),
        ]
    }

    /// What it does to letters from now on: `take`, `refuse`, `busy`, `hang`.
    pub async fn is(&self, mode: &str) {
        let answer = self.http.post(format!("{}/mode/{mode}", self.control)).send().await.expect("an answer");
        assert!(answer.status().is_success());
    }

    /// Every letter that was taken, read by somebody else's reader.
    pub async fn letters(&self) -> Vec<Value> {
        let answer = self.http.get(format!("{}/letters", self.control)).send().await.expect("an answer");
        answer.json().await.expect("letters")
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the SMS service does to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Hangs,
    Breaks,
    Babbles,
    KnowsNoSuchNumber,
    WantsMoney,
}

/// Africa's Talking, as it is published to answer.
pub struct SmsService {
    pub url: String,
    mood: Arc<Mutex<Mood>>,
    heard: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    server: tokio::task::JoinHandle<()>,
}

impl SmsService {
    pub async fn start() -> Self {
        let (mood, heard) = (Arc::new(Mutex::new(Mood::Takes)), Arc::new(Mutex::new(Vec::new())));
        let state = (Arc::clone(&mood), Arc::clone(&heard));
        let answer = move |headers: HeaderMap, body: Bytes| {
            let (mood, heard) = state.clone();
            async move {
                let mood = *mood.lock().expect("a mood");
                if mood == Mood::Hangs {
                    std::future::pending::<()>().await;
                }
                answer(mood, &heard, &headers, &body)
            }
        };
        let router = Router::new().route("/version1/messaging", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("a service") });
        Self { url, mood, heard, server }
    }

    /// The settings of a shop that sends its short messages there.
    pub fn settings(&self) -> [(&str, &str); 6] {
        [
            ("SAVANNAH_SMS__SEND", "africastalking"),
            ("SAVANNAH_SMS__URL", &self.url),
            ("SAVANNAH_SMS__USERNAME", "duka"),
            ("SAVANNAH_SMS__API_KEY", "atsk_secret"),
            ("SAVANNAH_SMS__SENDER", "SAVANNAH"),
            ("SAVANNAH_SMS__TIMEOUT", "1"),
        ]
    }

    /// What it does from now on.
    pub fn is(&self, mood: Mood) {
        *self.mood.lock().expect("a mood") = mood;
    }

    /// The fields of every message that it has taken.
    pub fn heard(&self) -> Vec<BTreeMap<String, String>> {
        self.heard.lock().expect("messages").clone()
    }
}

impl Drop for SmsService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn answer(mood: Mood, heard: &Mutex<Vec<BTreeMap<String, String>>>, headers: &HeaderMap, body: &[u8]) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("apikey") != "atsk_secret" {
        return (StatusCode::UNAUTHORIZED, "The supplied authentication is invalid").into_response();
    }
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    let body = std::str::from_utf8(body).expect("a form");
    let form = reqwest::Url::parse(&format!("form:?{body}")).expect("a form");
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    let (code, status) = match mood {
        Mood::Takes | Mood::Hangs => (101, "Success"),
        Mood::KnowsNoSuchNumber => (403, "InvalidPhoneNumber"),
        Mood::WantsMoney => (405, "InsufficientBalance"),
        Mood::Breaks => return (StatusCode::SERVICE_UNAVAILABLE, "upstream").into_response(),
        Mood::Babbles => return (StatusCode::OK, "<html>Welcome to our hotel</html>").into_response(),
    };
    let mut heard = heard.lock().expect("messages");
    let (number, taken) = (fields["to"].clone(), code == 101);
    let id = if taken { format!("ATXid_{}", heard.len() + 1) } else { "None".to_owned() };
    if taken {
        heard.push(fields);
    }
    let message = format!("Sent to {}/1 Total Cost: KES 0.8000", u8::from(taken));
    let told = json!({ "SMSMessageData": { "Message": message, "Recipients": [{
        "statusCode": code, "number": number, "status": status, "cost": "KES 0.8000", "messageId": id, "messageParts": 1,
    }] } });
    (StatusCode::CREATED, axum::Json(told)).into_response()
}
