//! Ids of documents: opaque texts, most of them digests of the document.

use std::borrow::Cow;

use aws_lc_rs::digest;
use md5::{Digest, Md5};

use crate::base::digest::{sha256_bytes, to_hex};

/// Maximum length of an id in bytes.
pub const MAX_DOCUMENT_ID_BYTES: usize = 128;
/// Prefix of an id that is a SHA-256 digest, which clients may omit.
const SHA256_PREFIX: &str = "sha256:";

/// Returns the form in which an id is stored and compared: a SHA-256 digest without its prefix. `None` if the text
/// cannot be an id: empty, too long, or with characters other than visible ASCII.
#[must_use]
pub fn canonical_document_id(text: &str) -> Option<Cow<'_, str>> {
    if text.is_empty() || text.len() > MAX_DOCUMENT_ID_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let digest = text.strip_prefix(SHA256_PREFIX).unwrap_or(text);
    Some(if is_sha256_hex(digest) { Cow::Owned(digest.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
}

/// Returns whether a text is a SHA-256 digest in hexadecimal digits.
#[must_use]
pub fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the SHA-256 digest of a text in lowercase hexadecimal digits.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    to_hex(&sha256_bytes(text))
}

/// Returns the algorithm and the digest of a text that an id must have which looks like a digest: by its number of
/// hexadecimal digits MD5, SHA-1 or SHA-256. `None` for other ids.
#[must_use]
pub fn expected_digest(document_id: &str, text: &str) -> Option<(&'static str, String)> {
    if !document_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match document_id.len() {
        32 => Some(("MD5", to_hex(&Md5::digest(text.as_bytes())))),
        40 => {
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
            Some(("SHA-1", to_hex(sha1.as_ref())))
        }
        64 => Some(("SHA-256", sha256_hex(text))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_and_case_of_a_digest_do_not_matter() {
        let digest = sha256_hex("{ shop { name } }");
        for text in [digest.clone(), format!("sha256:{digest}"), digest.to_uppercase()] {
            assert_eq!(canonical_document_id(&text).as_deref(), Some(digest.as_str()));
        }
        assert_eq!(canonical_document_id("sha256:ab").as_deref(), Some("sha256:ab"));
        assert_eq!(canonical_document_id("HomePage.v2").as_deref(), Some("HomePage.v2"));
    }

    #[test]
    fn empty_long_and_unprintable_texts_are_no_ids() {
        let long = "a".repeat(MAX_DOCUMENT_ID_BYTES + 1);
        for text in ["", "a b", "a\n", "ä", "\u{0}", &long] {
            assert_eq!(canonical_document_id(text), None, "{text:?}");
        }
    }

    #[test]
    fn digests_are_recognized_by_their_length() {
        let digests = [
            ("d41d8cd98f00b204e9800998ecf8427e", "MD5"),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "SHA-1"),
            ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "SHA-256"),
        ];
        for (document_id, algorithm) in digests {
            assert_eq!(expected_digest(document_id, ""), Some((algorithm, document_id.to_owned())));
        }
        assert_eq!(expected_digest("HomePage", ""), None);
    }
}
