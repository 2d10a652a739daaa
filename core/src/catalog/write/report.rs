//! The result of a write.

use crate::{
    base::error::PublicError,
    catalog::entity::{product, variant},
};

/// The result of a write of several products.
#[derive(Debug, Default)]
pub struct WriteReport {
    /// The written products in the order of the input, or their user errors. A product that an import rejects has no
    /// user errors but a message.
    pub products: Vec<Result<WrittenProduct, Vec<PublicError>>>,
    /// Rejected lines of an import.
    pub rejected: Vec<LineMessage>,
    /// Corrected lines of an import.
    pub warnings: Vec<LineMessage>,
}

/// A message about a line of an imported file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineMessage {
    /// The line.
    pub line: u64,
    /// The reason for the rejection, or the correction.
    pub reason: String,
}

/// A product after a write.
#[derive(Debug, Clone)]
pub struct WrittenProduct {
    /// The product.
    pub product: product::Model,
    /// Whether the product was created.
    pub is_new: bool,
    /// The variants in the input, in order, then those whose options changed with the product's.
    pub variants: Vec<WrittenVariant>,
    /// Ids of the variants with changes that may affect their stock.
    pub changed_variant_ids: Vec<i64>,
}

/// A variant after a write.
#[derive(Debug, Clone)]
pub struct WrittenVariant {
    /// The variant.
    pub row: variant::Model,
    /// The on-hand quantity in the input, which the inventory sets.
    pub on_hand: Option<i64>,
}

impl WriteReport {
    /// Returns the products that were written.
    pub fn written(&self) -> impl Iterator<Item = &WrittenProduct> {
        self.products.iter().filter_map(|product| product.as_ref().ok())
    }

    /// Returns the number of created products.
    #[must_use]
    pub fn created(&self) -> usize {
        self.written().filter(|product| product.is_new).count()
    }

    /// Returns the number of existing products in the input.
    #[must_use]
    pub fn updated(&self) -> usize {
        self.written().filter(|product| !product.is_new).count()
    }

    pub(super) fn reject(&mut self, line: u64, reason: String) {
        self.rejected.push(LineMessage { line, reason });
    }

    pub(super) fn warn(&mut self, line: u64, reason: String) {
        self.warnings.push(LineMessage { line, reason });
    }
}
