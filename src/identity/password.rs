//! Passwords: what is kept of them, and how long it takes to try one.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::base::{Error, Result};

/// The fewest characters. Length is what makes a password hard to guess; rules about signs make it hard to remember.
pub const SHORTEST: usize = 8;
/// The most, so that nobody has us work on a book.
pub const LONGEST: usize = 128;

/// Each takes a core and 19 MiB for a while: no more at once than there are cores.
static AT_ONCE: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get)));

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

/// What is kept of a password: Argon2id with a salt of its own, away from the threads that answer requests.
///
/// # Errors
/// When the machine fails.
pub async fn hash(password: String) -> Result<String> {
    apart(move || work(&password)).await?
}

/// Whether a password is the one of which this is kept. Takes as long when nothing is.
///
/// # Errors
/// When the machine fails, or what is kept cannot be read.
pub async fn verify(password: String, kept: Option<String>) -> Result<bool> {
    apart(move || {
        let there = kept.is_some();
        let kept = kept.unwrap_or_else(|| NOBODY.clone());
        let kept =
            PasswordHash::new(&kept).map_err(|why| Error::fault("reading a password's hash", why.to_string()))?;
        let fits = Argon2::default().verify_password(password.as_bytes(), &kept).is_ok();
        Ok(fits && there)
    })
    .await?
}

fn work(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|why| Error::fault("hashing a password", why.to_string()))?.to_string())
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _turn = AT_ONCE.acquire().await.map_err(|why| Error::fault("waiting for a turn", why))?;
    tokio::task::spawn_blocking(work).await.map_err(|why| Error::fault("working on a password", why))
}
