//! Changes of the email address of an account: requested with the password, confirmed with a token sent to the new
//! address.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Set,
};
use serde::{Deserialize, Serialize};

use super::{
    Caller, account, account_access,
    context::IdentityContext,
    entity::{
        OneTimeTokenPurpose,
        email_change::{ActiveModel, Column, Entity, Model},
    },
    events::CustomerUpdated,
    one_time_token, password_change, session,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{Db, Tx, outbox::Event, throttle::ThrottleSubject},
};

/// How long a change can be confirmed.
pub const EMAIL_CHANGE_TTL: TimeDelta = TimeDelta::days(1);
/// The retention of changes, for inquiries of their owners.
const EMAIL_CHANGE_RETENTION: TimeDelta = TimeDelta::days(30);
/// The input path of the new address.
const NEW_EMAIL_FIELD: &str = "input.newEmail";

/// Event: a change of an email address was requested. The token is created when the email is rendered.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct EmailChangeRequested {
    /// ID of the account.
    pub account: i64,
    /// ID of the change.
    pub email_change: i64,
}

impl Event for EmailChangeRequested {
    const KIND: &'static str = "EmailChangeRequested";

    fn aggregate(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// Address of a changed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedAddress {
    /// Address before the change.
    Old,
    /// Address after the change.
    New,
}

/// Event: an email address was changed. There is one for each address, because each is notified.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct EmailChanged {
    /// ID of the account.
    pub account: i64,
    /// ID of the change.
    pub email_change: i64,
    /// Address to notify.
    pub address: ChangedAddress,
}

impl Event for EmailChanged {
    const KIND: &'static str = "EmailChanged";

