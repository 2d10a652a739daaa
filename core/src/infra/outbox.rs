//! The transactional outbox: events stored in the transaction of the change they describe.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Set};
use serde::{Serialize, de::DeserializeOwned};

use super::{SqlBuilder, Tx, cache::CacheTag, entity::outbox_event, telemetry::trace_context::current_trace_context};
use crate::base::{Error, Result};

/// A domain event. It contains keys, and neither secrets nor personal data, because it is retained.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the event, in past tense. It must never change.
    const KIND: &'static str;

    /// Returns the aggregate as `type:key`; events of one aggregate are delivered in order.
    fn aggregate(&self) -> String;

    /// Returns the tags of cached values that the change invalidates.
    fn cache_tags(&self) -> Vec<CacheTag> {
        Vec::new()
    }
}

/// An event as delivered to a handler.
#[derive(Debug, Clone)]
pub struct DeliveredEvent<E> {
    /// The event's id, the same for each delivery; handlers deduplicate by it.
    pub id: i64,
    /// The time of the event.
    pub occurred_at: DateTime<Utc>,
    /// The event.
    pub event: E,
}

impl Tx {
    /// Stores an event in this transaction. Statements: 1.
    ///
    /// Other transactions that emit an event of the same aggregate wait until this one ends, because the events of an
    /// aggregate are numbered without gaps: emit last, and several aggregates always in the same order.
    pub async fn emit_event<E: Event>(&self, event: E) -> Result<()> {
        self.emit_events(&[event]).await
    }

    /// Stores events of one kind. Statements: 1 for any number.
    pub async fn emit_events<E: Event>(&self, events: &[E]) -> Result<()> {
        let mut batch = EventBatch::default();
        for event in events {
            batch.add(event)?;
        }
        self.emit_batch(batch).await
    }

    /// Stores events of several kinds. Statements: 1 for any number, none without events.
    pub async fn emit_batch(&self, batch: EventBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.execute_raw(self.emit_batch_statement(batch).into_statement()).await?;
        Ok(())
    }

    /// Returns the statement that stores the events, to be executed in this transaction.
    pub fn emit_statement<E: Event>(&self, events: &[E]) -> Result<SqlBuilder> {
        let mut batch = EventBatch::default();
        for event in events {
            batch.add(event)?;
        }
        Ok(self.emit_batch_statement(batch))
    }

    /// Returns the statement that stores the events of a batch, which has at least one, to be executed in this
    /// transaction.
    pub fn emit_batch_statement(&self, batch: EventBatch) -> SqlBuilder {
        let trace_context = current_trace_context();
        let to_row = |event: SerializedEvent| outbox_event::ActiveModel {
            event_type: Set(event.kind.to_owned()),
            aggregate: Set(event.aggregate),
            payload: Set(event.payload),
            trace_context: Set(trace_context.clone()),
            created_at: Set(self.now()),
            ..Default::default()
        };
        let cache_tags: Vec<CacheTag> = batch.0.iter().flat_map(|event| event.cache_tags.iter().copied()).collect();
        let mut sql = self.sql();
        sql.insert_models(&batch.0.into_iter().map(to_row).collect::<Vec<_>>());
        self.notify_workers_on_commit();
        self.invalidate_on_commit(cache_tags);
        sql
    }
}

/// An event ready to be stored.
#[derive(Debug)]
struct SerializedEvent {
    kind: &'static str,
    aggregate: String,
    payload: serde_json::Value,
    cache_tags: Vec<CacheTag>,
}

/// Events of any kinds that one statement stores, in order.
#[derive(Debug, Default)]
pub struct EventBatch(Vec<SerializedEvent>);

impl EventBatch {
    /// Adds an event.
    ///
    /// # Errors
    /// Returns an error if the event cannot be serialized.
    pub fn add<E: Event>(&mut self, event: &E) -> Result<()> {
        let payload = serde_json::to_value(event).map_err(|error| Error::internal("serializing an event", error))?;
        let (aggregate, cache_tags) = (event.aggregate(), event.cache_tags());
        self.0.push(SerializedEvent { kind: E::KIND, aggregate, payload, cache_tags });
        Ok(())
    }

    /// Returns whether there are no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
