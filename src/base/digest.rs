//! SHA-256 digests and their texts.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// SHA-256 digest.
pub type Sha256Digest = [u8; SHA256_OUTPUT_LEN];

/// Returns the SHA-256 digest as bytes.
#[must_use]
pub fn sha256_bytes(input: impl AsRef<[u8]>) -> Sha256Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, input.as_ref()).as_ref());
    bytes
}

/// Returns the SHA-256 digest as base64url without padding.
#[must_use]
pub fn sha256_base64url(input: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sha256_bytes(input))
}

/// Returns bytes as lowercase hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
