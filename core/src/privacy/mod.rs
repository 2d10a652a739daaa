//! A person's data across the domains: erasure, export and anonymization. Each domain offers the part for its tables.

mod erasure;
mod export;
mod guest_erasure;

pub use erasure::{anonymize_orders, delete_account};
pub use export::export_account;
pub use guest_erasure::{GuestErasureCounts, erase_guest};
