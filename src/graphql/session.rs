//! Signing in, staying signed in, signing out.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    context::{Scope, scope},
    guard::{Anybody, SignedIn},
    message::Language,
    payload::payload,
    throttle,
};
use crate::{
    base::{Error, GlobalId, Result, error::Code, id::Kind},
    cart,
    identity::{
        Caller,
        account::{self, NewAccount, Typed},
        entity,
        login_attempt::{LoginAttempt, LoginSource},
        one_time::{MailAsked, Purpose},
        password,
        session::{self, Opened, Refreshed},
    },
};

/// What one signs in with from now on.
#[derive(Debug, SimpleObject)]
pub struct Tokens {
    /// Goes with every request: `Authorization: Bearer …`.
    access_token: String,
    /// When the access token ends. Ask for the next one before.
    access_token_expires_at: DateTime<Utc>,
    /// What the next tokens are asked for with, once. Keep it where no script of others can read it.
    refresh_token: String,
    /// When the session ends, unless it is used before.
    refresh_token_expires_at: DateTime<Utc>,
}

impl Tokens {
    /// The tokens of a session that was opened.
    ///
    /// # Errors
    /// When there is no key to sign with.
    pub fn of(scope: &Scope, opened: Opened) -> Result<Self> {
        let Opened { session, account, refresh, until } = opened;
        let (access_token, access_token_expires_at) =
            scope.shared.gate.issue(account.id, account.role, session, scope.db.now())?;
        Ok(Self { access_token, access_token_expires_at, refresh_token: refresh, refresh_token_expires_at: until })
    }
}

payload!(
    /// What came of signing in.
    SessionPayload {
        /// What one signs in with from now on; null when it was refused.
        tokens: Tokens
    }
);

payload!(
    /// What came of signing out.
    LogoutPayload {
        /// How many sessions were ended.
        sessions_ended: i64
    }
);

/// A sign-in that lasts until it ends or is revoked.
#[derive(Debug)]
pub struct Session(entity::session::Model);

/// A sign-in that lasts until it ends or is revoked.
#[Object]
impl Session {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Session, self.0.id).encode().into()
    }

    /// How it began: `password`, or the name of a provider.
    async fn method(&self) -> &str {
        &self.0.method
    }

    /// What the client called itself then.
    async fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// The network address it began from.
    async fn address(&self) -> &str {
        &self.0.address
    }

    /// When it began.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When tokens were last given for it.
    async fn used_at(&self) -> DateTime<Utc> {
        self.0.used_at
    }

    /// When it ends, unless it is used before.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// Whether it is the one that asks.
    async fn current(&self, ctx: &Context<'_>) -> bool {
        matches!(scope(ctx).caller, Caller::Person { session, .. } if session == Some(self.0.id))
    }
}

/// The sessions of an account that are alive, the last used first. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn sessions_of(scope: &Scope, account: i64) -> Result<Vec<Session>> {
    let found = session::list(&scope.db, account, scope.db.now()).await?;
    Ok(found.into_iter().map(Session).collect())
}

/// Who wants an account.
#[derive(Debug, InputObject)]
pub struct CustomerRegisterInput {
    /// Where mail goes; also what one signs in with.
    email: String,
    /// From 8 to 128 characters, any.
    password: String,
    /// At most 100 characters.
    #[graphql(default)]
    first_name: String,
    /// At most 100 characters.
    #[graphql(default)]
    last_name: String,
    /// The id of the guest's cart that is to come along, as by `cartMerge`. One that cannot is left behind.
    cart_id: Option<ID>,
    /// The language to be written to in; the shop's own when not said.
    language: Option<Language>,
}

/// What one signs in with.
#[derive(Debug, InputObject)]
pub struct LoginInput {
    /// The account's e-mail address, in any case.
    email: String,
    /// Its password.
    password: String,
    /// A refresh token that this device has of an earlier session of the account, also one that has ended: wrong passwords
    /// that others have tried are then not counted against it.
    device_token: Option<String>,
    /// The id of the guest's cart that is to come along, as by `cartMerge`. One that cannot is left behind.
    cart_id: Option<ID>,
}

/// The sessions' part of the mutation root.
#[derive(Debug, Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Make an account with an e-mail address and a password, and sign in. A letter goes out that verifies the address.
    #[graphql(guard = "Anybody")]
    async fn customer_register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who wants an account.")] input: CustomerRegisterInput,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(register(scope(ctx), input).await)
    }

    /// Sign in with an e-mail address and a password.
    #[graphql(guard = "Anybody")]
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What one signs in with.")] input: LoginInput,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(login(scope(ctx), input).await)
    }

    /// Swap a refresh token for new tokens. Each holds once; one that is shown again ends its session.
    #[graphql(guard = "Anybody")]
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest refresh token of the session.")] refresh_token: String,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(refresh(scope(ctx), &refresh_token).await)
    }

    /// Sign out: the session ends, and its tokens with it, within seconds everywhere.
    #[graphql(guard = "SignedIn")]
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let scope = scope(ctx);
        let Caller::Person { account, session: Some(one), .. } = scope.caller else {
            return LogoutPayload::settle(Ok(0));
        };
        LogoutPayload::settle(end(scope, account, Some(one)).await)
    }

    /// Sign out everywhere: every session of the account ends, this one too.
    #[graphql(guard = "SignedIn")]
    async fn logout_everywhere(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let scope = scope(ctx);
        LogoutPayload::settle(end(scope, scope.caller.account()?, None).await)
    }

    /// End one of one's own sessions: that of a telephone that was lost.
    #[graphql(guard = "SignedIn")]
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] id: ID,
    ) -> Result<LogoutPayload> {
        let scope = scope(ctx);
        let account = scope.caller.account()?;
        let outcome = match GlobalId::key(&id, Kind::Session, "id") {
            Ok(one) => end(scope, account, Some(one)).await,
            Err(why) => Err(why),
        };
        let found =
            outcome.and_then(|ended| if ended == 0 { Err(Error::not_found("id", "session")) } else { Ok(ended) });
        LogoutPayload::settle(found)
    }
}

