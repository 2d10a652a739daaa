//! Who is asking: accounts, roles and permissions, sessions and tokens.

pub mod permission;
pub mod caller;
pub mod entity;
pub mod secret;
pub mod password;
pub mod account;
pub mod login_attempt;
pub mod one_time;
pub mod session;
pub mod key;
pub mod api_key;
pub mod token;
pub mod gate;
pub mod link;
pub mod provider;
pub mod outside;
pub mod admit;
pub mod login;

pub use admit::Guests;
pub use caller::Caller;
pub use gate::Gate;
pub use login_attempt::LoginAttempt;
pub use outside::Outside;
pub use password::Hasher;
pub use permission::{Permission, Permissions, Role};
