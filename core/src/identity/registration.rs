//! Registration of customers and verification of their email addresses.

use secrecy::{ExposeSecret, SecretString};

use super::{
    account::{self, AccountInput, NewAccount},
    context::{IdentityContext, PASSWORD_METHOD},
    entity::{OneTimeTokenPurpose, account as account_row},
    one_time_token::{self, AccountEmailRequested},
    session::{self, SessionTokens},
};
use crate::{
    base::{Error, LanguageCode, Result, Validator},
    infra::throttle::ThrottleSubject,
};

/// Input of a registration.
#[derive(Debug)]
pub struct Registration {
    /// Email address.
    pub email: String,
    /// Password in plain text.
    pub password: SecretString,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// Language of notifications; `None` for the default language.
    pub language: Option<LanguageCode>,
}

/// Creates a customer account, logs it in and requests the verification email.
///
/// # Errors
/// Returns `Forbidden` without local accounts, all invalid fields together, `RateLimited`, or `AlreadyExists` if the
/// email address is taken.
pub async fn register_customer(context: &IdentityContext<'_>, registration: Registration) -> Result<SessionTokens> {
    context.require_local_accounts()?;
    let Registration { email, password, first_name, last_name, language } = registration;
    let input =
        AccountInput { email: &email, first_name: &first_name, last_name: &last_name, password: Some(&password) };
    let validated = input.validate()?;
    limit_registrations(context, &email).await?;
    let password_hash = Some(context.password_hasher.hash(password.expose_secret().to_owned()).await?);
    let new_account = NewAccount { password_hash, language, ..validated };
    let registered = context.db.write(async |tx| {
        let account = account::create_account(tx, new_account).await?;
        let issued = session::create_session(tx, context.new_session(account, PASSWORD_METHOD)).await?;
        let purpose = OneTimeTokenPurpose::VerifyEmail;
        tx.emit_event(AccountEmailRequested { account: issued.account.id, purpose }).await?;
        Ok(issued)
    });
    context.issue_tokens(registered.await?)
}

/// Data of a customer account that staff create.
#[derive(Debug)]
pub struct NewCustomer {
    /// Email address; verified when the customer sets a password.
    pub email: String,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// Language of notifications; `None` for the default language.
    pub language: Option<LanguageCode>,
    /// Id of the customer in another system.
    pub external_id: Option<String>,
}

/// Creates a customer account without a password and, with local accounts, requests the email for setting one.
///
/// # Errors
/// Returns all invalid fields together, or `AlreadyExists` if the email address is taken.
pub async fn create_customer(context: &IdentityContext<'_>, customer: NewCustomer) -> Result<account_row::Model> {
    let NewCustomer { email, first_name, last_name, language, external_id } = customer;
    let input = AccountInput { email: &email, first_name: &first_name, last_name: &last_name, password: None };
    let validated = input.validate()?;
    let mut validator = Validator::default();
    let external_id =
        external_id.map(|text| validator.at("input").text("externalId", &text, account::MAX_EXTERNAL_ID_CHARS));
    validator.finish()?;
    let external_id = external_id.filter(|text| !text.is_empty());
    let new_account = NewAccount { language, external_id, ..validated };
    let created = context.db.write(async |tx| {
        let account = account::create_account(tx, new_account).await?;
        if context.config.local_accounts {
            let purpose = OneTimeTokenPurpose::ResetPassword;
            tx.emit_event(AccountEmailRequested { account: account.id, purpose }).await?;
        }
        Ok(account)
    });
    created.await
}

/// Counts a registration.
async fn limit_registrations(context: &IdentityContext<'_>, email: &str) -> Result<()> {
    let limits = context.throttle.config;
    let email = account::normalize_email(email.trim());
    let email = ThrottleSubject::new("registration email", &email, limits.registrations_per_email);
    context.throttle.count_for_recipient(email, "registration address", limits.registrations_per_ip).await
}

/// Requests the email that verifies the caller's address, unless it is verified.
///
/// # Errors
/// Returns `Unauthenticated` or `Forbidden` if the caller has no account.
pub async fn request_email_verification(context: &IdentityContext<'_>) -> Result<()> {
    let account_id = context.caller.require_account_id()?;
    let account = account::find_active_account(context.db, account_id).await?;
    if account.is_some_and(|account| account.email_verified_at.is_none() && account.email.is_some()) {
        context.request_account_email(account_id, OneTimeTokenPurpose::VerifyEmail).await?;
    }
    Ok(())
}

/// Verifies an email address with the emailed token; returns the address.
///
/// # Errors
/// Returns `BadUserInput` if the token is invalid or the account has another address by now, and `RateLimited`.
pub async fn verify_email(context: &IdentityContext<'_>, token: &str) -> Result<String> {
    let purpose = OneTimeTokenPurpose::VerifyEmail;
    context.find_token_account(purpose, token, "token").await?;
    let verified = context.db.write(async |tx| {
        let consumed = one_time_token::consume_one_time_token(tx, purpose, token, "token").await?;
        let account = account::find_active_account(tx, consumed.account_id).await?;
        // The token is valid only for the address that it was sent to.
        let email = account.and_then(|account| account.email).filter(|email| *email == consumed.metadata);
        let email = email.ok_or_else(|| Error::bad_input("token", "the e-mail address of the account has changed"))?;
        account::mark_email_verified(tx, consumed.account_id).await?;
        one_time_token::delete_one_time_tokens(tx, purpose, consumed.account_id).await?;
        account::record_account_action(tx, consumed.account_id, "account.verify_email").await?;
        Ok(email)
    });
    verified.await
}
