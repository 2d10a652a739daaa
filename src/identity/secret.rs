//! Random words that open something, and the digests that are kept of them.

use aws_lc_rs::{digest, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::base::{Error, Result};

/// So many random bytes cannot be guessed.
const BYTES: usize = 32;

/// A random word of 43 characters that need no escaping anywhere.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random() -> Result<String> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| Error::fault("making a secret", "the system gives no random bytes"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 of a word, as it is kept. A random word needs no slow digest: it cannot be guessed.
#[must_use]
pub fn digest(word: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest_bytes(word))
}

/// SHA-256 of a word.
#[must_use]
pub fn digest_bytes(word: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, word.as_bytes()).as_ref());
    bytes
}
