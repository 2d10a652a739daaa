//! Claimed jobs and the parameters of a claim.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BackgroundJob;
use crate::{
    base::{Error, Result},
    infra::outbox::{DeliveredEvent, Event},
};

/// A job claimed by this worker.
#[derive(Debug, Clone, FromQueryResult)]
pub struct ClaimedJob {
    /// The job's id.
    pub id: i64,
    /// The kind of the job.
    pub kind: String,
    /// The number of the attempt, from 1.
    pub attempts: i32,
    /// The trace that the job continues.
    pub(super) trace_context: Option<String>,
    payload: Option<Value>,
    event_id: Option<i64>,
    event_payload: Option<Value>,
    event_created_at: Option<DateTime<Utc>>,
}

impl ClaimedJob {
    /// Returns the event to deliver.
    pub(super) fn decode_event<E: Event>(&self) -> Result<DeliveredEvent<E>> {
        let (Some(id), Some(occurred_at), Some(payload)) = (self.event_id, self.event_created_at, &self.event_payload)
        else {
            return Err(Error::internal("decoding an event", "the job has no event"));
        };
        Ok(DeliveredEvent { id, occurred_at, event: deserialize_json(payload, "decoding an event")? })
    }

    /// Returns the payload of the job.
    pub(super) fn decode_job<J: BackgroundJob>(&self) -> Result<J> {
        deserialize_json(self.payload.as_ref().unwrap_or(&Value::Null), "decoding a job")
    }
}

fn deserialize_json<T: DeserializeOwned>(value: &Value, operation: &'static str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::internal(operation, error))
}

/// The parameters of a claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaimRequest<'a> {
    pub(super) worker_id: &'a str,
    pub(super) queue: &'a str,
    /// The kinds registered in this worker.
    pub(super) kinds: &'a [&'a str],
    /// Those of them that lose their deduplication key when they start.
    pub(super) key_releasing_kinds: &'a [&'a str],
    pub(super) limit: usize,
    pub(super) lease_duration: Duration,
    /// Whether the queue contains event deliveries.
    pub(super) is_delivery_queue: bool,
}
