//! OpenID Connect login (authorization code flow): redirect to the provider, callback with an authorization code,
//! redirect to the app with a one-time code that it exchanges for tokens.
//!
//! A login is identified by two random values: the state, which passes through the provider, and the browser token,
//! which stays in a cookie. Nonce and PKCE verifier are derived from both, and the database stores digests only, so
//! any instance can continue a login, but only for the browser that started it.

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
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    account,
    account_linking::{self, ExternalIdentity},
    entity::{
        self, OneTimeTokenPurpose,
        oidc_login_state::{self, Column},
    },
    oidc_provider::{OidcProvider, ProviderMetadata},
    one_time_token, random_token,
};
use crate::{
    base::{
        Error, Result, digest,
        error::{PublicErrorCode, format_error_chain},
    },
    infra::{Db, Tx},
};

/// Lifetime of a pending login.
pub const LOGIN_STATE_TTL: TimeDelta = TimeDelta::minutes(10);
/// Length of a PKCE S256 challenge in characters.
const CODE_CHALLENGE_CHARS: usize = 43;

/// OpenID Connect client of this server.
type OidcClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Login request of an app.
#[derive(Debug)]
pub struct OidcLoginRequest {
    /// Redirect URI of the app: one of `identity.allowed_redirect_uris`.
    pub redirect_uri: String,
    /// PKCE challenge (S256) of the app.
    pub code_challenge: String,
}

/// Redirect to the provider that starts a login.
#[derive(Debug)]
pub struct AuthorizationRedirect {
    /// Authorization URL of the provider.
    pub authorization_url: String,
    /// State parameter.
    pub state: String,
    /// Token for the cookie of the browser.
    pub browser_token: SecretString,
}

/// Callback from the provider.
#[derive(Debug)]
pub struct OidcCallback {
    /// State parameter.
    pub state: String,
    /// Token from the cookie of the browser.
    pub browser_token: SecretString,
    /// Authorization code, or the error code of the provider.
    pub code_result: Result<String, String>,
}

/// Metadata stored with the one-time code for the app.
#[derive(Debug, Serialize, Deserialize)]
struct LoginTokenMetadata {
    provider: String,
    challenge: String,
}

/// Starts a login. `callback_url` is the redirect URI at the provider.
///
/// # Errors
/// Returns `Unavailable` if the provider does not respond.
pub async fn begin_login(
    db: &Db,
    provider: &OidcProvider,
    callback_url: &str,
    login_request: OidcLoginRequest,
) -> Result<AuthorizationRedirect> {
    let client = build_client(&*load_provider_metadata(provider, db.now()).await?, provider, callback_url)?;
    let (state, browser_token) = (random_token::generate_token()?, random_token::generate_token()?.into());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&derive_pkce_verifier(&state, &browser_token));
    let (csrf, nonce) = (CsrfToken::new(state.clone()), derive_nonce(&state, &browser_token));
    let request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || csrf, || nonce)
        .add_scopes(provider.config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    let (authorization_url, ..) = request.url();
    let login_state = OidcLoginState::new(provider, &state, &browser_token);
    db.write(async move |tx| login_state.store(tx, login_request).await).await?;
    Ok(AuthorizationRedirect { authorization_url: authorization_url.into(), state, browser_token })
}

/// Pending login as stored in the database.
#[derive(Debug)]
struct OidcLoginState {
    state_hash: String,
    browser_hash: String,
    provider: String,
}

impl OidcLoginState {
    fn new(provider: &OidcProvider, state: &str, browser_token: &SecretString) -> Self {
        Self {
            state_hash: digest::sha256_base64url(state),
            browser_hash: digest::sha256_base64url(browser_token.expose_secret()),
            provider: provider.name.clone(),
        }
    }

