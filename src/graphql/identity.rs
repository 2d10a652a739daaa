//! Accounts: sessions, passwords, OpenID Connect, staff and API keys.

pub mod role;
pub mod session;
pub mod password;
pub mod oidc_login;
pub mod staff;
pub mod api_key;

use async_graphql::MergedObject;

/// Identity queries.
#[derive(Debug, Default, MergedObject)]
pub struct IdentityQuery(api_key::ApiKeyQuery);

/// Identity mutations.
#[derive(Debug, Default, MergedObject)]
pub struct IdentityMutation(
    session::SessionMutation,
    password::PasswordMutation,
    oidc_login::LoginMutation,
    staff::StaffMutation,
    api_key::ApiKeyMutation,
);
