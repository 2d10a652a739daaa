//! WebSocket transport: the `graphql-transport-ws` protocol.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, Method},
    response::Response,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    super::{
        App, authentication,
        graphql_request::{GraphqlRequestBody, RequestError},
    },
    client::{Client, ClientQueue, OperationOutput, QueuedOutput},
    close_reason::CloseReason,
    hub::SubscriptionGuard,
    message::{self, ClientMessage},
    registry::ConnectionPlace,
    run::{NewOperation, run_operation},
    token_check::ConnectionCaller,
};
use crate::{
    base::error::PublicErrorCode,
    graphql::{
        context::RequestInfo, execution::document::errors::error_with_code, subscription::cursor::encode_cursor,
    },
    identity::session::ClientInfo,
};

/// Subprotocol.
const SUBPROTOCOL: &str = "graphql-transport-ws";
/// Size of the read buffer in bytes: most messages are smaller, and every connection has one.
const READ_BUFFER_BYTES: usize = 4096;
/// Time for the close handshake, and for sending to a client that is to be disconnected.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum length of an operation's ID in bytes.
const MAX_ID_BYTES: usize = 256;

/// What is known of the client after the handshake.
pub(super) struct Handshake {
    /// Caller and origin by the headers.
    pub(super) request_info: RequestInfo,
    /// Token of the headers.
    pub(super) token: Option<SecretString>,
    /// Place in the registry.
    pub(super) place: ConnectionPlace,
}

/// Accepts a WebSocket handshake.
pub(super) fn upgrade_connection(app: Arc<App>, upgrade: WebSocketUpgrade, handshake: Handshake) -> Response {
    let max_message_bytes = app.state.config.subscriptions.max_message_bytes;
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        // Messages are written at once instead of being copied first.
        .write_buffer_size(0)
        .max_message_size(max_message_bytes)
        .max_frame_size(max_message_bytes)
        .on_upgrade(move |socket| Box::pin(serve_websocket(app, socket, handshake)))
}

async fn serve_websocket(app: Arc<App>, socket: WebSocket, handshake: Handshake) {
    let has_protocol = socket.protocol().is_some();
    let mut connection = WebSocketConnection::new(app, socket, handshake);
    let outcome = if has_protocol { connection.serve().await } else { Err(CloseReason::SubprotocolNotAcceptable) };
    if let Err(reason) = outcome {
        connection.close(reason).await;
    }
}

/// Operation of a connection. Dropped, it ends.
struct ActiveOperation {
    id: String,
    number: u32,
    /// Task of an operation that has not completed, or of a subscription that has not started.
    task: Option<AbortOnDropHandle<()>>,
    guard: Option<SubscriptionGuard>,
}

/// Next step of a connection.
enum ConnectionStep {
    Close(CloseReason),
    Received(Option<Result<Message, axum::Error>>),
    Output(Option<QueuedOutput>),
    Timer,
}

/// State of a WebSocket connection. Its memory is needed once per client, also while nothing happens.
struct WebSocketConnection {
    app: Arc<App>,
    socket: WebSocket,
    client: Arc<Client>,
    queue: ClientQueue,
    place: ConnectionPlace,
    caller: ConnectionCaller,
    client_info: ClientInfo,
    operations: Vec<ActiveOperation>,
    next_number: u32,
    is_acknowledged: bool,
    opened_at: Instant,
    received_at: Instant,
    pinged_at: Instant,
    checked_at: Instant,
    /// Since when the connection has no operation.
    idle_since: Instant,
}

impl WebSocketConnection {
    fn new(app: Arc<App>, socket: WebSocket, handshake: Handshake) -> Self {
        let Handshake { request_info: RequestInfo { caller, client_info, .. }, token, place } = handshake;
        let (client, queue) = Client::new(&app.state.config.subscriptions);
        place.set_client(&client);
        let now = Instant::now();
        Self {
            app,
            socket,
            client,
            queue,
            place,
            caller: ConnectionCaller { caller, token },
            client_info,
            operations: Vec::new(),
            next_number: 0,
            is_acknowledged: false,
            opened_at: now,
            received_at: now,
            pinged_at: now,
            checked_at: now,
            idle_since: now,
        }
    }

