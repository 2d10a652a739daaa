//! Tags of cached values.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Name of data that cached values depend on: a row, such as `product:42`, or a set of rows, such as `catalog`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheTag {
    kind: &'static str,
    id: Option<i64>,
}

impl CacheTag {
    /// Creates the tag of a set of rows.
    #[must_use]
    pub const fn of_set(kind: &'static str) -> Self {
        Self { kind, id: None }
    }

    /// Creates the tag of a row.
    #[must_use]
    pub const fn of_row(kind: &'static str, id: i64) -> Self {
        Self { kind, id: Some(id) }
    }

    /// Returns whether the tag is that of a row.
    #[must_use]
    pub fn is_row(self) -> bool {
        self.id.is_some()
    }

    /// Returns a number that is equal for equal tags.
    pub(super) fn hash_value(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Display for CacheTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{}:{id}", self.kind),
            None => f.write_str(self.kind),
        }
    }
}
