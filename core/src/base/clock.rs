//! The clock: the only place that reads the system time, so that tests can set it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, Utc};

/// A shared clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The time set by a test; the system time if `None`.
    fixed: Option<Arc<Mutex<DateTime<Utc>>>>,
}

impl Clock {
    /// Creates a clock that returns `at` until it is [set](Clock::set).
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self { fixed: Some(Arc::new(Mutex::new(at))) }
    }

    /// Returns the current time in microseconds, the precision of both databases.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock is the only place that may read the system time")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.fixed {
            Some(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
            None => Utc::now().trunc_subsecs(6),
        }
    }

    /// Sets the time of a fixed clock; does nothing on a system clock.
    pub fn set(&self, time: DateTime<Utc>) {
        if let Some(at) = &self.fixed {
            *at.lock().unwrap_or_else(PoisonError::into_inner) = time;
        }
    }
}
