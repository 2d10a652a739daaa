//! Products and messages read from catalog files.

use crate::catalog::ProductPatch;

/// A parsed product, a rejection or a warning of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogEntry {
    /// A product, or further rows of an earlier product with the same slug.
    Product(Box<ProductPatch>),
    /// A row or product that is skipped; the rest of the file is imported.
    Rejected {
        /// The line.
        line: u64,
        /// The reason, for the author of the file.
        reason: String,
    },
    /// A value that is imported with a correction.
    Warning {
        /// The line.
        line: u64,
        /// The correction.
        reason: String,
    },
}

/// A rejected line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The first line.
    pub line: u64,
    /// The reason, for the author of the file.
    pub reason: String,
}
