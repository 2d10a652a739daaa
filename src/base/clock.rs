//! The one place that asks what time it is, so that tests can set it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, Utc};

/// A clock that everybody in one shop shares.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// A moment set by a test; the real time when absent.
    fixed: Option<Arc<Mutex<DateTime<Utc>>>>,
}

impl Clock {
    /// A clock that stands still until it is [set](Clock::set).
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self { fixed: Some(Arc::new(Mutex::new(at))) }
    }

    /// Now, in microseconds: as exact as both databases keep it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.fixed {
            Some(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
            None => Utc::now().trunc_subsecs(6),
        }
    }

    /// Moves a fixed clock; a real one goes its own way.
    pub fn set(&self, to: DateTime<Utc>) {
        if let Some(at) = &self.fixed {
            *at.lock().unwrap_or_else(PoisonError::into_inner) = to;
        }
    }
}
