//! Statements that are sent to the database together: a round trip costs more than most of them.

use sea_orm::{ConnectionTrait, QueryResult};

use super::Tx;
use crate::{base::Result, infra::Sql};

/// Writes that do not depend on each other's effects. On PostgreSQL all of them see the database as it was before the
/// first; triggers and constraints see it as it is after the last.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Option<&'static str>, Sql)>);

impl Batch {
    /// Adds a write.
    pub fn add(&mut self, statement: Sql) {
        self.0.push((None, statement));
    }

    /// Adds a write with a `RETURNING` clause, whose rows later ones read by this name on PostgreSQL.
    pub fn add_named(&mut self, name: &'static str, statement: Sql) {
        self.0.push((Some(name), statement));
    }
}

impl Tx {
    /// Executes a batch and a last statement, and returns the rows of the last. One statement on PostgreSQL; on SQLite,
    /// which is in this process, one after the other.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn query_batch(&self, batch: Batch, last: Sql) -> Result<Vec<QueryResult>> {
        let mut all = self.sql();
        for (number, (name, statement)) in batch.0.into_iter().enumerate() {
            if !all.postgres() {
                self.execute_raw(statement.statement()).await?;
                continue;
            }
            let name = name.map_or_else(|| format!("part{number}"), str::to_owned);
            all.push(if number == 0 { "WITH " } else { ", " }).push(&name).push(" AS (").append(statement).push(")");
        }
        all.push(" ").append(last);
        Ok(self.query_all_raw(all.statement()).await?)
    }
}