/// How long a session lasts that nobody uses.
pub(super) fn lasts(scope: &Scope) -> TimeDelta {
    TimeDelta::from_std(scope.shared.config.identity.session_lifetime).unwrap_or(TimeDelta::MAX)
}

/// Brings a guest's cart along for somebody who has signed in. Whatever is wrong with it, they have.
pub(super) async fn bring(scope: &Scope, account: i64, cart: Option<ID>) {
    let Some(word) = cart else { return };
    if let Err(why) = scope.db.write(async |tx| cart::merge(tx, account, &word).await).await {
        tracing::info!(reason = why.log(), "a guest's cart was left behind at a sign-in");
    }
}

/// Ends sessions, here at once.
pub(super) async fn end(scope: &Scope, account: i64, one: Option<i64>) -> Result<i64> {
    let ended = scope.db.write(async |tx| session::revoke(tx, account, one).await).await?;
    scope.shared.gate.refresh(&scope.db).await?;
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}

/// Whether people can have passwords here.
pub(super) fn local(scope: &Scope) -> Result<()> {
    if scope.shared.config.identity.local_accounts {
        return Ok(());
    }
    Err(Error::user(Code::Forbidden, "", "This shop has no accounts with passwords; sign in through a provider."))
}

async fn register(scope: &Scope, input: CustomerRegisterInput) -> Result<Tokens> {
    local(scope)?;
    let CustomerRegisterInput { email, password, first_name, last_name, cart_id, language } = input;
    let typed = Typed { email: &email, first_name: &first_name, last_name: &last_name, password: Some(&password) };
    let new = typed.read()?;
    throttle::limit_registrations(scope, &email).await?;
    let (password, language) = (Some(scope.shared.hasher.hash(password).await?), language.map(Into::into));
    let new = NewAccount { password, language, ..new };
    let lasts = lasts(scope);
    let opened = scope.db.write(async |tx| {
        let made = account::create(tx, new).await?;
        let opened = session::open(tx, made, &scope.device, ("password", lasts)).await?;
        tx.emit(MailAsked { account: opened.account.id, purpose: Purpose::VerifyEmail }).await?;
        Ok(opened)
    });
    let opened = opened.await?;
    bring(scope, opened.account.id, cart_id).await;
    Tokens::of(scope, opened)
}

async fn login(scope: &Scope, input: LoginInput) -> Result<Tokens> {
    local(scope)?;
    let LoginInput { email, password, device_token, cart_id } = input;
    let found = account::by_email(&scope.db, &email).await?;
    let device = match (&found, device_token) {
        (Some(found), Some(token)) => session::of_device(&scope.db, &token, found.id).await?,
        _ => None,
    };
    let source = device.map_or(LoginSource::Address(&scope.device.address), LoginSource::Session);
    let attempt = LoginAttempt::new(&scope.shared.config.throttle, &account::email_key(email.trim()), source);
    attempt.begin(&scope.shared.db).await?;
    let kept = found.as_ref().and_then(|found| found.password.clone());
    // A password too long to be one is not worth hashing, but takes as long.
    let typed: String = password.chars().take(password::LONGEST + 1).collect();
    let fits = scope.shared.hasher.verify(typed, kept).await?;
    match found.filter(|found| fits && found.disabled_at.is_none() && found.deleted_at.is_none()) {
        Some(account) => {
            let lasts = lasts(scope);
            let device = &scope.device;
            let opened =
                scope.db.write(async |tx| session::open(tx, account, device, ("password", lasts)).await).await?;
            attempt.succeed(&scope.shared.db).await?;
            bring(scope, opened.account.id, cart_id).await;
            Tokens::of(scope, opened)
        }
        None => Err(Error::user(
            Code::InvalidCredentials,
            "input",
            "the e-mail address and the password do not belong together",
        )),
    }
}

async fn refresh(scope: &Scope, token: &str) -> Result<Tokens> {
    let config = &scope.shared.config.identity;
    let grace = TimeDelta::from_std(config.refresh_reuse_grace).unwrap_or_default();
    // A token that was never given out is refused without a transaction.
    let refreshed = if session::is_known(&scope.db, token).await? {
        let lasts = lasts(scope);
        scope.db.write(async |tx| session::refresh(tx, token, (lasts, grace)).await).await?
    } else {
        throttle::limit_unknown_tokens(scope).await?;
        Refreshed::Gone("there is no such token")
    };
    let why = match refreshed {
        Refreshed::Opened(opened) => return Tokens::of(scope, *opened),
        Refreshed::Ended(why) => {
            scope.shared.gate.refresh(&scope.db).await?;
            why
        }
        Refreshed::Gone(why) => why,
    };
    tracing::info!(reason = why, "a refresh token was refused");
    Err(Error::user(Code::Unauthenticated, "refreshToken", "This refresh token does not hold; sign in again."))
}
