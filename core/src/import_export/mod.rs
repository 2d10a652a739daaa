//! Catalog import, export, demo and seed data.

pub mod catalog_entry;
mod csv_fields;
mod shopify_columns;
mod woocommerce_columns;
pub mod csv_rows;
mod shopify;
mod woocommerce;
pub mod catalog_reader;
pub mod taxonomy;
pub mod import;
#[cfg(feature = "demo")]
pub mod seed;
pub mod export;

pub use csv_fields::guard_formula;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The progress of a long-running operation. Clones share the same counters.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The number of bytes read.
    pub bytes_read: Arc<AtomicU64>,
    item_count: Arc<AtomicU64>,
}

impl Progress {
    /// Adds processed items.
    pub fn add_items(&self, count: usize) {
        self.item_count.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the number of processed items.
    #[must_use]
    pub fn item_count(&self) -> u64 {
        self.item_count.load(Ordering::Relaxed)
    }
}
