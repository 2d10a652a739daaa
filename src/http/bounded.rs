//! JSON of a bounded size.

use std::io::{self, Write};

use serde::Serialize;

/// The JSON of a value, if it is not too large.
pub enum Bounded {
    /// All of it.
    Whole(Vec<u8>),
    /// It would be larger than is allowed; nothing of it was kept.
    TooLarge,
}

/// Writes a value as JSON of at most `most` bytes, and stops where there would be more.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn to_json(value: &impl Serialize, most: usize) -> serde_json::Result<Bounded> {
    let mut writer = BoundedWriter { bytes: Vec::with_capacity(128), most };
    match serde_json::to_writer(&mut writer, value) {
        Ok(()) => Ok(Bounded::Whole(writer.bytes)),
        Err(why) if why.io_error_kind() == Some(io::ErrorKind::FileTooLarge) => Ok(Bounded::TooLarge),
        Err(why) => Err(why),
    }
}

struct BoundedWriter {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.most {
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
    fn json_over_the_limit_is_not_kept() {
        let whole = |most| matches!(to_json(&["abc"], most), Ok(Bounded::Whole(bytes)) if bytes == br#"["abc"]"#);
        assert!(whole(7));
        assert!(matches!(to_json(&["abc"], 6), Ok(Bounded::TooLarge)));
    }
}
