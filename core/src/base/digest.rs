//! SHA-256 digests and their texts.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};
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

/// The SHA-256 digest of data that arrives in parts.
#[derive(Clone)]
pub struct Sha256Stream(Context);

impl Default for Sha256Stream {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha256Stream {
    /// Adds the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// Returns the digest of all parts as lowercase hexadecimal digits.
    #[must_use]
    pub fn finish_hex(self) -> String {
        to_hex(self.0.finish().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_parts_is_that_of_the_sum() {
        let mut stream = Sha256Stream::default();
        stream.update(b"a");
        stream.update(b"bc");
        assert_eq!(stream.finish_hex(), to_hex(&sha256_bytes("abc")));
    }
}
