//! Passwords changed and reset, e-mail addresses verified.

use async_graphql::{Context, InputObject, Object};

use super::{
    context::{Scope, scope},
    guard::{Anybody, SignedIn},
    payload::payload,
    session::{SessionPayload, Tokens, lasts, local},
    throttle,
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    identity::{
        Caller, account,
        entity::account as row,
        login_attempt::{LoginAttempt, LoginSource},
        one_time::{self, MailAsked, Purpose},
        password,
        session::{self, Opened},
    },
    infra::{Change, Tx},
};

payload!(
    /// What came of asking for a mail. The same whether there is such an account or not.
    MailPayload {
        /// Whether it was understood. A mail goes out only if there is somebody to write to.
        accepted: bool
    }
);

payload!(
    /// What came of verifying an e-mail address.
    EmailVerifyPayload {
        /// The address that is verified now.
        email: String
    }
);

/// A new password in place of one that is known.
#[derive(Debug, InputObject)]
pub struct PasswordChangeInput {
    /// The password so far.
    current_password: String,
    /// From 8 to 128 characters, any.
    new_password: String,
}

/// The passwords' part of the mutation root.
#[derive(Debug, Default)]
pub struct PasswordMutation;

#[Object]
impl PasswordMutation {
    /// Change one's password. Every other session ends; new tokens come with the answer.
    #[graphql(guard = "SignedIn")]
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password so far, and the new one.")] input: PasswordChangeInput,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(change(scope(ctx), input).await)
    }

    /// Ask for a mail with a token that sets a new password. It holds for an hour.
    #[graphql(guard = "Anybody")]
    async fn password_reset_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account's e-mail address.")] email: String,
    ) -> Result<MailPayload> {
        MailPayload::settle(ask_for_reset(scope(ctx), &email).await.map(|()| true))
    }

    /// Set a new password with the token of a mail. Every session ends; new tokens come with the answer.
    #[graphql(guard = "Anybody")]
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token that the mail brought.")] token: String,
        #[graphql(desc = "From 8 to 128 characters, any.")] new_password: String,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(reset(scope(ctx), &token, new_password).await)
    }

    /// Ask for a mail with a token that shows that one's e-mail address is one's own. It holds for two days.
    #[graphql(guard = "SignedIn")]
    async fn email_verification_request(&self, ctx: &Context<'_>) -> Result<MailPayload> {
        let scope = scope(ctx);
        let account = scope.caller.account()?;
        let found = account::alive(&scope.db, account).await?.filter(|found| found.email_verified_at.is_none());
        if found.is_some_and(|found| found.email.is_some()) {
            write(scope, account, Purpose::VerifyEmail).await?;
        }
        MailPayload::settle(Ok(true))
    }

    /// Show that an e-mail address is one's own, with the token of a mail.
    #[graphql(guard = "Anybody")]
    async fn email_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token that the mail brought.")] token: String,
    ) -> Result<EmailVerifyPayload> {
        EmailVerifyPayload::settle(verify_email(scope(ctx), &token).await)
    }
}

async fn verify_email(scope: &Scope, token: &str) -> Result<String> {
    look_up(scope, Purpose::VerifyEmail, token).await?;
    let verified = scope.db.write(async |tx| {
        let order = one_time::take(tx, Purpose::VerifyEmail, token, "token").await?;
        let found = account::alive(tx, order.account).await?;
        // The mail went to the address that the account had then.
        let email = found.and_then(|found| found.email).filter(|email| *email == order.detail);
        let email = email.ok_or_else(|| Error::bad_input("token", "the account has another e-mail address by now"))?;
        account::verify_email(tx, order.account).await?;
        one_time::clear(tx, Purpose::VerifyEmail, order.account).await?;
        record(tx, order.account, "account.verify_email").await?;
        Ok(email)
    });
    verified.await
}

/// The account of a token that a letter brought. One that does not exist is counted.
async fn look_up(scope: &Scope, purpose: Purpose, token: &str) -> Result<i64> {
    if let Some(account) = one_time::find(&scope.db, purpose, token, scope.db.now()).await? {
        return Ok(account);
    }
    throttle::limit_unknown_tokens(scope).await?;
    Err(one_time::unknown("token"))
}

