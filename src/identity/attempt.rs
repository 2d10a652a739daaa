//! How often something secret may be guessed, by account and by network address. Counted in the database, so that many
//! instances are no more patient than one.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use super::secret;
use crate::{
    base::{Error, Result, error::Code},
    infra::{Db, Tx, config::IdentityConfig},
};

/// Who tries, and at what.
#[derive(Debug)]
pub struct Attempt {
    account: String,
    address: Option<String>,
}

impl Attempt {
    /// An attempt at an account (by its folded e-mail address) from a network address.
    #[must_use]
    pub fn at(account: &str, address: &str) -> Self {
        // What people type where their address should be is nobody's business: passwords, too.
        let account = format!("account {}", secret::digest(account));
        Self {
            account,
            address: Some(address).filter(|address| !address.is_empty()).map(|one| format!("address {one}")),
        }
    }

    fn subjects(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.account.as_str()).chain(self.address.as_deref())
    }

    /// Counts it before it is made, so that many at once are no way around.
    ///
    /// # Errors
    /// When there were too many.
    pub async fn begin(&self, db: &Db, config: &IdentityConfig) -> Result<()> {
        let window = TimeDelta::from_std(config.attempt_window).unwrap_or(TimeDelta::MAX);
        let counts = db.write(async |tx| self.count(tx, window).await).await?;
        for (subject, failures, until) in counts {
            let limit = if subject == self.account { config.attempts_per_account } else { config.attempts_per_address };
            if failures > limit {
                let seconds = (until - db.now()).num_seconds().max(1);
                let message = format!("Too many attempts; try again in {seconds} s.");
                return Err(Error::user(Code::RateLimited, "", message));
            }
        }
        Ok(())
    }

    async fn count(&self, tx: &Tx, window: TimeDelta) -> Result<Vec<(String, u32, DateTime<Utc>)>> {
        let now = tx.now();
        let row = |subject: &str| {
            let text = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
            serde_json::json!([subject, 1, text(now + window), text(now), text(now)])
        };
        let columns = [
            ("subject", "text"),
            ("failures", "int"),
            ("until", "timestamptz"),
            ("created_at", "timestamptz"),
            ("updated_at", "timestamptz"),
        ];
        // In one order, so that two of them never wait for each other.
        let mut subjects: Vec<&str> = self.subjects().collect();
        subjects.sort_unstable();
        let mut sql = tx.sql();
        sql.insert("sign_in_attempt", &columns, subjects.into_iter().map(row).collect());
        sql.push(" ON CONFLICT (subject) DO UPDATE SET updated_at = excluded.updated_at, failures = CASE WHEN sign_in_attempt.until <= ");
        sql.bind(now)
            .push(" THEN 1 ELSE sign_in_attempt.failures + 1 END, until = CASE WHEN sign_in_attempt.until <= ");
        sql.bind(now).push(" THEN excluded.until ELSE sign_in_attempt.until END RETURNING subject, failures, until");
        let rows = tx.query_all_raw(sql.statement()).await?;
        let read = |row: &sea_orm::QueryResult| {
            let failures: i32 = row.try_get_by(1)?;
            Ok((row.try_get_by(0)?, u32::try_from(failures).unwrap_or(u32::MAX), row.try_get_by(2)?))
        };
        rows.iter().map(read).collect()
    }

    /// It was right: the account starts anew, and the address has not failed this time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forgive(&self, tx: &Tx) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("DELETE FROM sign_in_attempt WHERE subject = ").bind(self.account.as_str());
        if let Some(address) = &self.address {
            sql.push(" OR (failures = 1 AND subject = ").bind(address.as_str()).push(")");
        }
        tx.execute_raw(sql.statement()).await?;
        if let Some(address) = &self.address {
            let mut sql = tx.sql();
            sql.push("UPDATE sign_in_attempt SET failures = failures - 1 WHERE failures > 1 AND subject = ");
            sql.bind(address.as_str());
            tx.execute_raw(sql.statement()).await?;
        }
        Ok(())
    }
}
