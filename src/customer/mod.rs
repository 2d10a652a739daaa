//! Customers: what the shop knows of them, where they live, and what its staff may do about it.

pub mod entity;
pub mod check;
pub mod reach;
pub mod profile;
pub mod address;
pub mod written;
pub mod loader;
pub mod list;
pub mod staff;
pub mod erase;
pub mod export;

pub use entity::address as address_row;
pub use reach::Reach;
pub use written::Written;
