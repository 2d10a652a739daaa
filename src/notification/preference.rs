//! What customers want to hear of, by which way.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, QueryResult};
use serde_json::{Value, json};

use super::{Channel, Occasion};
use crate::{
    base::{Error, Result},
    infra::{Sql, Tx},
};

/// What somebody wants to hear of. What they have not chosen is as it is for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(HashMap<(Occasion, Channel), bool>);

impl Wanted {
    /// Whether it is told to them.
    #[must_use]
    pub fn of(&self, occasion: Occasion, channel: Channel) -> bool {
        self.chosen(occasion, channel).unwrap_or_else(|| occasion.by_default(channel))
    }

    /// What they have chosen, if they have.
    #[must_use]
    pub fn chosen(&self, occasion: Occasion, channel: Channel) -> Option<bool> {
        self.0.get(&(occasion, channel)).copied()
    }

    fn take(&mut self, row: &QueryResult) -> Result<()> {
        let (occasion, channel): (String, String) = (row.try_get("", "occasion")?, row.try_get("", "channel")?);
        let read = |why: String| Error::fault("reading what a customer wants to hear of", why);
        let key = (occasion.parse().map_err(read)?, channel.parse().map_err(read)?);
        self.0.insert(key, row.try_get("", "wanted")?);
        Ok(())
    }
}

/// What somebody wants. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of(db: &impl ConnectionTrait, account: i64) -> Result<Wanted> {
    Ok(of_many(db, &[account]).await?.remove(&account).unwrap_or_default())
}

/// What many want; those who have chosen nothing are missing. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_many(db: &impl ConnectionTrait, accounts: &[i64]) -> Result<HashMap<i64, Wanted>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT account_id, occasion, channel, wanted FROM notification_preference WHERE ");
    sql.any("account_id", accounts.iter().copied());
    let mut all: HashMap<i64, Wanted> = HashMap::new();
    for row in db.query_all_raw(sql.statement()).await? {
        all.entry(row.try_get("", "account_id")?).or_default().take(&row)?;
    }
    Ok(all)
}

/// Chooses for an account; what is `None` stays as it is.
///
/// # Errors
/// When it is nothing that can be chosen, or the database refuses.
pub async fn set(tx: &Tx, account: i64, occasion: Occasion, said: [(Channel, Option<bool>); 2]) -> Result<Wanted> {
    if !occasion.is_chosen() {
        let message = "these letters come only when they are asked for; they cannot be switched off";
        return Err(Error::bad_input("input.event", message));
    }
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let row = |(channel, wanted): (Channel, Option<bool>)| -> Option<Value> {
        Some(json!([account, occasion.name(), channel.name(), wanted?, now, now]))
    };
    let rows: Vec<Value> = said.into_iter().filter_map(row).collect();
    if !rows.is_empty() {
        let columns = [
            ("account_id", "bigint"),
            ("occasion", "text"),
            ("channel", "text"),
            ("wanted", "boolean"),
            ("created_at", "timestamptz"),
            ("updated_at", "timestamptz"),
        ];
        let mut sql = tx.sql();
        sql.insert("notification_preference", &columns, rows);
        sql.push(" ON CONFLICT (account_id, occasion, channel) DO UPDATE SET wanted = excluded.wanted, ");
        sql.push("updated_at = excluded.updated_at");
        tx.execute_raw(sql.statement()).await?;
    }
    of(tx, account).await
}
