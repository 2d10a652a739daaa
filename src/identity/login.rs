//! Signing in by way of an OpenID provider: there by its address, back with its word, and on to the app with a code that
//! is swapped for tokens once.
//!
//! Two random words hold a sign-in together: the state, which travels through the provider, and the browser's, which
//! stays in its cookie. Nonce and PKCE verifier are made of both, and the database keeps digests only, so any instance
//! can go on with a sign-in and nobody but the browser that began it.

use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims,
        CoreJwsSigningAlgorithm,
    },
    url::Url,
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::{
    account, entity,
    link::{self, Person},
    one_time::{self, Purpose},
    provider::{Known, Provider, Unreachable, chain},
    secret,
};
use crate::{
    base::{Error, Result, error::Code},
    infra::{Db, Tx},
};

/// How long somebody may take at the provider.
pub const LASTS: TimeDelta = TimeDelta::minutes(10);
/// The characters of SHA-256 as a PKCE challenge.
const CHALLENGE: usize = 43;

/// The shop as the provider's client.
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What an app wants when it sends somebody to sign in.
#[derive(Debug)]
pub struct Wish {
    /// Where they are to come back to: one of `identity.redirects`.
    pub redirect: String,
    /// SHA-256 of a word that the app will show for the code (PKCE, S256).
    pub challenge: String,
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes now.
    pub to: String,
    /// The word that travels.
    pub state: String,
    /// The word that stays in the browser.
    pub browser: String,
}

/// What somebody comes back with from a provider.
#[derive(Debug)]
pub struct Returned {
    /// The word that travelled.
    pub state: String,
    /// The word that stayed in the browser.
    pub browser: String,
    /// What the provider's tokens are asked for with; its refusal otherwise.
    pub answer: Result<String, String>,
}

/// What is kept with the code for the app.
#[derive(Debug, Serialize, Deserialize)]
struct Detail {
    provider: String,
    challenge: String,
}

/// Begins a sign-in. `callback` is where the provider sends people back to.
///
/// # Errors
/// When the address is not on the list, the provider does not answer, or the database refuses.
pub async fn begin(db: &Db, provider: &Provider, callback: &str, wish: Wish) -> Result<Begun> {
    let client = client(&*known(provider, db.now()).await?, provider, callback)?;
    let (state, browser) = (secret::random()?, secret::random()?);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(&state, &browser));
    let (csrf, nonce) = (CsrfToken::new(state.clone()), nonce(&state, &browser));
    let request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || csrf, || nonce)
        .add_scopes(provider.config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    let (to, ..) = request.url();
    let flow = Flow::of(provider, &state, &browser);
    db.write(async move |tx| flow.keep(tx, wish).await).await?;
    Ok(Begun { to: to.into(), state, browser })
}

/// A sign-in that has begun, as the database knows it.
#[derive(Debug)]
struct Flow {
    state: String,
    browser: String,
    provider: String,
}

impl Flow {
    fn of(provider: &Provider, state: &str, browser: &str) -> Self {
        Self { state: secret::digest(state), browser: secret::digest(browser), provider: provider.name.clone() }
    }

    /// Writes it down, and forgets those that have run out.
    async fn keep(self, tx: &Tx, wish: Wish) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("DELETE FROM login_flow WHERE expires_at <= ").bind(tx.now());
        tx.execute_raw(sql.statement()).await?;
        let mut sql = tx.sql();
        sql.push("INSERT INTO login_flow ");
        sql.push("(state, browser, provider, redirect, challenge, expires_at, created_at, updated_at) VALUES (");
        for text in [self.state, self.browser, self.provider, wish.redirect, wish.challenge] {
            sql.bind(text).push(", ");
        }
        sql.bind(tx.now() + LASTS).push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(")");
        tx.execute_raw(sql.statement()).await?;
        Ok(())
    }

    /// Takes it, once: where it goes on, and what the app must show.
    async fn take(self, tx: &Tx) -> Result<(String, String)> {
        let mut sql = tx.sql();
        sql.push("DELETE FROM login_flow WHERE state = ").bind(self.state);
        sql.push(" AND browser = ").bind(self.browser).push(" AND provider = ").bind(self.provider);
        sql.push(" AND expires_at > ").bind(tx.now()).push(" RETURNING redirect, challenge");
        match tx.query_one_raw(sql.statement()).await? {
            Some(row) => Ok((row.try_get_by(0)?, row.try_get_by(1)?)),
            None => Err(foreign()),
        }
    }
}

