//! Random secrets. They are stored as SHA-256 digests: a random token needs no slow hash.

use aws_lc_rs::{constant_time, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::base::{Error, Result};

/// Entropy of a token in bytes.
const TOKEN_BYTES: usize = 32;

/// Generates a random token of 43 characters (base64url without padding).
pub fn generate_token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    rand::fill(&mut bytes)
        .map_err(|_| Error::internal("generating a secret", "the system provides no random bytes"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Compares two secrets in a time that does not depend on their content.
#[must_use]
pub fn secrets_are_equal(expected: &str, presented: &str) -> bool {
    constant_time::verify_slices_are_equal(expected.as_bytes(), presented.as_bytes()).is_ok()
}