    /// Stores the pending login and deletes expired ones.
    async fn store(self, tx: &Tx, request: OidcLoginRequest) -> Result<()> {
        let expired = Column::ExpiresAt.lte(tx.now());
        oidc_login_state::Entity::delete_many().filter(expired).exec(tx).await?;
        let row = oidc_login_state::ActiveModel {
            state_hash: Set(self.state_hash),
            browser_hash: Set(self.browser_hash),
            provider: Set(self.provider),
            redirect_uri: Set(request.redirect_uri),
            code_challenge: Set(request.code_challenge),
            expires_at: Set(tx.now() + LOGIN_STATE_TTL),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        };
        row.insert(tx).await?;
        Ok(())
    }

    /// Consumes the pending login; returns the request that began it.
    async fn consume(self, tx: &Tx) -> Result<OidcLoginRequest> {
        let consumed = oidc_login_state::Entity::delete_many()
            .filter(Column::StateHash.eq(self.state_hash))
            .filter(Column::BrowserHash.eq(self.browser_hash))
            .filter(Column::Provider.eq(self.provider))
            .filter(Column::ExpiresAt.gt(tx.now()))
            .exec_with_returning(tx)
            .await?;
        let row = consumed.into_iter().next().ok_or_else(invalid_login_state_error)?;
        Ok(OidcLoginRequest { redirect_uri: row.redirect_uri, code_challenge: row.code_challenge })
    }
}

impl OidcLoginRequest {
    /// Validates a login request.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the redirect URI is not allowed or the challenge is not valid S256.
    pub fn parse(allowed_redirect_uris: &[String], redirect_uri: String, code_challenge: String) -> Result<Self> {
        if !allowed_redirect_uris.contains(&redirect_uri) {
            let message = "`redirect` is not one of the allowed redirect URLs (identity.allowed_redirect_uris).";
            return Err(Error::bad_input("redirect", message));
        }
        let is_base64url = code_challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if code_challenge.len() != CODE_CHALLENGE_CHARS || !is_base64url {
            let message = "`challenge` is required: SHA-256 of your verifier in base64url, 43 characters without `=`.";
            return Err(Error::bad_input("challenge", message));
        }
        Ok(Self { redirect_uri, code_challenge })
    }
}

/// Completes a login at the provider; returns the redirect URI of the app with a one-time code.
///
/// # Errors
/// Returns a user error if the state is invalid, the provider rejects the login or does not respond, or the account
/// is disabled or may not be linked.
pub async fn finish_login(
    db: &Db,
    provider: &OidcProvider,
    callback_url: &str,
    response: OidcCallback,
) -> Result<String> {
    let OidcCallback { state, browser_token, code_result } = response;
    let login_state = OidcLoginState::new(provider, &state, &browser_token);
    let login_request = db.write(async move |tx| login_state.consume(tx).await).await?;
    let code = code_result.map_err(|error| {
        Error::bad_input("", format!("{} has rejected the sign-in ({error}). Start again.", provider.name))
    })?;
    let grant = CodeGrant { code, state: &state, browser_token: &browser_token };
    let identity = exchange_code(db.now(), provider, callback_url, grant).await?;
    let account = account_linking::find_or_create_account(db, &identity).await?;
    let metadata = LoginTokenMetadata { provider: provider.name.clone(), challenge: login_request.code_challenge };
    let metadata = serde_json::to_string(&metadata).map_err(|error| Error::internal("serializing a sign-in", error))?;
    let code = db
        .write(async move |tx| {
            one_time_token::create_one_time_token(tx, OneTimeTokenPurpose::Login, account.id, &metadata).await
        })
        .await?;
    let mut redirect_url =
        Url::parse(&login_request.redirect_uri).map_err(|error| Error::internal("parsing a redirect URL", error))?;
    redirect_url.query_pairs_mut().append_pair("code", &code);
    Ok(redirect_url.into())
}

/// Returns the error for a state that is unknown, used, expired or of another browser.
#[must_use]
pub fn invalid_login_state_error() -> Error {
    let message = "This sign-in was started in another browser, is already completed, or took longer than ten \
                   minutes. Start again.";
    Error::bad_input("state", message)
}

