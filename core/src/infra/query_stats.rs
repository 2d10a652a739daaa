//! Database usage of a request and its budget.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{DbErr, RuntimeErr};
use tracing::{Instrument, Span};

use super::telemetry;
use crate::base::error::BudgetExceeded;

/// The database budget of a request.
#[derive(Debug, Clone, Copy)]
pub struct QueryBudget {
    /// The maximum number of statements.
    pub max_statements: u64,
    /// The maximum total time of all statements.
    pub max_time: Duration,
}

impl QueryBudget {
    /// A budget without limits.
    pub const UNLIMITED: Self = Self { max_statements: u64::MAX, max_time: Duration::MAX };
}

/// Whether a connection's statements are subject to the budget of their request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BudgetEnforcement {
    /// Statements over the budget are rejected.
    Enforced,
    /// Statements are only counted: a transaction that has begun is not aborted.
    Exempt,
}

/// The database usage of a request, with its budget.
#[derive(Debug)]
pub struct QueryStats {
    budget: QueryBudget,
    running_statements: AtomicU64,
    statement_count: AtomicU64,
    total_micros: AtomicU64,
}

impl QueryStats {
    /// Creates statistics without usage.
    #[must_use]
    pub fn new(budget: QueryBudget) -> Self {
        Self {
            budget,
            running_statements: AtomicU64::new(0),
            statement_count: AtomicU64::new(0),
            total_micros: AtomicU64::new(0),
        }
    }

    /// Returns the number of statements.
    #[must_use]
    pub fn statement_count(&self) -> u64 {
        self.statement_count.load(Ordering::Relaxed)
    }

    /// Returns whether a statement is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.running_statements.load(Ordering::Relaxed) > 0
    }

    /// Returns the total time of all statements.
    #[must_use]
    pub fn total_time(&self) -> Duration {
        Duration::from_micros(self.total_micros.load(Ordering::Relaxed))
    }

    /// Counts as busy until the guard is dropped.
    #[must_use]
    pub fn track_busy(self: &Arc<Self>) -> BusyGuard {
        self.running_statements.fetch_add(1, Ordering::Relaxed);
        BusyGuard(Arc::clone(self))
    }

    /// Rejects a statement if the budget is exhausted.
    ///
    /// # Errors
    /// Returns an error that becomes `QUERY_TOO_COMPLEX`.
    pub(super) fn check_budget(query_stats: Option<&Arc<Self>>) -> Result<(), DbErr> {
        let Some(query_stats) = query_stats else { return Ok(()) };
        let QueryBudget { max_statements, max_time } = query_stats.budget;
        let message = if query_stats.statement_count() >= max_statements {
            format!("the request needs more than {max_statements} database statements; select less at once")
        } else if query_stats.total_time() >= max_time {
            format!("the request keeps the database busy for more than {} s; select less at once", max_time.as_secs())
        } else {
            return Ok(());
        };
        let cause = sqlx::Error::AnyDriverError(Box::new(BudgetExceeded(message)));
        Err(DbErr::Query(RuntimeErr::SqlxError(Arc::new(cause))))
    }

    /// Runs a statement in its span and counts it.
    pub(super) async fn run_statement<T>(
        query_stats: Option<&Arc<Self>>,
        enforcement: BudgetEnforcement,
        span: Span,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        if enforcement == BudgetEnforcement::Enforced {
            Self::check_budget(query_stats)?;
        }
        let metrics = telemetry::metrics();
        if query_stats.is_none() && metrics.is_none() && span.is_none() {
            return statement.await;
        }
        let started_at = Instant::now();
        let busy_guard = query_stats.map(|query_stats| {
            query_stats.statement_count.fetch_add(1, Ordering::Relaxed);
            query_stats.track_busy()
        });
        let outcome = statement.instrument(span).await;
        drop(busy_guard);
        let duration = started_at.elapsed();
        if let Some(query_stats) = query_stats {
            let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            query_stats.total_micros.fetch_add(micros, Ordering::Relaxed);
        }
        if let Some(metrics) = metrics {
            metrics.record_statement(duration);
        }
        outcome
    }
}

/// A guard of running work, whose caller may have been canceled.
#[derive(Debug)]
pub struct BusyGuard(Arc<QueryStats>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.running_statements.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    async fn run_test_statement(query_stats: &Arc<QueryStats>) -> Result<(), DbErr> {
        QueryStats::run_statement(Some(query_stats), BudgetEnforcement::Enforced, Span::none(), async { Ok(()) }).await
    }

    #[tokio::test]
    async fn statement_over_the_budget_is_rejected_as_too_complex() {
        let query_stats = Arc::new(QueryStats::new(QueryBudget { max_statements: 2, max_time: Duration::MAX }));
        assert!(run_test_statement(&query_stats).await.is_ok() && run_test_statement(&query_stats).await.is_ok());
        let error = Error::from(run_test_statement(&query_stats).await.expect_err("a refusal")).to_public_error();
        assert_eq!(error.code.as_str(), "QUERY_TOO_COMPLEX");
        assert!(error.message.contains("more than 2 database statements"), "{}", error.message);
        assert_eq!(query_stats.statement_count(), 2);
        assert!(
            QueryStats::run_statement(Some(&query_stats), BudgetEnforcement::Exempt, Span::none(), async { Ok(()) })
                .await
                .is_ok()
        );
        assert_eq!(query_stats.statement_count(), 3);
    }

    #[tokio::test]
    async fn request_over_its_database_time_is_rejected() {
        let query_stats = Arc::new(QueryStats::new(QueryBudget { max_statements: u64::MAX, max_time: Duration::ZERO }));
        assert!(run_test_statement(&query_stats).await.is_err());
        let unlimited_stats = Arc::new(QueryStats::new(QueryBudget::UNLIMITED));
        assert!(run_test_statement(&unlimited_stats).await.is_ok() && QueryStats::check_budget(None).is_ok());
    }
}
