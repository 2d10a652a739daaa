//! The token bucket.

use crate::infra::config::RateLimit;

/// The state of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TokenBucket {
    /// The available points.
    pub(super) available: f64,
    /// The milliseconds of the last change, on any clock that never goes back.
    pub(super) updated_at: u64,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(super) fn full(limit: RateLimit, now: u64) -> Self {
        Self { available: f64::from(limit.count), updated_at: now }
    }

    /// Restores the points of the elapsed time and takes `cost` points if there are enough; returns whether there were.
    pub(super) fn take(&mut self, limit: RateLimit, cost: u32, now: u64) -> bool {
        let elapsed_millis = now.saturating_sub(self.updated_at);
        #[expect(clippy::cast_precision_loss, reason = "exact for thousands of years")]
        let restored = elapsed_millis as f64 / 1000.0 * restore_rate(limit);
        self.available = (self.available + restored).min(f64::from(limit.count));
        self.updated_at = self.updated_at.max(now);
        let is_allowed = self.available >= f64::from(cost);
        if is_allowed {
            self.available -= f64::from(cost);
        }
        is_allowed
    }
}

/// Returns the points that a bucket restores per second.
pub(super) fn restore_rate(limit: RateLimit) -> f64 {
    f64::from(limit.count) / limit.window.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bucket_restores_continuously_up_to_its_size() {
        let limit = RateLimit { count: 100, window: Duration::from_secs(10) };
        let mut bucket = TokenBucket::full(limit, 0);
        assert!(bucket.take(limit, 100, 0));
        assert!(!bucket.take(limit, 1, 99));
        assert!(bucket.take(limit, 1, 100));
        assert!(!bucket.take(limit, 1, 150));
        assert!(!bucket.take(limit, 101, 1_000_000));
        assert!(bucket.take(limit, 100, 1_000_000));
        // A clock that goes back restores nothing and takes nothing away.
        assert!(!bucket.take(limit, 1, 0));
        assert!(bucket.take(limit, 1, 1_000_100));
    }

    proptest! {
        #[test]
        fn bucket_never_allows_more_than_its_size_plus_the_restored_points(
            count in 1_u32..1000,
            seconds in 1_u64..100,
            requests in proptest::collection::vec((0_u64..5000, 1_u32..300), 1..100),
        ) {
            let limit = RateLimit { count, window: Duration::from_secs(seconds) };
            let mut bucket = TokenBucket::full(limit, 0);
            let (mut now, mut taken) = (0, 0.0);
            for (pause, cost) in requests {
                now += pause;
                if bucket.take(limit, cost, now) {
                    taken += f64::from(cost);
                }
                let elapsed_seconds = Duration::from_millis(now).as_secs_f64();
                prop_assert!(taken <= f64::from(count) + elapsed_seconds * restore_rate(limit) + 1e-6);
                prop_assert!((0.0..=f64::from(count)).contains(&bucket.available));
            }
        }
    }
}
