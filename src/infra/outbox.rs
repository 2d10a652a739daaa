//! Events stored with the change they tell of, in the same transaction: nothing happens behind the commit.

use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::Tx;
use crate::base::{Error, Result};

/// Something that has happened.
pub trait Event: Serialize {
    /// Its name: past tense, lasting.
    const KIND: &'static str;

    /// The thing it happened to, as `kind:key`: events of one thing are told in their order.
    fn aggregate(&self) -> String;
}

impl Tx {
    /// Says that something has happened, if this transaction commits.
    ///
    /// # Errors
    /// When the event cannot be written down.
    pub async fn emit<E: Event>(&self, event: E) -> Result<()> {
        let payload = serde_json::to_value(&event).map_err(|why| Error::fault("writing down an event", why))?;
        let mut sql = self.sql();
        sql.push("INSERT INTO outbox (kind, aggregate, payload, created_at) VALUES (").bind(E::KIND);
        sql.push(", ").bind(event.aggregate()).push(", ").bind(payload);
        sql.push(", ").bind(self.now()).push(")");
        self.execute_raw(sql.statement()).await?;
        Ok(())
    }
}