    /// Serves the connection until the client closes it.
    ///
    /// # Errors
    /// Returns why the server closes it.
    async fn serve(&mut self) -> Result<(), CloseReason> {
        loop {
            let timer = tokio::time::sleep_until(self.next_timer());
            let step = tokio::select! {
                biased;
                reason = self.client.wait_for_close() => ConnectionStep::Close(reason),
                received = self.socket.recv() => ConnectionStep::Received(received),
                output = self.queue.receive() => ConnectionStep::Output(output),
                () = timer => ConnectionStep::Timer,
            };
            // Boxed, so that an idle connection does not need the memory of a busy one.
            match step {
                ConnectionStep::Close(reason) => return Err(reason),
                ConnectionStep::Received(None) => return Ok(()),
                ConnectionStep::Received(Some(Err(error))) => return receive_error(&error),
                ConnectionStep::Received(Some(Ok(received))) => {
                    self.received_at = Instant::now();
                    if Box::pin(self.handle_message(received)).await?.is_break() {
                        return Ok(());
                    }
                }
                ConnectionStep::Output(Some(output)) => Box::pin(self.handle_output(output)).await?,
                // The client that it belongs to is kept.
                ConnectionStep::Output(None) => return Err(CloseReason::Internal),
                ConnectionStep::Timer => Box::pin(self.handle_timer()).await?,
            }
        }
    }

    fn next_timer(&self) -> Instant {
        let config = &self.app.state.config.subscriptions;
        let mut next = self.pinged_at + config.ping_interval;
        if !self.is_acknowledged {
            next = next.min(self.opened_at + config.init_timeout);
        } else if self.operations.is_empty() {
            next = next.min(self.idle_since + config.idle_timeout);
        }
        if self.caller.token.is_some() {
            next = next.min(self.checked_at + config.token_check_interval);
        }
        next
    }

    async fn handle_timer(&mut self) -> Result<(), CloseReason> {
        let app = Arc::clone(&self.app);
        let config = &app.state.config.subscriptions;
        let now = Instant::now();
        if !self.is_acknowledged && now >= self.opened_at + config.init_timeout {
            return Err(CloseReason::InitTimeout);
        }
        if self.is_acknowledged && self.operations.is_empty() && now >= self.idle_since + config.idle_timeout {
            return Err(CloseReason::Idle);
        }
        if self.caller.token.is_some() && now >= self.checked_at + config.token_check_interval {
            self.checked_at = now;
            self.caller.check(&app).await?;
        }
        if now >= self.pinged_at + config.ping_interval {
            if now >= self.received_at + config.ping_interval * 2 {
                return Err(CloseReason::Terminated);
            }
            self.pinged_at = now;
            self.send(Message::Ping(axum::body::Bytes::new())).await?;
        }
        Ok(())
    }

