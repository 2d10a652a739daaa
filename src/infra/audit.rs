//! Who changed what: a row for every change, written in the change's own transaction.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::Tx;
use crate::base::{Result, id::Kind};

/// Who does what a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actor {
    /// Somebody who has not signed in.
    Nobody,
    /// The shop itself: a command, a job.
    #[default]
    System,
    /// A person, by account.
    Account(i64),
    /// A machine, by the key it signed in with.
    ApiKey(i64),
}

impl Actor {
    /// As it is stored.
    #[must_use]
    pub const fn stored(self) -> (&'static str, Option<i64>) {
        match self {
            Self::Nobody => ("nobody", None),
            Self::System => ("system", None),
            Self::Account(key) => ("account", Some(key)),
            Self::ApiKey(key) => ("api_key", Some(key)),
        }
    }
}

/// Where a change comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Who makes it.
    pub actor: Actor,
    /// The request it is made in; empty for the shop itself.
    pub request: String,
}

/// One change of one thing.
#[derive(Debug, Clone)]
pub struct Change {
    /// What was done: `product.update`.
    pub action: &'static str,
    /// To what.
    pub thing: (Kind, i64),
    /// What it was; of a change, only what has changed. `None` for what was made.
    pub before: Option<Value>,
    /// What it is now. `None` for what was removed.
    pub after: Option<Value>,
}

impl Tx {
    /// Writes down changes, if this transaction commits. One statement for any number. Never hand in a secret.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let (actor, actor_id) = self.origin().actor.stored();
        let now = self.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let row = |change: &Change| {
            let (kind, key) = change.thing;
            json!([
                actor,
                actor_id,
                change.action,
                kind.name(),
                key,
                change.before,
                change.after,
                self.origin().request,
                now
            ])
        };
        let columns = [
            ("actor_kind", "text"),
            ("actor_id", "bigint"),
            ("action", "text"),
            ("thing_kind", "text"),
            ("thing_id", "bigint"),
            ("before", "jsonb"),
            ("after", "jsonb"),
            ("request_id", "text"),
            ("created_at", "timestamptz"),
        ];
        let mut sql = self.sql();
        sql.insert("audit", &columns, changes.iter().map(row).collect());
        self.execute_raw(sql.statement()).await?;
        Ok(())
    }
}
