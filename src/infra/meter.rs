//! How much of the database one request uses, and how much it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{DbErr, RuntimeErr};

use crate::base::error::BudgetExceeded;

/// What one request may use of the database.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How many statements.
    pub statements: u64,
    /// How long all of them together may take.
    pub time: Duration,
}

impl Budget {
    /// No limit.
    pub const UNLIMITED: Self = Self { statements: u64::MAX, time: Duration::MAX };
}

/// Whether statements of a connection are held to their request's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enforcement {
    /// Past the budget they are refused.
    Enforced,
    /// They are counted only: a transaction that has begun is not cut in its middle.
    Exempt,
}

/// What one request has used of the database, against its budget.
#[derive(Debug)]
pub struct Meter {
    budget: Budget,
    running: AtomicU64,
    statements: AtomicU64,
    micros: AtomicU64,
}

impl Meter {
    /// Nothing used yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, running: AtomicU64::new(0), statements: AtomicU64::new(0), micros: AtomicU64::new(0) }
    }

    /// How many statements.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Whether any is being answered.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// How long they took, one after the other.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    /// Counts as busy until the result is dropped.
    #[must_use]
    pub fn stay_busy(self: &Arc<Self>) -> Busy {
        self.running.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Refuses one statement more when the budget is used up.
    ///
    /// # Errors
    /// One that becomes `QUERY_TOO_COMPLEX`.
    pub(super) fn check(meter: Option<&Arc<Self>>) -> Result<(), DbErr> {
        let Some(meter) = meter else { return Ok(()) };
        let Budget { statements, time } = meter.budget;
        let message = if meter.statements() >= statements {
            format!("the request needs more than {statements} database statements; ask for less at once")
        } else if meter.time() >= time {
            format!("the request keeps the database busy for more than {} s; ask for less at once", time.as_secs())
        } else {
            return Ok(());
        };
        let cause = sqlx::Error::AnyDriverError(Box::new(BudgetExceeded(message)));
        Err(DbErr::Query(RuntimeErr::SqlxError(Arc::new(cause))))
    }

    /// Runs a statement and counts it.
    pub(super) async fn run<T>(
        meter: Option<&Arc<Self>>,
        enforcement: Enforcement,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        if enforcement == Enforcement::Enforced {
            Self::check(meter)?;
        }
        let Some(meter) = meter else { return statement.await };
        let began = Instant::now();
        let busy = meter.stay_busy();
        meter.statements.fetch_add(1, Ordering::Relaxed);
        let outcome = statement.await;
        drop(busy);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        meter.micros.fetch_add(micros, Ordering::Relaxed);
        outcome
    }
}

/// Work that is being done, until it is dropped: nobody may wait for its end.
#[derive(Debug)]
pub struct Busy(Arc<Meter>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    async fn statement(meter: &Arc<Meter>) -> Result<(), DbErr> {
        Meter::run(Some(meter), Enforcement::Enforced, async { Ok(()) }).await
    }

    #[tokio::test]
    async fn a_statement_over_the_budget_is_refused_as_too_complex() {
        let meter = Arc::new(Meter::new(Budget { statements: 2, time: Duration::MAX }));
        assert!(statement(&meter).await.is_ok() && statement(&meter).await.is_ok());
        let refused = Error::from(statement(&meter).await.expect_err("a refusal")).public();
        assert_eq!(refused.code.as_str(), "QUERY_TOO_COMPLEX");
        assert!(refused.message.contains("more than 2 database statements"), "{}", refused.message);
        assert_eq!(meter.statements(), 2);
        assert!(Meter::run(Some(&meter), Enforcement::Exempt, async { Ok(()) }).await.is_ok());
        assert_eq!(meter.statements(), 3);
    }

    #[tokio::test]
    async fn a_request_that_used_its_database_time_is_refused() {
        let meter = Arc::new(Meter::new(Budget { statements: u64::MAX, time: Duration::ZERO }));
        assert!(statement(&meter).await.is_err());
        let unlimited = Arc::new(Meter::new(Budget::UNLIMITED));
        assert!(statement(&unlimited).await.is_ok() && Meter::check(None).is_ok());
    }
}
