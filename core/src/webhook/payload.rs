//! The body of a webhook: an envelope with the event's data, or with the result of the endpoint's payload query.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{WebhookEventType, event_data::describe_aggregate};
use crate::base::{Error, Result};

/// Maximum size of a body. Bytes.
pub const MAX_PAYLOAD_BYTES: usize = 20_000;
/// Version of the envelope and the default payloads. It changes only if a consumer could break.
pub const PAYLOAD_VERSION: u32 = 1;

/// What the envelope of an event contains.
#[derive(Debug, Clone)]
pub struct PayloadEnvelope {
    /// Primary key of the event.
    pub event_id: i64,
    /// Type of the event.
    pub event_type: WebhookEventType,
    /// Time of the event.
    pub occurred_at: DateTime<Utc>,
    /// Aggregate as `type:key`.
    pub aggregate: String,
    /// Number of the event among those of its aggregate; `None` for a test.
    pub sequence: Option<i64>,
}

/// The body, in the order of its fields.
#[derive(Debug, Serialize)]
struct PayloadBody<'a> {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    version: u32,
    timestamp: String,
    aggregate: String,
    sequence: Option<i64>,
    data: &'a Value,
}

/// Returns the id of an event as it is sent.
#[must_use]
pub fn message_id(event_id: i64) -> String {
    format!("evt_{event_id}")
}

impl PayloadEnvelope {
    /// Returns the body with data.
    ///
    /// # Errors
    /// Returns `BadUserInput` if it is too large.
    pub fn to_body(&self, data: &Value) -> Result<String> {
        let body = PayloadBody {
            id: message_id(self.event_id),
            event_type: self.event_type.name(),
            version: PAYLOAD_VERSION,
            timestamp: self.occurred_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            aggregate: describe_aggregate(&self.aggregate),
            sequence: self.sequence,
            data,
        };
        let body = serde_json::to_string(&body).map_err(|error| Error::internal("writing a webhook", error))?;
        if body.len() > MAX_PAYLOAD_BYTES {
            let message = format!("the payload has {} bytes, the limit is {MAX_PAYLOAD_BYTES}", body.len());
            return Err(Error::bad_input("", message));
        }
        Ok(body)
    }
}