/// Authorization code of a login with the secrets that it is bound to.
#[derive(Debug)]
struct CodeGrant<'a> {
    code: String,
    state: &'a str,
    browser_token: &'a SecretString,
}

/// Exchanges the authorization code for the identity in the ID token.
async fn exchange_code(
    now: DateTime<Utc>,
    provider: &OidcProvider,
    callback_url: &str,
    grant: CodeGrant<'_>,
) -> Result<ExternalIdentity> {
    let CodeGrant { code, state, browser_token } = grant;
    let metadata = load_provider_metadata(provider, now).await?;
    let client = build_client(&metadata, provider, callback_url)?;
    let request = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|error| Error::internal("preparing a request to a provider", error))?;
    let tokens = match request
        .set_pkce_verifier(derive_pkce_verifier(state, browser_token))
        .request_async(&provider.http_client)
        .await
    {
        Ok(tokens) => tokens,
        Err(RequestTokenError::ServerResponse(error)) => {
            tracing::warn!(provider = provider.name, error = %error, "OpenID provider rejected authorization code");
            return Err(Error::bad_input("code", format!("{} does not accept this code. Start again.", provider.name)));
        }
        Err(error) => return Err(provider_unavailable_error(provider, &format_error_chain(&error))),
    };
    let Some(token) = tokens.extra_fields().id_token() else {
        return Err(provider_unavailable_error(provider, "its response has no ID token"));
    };
    let id_token = BoundIdToken { token, nonce: derive_nonce(state, browser_token) };
    let claims = match verify_id_token(&metadata, provider, &id_token, now) {
        Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
            let metadata = provider
                .refresh_metadata(metadata, now)
                .await
                .map_err(|error| provider_unavailable_error(provider, &error.to_string()))?;
            verify_id_token(&metadata, provider, &id_token, now)
        }
        outcome => outcome,
    };
    let claims = claims.map_err(|error| provider_unavailable_error(provider, &format_error_chain(&error)))?;
    Ok(identity_from_claims(provider, &claims))
}

/// ID token with the nonce of the login that it must contain.
#[derive(Debug)]
struct BoundIdToken<'a> {
    token: &'a CoreIdToken,
    nonce: Nonce,
}

/// Verifies signature, audience, nonce and times of an ID token and returns its claims.
fn verify_id_token(
    metadata: &ProviderMetadata,
    provider: &OidcProvider,
    id_token: &BoundIdToken<'_>,
    now: DateTime<Utc>,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let client = build_client_without_redirect(metadata, provider);
    let supported_algorithms = metadata.discovery.id_token_signing_alg_values_supported().iter();
    let symmetric_algorithms = [
        CoreJwsSigningAlgorithm::None,
        CoreJwsSigningAlgorithm::HmacSha256,
        CoreJwsSigningAlgorithm::HmacSha384,
        CoreJwsSigningAlgorithm::HmacSha512,
    ];
    let clock_skew = TimeDelta::from_std(provider.config.clock_skew).unwrap_or_default();
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(supported_algorithms.filter(|algorithm| !symmetric_algorithms.contains(algorithm)).cloned())
        .set_time_fn(move || now - clock_skew);
    id_token.token.claims(&verifier, &id_token.nonce).cloned()
}

fn identity_from_claims(provider: &OidcProvider, claims: &CoreIdTokenClaims) -> ExternalIdentity {
    let name =
        |value: Option<&String>| value.and_then(|value| account::validate_name(value, "").ok()).unwrap_or_default();
    let given_name = claims.given_name().and_then(|name| name.get(None)).map(|name| &**name);
    let family_name = claims.family_name().and_then(|name| name.get(None)).map(|name| &**name);
    ExternalIdentity {
        issuer: provider.config.issuer.clone(),
        subject: claims.subject().to_string(),
        email: claims.email().and_then(|email| account::validate_email(email, "").ok()),
        email_verified: claims.email_verified() == Some(true),
        first_name: name(given_name),
        last_name: name(family_name),
    }
}

