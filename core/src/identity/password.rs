//! Password validation and hashing.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::background,
};

/// Minimum length in characters. There are no composition rules: length matters more than character classes.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Maximum length in characters; bounds the cost of hashing.
pub const MAX_PASSWORD_CHARS: usize = 128;

/// Hash to verify against if an account has no password, so that the response time is the same.
static TIMING_DUMMY_HASH: LazyLock<String> =
    LazyLock::new(|| hash_password("password of no account").unwrap_or_default());

/// Validates a password; `field` is the input path for the error.
///
/// # Errors
/// Returns `BadUserInput` if it is too short, too long, or equal to the email address.
pub fn validate_password(password: &str, email: &str, field: &str) -> Result<()> {
    let length = password.chars().count();
    if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&length) {
        let message =
            format!("a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters; this one has {length}");
        return Err(Error::bad_input(field, message));
    }
    if password.to_lowercase() == email.to_lowercase() {
        return Err(Error::bad_input(field, "the password must not be the e-mail address"));
    }
    Ok(())
}

/// Truncates a password that is too long to match, so that its verification takes the same time at bounded cost.
#[must_use]
pub fn truncate_password(password: &str) -> String {
    password.chars().take(MAX_PASSWORD_CHARS + 1).collect()
}

/// Pool that hashes and verifies passwords outside of the request threads. Each hash takes one core and 19 MiB, so
/// there is one worker per two cores and a bounded queue; requests beyond that are rejected immediately.
#[derive(Debug, Clone)]
pub struct PasswordHashPool {
    /// Permits for queued and running tasks.
    queue_permits: Arc<Semaphore>,
    /// Permits for running tasks.
    worker_permits: Arc<Semaphore>,
}

impl PasswordHashPool {
    /// Creates a pool with one worker per two cores and a queue of this length; the other cores serve requests.
    #[must_use]
    pub fn new(queue: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self::with_workers((cores / 2).max(1), queue)
    }

    fn with_workers(workers: usize, queue: usize) -> Self {
        let capacity = workers.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self { queue_permits: Arc::new(Semaphore::new(capacity)), worker_permits: Arc::new(Semaphore::new(workers)) }
    }

    /// Hashes a password with Argon2id and a random salt.
    ///
    /// # Errors
    /// Returns `Unavailable` if the queue is full.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.run_blocking(move || hash_password(&password)).await?
    }

    /// Returns whether a password matches the stored hash. Takes the same time without a hash.
    ///
    /// # Errors
    /// Returns `Unavailable` if the queue is full.
    pub async fn verify(&self, password: String, stored_hash: Option<String>) -> Result<bool> {
        self.run_blocking(move || {
            let has_hash = stored_hash.is_some();
            let stored_hash = stored_hash.unwrap_or_else(|| TIMING_DUMMY_HASH.clone());
            let stored_hash = PasswordHash::new(&stored_hash)
                .map_err(|error| Error::internal("reading a password's hash", error.to_string()))?;
            let is_match = Argon2::default().verify_password(password.as_bytes(), &stored_hash).is_ok();
            Ok(is_match && has_hash)
        })
        .await?
    }

    /// Runs a task on a blocking thread. The task owns the permits: a canceled caller releases them only when it ends.
    async fn run_blocking<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let queue_permit =
            Arc::clone(&self.queue_permits).try_acquire_owned().map_err(|_| hashing_overloaded_error())?;
        let worker_permit = Arc::clone(&self.worker_permits).acquire_owned().await;
        let worker_permit = worker_permit.map_err(|error| Error::internal("waiting for a hashing thread", error))?;
        background::compute(move || {
            let outcome = task();
            drop((worker_permit, queue_permit));
            outcome
        })
        .await
    }
}

fn hashing_overloaded_error() -> Error {
    Error::user(
        PublicErrorCode::Unavailable,
        "",
        "Too many passwords are being checked at the moment; please try again.",
    )
}

/// Hashes a password with Argon2id and a random salt. Blocks for tens of milliseconds.
pub(super) fn hash_password(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| Error::internal("hashing a password", error.to_string()))?.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn canceled_task_keeps_permit_until_it_ends() {
        let pool = PasswordHashPool::with_workers(1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let pool_clone = pool.clone();
        let running = tokio::spawn(async move {
            pool_clone
                .run_blocking(move || {
                    let _ = started.send(());
                    let _ = finished.recv();
                })
                .await
        });
        has_started.await.expect("task starts");
        running.abort();
        assert!(running.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!((pool.worker_permits.available_permits(), pool.queue_permits.available_permits()), (0, 1));

        // The queue has one place; a canceled waiter frees it.
        let mut waiting = Box::pin(pool.run_blocking(|| 1));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let rejection = pool.run_blocking(|| 2).await.expect_err("queue is full");
        assert_eq!(rejection.to_public_error().code, PublicErrorCode::Unavailable);
        drop(waiting);
        let mut next = Box::pin(pool.run_blocking(|| 3));
        assert!(futures_util::poll!(&mut next).is_pending());
        finish.send(()).expect("task is running");
        assert_eq!(next.await.expect("worker permit"), 3);
    }
}