    async fn handle_message(&mut self, received: Message) -> Result<std::ops::ControlFlow<()>, CloseReason> {
        let text = match received {
            Message::Text(text) => text,
            // The socket answers pings itself.
            Message::Ping(_) | Message::Pong(_) => return Ok(std::ops::ControlFlow::Continue(())),
            Message::Close(_) => return Ok(std::ops::ControlFlow::Break(())),
            Message::Binary(_) => return Err(CloseReason::BadRequest),
        };
        match serde_json::from_str(&text).map_err(|_| CloseReason::BadRequest)? {
            ClientMessage::ConnectionInit { payload } => self.initialize(payload.unwrap_or_default()).await?,
            ClientMessage::Ping { payload } => self.send(Message::text(message::pong(payload))).await?,
            ClientMessage::Pong { .. } => {}
            ClientMessage::Subscribe { id, payload } => self.start_operation(id, payload).await?,
            ClientMessage::Complete { id } => self.remove_operation(|operation| operation.id == id),
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    async fn initialize(&mut self, params: Map<String, Value>) -> Result<(), CloseReason> {
        if self.is_acknowledged {
            return Err(CloseReason::TooManyInits);
        }
        if let Some(token) = find_token(&params)? {
            let caller = self.app.state.authenticate(token.expose_secret(), "").await;
            let caller = caller.map_err(|_| CloseReason::Forbidden)?;
            self.caller = ConnectionCaller { caller, token: Some(token) };
        }
        self.place.assign_to_caller(self.caller.caller).map_err(|_| CloseReason::TooManyConnections)?;
        self.is_acknowledged = true;
        self.idle_since = Instant::now();
        let cursor = encode_cursor(self.app.subscriptions.position());
        self.send(Message::text(message::connection_ack(&cursor))).await
    }

    async fn start_operation(&mut self, id: String, request: GraphqlRequestBody) -> Result<(), CloseReason> {
        if !self.is_acknowledged {
            return Err(CloseReason::Unauthorized);
        }
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(CloseReason::BadRequest);
        }
        if self.operations.iter().any(|operation| operation.id == id) {
            return Err(CloseReason::SubscriberExists);
        }
        let max_operations = self.app.state.config.subscriptions.max_operations;
        if self.operations.len() >= max_operations {
            let message = format!("A connection has at most {max_operations} operations at the same time.");
            let error = error_with_code(message, PublicErrorCode::RateLimited);
            return self.send(Message::text(message::error(&id, &[error]))).await;
        }
        let request = match request.into_request() {
            Ok(request) => request,
            Err(RequestError { errors, .. }) => return self.send(Message::text(message::error(&id, &errors))).await,
        };
        self.caller.check(&self.app).await?;
        let request_id = Uuid::now_v7().simple().to_string();
        let span = tracing::info_span!("operation", request_id);
        self.next_number = self.next_number.wrapping_add(1);
        let number = self.next_number;
        let operation = NewOperation {
            request,
            method: Method::POST,
            headers: HeaderMap::new(),
            request_info: RequestInfo {
                caller: self.caller.caller,
                client_info: self.client_info.clone(),
                request_id,
                ..RequestInfo::default()
            },
            client: Arc::clone(&self.client),
            number,
            last_event: None,
        };
        let task = tokio::spawn(run_operation(Arc::clone(&self.app), operation).instrument(span));
        let task = Some(AbortOnDropHandle::new(task));
        self.operations.push(ActiveOperation { id, number, task, guard: None });
        Ok(())
    }

    async fn handle_output(&mut self, queued: QueuedOutput) -> Result<(), CloseReason> {
        let QueuedOutput { operation: number, output } = queued;
        // Output of an operation that the client has completed is dropped.
        let Some(operation) = self.operations.iter_mut().find(|operation| operation.number == number) else {
            return Ok(());
        };
        let text = match output {
            OperationOutput::Started { guard, position: _ } => {
                operation.task = None;
                operation.guard = Some(guard);
                return Ok(());
            }
            OperationOutput::Event { response, position: _ } => {
                self.caller.check(&self.app).await?;
                let text = message::next(&operation.id, &response);
                return self.send(Message::text(text)).await;
            }
            OperationOutput::Response(response) => {
                let texts = [message::next(&operation.id, &response), message::complete(&operation.id)];
                let [next, complete] = texts;
                self.send(Message::text(next)).await?;
                complete
            }
            OperationOutput::Failed(errors) => message::error(&operation.id, &errors),
        };
        self.remove_operation(|operation| operation.number == number);
        self.send(Message::text(text)).await
    }

    fn remove_operation(&mut self, is_removed: impl Fn(&ActiveOperation) -> bool) {
        self.operations.retain(|operation| !is_removed(operation));
        if self.operations.is_empty() {
            self.operations.shrink_to_fit();
            self.idle_since = Instant::now();
        }
    }

    /// Sends a message, unless the connection is to be closed meanwhile.
    async fn send(&mut self, message: Message) -> Result<(), CloseReason> {
        tokio::select! {
            biased;
            sent = self.socket.send(message) => sent.map_err(|_| CloseReason::Terminated),
            reason = self.client.wait_for_close() => Err(reason),
        }
    }

    /// Closes the connection, and waits shortly for the client's answer: data that was received but not read would reset
    /// the connection, and the client would not see the reason.
    async fn close(mut self, reason: CloseReason) {
        self.operations.clear();
        tracing::debug!(code = reason.code(), "closing live connection");
        let frame = CloseFrame { code: reason.code(), reason: reason.text().into() };
        let handshake = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A client that does not answer is disconnected.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, handshake).await;
    }
}

/// Returns how the connection ends after a failed read.
fn receive_error(error: &axum::Error) -> Result<(), CloseReason> {
    // The error type of the socket is not public; its text names the limit.
    if error.to_string().contains("too long") {
        return Err(CloseReason::MessageTooLarge);
    }
    Ok(())
}

/// Returns the token of `connectionParams`: a bearer token in `Authorization`, or in `headers.Authorization`.
///
/// # Errors
/// Returns the reason for closing if the value is not a bearer token.
fn find_token(params: &Map<String, Value>) -> Result<Option<SecretString>, CloseReason> {
    let find = |map: &Map<String, Value>| {
        map.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value.clone())
    };
    let value = find(params).or_else(|| params.get("headers").and_then(Value::as_object).and_then(find));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => {
            let token = authentication::parse_bearer_token(&text).map_err(|_| CloseReason::Forbidden)?;
            Ok(Some(token.to_owned().into()))
        }
        Some(_) => Err(CloseReason::BadRequest),
    }
}
