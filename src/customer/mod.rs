//! Customers: profiles, addresses, staff accounts, data export and erasure.

pub mod entity;
pub mod access_scope;
pub mod profile;
pub mod address;
pub mod address_snapshot;
pub mod loader;
pub mod queries;
pub mod staff_accounts;
pub mod erasure;
pub mod data_export;

pub use access_scope::OwnerScope;
pub use address_snapshot::AddressSnapshot;
pub use entity::address as address_row;
