//! Customers: profiles and addresses.

pub mod entity;
pub mod validation;
pub mod access_scope;
pub mod profile;
pub mod address;
pub mod address_snapshot;
pub mod loader;
pub mod queries;
pub mod privacy;

pub use access_scope::OwnerScope;
pub use address_snapshot::AddressSnapshot;
pub use entity::address as address_row;
