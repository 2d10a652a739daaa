//! Identity: accounts, roles and permissions, sessions, tokens and API keys, and their use cases.

pub mod permission;
pub mod caller;
pub mod error;
pub mod entity;
pub mod events;
pub mod random_token;
pub mod password;
pub mod account;
pub mod account_access;
pub mod login_attempt;
pub mod one_time_token;
pub mod session;
pub mod signing_key;
pub mod api_key;
pub mod jwt;
pub mod access_token_service;
pub mod account_linking;
pub mod oidc_provider;
pub mod external_token;
pub mod authenticator;
pub mod oidc_login;
pub mod context;
pub mod registration;
pub mod login;
pub mod password_change;
pub mod account_admin;
pub mod privacy;

pub use access_token_service::AccessTokenService;
pub use account_access::AccountTarget;
pub use authenticator::Authenticator;
pub use caller::Caller;
pub use context::IdentityContext;
pub use external_token::ExternalTokenVerifier;
pub use login_attempt::LoginAttempt;
pub use password::PasswordHashPool;
pub use permission::{Permission, Permissions, Role};