impl Wish {
    /// One that may be fulfilled.
    ///
    /// # Errors
    /// When the address is not on the list, or there is no challenge that can be one.
    pub fn read(redirects: &[String], redirect: String, challenge: String) -> Result<Self> {
        if !redirects.contains(&redirect) {
            let message =
                "`redirect` is not one of the addresses that this shop sends people back to (identity.redirects).";
            return Err(Error::bad_input("redirect", message));
        }
        let letters = challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if challenge.len() != CHALLENGE || !letters {
            let message = "`challenge` is needed: SHA-256 of your verifier in base64url, 43 characters without `=`.";
            return Err(Error::bad_input("challenge", message));
        }
        Ok(Self { redirect, challenge })
    }
}

/// Ends a sign-in: who it is, and the address of the app with the code that it swaps for tokens.
///
/// # Errors
/// When it did not begin in this browser, was ended before, the provider refuses or does not answer, or the account may
/// not come in.
pub async fn finish(db: &Db, provider: &Provider, callback: &str, returned: Returned) -> Result<String> {
    let Returned { state, browser, answer } = returned;
    let flow = Flow::of(provider, &state, &browser);
    let (redirect, challenge) = db.write(async move |tx| flow.take(tx).await).await?;
    let code = answer.map_err(|why| {
        Error::bad_input("", format!("{} has refused the sign-in ({why}). Begin again.", provider.name))
    })?;
    let person = ask(db.now(), provider, callback, (code, &state, &browser)).await?;
    let account = link::account(db, &person).await?;
    let detail = Detail { provider: provider.name.clone(), challenge };
    let detail = serde_json::to_string(&detail).map_err(|why| Error::fault("writing down a sign-in", why))?;
    let code = db.write(async move |tx| one_time::make(tx, Purpose::SignIn, account.id, &detail).await).await?;
    let mut to = Url::parse(&redirect).map_err(|why| Error::fault("reading an address of the settings", why))?;
    to.query_pairs_mut().append_pair("code", &code);
    Ok(to.into())
}

/// What is said of a state that is not known, used, too old or of another browser: all the same.
#[must_use]
pub fn foreign() -> Error {
    let message = "This sign-in did not begin in this browser, has ended already, or took longer than ten minutes. \
                   Begin again.";
    Error::bad_input("state", message)
}

/// Swaps the provider's code for its word on who somebody is.
async fn ask(
    now: DateTime<Utc>,
    provider: &Provider,
    callback: &str,
    (code, state, browser): (String, &str, &str),
) -> Result<Person> {
    let known = known(provider, now).await?;
    let client = client(&known, provider, callback)?;
    let request =
        client.exchange_code(AuthorizationCode::new(code)).map_err(|why| Error::fault("asking a provider", why))?;
    let tokens = match request.set_pkce_verifier(verifier(state, browser)).request_async(&provider.client).await {
        Ok(tokens) => tokens,
        Err(RequestTokenError::ServerResponse(why)) => {
            tracing::warn!(provider = provider.name, error = %why, "a provider refused the code of a sign-in");
            return Err(Error::bad_input("code", format!("{} does not know this code. Begin again.", provider.name)));
        }
        Err(why) => return Err(silent(provider, &chain(&why))),
    };
    let Some(token) = tokens.extra_fields().id_token() else {
        return Err(silent(provider, "it gave no id token"));
    };
    let nonce = nonce(state, browser);
    let claims = match claims(&known, provider, (token, &nonce), now) {
        Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
            let known = provider.anew(known, now).await.map_err(|why| silent(provider, &why.0))?;
            claims(&known, provider, (token, &nonce), now)
        }
        outcome => outcome,
    };
    let claims = claims.map_err(|why| silent(provider, &chain(&why)))?;
    Ok(person(provider, &claims))
}

