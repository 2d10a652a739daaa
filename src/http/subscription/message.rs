//! Messages of the `graphql-transport-ws` protocol.

use async_graphql::ServerError;
use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::graphql_request::GraphqlRequestBody;

/// Message of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    /// Initializes the connection.
    ConnectionInit {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    /// Requests a `pong`.
    Ping {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    /// Answers a `ping`.
    Pong {
        #[serde(default, rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    /// Starts an operation.
    Subscribe { id: String, payload: GraphqlRequestBody },
    /// Ends an operation.
    Complete { id: String },
}

/// Builds a `connection_ack` with the position of the feed.
pub(super) fn connection_ack(cursor: &str) -> String {
    json!({ "type": "connection_ack", "payload": { "cursor": cursor } }).to_string()
}

/// Builds a `pong` that repeats the payload of the `ping`.
pub(super) fn pong(payload: Option<Map<String, Value>>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// Builds a `next` message around a serialized response.
pub(super) fn next(id: &str, response: &Bytes) -> String {
    let id = Value::from(id).to_string();
    let response = String::from_utf8_lossy(response);
    format!("{{\"id\":{id},\"type\":\"next\",\"payload\":{response}}}")
}

/// Builds an `error` message.
pub(super) fn error(id: &str, errors: &[ServerError]) -> String {
    json!({ "id": id, "type": "error", "payload": errors }).to_string()
}

/// Builds a `complete` message.
pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}
