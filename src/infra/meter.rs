//! How much of the database one request has asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::DbErr;

/// What one request has asked of the database.
#[derive(Debug, Default)]
pub struct Meter {
    running: AtomicU64,
    statements: AtomicU64,
    micros: AtomicU64,
}

impl Meter {
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

    pub(super) async fn run<T>(
        meter: Option<&Arc<Self>>,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let Some(meter) = meter else { return statement.await };
        let began = Instant::now();
        let running = Running::begin(meter);
        let outcome = statement.await;
        drop(running);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        meter.statements.fetch_add(1, Ordering::Relaxed);
        meter.micros.fetch_add(micros, Ordering::Relaxed);
        outcome
    }
}

/// A statement that is being answered, until it is dropped: nobody may wait for its end.
struct Running<'a>(&'a Meter);

impl<'a> Running<'a> {
    fn begin(meter: &'a Meter) -> Self {
        meter.running.fetch_add(1, Ordering::Relaxed);
        Self(meter)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