/// What an id token says, if it was signed by the provider for the shop, for this sign-in, and holds.
fn claims(
    known: &Known,
    provider: &Provider,
    (token, nonce): (&CoreIdToken, &Nonce),
    now: DateTime<Utc>,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let client = unaddressed(known, provider);
    let signatures = known.metadata.id_token_signing_alg_values_supported().iter();
    let shared = [
        CoreJwsSigningAlgorithm::None,
        CoreJwsSigningAlgorithm::HmacSha256,
        CoreJwsSigningAlgorithm::HmacSha384,
        CoreJwsSigningAlgorithm::HmacSha512,
    ];
    let leeway = TimeDelta::from_std(provider.config.leeway).unwrap_or_default();
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(signatures.filter(|one| !shared.contains(one)).cloned())
        .set_time_fn(move || now - leeway);
    token.claims(&verifier, nonce).cloned()
}

fn person(provider: &Provider, claims: &CoreIdTokenClaims) -> Person {
    let name = |typed: Option<&String>| typed.and_then(|typed| account::name(typed, "").ok()).unwrap_or_default();
    let given = claims.given_name().and_then(|name| name.get(None)).map(|name| &**name);
    let family = claims.family_name().and_then(|name| name.get(None)).map(|name| &**name);
    Person {
        issuer: provider.config.issuer.clone(),
        subject: claims.subject().to_string(),
        email: claims.email().and_then(|email| account::email(email, "").ok()),
        verified: claims.email_verified() == Some(true),
        first_name: name(given),
        last_name: name(family),
    }
}

/// Swaps the code that the app was given for the account, once.
///
/// # Errors
/// When the code does not hold, the verifier is not the one, or the account may not come in any more.
pub async fn complete(tx: &Tx, code: &str, verifier: &str) -> Result<(entity::account::Model, String)> {
    let taken = one_time::take(tx, Purpose::SignIn, code, "code").await?;
    let detail = serde_json::from_str::<Detail>(&taken.detail).map_err(|why| Error::fault("reading a sign-in", why))?;
    if secret::digest(verifier) != detail.challenge {
        let message = "this is not the verifier of the challenge that the sign-in began with";
        return Err(Error::bad_input("verifier", message));
    }
    match account::alive(tx, taken.account).await? {
        Some(account) => Ok((account, detail.provider)),
        None => Err(link::closed()),
    }
}

async fn known(provider: &Provider, now: DateTime<Utc>) -> Result<std::sync::Arc<Known>> {
    provider.known(now).await.map_err(|Unreachable(why)| silent(provider, &why))
}

/// A provider that does not answer, or not as it should: told to the operator in full, to others in short.
fn silent(provider: &Provider, why: &str) -> Error {
    tracing::warn!(provider = provider.name, error = why, "nobody can sign in by an OpenID provider");
    let message =
        format!("{} does not answer as it should just now. Try again later, or sign in another way.", provider.name);
    Error::user(Code::Unavailable, "", message)
}

fn client(known: &Known, provider: &Provider, callback: &str) -> Result<Client> {
    let callback = RedirectUrl::new(callback.to_owned());
    let callback = callback.map_err(|why| Error::fault("reading the shop's own address", why))?;
    Ok(unaddressed(known, provider).set_redirect_uri(callback))
}

fn unaddressed(known: &Known, provider: &Provider) -> Client {
    let config = &provider.config;
    let secret = Some(config.client_secret.clone()).filter(|secret| !secret.is_empty()).map(ClientSecret::new);
    let client =
        CoreClient::from_provider_metadata(known.metadata.clone(), ClientId::new(config.client_id.clone()), secret);
    let ways = known.metadata.token_endpoint_auth_methods_supported();
    if ways.is_none_or(|ways| ways.contains(&CoreClientAuthMethod::ClientSecretBasic)) {
        return client;
    }
    client.set_auth_type(AuthType::RequestBody)
}

/// The PKCE verifier of a sign-in.
fn verifier(state: &str, browser: &str) -> PkceCodeVerifier {
    PkceCodeVerifier::new(secret::digest(&format!("verifier {state} {browser}")))
}

/// The nonce of a sign-in.
fn nonce(state: &str, browser: &str) -> Nonce {
    Nonce::new(secret::digest(&format!("nonce {state} {browser}")))
}
