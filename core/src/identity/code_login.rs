//! Login with a one-time code, and verification of phone numbers with one.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Role, account, account_access,
    context::IdentityContext,
    entity::{LoginCodeChannel, LoginCodePurpose, OneTimeTokenPurpose, account as account_row, login_code as code_row},
    events::CustomerUpdated,
    login_code::{self, NewLoginCode},
    one_time_token, password,
    session::{self, SessionTokens},
};
use crate::{
    base::{Country, Error, Result, error::PublicErrorCode, phone},
    infra::{Tx, throttle::ThrottleSubject},
};

/// Authentication method of sessions that began with a code.
const LOGIN_CODE_METHOD: &str = "login_code";

/// Recipient of a code.
#[derive(Debug)]
pub enum LoginCodeRecipient {
    /// Email address.
    Email(String),
    /// Phone number, in the national format of the country or the international one.
    Phone(String, Country),
}

/// Code as entered, with the token of its request.
#[derive(Debug)]
pub struct EnteredCode {
    /// Token of the request.
    pub request: SecretString,
    /// Code of six digits; spaces and hyphens are ignored.
    pub code: SecretString,
}

/// Requests a code and returns the token of the request. A code is sent if a customer's account has the email address
/// or the verified phone number; the answer is the same if none has.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `BadUserInput` if the recipient is invalid, and `RateLimited`.
pub async fn request_login_code(context: &IdentityContext<'_>, recipient: LoginCodeRecipient) -> Result<String> {
    context.require_local_accounts()?;
    let (channel, recipient) = match recipient {
        LoginCodeRecipient::Email(email) => {
            (LoginCodeChannel::Email, account::validate_email(&email, "recipient.email")?)
        }
        LoginCodeRecipient::Phone(number, country) => {
            let number = phone::normalize_phone(&number, country);
            let message = "this is not a phone number; write it with the country code, like +254712345678";
            (LoginCodeChannel::Sms, number.ok_or_else(|| Error::bad_input("recipient.phone", message))?)
        }
    };
    limit_requests(context, &account::normalize_email(&recipient)).await?;
    let account = match channel {
        LoginCodeChannel::Email => account::find_account_by_email(context.db, &recipient).await?,
        LoginCodeChannel::Sms => find_account_by_verified_phone(context.db, &recipient).await?,
    };
    // Accounts with permissions log in with a password or through a provider: six digits do not suffice.
    let account = account.filter(|account| account.role == Role::Customer && account.disabled_at.is_none());
    let to_owner = |account: account_row::Model| match channel {
        LoginCodeChannel::Email => account.email.map(|email| (account.id, email)),
        LoginCodeChannel::Sms => account.phone.map(|phone| (account.id, phone)),
    };
    let new = NewLoginCode { purpose: LoginCodePurpose::Login, channel, owner: account.and_then(to_owner) };
    context.db.write(async |tx| login_code::create_login_code(tx, new).await).await
}

/// Counts a request, for the client's network and the recipient.
async fn limit_requests(context: &IdentityContext<'_>, recipient: &str) -> Result<()> {
    let limits = context.throttle.config;
    let recipient = ThrottleSubject::new("login code recipient", recipient, limits.login_codes_per_recipient);
    context.throttle.count_for_recipient(recipient, "login code address", limits.login_codes_per_ip).await
}

/// Returns the account that has verified a phone number; there is at most one.
async fn find_account_by_verified_phone(db: &impl ConnectionTrait, phone: &str) -> Result<Option<account_row::Model>> {
    let query = account_row::Entity::find()
        .filter(account_row::Column::Phone.eq(phone))
        .filter(account_row::Column::PhoneVerifiedAt.is_not_null());
    Ok(query.one(db).await?)
}

/// Logs in with a code.
///
/// The code proves access to the mailbox or telephone. If it is the first proof of the email address, another person
/// may have registered the account: its password is removed and its sessions are revoked.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `InvalidCredentials` if the code is wrong, used, expired or has had too
/// many attempts, and `RateLimited`.
pub async fn log_in_with_code(context: &IdentityContext<'_>, entered: EnteredCode) -> Result<SessionTokens> {
    context.require_local_accounts()?;
    let checked = check_code(context, LoginCodePurpose::Login, entered).await?;
    let opened = context.db.write(async |tx| {
        let account = consume_code(tx, &checked).await?;
        let account = match checked.channel {
            LoginCodeChannel::Email if account.email_verified_at.is_none() => take_over_account(tx, account).await?,
            _ => account,
        };
        session::create_session(tx, context.new_session(account, LOGIN_CODE_METHOD)).await
    });
    let issued = opened.await?;
    context.access_tokens.refresh(context.db).await?;
    context.issue_tokens(issued)
}