    fn aggregate(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// Requests a change of the caller's email address. The new address receives a token; if it belongs to another account,
/// it receives a notice instead, and the caller the same answer.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `BadUserInput` if the address is invalid or the caller's own, or if the
/// account has no password,
/// `InvalidCredentials` if the password is wrong, and `RateLimited`.
pub async fn request_email_change(context: &IdentityContext<'_>, new_email: &str, password: String) -> Result<()> {
    context.require_local_accounts()?;
    let account_id = context.caller.require_account_id()?;
    let new_email = account::validate_email(new_email, NEW_EMAIL_FIELD)?;
    let limit = context.throttle.config.email_changes_per_account;
    let subject = ThrottleSubject::new("email change", &account_id.to_string(), limit);
    context.throttle.count_action(&[subject]).await?;
    let account = account::find_active_account(context.db, account_id).await?;
    if account.ok_or_else(account::account_changed_error)?.password_hash.is_none() {
        // Otherwise an unlocked device would suffice to take the account over.
        let message = "the account has no password; set one with passwordResetRequest first";
        return Err(Error::bad_input("input.password", message));
    }
    let confirmed = password_change::confirm_password(context, account_id, Some(password)).await;
    confirmed.map_err(|error| error.at_field("input.password"))?;
    let requested = context.db.write(async |tx| {
        let account = account_access::lock_account(tx, account_id).await?;
        let account = account.ok_or_else(account::account_changed_error)?;
        if account.email_normalized.as_deref() == Some(account::normalize_email(&new_email).as_str()) {
            return Err(Error::bad_input(NEW_EMAIL_FIELD, "this is the e-mail address of the account already"));
        }
        Entity::delete_many().filter(pending_condition(account_id)).exec(tx).await?;
        let row = ActiveModel {
            account_id: Set(account_id),
            old_email: Set(account.email),
            new_email: Set(new_email),
            session_id: Set(current_session(context.caller, account_id)),
            expires_at: Set(tx.now() + EMAIL_CHANGE_TTL),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
            ..Default::default()
        };
        let row = row.insert(tx).await?;
        account::record_account_action(tx, account_id, "account.request_email_change").await?;
        tx.emit_event(EmailChangeRequested { account: account_id, email_change: row.id }).await
    });
    requested.await
}

/// Returns the caller's session, if it is one of the account.
fn current_session(caller: Caller, account: i64) -> Option<i64> {
    match caller {
        Caller::User { account_id, session_id, .. } if account_id == account => session_id,
        _ => None,
    }
}

/// Changes the email address with the emailed token and returns it. The sessions that requested and confirmed the
/// change are kept, all others revoked. Both addresses are notified.
///
/// # Errors
/// Returns `BadUserInput` if the token is invalid, `AlreadyExists` if the address was taken meanwhile, and
/// `RateLimited`.
pub async fn confirm_email_change(context: &IdentityContext<'_>, token: &str) -> Result<String> {
    let purpose = OneTimeTokenPurpose::ChangeEmail;
    context.find_token_account(purpose, token, "token").await?;
    let changed = context.db.write(async |tx| {
        let consumed = one_time_token::consume_one_time_token(tx, purpose, token, "token").await?;
        let account_id = consumed.account_id;
        let account = account_access::lock_account(tx, account_id).await?.filter(|row| row.disabled_at.is_none());
        let pending = find_pending(tx, account_id, &consumed.metadata, tx.now()).await?;
        let (Some(account), Some(pending)) = (account, pending) else {
            return Err(one_time_token::invalid_token_error("token"));
        };
        let taken = |error: Error| if error.is_unique_violation() { email_taken_error() } else { error };
        account::change_email(tx, account, &pending.new_email).await.map_err(taken)?;
        // Tokens that were sent to the old address.
        for purpose in [OneTimeTokenPurpose::VerifyEmail, OneTimeTokenPurpose::ResetPassword, purpose] {
            one_time_token::delete_one_time_tokens(tx, purpose, account_id).await?;
        }
        let kept_sessions = [pending.session_id, current_session(context.caller, account_id)];
        session::revoke_other_sessions(tx, account_id, &kept_sessions.into_iter().flatten().collect::<Vec<_>>())
            .await?;
        let (email_change, new_email) = (pending.id, pending.new_email.clone());
        let mut row = pending.into_active_model();
        row.confirmed_at = Set(Some(tx.now()));
        row.updated_at = Set(tx.now());
        row.update(tx).await?;
        let changed = |address| EmailChanged { account: account_id, email_change, address };
        tx.emit_events(&[changed(ChangedAddress::Old), changed(ChangedAddress::New)]).await?;
        tx.emit_event(CustomerUpdated { customer: account_id }).await?;
        Ok(new_email)
    });
    let new_email = changed.await?;
    context.access_tokens.refresh(context.db).await?;
    Ok(new_email)
}

fn email_taken_error() -> Error {
    Error::user(PublicErrorCode::AlreadyExists, "token", "another account has this e-mail address by now")
}

/// Returns the condition of an account's unconfirmed change; there is at most one.
fn pending_condition(account_id: i64) -> Condition {
    Condition::all().add(Column::AccountId.eq(account_id)).add(Column::ConfirmedAt.is_null())
}

/// Returns the unconfirmed and unexpired change of an account to an address.
pub async fn find_pending(
    db: &impl ConnectionTrait,
    account_id: i64,
    new_email: &str,
    now: DateTime<Utc>,
) -> Result<Option<Model>> {
    let query = Entity::find().filter(pending_condition(account_id)).filter(Column::NewEmail.eq(new_email));
    Ok(query.filter(Column::ExpiresAt.gt(now)).one(db).await?)
}

/// Returns a change by its ID.
pub async fn find_email_change(db: &impl ConnectionTrait, id: i64) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(db).await?)
}

/// Deletes changes past their retention.
pub async fn delete_expired_email_changes(db: &Db) -> Result<()> {
    db.write(async |tx: &Tx| {
        let expired = Column::ExpiresAt.lt(tx.now() - EMAIL_CHANGE_RETENTION);
        Entity::delete_many().filter(expired).exec(tx).await?;
        Ok(())
    })
    .await
}
