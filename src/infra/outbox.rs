//! Events stored with the change they tell of, in the same transaction: nothing happens behind the commit.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Sql, Tx};
use crate::base::{Error, Result};

/// Something that has happened. It holds keys, and neither secrets nor what is said of people: it is kept for a while.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name: past tense, lasting.
    const KIND: &'static str;

    /// The thing it happened to, as `kind:key`: events of one thing are told in their order.
    fn aggregate(&self) -> String;
}

/// An event, as a reaction hears of it.
#[derive(Debug, Clone)]
pub struct Told<E> {
    /// Its key: the same however often it is told.
    pub id: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What has happened.
    pub event: E,
}

impl Tx {
    /// Says that something has happened, if this transaction commits. One statement.
    ///
    /// Whoever else emits an event of the same thing waits from here until this transaction ends, because the events
    /// of one thing are numbered without a gap: emit last, and of several things always in the same order.
    ///
    /// # Errors
    /// When the event cannot be written down.
    pub async fn emit<E: Event>(&self, event: E) -> Result<()> {
        self.emit_all(&[event]).await
    }

    /// Says that many things of a kind have happened. One statement for any number.
    ///
    /// # Errors
    /// When the events cannot be written down.
    pub async fn emit_all<E: Event>(&self, events: &[E]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.execute_raw(self.emit_statement(events)?.statement()).await?;
        Ok(())
    }

    /// The statement that says so, to be executed in this transaction.
    ///
    /// # Errors
    /// When an event cannot be written down.
    pub fn emit_statement<E: Event>(&self, events: &[E]) -> Result<Sql> {
        let now = self.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let row = |event: &E| {
            let payload = serde_json::to_value(event).map_err(|why| Error::fault("writing down an event", why))?;
            Ok(json!([E::KIND, event.aggregate(), payload, now]))
        };
        let rows = events.iter().map(row).collect::<Result<Vec<_>>>()?;
        let columns = [("kind", "text"), ("aggregate", "text"), ("payload", "jsonb"), ("created_at", "timestamptz")];
        let mut sql = self.sql();
        sql.insert("outbox", &columns, rows);
        self.ring();
        Ok(sql)
    }
}
