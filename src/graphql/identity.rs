//! Accounts: sessions, passwords, OpenID Connect, staff and API keys.

pub mod account;
pub mod role;
pub mod session;
pub mod password;
pub mod email_change;
pub mod login_code;
pub mod oidc_login;
pub mod staff;
pub mod api_key;

use async_graphql::MergedObject;

/// Identity queries.
#[derive(Debug, Default, MergedObject)]
pub struct IdentityQuery(account::AccountQuery, api_key::ApiKeyQuery);

/// Identity mutations.
#[derive(Debug, Default, MergedObject)]
pub struct IdentityMutation(
    account::AccountMutation,
    session::SessionMutation,
    password::PasswordMutation,
    email_change::EmailChangeMutation,
    login_code::LoginCodeMutation,
    oidc_login::LoginMutation,
    staff::StaffMutation,
    api_key::ApiKeyMutation,
);
