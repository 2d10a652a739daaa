//! A transaction: what a write takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    vec,
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement, prelude::async_trait,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Connections, Db, run_to_completion};
use crate::{
    base::{Error, Result},
    infra::{Meter, Origin, Sql, meter::Enforcement},
};

/// A transaction: what a write takes.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    connections: Arc<Connections>,
    now: DateTime<Utc>,
    meter: Option<Arc<Meter>>,
    origin: Arc<Origin>,
    rings: AtomicBool,
    permit: OwnedSemaphorePermit,
}

impl Tx {
    pub(super) fn new(db: &Db, inner: DatabaseTransaction, permit: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            connections: Arc::clone(&db.connections),
            now: db.now(),
            meter: db.meter.clone(),
            origin: Arc::clone(&db.origin),
            rings: AtomicBool::new(false),
            permit,
        }
    }

    /// The moment of everything in this transaction.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Who does what is done in it, and in which request.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A statement to be written for this database.
    #[must_use]
    pub fn sql(&self) -> Sql {
        Sql::new(self.inner.get_database_backend())
    }

    /// Says that this transaction leaves something to do: whoever does such things hears of it once it has committed.
    pub(in crate::infra) fn ring(&self) {
        self.rings.store(true, Ordering::Relaxed);
    }

    pub(super) async fn commit(self, db: &Db) -> Result<()> {
        let Self { inner, connections, rings, permit, .. } = self;
        let bell = rings.into_inner().then(|| Arc::clone(&db.bell));
        let commit = async move {
            inner.commit().await?;
            drop(permit);
            if let Some(bell) = bell {
                bell.ring(&connections.writer);
            }
            Ok(())
        };
        Ok(run_to_completion(commit).await?)
    }

    pub(super) async fn roll_back(self) {
        let Self { inner, permit, .. } = self;
        let undo = async move {
            let outcome = inner.rollback().await;
            drop(permit);
            outcome
        };
        // The first reason is the one worth reporting; a connection that cannot roll back is closed.
        if let Err(why) = run_to_completion(undo).await {
            tracing::warn!(error = %why, "a transaction could not be rolled back");
        }
    }

    /// Keys for `count` new rows of a table, so that rows that name each other can be written together.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn keys(&self, table: &'static str, count: usize) -> Result<vec::IntoIter<i64>> {
        let count = i64::try_from(count).map_err(|why| Error::fault("counting new rows", why))?;
        if count == 0 {
            return Ok(Vec::new().into_iter());
        }
        let mut sql = self.sql();
        if sql.postgres() {
            sql.push(&format!(
                "SELECT nextval(pg_get_serial_sequence('{table}', 'id')) AS key FROM generate_series(1, "
            ))
            .bind(count)
            .push(")");
            let rows = self.query_all_raw(sql.statement()).await?;
            let keys: Vec<i64> = rows.iter().map(|row| row.try_get("", "key")).collect::<Result<_, _>>()?;
            return Ok(keys.into_iter());
        }
        // The writer is alone on SQLite, so what comes after the last key is free.
        sql.push(&format!(
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM {table}), 0), \
             COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)) AS key"
        ));
        let row = self.query_one_raw(sql.statement()).await?;
        let last: i64 = row.map_or(Ok(0), |row| row.try_get("", "key"))?;
        Ok((last + 1..=last + count).collect::<Vec<_>>().into_iter())
    }

    async fn run<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.connections.start_write_statement();
        Meter::run(self.meter.as_ref(), Enforcement::Exempt, statement).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(self.inner.query_all_raw(statement)).await
    }
}
