//! The transactional outbox: events stored in the transaction of the change they describe.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Set};
use serde::{Serialize, de::DeserializeOwned};

use super::{SqlBuilder, Tx, entity::outbox_event};
use crate::base::{Error, Result};

/// A domain event. It contains keys, and neither secrets nor personal data, because it is retained.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the event, in past tense. It must never change.
    const KIND: &'static str;

    /// Returns the aggregate as `type:key`; events of one aggregate are delivered in order.
    fn aggregate(&self) -> String;
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
        if events.is_empty() {
            return Ok(());
        }
        self.execute_raw(self.emit_statement(events)?.into_statement()).await?;
        Ok(())
    }

    /// Returns the statement that stores the events, to be executed in this transaction.
    pub fn emit_statement<E: Event>(&self, events: &[E]) -> Result<SqlBuilder> {
        let to_row = |event: &E| {
            let payload = serde_json::to_value(event);
            Ok(outbox_event::ActiveModel {
                event_type: Set(E::KIND.to_owned()),
                aggregate: Set(event.aggregate()),
                payload: Set(payload.map_err(|error| Error::internal("serializing an event", error))?),
                created_at: Set(self.now()),
                ..Default::default()
            })
        };
        let mut sql = self.sql();
        sql.insert_models(&events.iter().map(to_row).collect::<Result<Vec<_>>>()?);
        self.notify_workers_on_commit();
        Ok(sql)
    }
}
