//! Cursors of events: the position of an event in the feed, as opaque text.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::base::{Error, Result};

/// Begins the text of a cursor, so that cursors of lists are rejected.
const CURSOR_TAG: &str = "event:";
/// Maximum length of a cursor in bytes.
const MAX_CURSOR_BYTES: usize = 64;

/// Encodes a position in the event feed.
#[must_use]
pub fn encode_cursor(position: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{CURSOR_TAG}{position}"))
}

/// Decodes a cursor of an event; `field` is the input path for the error.
///
/// # Errors
/// Returns `BadUserInput` if it is not a cursor of an event.
pub fn decode_cursor(cursor: &str, field: &str) -> Result<i64> {
    let decode = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(Some(cursor).filter(|cursor| cursor.len() <= MAX_CURSOR_BYTES)?);
        let text = String::from_utf8(bytes.ok()?).ok()?;
        text.strip_prefix(CURSOR_TAG)?.parse().ok().filter(|position| *position >= 0)
    };
    decode().ok_or_else(|| Error::bad_input(field, "this is not the cursor of an event; use one that an event had"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_decoded_to_its_position() {
        for position in [0, 1, i64::MAX] {
            assert_eq!(decode_cursor(&encode_cursor(position), "after").ok(), Some(position));
        }
        let list_cursor = BASE64_URL_SAFE_NO_PAD.encode("o:1");
        let negative = BASE64_URL_SAFE_NO_PAD.encode("event:-1");
        for cursor in ["", "17", &list_cursor, &negative, &"A".repeat(1_000_000)] {
            assert!(decode_cursor(cursor, "after").is_err());
        }
    }
}
