//! Who is asking: accounts, roles and permissions, sessions and tokens.

pub mod permission;
pub mod caller;
pub mod entity;
pub mod session;

pub use caller::Caller;
pub use entity::account;
pub use permission::{Permission, Permissions, Role};
