//! Clients of live updates: WebSocket (`graphql-transport-ws`) and server-sent events.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue, StatusCode},
    },
};

/// Longer than any delivery on a slow machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Opcode of a close frame.
const CLOSE_OPCODE: u8 = 8;

/// A WebSocket connection.
pub struct WebSocketClient {
    socket: WebSocketStream<TcpStream>,
}

impl WebSocketClient {
    /// Opens a connection with these headers.
    ///
    /// # Errors
    /// Returns the status code of a refused handshake.
    pub async fn open(address: &str, headers: &[(&str, &str)]) -> Result<Self, StatusCode> {
        let mut request = format!("ws://{address}/graphql").into_client_request().expect("a request");
        let protocol = [("sec-websocket-protocol", "graphql-transport-ws")];
        let is_given = headers.iter().any(|(name, _)| *name == protocol[0].0);
        for (name, value) in headers.iter().chain(protocol.iter().filter(|_| !is_given)) {
            if value.is_empty() {
                continue;
            }
            let (name, value): (HeaderName, HeaderValue) =
                (name.parse().expect("a name"), value.parse().expect("a value"));
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(address).await.expect("a connection");
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("handshake failed: {error}"),
        }
    }

    /// Opens and initializes a connection, with a token if given.
    pub async fn connect(address: &str, token: Option<&str>) -> Self {
        let mut client = Self::open(address, &[]).await.expect("a connection");
        let payload = token.map_or(json!({}), |token| json!({ "authorization": format!("Bearer {token}") }));
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        let acknowledged = client.receive().await;
        assert_eq!(acknowledged["type"], "connection_ack", "{acknowledged}");
        assert!(acknowledged["payload"]["cursor"].is_string(), "{acknowledged}");
        client
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends a text.
    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("a sent message");
    }

    /// Sends an empty binary message.
    pub async fn send_binary(&mut self) {
        self.socket.send(Message::binary(Vec::new())).await.expect("a sent message");
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// Starts a subscription after all events so far have been dispatched, and waits until it delivers events.
    pub async fn subscribe_and_wait(&mut self, app: &super::TestApp, id: &str, query: &str, variables: Value) {
        wait_for_dispatched_events(app).await;
        let before = app.http_app.subscriptions.subscription_count();
        self.subscribe(id, query, variables).await;
        let started = async {
            while app.http_app.subscriptions.subscription_count() == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, started).await.unwrap_or_else(|_| panic!("{query} does not start"));
    }

    /// Receives the next message.
    pub async fn receive(&mut self) -> Value {
        match self.receive_or_close().await {
            Ok(message) => message,
            Err(code) => panic!("the connection was closed with {code:?}"),
        }
    }

    /// Receives the next message with a response: of the operation `id`, with its data.
    pub async fn receive_data(&mut self, id: &str) -> Value {
        let message = self.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].clone()
    }

    /// Receives the error of an operation and returns its code.
    pub async fn receive_error(&mut self, id: &str) -> String {
        let message = self.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("error")), "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
    }

    /// Receives messages until the connection is closed; returns the close code, if there was one.
    pub async fn wait_for_close(mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.receive_or_close().await {
                return code;
            }
        }
    }

    /// Returns the close code of a connection that the server has closed, without answering the pings before it: an answer
    /// to a closed connection resets it, and what was not yet read is lost.
    pub async fn read_close_code_silently(mut self) -> Option<u16> {
        let mut bytes = Vec::new();
        let read = self.socket.get_mut().read_to_end(&mut bytes);
        tokio::time::timeout(WAIT_TIMEOUT, read).await.expect("an end in time").expect("the received frames");
        // Frames of a server are not masked; control frames have at most 125 bytes.
        let mut frames = bytes.as_slice();
        while let [head, length, rest @ ..] = frames {
            let (payload, next_frames) = rest.split_at_checked(usize::from(*length)).expect("a whole frame");
            if head & 0x0f == CLOSE_OPCODE {
                return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
            frames = next_frames;
        }
        None
    }

    /// Receives the next message, or the close code.
    pub async fn receive_or_close(&mut self) -> Result<Value, Option<u16>> {
        let deadline = tokio::time::Instant::now() + WAIT_TIMEOUT;
        loop {
            // Pings do not extend the time.
            let received = tokio::time::timeout_at(deadline, self.socket.next()).await.expect("a message in time");
            match received {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                None | Some(Err(_)) => return Err(None),
                Some(Ok(_)) => {}
            }
        }
    }
}

/// Waits until all events so far have been dispatched.
pub async fn wait_for_dispatched_events(app: &super::TestApp) {
    let dispatched = async {
        loop {
            let pending_count = app.query_scalar("SELECT count(*) FROM outbox_event WHERE position IS NULL").await;
            let last_position = app.query_scalar("SELECT COALESCE(MAX(position), 0) FROM outbox_event").await;
            if pending_count == 0 && app.http_app.subscriptions.position() >= last_position {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, dispatched).await.expect("dispatched events");
}

/// An event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamEvent {
    pub event: String,
    pub data: String,
    pub id: Option<String>,
}

impl StreamEvent {
    /// Returns the data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }
}

/// A stream of server-sent events.
pub struct EventStreamClient {
    response: reqwest::Response,
    buffer: String,
    /// The ID that the stream has sent last.
    pub last_id: Option<String>,
}

impl EventStreamClient {
    /// Starts an operation with these additional headers.
    pub async fn start(address: &str, body: Value, headers: &[(&str, &str)]) -> Self {
        let mut request = reqwest::Client::new().post(format!("http://{address}/graphql")).json(&body);
        request = request.header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::from_request(request).await
    }

    /// Starts an operation with a request.
    pub async fn from_request(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, buffer: String::new(), last_id: None }
    }

    /// Waits until the subscription has started: the stream sends its position.
    pub async fn wait_for_start(&mut self) {
        while self.last_id.is_none() {
            let block = self.next_block().await.expect("a started subscription");
            assert!(!block.contains("event:"), "{block}");
        }
    }

    /// Returns the next event; `None` at the end of the stream or if the connection is lost.
    pub async fn next_event(&mut self) -> Option<StreamEvent> {
        loop {
            let block = self.next_block().await?;
            let mut event = StreamEvent::default();
            for line in block.lines() {
                match line.split_once(": ").unwrap_or((line, "")) {
                    ("event", value) => value.clone_into(&mut event.event),
                    ("data" | "data:", value) => event.data.push_str(value),
                    ("id", value) => event.id = Some(value.to_owned()),
                    _ => {}
                }
            }
            if !event.event.is_empty() {
                return Some(event);
            }
        }
    }

    async fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    self.last_id = Some(id.to_owned());
                }
                return Some(block);
            }
            let chunk = tokio::time::timeout(WAIT_TIMEOUT, self.response.chunk()).await.expect("an event in time");
            self.buffer.push_str(std::str::from_utf8(&chunk.ok().flatten()?).expect("UTF-8"));
        }
    }
}
