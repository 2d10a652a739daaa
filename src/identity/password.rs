//! Passwords: what is kept of them, and how long it takes to try one.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{
    base::{Error, Result, error::Code},
    infra::background,
};

/// The fewest characters. Length is what makes a password hard to guess; rules about signs make it hard to remember.
pub const SHORTEST: usize = 8;
/// The most, so that nobody has us work on a book.
pub const LONGEST: usize = 128;

/// What is compared with when there is nothing to compare with, so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| work("nobody has this password").unwrap_or_default());

/// Whether a password can be one; `field` is where it was given.
///
/// # Errors
/// When it is too short, too long, or the e-mail address over again.
pub fn check(password: &str, email: &str, field: &str) -> Result<()> {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        let message = format!("a password has {SHORTEST} to {LONGEST} characters; this one has {length}");
        return Err(Error::bad_input(field, message));
    }
    if password.to_lowercase() == email.to_lowercase() {
        return Err(Error::bad_input(field, "the e-mail address is no password"));
    }
    Ok(())
}

/// Hashes and compares passwords, away from the threads that answer requests. Each takes a core and 19 MiB for a while, so
/// one runs for every second core, and only so many wait; more are refused at once.
#[derive(Debug, Clone)]
pub struct Hasher {
    /// A place in the queue, from the moment of asking until the work has ended.
    places: Arc<Semaphore>,
    /// A turn to work.
    turns: Arc<Semaphore>,
}

impl Hasher {
    /// One with a turn for every second core, for which so many may wait: the other cores answer requests.
    #[must_use]
    pub fn new(queue: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self::with_turns((cores / 2).max(1), queue)
    }

    fn with_turns(turns: usize, queue: usize) -> Self {
        let places = turns.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// What is kept of a password: Argon2id with a salt of its own.
    ///
    /// # Errors
    /// When too many wait, or the machine fails.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.run(move || work(&password)).await?
    }

    /// Whether a password is the one of which this is kept. Takes as long when nothing is.
    ///
    /// # Errors
    /// When too many wait, the machine fails, or what is kept cannot be read.
    pub async fn verify(&self, password: String, kept: Option<String>) -> Result<bool> {
        self.run(move || {
            let there = kept.is_some();
            let kept = kept.unwrap_or_else(|| NOBODY.clone());
            let kept =
                PasswordHash::new(&kept).map_err(|why| Error::fault("reading a password's hash", why.to_string()))?;
            let fits = Argon2::default().verify_password(password.as_bytes(), &kept).is_ok();
            Ok(fits && there)
        })
        .await?
    }

    /// The turn goes with the work, not with whoever waits for it: a caller who hangs up frees neither before it ends.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|why| Error::fault("waiting for a turn", why))?;
        background::compute(move || {
            let outcome = work();
            drop((turn, place));
            outcome
        })
        .await
    }
}

fn busy() -> Error {
    Error::user(Code::Unavailable, "", "Too many passwords are being checked just now; please try again.")
}

fn work(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|why| Error::fault("hashing a password", why.to_string()))?.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn abandoned_work_keeps_its_turn_until_it_ends() {
        let hasher = Hasher::with_turns(1, 1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let held = hasher.clone();
        let running = tokio::spawn(async move {
            held.run(move || {
                let _ = begun.send(());
                let _ = ends.recv();
            })
            .await
        });
        has_begun.await.expect("the work begins");
        running.abort();
        assert!(running.await.is_err_and(|why| why.is_cancelled()));
        assert_eq!((hasher.turns.available_permits(), hasher.places.available_permits()), (0, 1));

        // One may wait, no more; one that stops waiting leaves its place to another.
        let mut waiting = Box::pin(hasher.run(|| 1));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let refused = hasher.run(|| 2).await.expect_err("the queue is full");
        assert_eq!(refused.public().code, Code::Unavailable);
        drop(waiting);
        let mut next = Box::pin(hasher.run(|| 3));
        assert!(futures_util::poll!(&mut next).is_pending());
        end.send(()).expect("the work goes on");
        assert_eq!(next.await.expect("a turn"), 3);
    }
}
