//! Catalogs on their way in and out: imports, exports, demo and seed data.

mod cell;
mod shopify;
mod woocommerce;
pub mod source;
pub mod taxonomy;
pub mod generate;
pub mod import;
pub mod seed;
pub mod export;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How far a long piece of work has come. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes: Arc<AtomicU64>,
    things: Arc<AtomicU64>,
}

impl Progress {
    /// So many more are done.
    pub fn add(&self, things: usize) {
        self.things.fetch_add(u64::try_from(things).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many are done.
    #[must_use]
    pub fn things(&self) -> u64 {
        self.things.load(Ordering::Relaxed)
    }
}
