//! Batches of statements sent in one round trip, which costs more than most statements.

use sea_orm::{ConnectionTrait, QueryResult};

use super::Tx;
use crate::{base::Result, infra::SqlBuilder};

/// Writes that do not depend on each other's effects. On PostgreSQL all of them see the snapshot before the first
/// write; triggers and constraints see the state after the last.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Option<&'static str>, SqlBuilder)>);

impl Batch {
    /// Adds a write.
    pub fn add(&mut self, statement: SqlBuilder) {
        self.0.push((None, statement));
    }

    /// Adds a write with a `RETURNING` clause; on PostgreSQL later statements read its rows by `name`.
    pub fn add_named(&mut self, name: &'static str, statement: SqlBuilder) {
        self.0.push((Some(name), statement));
    }
}

impl Tx {
    /// Executes a batch and a final statement and returns the rows of the final one. One statement on PostgreSQL; one
    /// after the other on SQLite, which runs in this process.
    pub async fn query_batch(&self, batch: Batch, last: SqlBuilder) -> Result<Vec<QueryResult>> {
        let mut all = self.sql();
        for (number, (name, statement)) in batch.0.into_iter().enumerate() {
            if !all.is_postgres() {
                self.execute_raw(statement.into_statement()).await?;
                continue;
            }
            let name = name.map_or_else(|| format!("part{number}"), str::to_owned);
            all.push(if number == 0 { "WITH " } else { ", " }).push(&name).push(" AS (").append(statement).push(")");
        }
        all.push(" ").append(last);
        Ok(self.query_all_raw(all.into_statement()).await?)
    }
}