/// Requests a code by SMS that verifies the caller's phone number, and returns the token of the request.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `BadUserInput` if the account has no phone number or has verified it,
/// and `RateLimited`.
pub async fn request_phone_verification(context: &IdentityContext<'_>) -> Result<String> {
    context.require_local_accounts()?;
    let account_id = context.caller.require_account_id()?;
    let account = account::find_active_account(context.db, account_id).await?;
    let account = account.ok_or_else(account::account_changed_error)?;
    let Some(phone) = account.phone.filter(|_| account.phone_verified_at.is_none()) else {
        return Err(Error::bad_input("", "the account has no phone number, or has verified it"));
    };
    let limit = context.throttle.config.login_codes_per_recipient;
    context.throttle.count_action(&[ThrottleSubject::new("phone account", &account_id.to_string(), limit)]).await?;
    limit_requests(context, &phone).await?;
    let new = NewLoginCode {
        purpose: LoginCodePurpose::VerifyPhone,
        channel: LoginCodeChannel::Sms,
        owner: Some((account_id, phone)),
    };
    context.db.write(async |tx| login_code::create_login_code(tx, new).await).await
}

/// Verifies the caller's phone number with a code and returns the number. Another account that had verified the number
/// loses the verification: the number was reassigned.
///
/// # Errors
/// Returns `InvalidCredentials` if the code is wrong, used, expired, of another account or had too many attempts, and
/// `RateLimited`.
pub async fn verify_phone(context: &IdentityContext<'_>, entered: EnteredCode) -> Result<String> {
    let account_id = context.caller.require_account_id()?;
    let checked = check_code(context, LoginCodePurpose::VerifyPhone, entered).await?;
    if checked.account_id != Some(account_id) {
        return Err(invalid_code_error());
    }
    let verified = context.db.write(async |tx| {
        let account = consume_code(tx, &checked).await?;
        let phone = account.phone.clone().ok_or_else(invalid_code_error)?;
        account_row::Entity::update_many()
            .col_expr(account_row::Column::PhoneVerifiedAt, Expr::value(None::<chrono::DateTime<chrono::Utc>>))
            .col_expr(account_row::Column::UpdatedAt, Expr::value(tx.now()))
            .filter(account_row::Column::Phone.eq(phone.as_str()))
            .filter(account_row::Column::PhoneVerifiedAt.is_not_null())
            .exec(tx)
            .await?;
        let mut row = account.into_active_model();
        row.phone_verified_at = Set(Some(tx.now()));
        row.updated_at = Set(tx.now());
        row.update(tx).await?;
        account::record_account_action(tx, account_id, "account.verify_phone").await?;
        tx.emit_event(CustomerUpdated { customer: account_id }).await?;
        Ok(phone)
    });
    verified.await
}

/// Checks a code: counts the attempt, then verifies it in the same time whether or not there is a code.
async fn check_code(
    context: &IdentityContext<'_>,
    purpose: LoginCodePurpose,
    entered: EnteredCode,
) -> Result<code_row::Model> {
    let EnteredCode { request, code } = entered;
    let counted =
        context.db.write(async |tx| login_code::count_attempt(tx, purpose, request.expose_secret()).await).await?;
    let code: String = code.expose_secret().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let code_hash = counted.as_ref().and_then(|row| row.code_hash.clone());
    let is_match = context.password_hasher.verify(password::truncate_password(&code), code_hash).await?;
    if let Some(row) = counted.filter(|_| is_match) {
        return Ok(row);
    }
    context.limit_unknown_tokens().await?;
    Err(invalid_code_error())
}

/// Consumes a checked code and returns its account, locked.
async fn consume_code(tx: &Tx, checked: &code_row::Model) -> Result<account_row::Model> {
    let account = match checked.account_id {
        Some(account_id) => account_access::lock_account(tx, account_id).await?,
        None => None,
    };
    let is_current = |account: &account_row::Model| {
        let recipient = match checked.channel {
            LoginCodeChannel::Email => &account.email,
            LoginCodeChannel::Sms => &account.phone,
        };
        account.disabled_at.is_none() && *recipient == checked.recipient
    };
    let account = account.filter(is_current).ok_or_else(invalid_code_error)?;
    if login_code::consume_login_code(tx, checked.id).await? { Ok(account) } else { Err(invalid_code_error()) }
}

/// Verifies the email address of an account and removes the credentials of the person who has registered it.
async fn take_over_account(tx: &Tx, account: account_row::Model) -> Result<account_row::Model> {
    let account_id = account.id;
    one_time_token::delete_one_time_tokens(tx, OneTimeTokenPurpose::VerifyEmail, account_id).await?;
    session::revoke_sessions(tx, account_id, None).await?;
    let mut row = account.into_active_model();
    row.password_hash = Set(None);
    row.email_verified_at = Set(Some(tx.now()));
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    account::record_account_action(tx, account_id, "account.verify_email").await?;
    Ok(row)
}

fn invalid_code_error() -> Error {
    let message = "the code is wrong, was used, has expired, or was entered too often; request a new one";
    Error::user(PublicErrorCode::InvalidCredentials, "input.code", message)
}
