//! Transactions that met others crosswise are tried again.

use std::time::Duration;

use aws_lc_rs::rand;

use super::{Db, Tx};
use crate::base::Result;

/// How often a write is tried that met others crosswise.
const ATTEMPTS: u32 = 5;
/// The longest pause before the second attempt; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Db {
    /// Does everything in the work that `attempt_work` makes, or nothing of it; and all of it again when the database
    /// ended the transaction because it and others waited for each other. Pauses at random in between, so that they do
    /// not meet again.
    ///
    /// It takes a maker of work, because the future of a closure that can be called again and borrows is not known to be
    /// `Send`, while that of one that is called once is.
    ///
    /// # Errors
    /// What the work or the database says.
    pub async fn write_with_retry<T, Work>(&self, attempt_work: impl Fn() -> Work) -> Result<T>
    where
        Work: AsyncFnOnce(&Tx) -> Result<T>,
    {
        let mut attempt = 1;
        loop {
            match self.write(attempt_work()).await {
                Err(why) if attempt < ATTEMPTS && why.is_deadlock() => {
                    tracing::info!(error = why.log(), attempt, "a deadlock ended a transaction; it is tried again");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(pause_after(attempt)).await;
            attempt += 1;
        }
    }
}

/// A random pause: from half of the longest to the longest of this attempt.
fn pause_after(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.pow(attempt.saturating_sub(1));
    let mut random = [0];
    // Without randomness the pause is the shortest.
    let _ = rand::fill(&mut random);
    longest / 2 + longest / 2 * u32::from(random[0]) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        for attempt in 1..ATTEMPTS {
            let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
            for _ in 0..100 {
                let pause = pause_after(attempt);
                assert!(longest / 2 <= pause && pause <= longest, "{pause:?} after attempt {attempt}");
            }
        }
    }
}
