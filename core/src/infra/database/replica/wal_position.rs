//! Positions in the write-ahead log.

use std::{fmt, str::FromStr};

use sea_orm::{DbErr, QueryResult};

/// Number of hexadecimal digits of a position as text.
const DIGITS: usize = 16;

/// Position in the write-ahead log of PostgreSQL (LSN), in bytes since its beginning.
///
/// As text it has 16 hexadecimal digits, so that texts are in the order of the positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalPosition(u64);

impl WalPosition {
    /// The beginning of the log, which every replica has replayed.
    pub const START: Self = Self(0);
    /// A position that no replica has replayed: of a write whose position could not be read.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// Returns the position in a column of type `bigint`.
    pub(super) fn from_column(row: &QueryResult, column: &str) -> Result<Self, DbErr> {
        let bytes: i64 = row.try_get("", column)?;
        u64::try_from(bytes).map(Self).map_err(|error| DbErr::Type(error.to_string()))
    }
}

#[cfg(test)]
impl From<u64> for WalPosition {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for WalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position has 16 hexadecimal digits")]
pub struct InvalidWalPosition;

impl FromStr for WalPosition {
    type Err = InvalidWalPosition;

    fn from_str(text: &str) -> Result<Self, InvalidWalPosition> {
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidWalPosition);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidWalPosition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_position_is_parsed_and_in_its_order() {
        let positions = [WalPosition::START, WalPosition(0x9), WalPosition(0x10), WalPosition::UNKNOWN];
        let texts = positions.map(|position| position.to_string());
        assert!(texts.is_sorted(), "{texts:?}");
        for (position, text) in positions.into_iter().zip(&texts) {
            assert_eq!(text.parse(), Ok(position));
        }
        for text in ["", "0", "+00000000000000a", "000000000000000g", "00000000000000000", "0/3000148"] {
            assert_eq!(text.parse::<WalPosition>(), Err(InvalidWalPosition), "{text}");
        }
    }
}
