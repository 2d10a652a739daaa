//! Delays between attempts.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use chrono::TimeDelta;

/// The delays between the attempts of something that failed.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The delay before the second attempt.
    pub first: Duration,
    /// The maximum delay.
    pub max: Duration,
}

impl Backoff {
    /// Returns the delay after a number of failed attempts: it doubles with each attempt up to the maximum, minus a
    /// jitter of up to one half, so that what failed together is not retried together. The jitter is derived from the
    /// id and the number of attempts.
    #[must_use]
    pub fn delay_after(self, id: i64, attempts: i32) -> TimeDelta {
        let factor = 2_u32.saturating_pow(attempts.unsigned_abs().saturating_sub(1));
        let max_delay = self.first.saturating_mul(factor).min(self.max);
        let mut hasher = DefaultHasher::new();
        (id, attempts).hash(&mut hasher);
        let jitter_permille = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
        let jitter = max_delay.saturating_mul(jitter_permille) / 2000;
        TimeDelta::from_std(max_delay.saturating_sub(jitter)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_its_limit_with_jitter() {
        let backoff = Backoff { first: Duration::from_secs(2), max: Duration::from_mins(1) };
        for (attempts, seconds) in [(1, 2), (2, 4), (3, 8), (6, 60), (40, 60), (i32::MAX, 60)] {
            let max_delay = TimeDelta::seconds(seconds);
            let delays: Vec<_> = (1..50).map(|id| backoff.delay_after(id, attempts)).collect();
            assert!(
                delays.iter().all(|delay| *delay <= max_delay && *delay >= max_delay / 2),
                "{attempts}: {delays:?}"
            );
            assert!(delays.iter().any(|delay| *delay != delays[0]), "{attempts}");
        }
    }
}