/// An attempt at the password of somebody who is signed in: counted by their session, so that nobody else uses it up.
pub(super) fn confirmation(scope: &Scope, account: i64) -> LoginAttempt {
    let source = match scope.caller {
        Caller::Person { session: Some(session), .. } => LoginSource::Session(session),
        _ => LoginSource::Address(&scope.device.address),
    };
    LoginAttempt::new(&scope.shared.config.throttle, &format!("account {account}"), source)
}

async fn change(scope: &Scope, input: PasswordChangeInput) -> Result<Tokens> {
    local(scope)?;
    let PasswordChangeInput { current_password, new_password } = input;
    let account = scope.caller.account()?;
    let found = account::alive(&scope.db, account).await?;
    let found = found.ok_or_else(|| Error::not_found("", "account"))?;
    let email = found.email.clone().unwrap_or_default();
    password::check(&new_password, &email, "input.newPassword")?;
    let attempt = confirmation(scope, account);
    attempt.begin(&scope.shared.db).await?;
    if !scope.shared.hasher.verify(current_password, found.password.clone()).await? {
        return Err(Error::user(Code::InvalidCredentials, "input.currentPassword", "this is not the password so far"));
    }
    let hash = scope.shared.hasher.hash(new_password).await?;
    let opened = scope.db.write(async |tx| {
        // A session that has been ended meanwhile changes nothing any more.
        if let Caller::Person { session: Some(session), .. } = scope.caller
            && !session::is_alive(tx, account, session).await?
        {
            return Err(session::stale());
        }
        one_time::clear(tx, Purpose::ResetPassword, account).await?;
        replace(tx, (found, hash), "account.change_password", scope).await
    });
    let opened = opened.await?;
    attempt.succeed(&scope.shared.db).await?;
    renewed(scope, opened).await
}

async fn ask_for_reset(scope: &Scope, email: &str) -> Result<()> {
    local(scope)?;
    throttle::limit_reset_requests(scope).await?;
    let found = account::by_email(&scope.db, email).await?.filter(|found| found.disabled_at.is_none());
    if let Some(found) = found {
        write(scope, found.id, Purpose::ResetPassword).await?;
    }
    Ok(())
}

/// Asks for a mail; its token is made when it is written. Where one has just been written, it is not written again.
async fn write(scope: &Scope, account: i64, purpose: Purpose) -> Result<()> {
    if !throttle::may_mail(scope, account, purpose).await? {
        return Ok(());
    }
    scope.db.write(async |tx| tx.emit(MailAsked { account, purpose }).await).await
}

async fn reset(scope: &Scope, token: &str, new_password: String) -> Result<Tokens> {
    local(scope)?;
    // Nothing is hashed for a token that does not exist, and none is used up by a password that cannot be.
    let account = look_up(scope, Purpose::ResetPassword, token).await?;
    let found = account::alive(&scope.db, account).await?;
    let email = found.and_then(|found| found.email).unwrap_or_default();
    password::check(&new_password, &email, "newPassword")?;
    let hash = scope.shared.hasher.hash(new_password).await?;
    let opened = scope.db.write(async |tx| {
        let order = one_time::take(tx, Purpose::ResetPassword, token, "token").await?;
        let found = account::alive(tx, order.account).await?;
        let found = found.ok_or_else(|| Error::bad_input("token", "the account may not sign in"))?;
        if found.email_verified_at.is_none() {
            // Whoever has the mail's token reads the mail.
            account::verify_email(tx, found.id).await?;
        }
        one_time::clear(tx, Purpose::ResetPassword, found.id).await?;
        replace(tx, (found, hash), "account.reset_password", scope).await
    });
    renewed(scope, opened.await?).await
}

/// Sets a password in place of the one that was looked at, ends every session that it has opened, and begins a new one.
async fn replace(
    tx: &Tx,
    (account, hash): (row::Model, String),
    action: &'static str,
    scope: &Scope,
) -> Result<Opened> {
    let account = account::replace_password(tx, account, hash).await?;
    record(tx, account.id, action).await?;
    session::revoke(tx, account.id, None).await?;
    session::open(tx, account, &scope.device, ("password", lasts(scope))).await
}

/// The tokens of a session after which no other holds, here at once.
async fn renewed(scope: &Scope, opened: Opened) -> Result<Tokens> {
    scope.shared.gate.refresh(&scope.db).await?;
    Tokens::of(scope, opened)
}

/// That it was done, without what it was done with.
async fn record(tx: &Tx, account: i64, action: &'static str) -> Result<()> {
    tx.record(&[Change { action, thing: (Kind::Customer, account), before: None, after: None }]).await
}
