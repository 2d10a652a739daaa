//! Who is asking: accounts, roles and permissions, sessions and tokens.

pub mod permission;
pub mod caller;
pub mod entity;
pub mod session;
pub mod secret;
pub mod account;
pub mod one_time;
pub mod link;
pub mod provider;
pub mod outside;
pub mod login;

pub use caller::Caller;
pub use outside::Outside;
pub use permission::{Permission, Permissions, Role};
