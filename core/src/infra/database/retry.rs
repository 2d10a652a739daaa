//! Retries of transactions after deadlocks and serialization failures.

use std::time::Duration;

use aws_lc_rs::rand;

use super::{Db, Tx};
use crate::base::Result;

/// The maximum number of attempts of a transaction.
const MAX_TRANSACTION_ATTEMPTS: u32 = 5;
/// The maximum delay before the second attempt; it doubles with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(20);

impl Db {
    /// Runs the work in a transaction as [`Db::write`] does, and retries it after a deadlock or serialization failure,
    /// with random delays so that the transactions do not collide again.
    ///
    /// Each attempt runs a clone of `work`. It is not an `AsyncFn`, because the compiler cannot prove that the future of
    /// one is `Send` for every lifetime of the transaction ("implementation of `AsyncFnMut` is not general enough").
    ///
    /// # Errors
    /// Returns the error of `work` or of the database.
    pub async fn write_with_retry<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T> + Clone) -> Result<T> {
        let mut attempt = 1;
        loop {
            match self.write(work.clone()).await {
                Err(error) if attempt < MAX_TRANSACTION_ATTEMPTS && error.is_deadlock() => {
                    tracing::info!(
                        error = error.log_message(),
                        attempt,
                        "deadlock or serialization failure; retrying transaction"
                    );
                }
                outcome => return outcome,
            }
            tokio::time::sleep(retry_delay(attempt)).await;
            attempt += 1;
        }
    }
}

/// Returns a random delay between half of the attempt's maximum and the maximum.
fn retry_delay(attempt: u32) -> Duration {
    let max_delay = FIRST_RETRY_DELAY * 2_u32.pow(attempt.saturating_sub(1));
    let mut random_byte = [0];
    // Without randomness the delay is the shortest.
    let _ = rand::fill(&mut random_byte);
    max_delay / 2 + max_delay / 2 * u32::from(random_byte[0]) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_grows_within_its_bounds() {
        for attempt in 1..MAX_TRANSACTION_ATTEMPTS {
            let max_delay = FIRST_RETRY_DELAY * 2_u32.pow(attempt - 1);
            for _ in 0..100 {
                let delay = retry_delay(attempt);
                assert!(max_delay / 2 <= delay && delay <= max_delay, "{delay:?} after attempt {attempt}");
            }
        }
    }
}
