//! JSON serialization with a size limit.

use std::io::{self, Write};

use serde::Serialize;

/// Result of a bounded serialization.
pub enum BoundedJson {
    /// Complete JSON.
    Complete(Vec<u8>),
    /// The JSON exceeds the limit; no output is returned.
    TooLarge,
}

/// Serializes a value as JSON of at most `max_bytes` bytes; stops when the limit is exceeded.
///
/// # Errors
/// Returns an error if the value cannot be serialized.
pub fn serialize_bounded(value: &impl Serialize, max_bytes: usize) -> serde_json::Result<BoundedJson> {
    let mut writer = BoundedWriter { bytes: Vec::with_capacity(128), max_bytes };
    match serde_json::to_writer(&mut writer, value) {
        Ok(()) => Ok(BoundedJson::Complete(writer.bytes)),
        Err(error) if error.io_error_kind() == Some(io::ErrorKind::FileTooLarge) => Ok(BoundedJson::TooLarge),
        Err(error) => Err(error),
    }
}

struct BoundedWriter {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_over_the_limit_is_too_large() {
        let is_complete = |max_bytes| matches!(serialize_bounded(&["abc"], max_bytes), Ok(BoundedJson::Complete(bytes)) if bytes == br#"["abc"]"#);
        assert!(is_complete(7));
        assert!(matches!(serialize_bounded(&["abc"], 6), Ok(BoundedJson::TooLarge)));
    }
}
