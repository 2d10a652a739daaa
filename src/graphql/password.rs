//! Passwords changed and reset, e-mail addresses verified.

use async_graphql::{Context, InputObject, Object};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{
    context::{Scope, scope},
    guard::{Anybody, SignedIn},
    payload::payload,
    session::{SessionPayload, Tokens, begin, local},
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    identity::{
        account,
        attempt::Attempt,
        entity::account as row,
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
        let attempt = Attempt::at(&format!("verify {account}"), &scope.device.address);
        attempt.begin(&scope.db, &scope.shared.config.identity).await?;
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
        let verified = scope(ctx).db.write(async |tx| {
            let order = one_time::take(tx, Purpose::VerifyEmail, &token, "token").await?;
            let found = account::alive(tx, order.account).await?;
            // The mail went to the address that the account had then.
            let email = found.and_then(|found| found.email).filter(|email| *email == order.detail);
            let email =
                email.ok_or_else(|| Error::bad_input("token", "the account has another e-mail address by now"))?;
            set(tx, order.account, row::Column::EmailVerifiedAt, Expr::value(tx.now())).await?;
            one_time::clear(tx, Purpose::VerifyEmail, order.account).await?;
            record(tx, order.account, "account.verify_email").await?;
            Ok(email)
        });
        EmailVerifyPayload::settle(verified.await)
    }
}

async fn change(scope: &Scope, input: PasswordChangeInput) -> Result<Tokens> {
    local(scope)?;
    let PasswordChangeInput { current_password, new_password } = input;
    let account = scope.caller.account()?;
    let found = account::alive(&scope.db, account).await?;
    let found = found.ok_or_else(|| Error::not_found("", "account"))?;
    let email = found.email.clone().unwrap_or_default();
    password::check(&new_password, &email, "input.newPassword")?;
    let attempt = Attempt::at(&account::email_key(&email), &scope.device.address);
    attempt.begin(&scope.db, &scope.shared.config.identity).await?;
    if !password::verify(current_password, found.password.clone()).await? {
        return Err(Error::user(Code::InvalidCredentials, "input.currentPassword", "this is not the password so far"));
    }
    let hash = password::hash(new_password).await?;
    let opened = scope.db.write(async |tx| {
        one_time::clear(tx, Purpose::ResetPassword, account).await?;
        replace(tx, (found, hash), "account.change_password", (&attempt, scope)).await
    });
    renewed(scope, opened.await?).await
}

async fn ask_for_reset(scope: &Scope, email: &str) -> Result<()> {
    local(scope)?;
    let attempt = Attempt::at(&format!("reset {}", account::email_key(email.trim())), &scope.device.address);
    attempt.begin(&scope.db, &scope.shared.config.identity).await?;
    let found = account::by_email(&scope.db, email).await?.filter(|found| found.disabled_at.is_none());
    if let Some(found) = found {
        write(scope, found.id, Purpose::ResetPassword).await?;
    }
    Ok(())
}

/// Asks for a mail; its token is made when it is written.
async fn write(scope: &Scope, account: i64, purpose: Purpose) -> Result<()> {
    scope.db.write(async |tx| tx.emit(MailAsked { account, purpose }).await).await
}

async fn reset(scope: &Scope, token: &str, new_password: String) -> Result<Tokens> {
    local(scope)?;
    // Before the token is gone.
    password::check(&new_password, "", "newPassword")?;
    let hash = password::hash(new_password).await?;
    let opened = scope.db.write(async |tx| {
        let order = one_time::take(tx, Purpose::ResetPassword, token, "token").await?;
        let found = account::alive(tx, order.account).await?;
        let found = found.ok_or_else(|| Error::bad_input("token", "the account may not sign in"))?;
        if found.email_verified_at.is_none() {
            // Whoever has the mail's token reads the mail.
            set(tx, found.id, row::Column::EmailVerifiedAt, Expr::value(tx.now())).await?;
        }
        one_time::clear(tx, Purpose::ResetPassword, found.id).await?;
        let attempt = Attempt::at(found.email_key.as_deref().unwrap_or_default(), &scope.device.address);
        replace(tx, (found, hash), "account.reset_password", (&attempt, scope)).await
    });
    renewed(scope, opened.await?).await
}

/// Sets a password, ends every session that the one before has opened, and begins a new one.
async fn replace(
    tx: &Tx,
    (account, hash): (row::Model, String),
    action: &'static str,
    (attempt, scope): (&Attempt, &Scope),
) -> Result<Opened> {
    set(tx, account.id, row::Column::Password, Expr::value(hash.as_str())).await?;
    let account = row::Model { password: Some(hash), ..account };
    record(tx, account.id, action).await?;
    session::revoke(tx, account.id, None).await?;
    begin(tx, account, attempt, scope).await
}

/// The tokens of a session after which no other holds, here at once.
async fn renewed(scope: &Scope, opened: Opened) -> Result<Tokens> {
    scope.shared.gate.refresh(&scope.db).await?;
    Tokens::of(scope, opened)
}

async fn set(tx: &Tx, account: i64, column: row::Column, value: sea_orm::sea_query::SimpleExpr) -> Result<()> {
    row::Entity::update_many()
        .col_expr(column, value)
        .col_expr(row::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(row::Column::Id.eq(account))
        .exec(tx)
        .await?;
    Ok(())
}

/// That it was done, without what it was done with.
async fn record(tx: &Tx, account: i64, action: &'static str) -> Result<()> {
    tx.record(&[Change { action, thing: (Kind::Customer, account), before: None, after: None }]).await
}
