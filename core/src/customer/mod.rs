//! Customers: profiles and addresses.

pub mod entity;
pub mod access_scope;
pub mod postal_address;
pub mod profile;
pub mod address;
pub mod loader;
pub mod queries;
pub mod privacy;

pub use access_scope::OwnerScope;
pub use entity::address as address_row;
pub use postal_address::{AddressPatch, PostalAddress};