/// Completed login of an app at a provider.
#[derive(Debug)]
pub struct RedeemedLogin {
    /// Account.
    pub account: entity::account::Model,
    /// Name of the provider.
    pub provider: String,
}

/// Redeems the one-time code of an app.
///
/// # Errors
/// Returns `BadUserInput` if the code or the verifier is invalid, and `Forbidden` if the account is disabled or
/// deleted.
pub async fn redeem_login_code(tx: &Tx, code: &str, verifier: &str) -> Result<RedeemedLogin> {
    let consumed = one_time_token::consume_one_time_token(tx, OneTimeTokenPurpose::Login, code, "code").await?;
    let metadata = serde_json::from_str::<LoginTokenMetadata>(&consumed.metadata)
        .map_err(|error| Error::internal("deserializing a sign-in", error))?;
    if !random_token::secrets_are_equal(&metadata.challenge, &digest::sha256_base64url(verifier)) {
        let message = "the verifier does not match the challenge of the sign-in";
        return Err(Error::bad_input("verifier", message));
    }
    match account::find_active_account(tx, consumed.account_id).await? {
        Some(account) => Ok(RedeemedLogin { account, provider: metadata.provider }),
        None => Err(account_linking::account_closed_error()),
    }
}

async fn load_provider_metadata(
    provider: &OidcProvider,
    now: DateTime<Utc>,
) -> Result<std::sync::Arc<ProviderMetadata>> {
    let metadata = provider.load_metadata(now).await;
    metadata.map_err(|error| provider_unavailable_error(provider, &error.to_string()))
}

/// Returns the error for a provider that is unavailable or responds incorrectly; logs the reason.
fn provider_unavailable_error(provider: &OidcProvider, reason: &str) -> Error {
    tracing::warn!(provider = provider.name, error = reason, "login with OpenID provider failed");
    let message = format!("{} is currently unavailable. Try again later, or sign in another way.", provider.name);
    Error::user(PublicErrorCode::Unavailable, "", message)
}

fn build_client(metadata: &ProviderMetadata, provider: &OidcProvider, callback_url: &str) -> Result<OidcClient> {
    let callback_url = RedirectUrl::new(callback_url.to_owned());
    let callback_url = callback_url.map_err(|error| Error::internal("parsing the callback URL", error))?;
    Ok(build_client_without_redirect(metadata, provider).set_redirect_uri(callback_url))
}

fn build_client_without_redirect(metadata: &ProviderMetadata, provider: &OidcProvider) -> OidcClient {
    let config = &provider.config;
    let secret = Some(config.client_secret.expose_secret()).filter(|secret| !secret.is_empty());
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let client =
        CoreClient::from_provider_metadata(metadata.discovery.clone(), ClientId::new(config.client_id.clone()), secret);
    let auth_methods = metadata.discovery.token_endpoint_auth_methods_supported();
    if auth_methods.is_none_or(|auth_methods| auth_methods.contains(&CoreClientAuthMethod::ClientSecretBasic)) {
        return client;
    }
    client.set_auth_type(AuthType::RequestBody)
}

/// Derives the PKCE verifier of a login.
fn derive_pkce_verifier(state: &str, browser_token: &SecretString) -> PkceCodeVerifier {
    let browser_token = browser_token.expose_secret();
    PkceCodeVerifier::new(digest::sha256_base64url(&format!("verifier {state} {browser_token}")))
}

/// Derives the nonce of a login.
fn derive_nonce(state: &str, browser_token: &SecretString) -> Nonce {
    let browser_token = browser_token.expose_secret();
    Nonce::new(digest::sha256_base64url(&format!("nonce {state} {browser_token}")))
}
