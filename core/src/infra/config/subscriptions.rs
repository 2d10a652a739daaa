//! Settings of live updates: `[subscriptions]`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    duration::{DAY, MINUTE, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// The highest configurable limit of sizes.
const MOST_BYTES: usize = 1 << 40;

/// `[subscriptions]`
#[derive(Debug, Clone, Deserialize)]
pub struct SubscriptionsConfig {
    /// Maximum number of connections with live updates.
    pub max_connections: usize,
    /// Maximum number of connections of a client network.
    pub max_connections_per_network: usize,
    /// Maximum number of connections of an account or API key.
    pub max_connections_per_caller: usize,
    /// Maximum number of operations of a connection at the same time.
    pub max_operations: usize,
    /// Maximum size of a client's message in bytes.
    pub max_message_bytes: usize,
    /// Maximum number of messages that wait for a slow client.
    pub max_queued_messages: usize,
    /// Maximum size of the messages that wait for a slow client, in bytes.
    pub max_queued_bytes: usize,
    /// Maximum memory of the operations of all subscriptions, in bytes.
    pub max_operation_memory: usize,
    /// Maximum number of events that are read for a client that continues.
    pub max_replayed_events: usize,
    /// Timeout of the first message of a connection.
    #[serde(deserialize_with = "deserialize_duration")]
    pub init_timeout: Duration,
    /// Interval of pings and keep-alive comments.
    #[serde(deserialize_with = "deserialize_duration")]
    pub ping_interval: Duration,
    /// Timeout of a connection without operations.
    #[serde(deserialize_with = "deserialize_duration")]
    pub idle_timeout: Duration,
    /// Interval at which the tokens of connections are checked.
    #[serde(deserialize_with = "deserialize_duration")]
    pub token_check_interval: Duration,
}

impl SubscriptionsConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        within("subscriptions.max_connections", self.max_connections, 1..=1_000_000)?;
        within("subscriptions.max_connections_per_network", self.max_connections_per_network, 1..=1_000_000)?;
        within("subscriptions.max_connections_per_caller", self.max_connections_per_caller, 1..=1_000_000)?;
        within("subscriptions.max_operations", self.max_operations, 1..=10_000)?;
        within("subscriptions.max_message_bytes", self.max_message_bytes, 1024..=MOST_BYTES)?;
        within("subscriptions.max_queued_messages", self.max_queued_messages, 2..=100_000)?;
        within("subscriptions.max_queued_bytes", self.max_queued_bytes, 1024..=MOST_BYTES)?;
        within("subscriptions.max_operation_memory", self.max_operation_memory, 1024..=MOST_BYTES)?;
        within("subscriptions.max_replayed_events", self.max_replayed_events, 1..=1_000_000)?;
        let times = [
            ("subscriptions.init_timeout", self.init_timeout, SECOND..=MINUTE * 10),
            ("subscriptions.ping_interval", self.ping_interval, SECOND..=MINUTE * 10),
            ("subscriptions.idle_timeout", self.idle_timeout, SECOND..=DAY),
            ("subscriptions.token_check_interval", self.token_check_interval, SECOND..=SECOND * 60),
        ];
        times.into_iter().try_for_each(|(key, time, range)| duration_within(key, time, range))
    }
}
