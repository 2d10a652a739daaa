//! `/auth/…`: browser login with an OpenID provider.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use cookie::{Cookie, SameSite, time::Duration};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    App, authentication,
    request_id::RequestId,
    rest_response,
    url_parameters::{PathParameters, QueryParameters},
};
use crate::{
    base::{Error, Result, digest},
    identity::{
        Caller,
        oidc_login::{self, OidcCallback, OidcLoginRequest},
        oidc_provider::OidcProvider,
    },
    infra::{Db, config::ShopMode, throttle::ThrottleSubject},
};

/// Characters of the state's digest in the cookie name, which distinguish concurrent logins.
const STATE_DIGEST_PREFIX_LENGTH: usize = 12;
/// Maximum length of a provider's error code that is returned to the browser.
const MAX_ERROR_CODE_LENGTH: usize = 64;

/// Query parameters of the login route.
#[derive(Debug, Deserialize)]
pub struct LoginQueryParams {
    redirect: Option<String>,
    challenge: Option<String>,
}

/// Query parameters of the callback route.
#[derive(Debug, Deserialize)]
pub struct CallbackQueryParams {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Metadata of a browser's request.
#[derive(Debug)]
pub struct BrowserRequest {
    id: String,
    uri: Uri,
    headers: HeaderMap,
    peer_address: Option<Extension<ConnectInfo<SocketAddr>>>,
}

impl<S: Send + Sync> FromRequestParts<S> for BrowserRequest {
    type Rejection = <Extension<RequestId> as FromRequestParts<S>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Extension(RequestId(id)) = Extension::from_request_parts(parts, state).await?;
        let peer_address = parts.extensions.get().copied().map(Extension);
        Ok(Self { id, uri: parts.uri.clone(), headers: parts.headers.clone(), peer_address })
    }
}

/// Common context of both routes.
#[derive(Debug)]
struct OidcRequest<'a> {
    app: &'a App,
    provider: &'a OidcProvider,
    db: Db,
    /// Callback URL at this server.
    callback: String,
}

/// Handles `/auth/{provider}/login?redirect=URL`: redirects to the provider.
pub async fn handle_login(
    State(app): State<Arc<App>>,
    PathParameters(provider_name): PathParameters<String>,
    QueryParameters(params): QueryParameters<LoginQueryParams>,
    request: BrowserRequest,
) -> Response {
    let client_address = authentication::client_address(&app, &request.headers, request.peer_address);
    let outcome = match OidcRequest::new(&app, &provider_name, &request) {
        Ok(oidc_request) => oidc_request.start_login(params, &client_address).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| rest_response::error_to_response(&request.id, &error))
}

/// Handles `/auth/{provider}/callback`: completes the login and redirects to the app.
pub async fn handle_callback(
    State(app): State<Arc<App>>,
    PathParameters(provider_name): PathParameters<String>,
    QueryParameters(params): QueryParameters<CallbackQueryParams>,
    request: BrowserRequest,
) -> Response {
    let outcome = match OidcRequest::new(&app, &provider_name, &request) {
        Ok(oidc_request) => oidc_request.finish_login(params, &request.headers).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| rest_response::error_to_response(&request.id, &error))
}

impl<'a> OidcRequest<'a> {
    fn new(app: &'a App, provider_name: &str, request: &BrowserRequest) -> Result<Self> {
        let Some(provider) = app.state.external_token_verifier.providers.find_login_provider(provider_name) else {
            return Err(Error::not_found("", "provider"));
        };
        let db = app.state.request_db(Caller::Anonymous.actor(), &request.id);
        let callback =
            format!("{}/auth/{provider_name}/callback", public_base_url(app, &request.uri, &request.headers)?);
        Ok(Self { app, provider, db, callback })
    }

    async fn start_login(self, params: LoginQueryParams, client_address: &str) -> Result<Response> {
        let app_state = &self.app.state;
        let throttle_subject =
            ThrottleSubject::for_network("login start", client_address, app_state.config.throttle.oidc_logins_per_ip);
        app_state.throttle.count_action(&app_state.db, throttle_subject.as_slice()).await?;
        let allowed_redirect_uris = &app_state.config.identity.allowed_redirect_uris;
        let (redirect_uri, code_challenge) =
            (params.redirect.unwrap_or_default(), params.challenge.unwrap_or_default());
        let login_request = OidcLoginRequest::parse(allowed_redirect_uris, redirect_uri, code_challenge)?;
        let redirection = oidc_login::begin_login(&self.db, self.provider, &self.callback, login_request).await?;
        let cookie = self.login_cookie(&redirection.state, redirection.browser_token.expose_secret());
        Ok(redirect_with_cookie(&redirection.authorization_url, &cookie))
    }

    async fn finish_login(self, params: CallbackQueryParams, headers: &HeaderMap) -> Result<Response> {
        let CallbackQueryParams { state, code, error, iss: issuer } = params;
        let state = state.ok_or_else(oidc_login::invalid_login_state_error)?;
        let browser_token =
            find_cookie(headers, &self.login_cookie_name(&state)).ok_or_else(oidc_login::invalid_login_state_error)?;
        // The `iss` parameter, if present, must match the provider (RFC 9207).
        if issuer.is_some_and(|issuer| issuer != self.provider.config.issuer) {
            return Err(Error::bad_input("iss", "This response is from another provider. Start again."));
        }
        let safe_error_code = |error: String| if is_error_code(&error) { error } else { "unknown error".into() };
        let authorization_result = match (error, code) {
            (None, Some(code)) => Ok(code),
            (error, _) => Err(error.map_or_else(|| "no reason given".into(), safe_error_code)),
        };
        let mut expired_cookie = self.login_cookie(&state, "");
        expired_cookie.make_removal();
        let callback_params = OidcCallback { state, browser_token, code_result: authorization_result };
        let redirect_uri = oidc_login::finish_login(&self.db, self.provider, &self.callback, callback_params).await?;
        Ok(redirect_with_cookie(&redirect_uri, &expired_cookie))
    }

    /// Returns the cookie name: one per login, so that concurrent logins are independent. With TLS the `__Host-` prefix
    /// prevents other hosts from setting it.
    fn login_cookie_name(&self, state: &str) -> String {
        let prefix = if self.is_secure() { "__Host-" } else { "" };
        format!("{prefix}savannah-login-{}", &digest::sha256_base64url(state)[..STATE_DIGEST_PREFIX_LENGTH])
    }

    /// Returns the cookie. `SameSite=Lax`: sent with the redirect from the provider, not with cross-site subrequests.
    fn login_cookie<'c>(&self, state: &str, value: &'c str) -> Cookie<'c> {
        Cookie::build((self.login_cookie_name(state), value))
            .path("/")
            .max_age(Duration::seconds(oidc_login::LOGIN_STATE_TTL.num_seconds()))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure())
            .build()
    }

    fn is_secure(&self) -> bool {
        self.callback.starts_with("https:")
    }
}

/// Returns the public base URL: `server.public_url`, or in development the host of the request.
///
/// # Errors
/// Returns an internal error if the setting is missing.
pub(super) fn public_base_url(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<String> {
    let config = &app.state.config;
    if !config.server.public_url.is_empty() {
        return Ok(config.server.public_url.trim_end_matches('/').to_owned());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(axum::http::uri::Authority::as_str));
    match host.filter(|host| config.shop.mode == ShopMode::Development && !host.contains(['/', '?', '#', '@', '\\'])) {
        Some(host) => Ok(format!("{}://{host}", config.server.scheme())),
        None => Err(Error::internal("building the callback URL", "server.public_url is not set")),
    }
}

/// Returns the value of a cookie of the request; `None` if it is empty.
fn find_cookie(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let cookie_headers = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookie = cookie_headers.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name)?;
    Some(cookie.value()).filter(|value| !value.is_empty()).map(SecretString::from)
}

/// Returns whether a text has the format of an OAuth error code.
fn is_error_code(error_code: &str) -> bool {
    (1..=MAX_ERROR_CODE_LENGTH).contains(&error_code.len())
        && error_code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Creates a redirect with a cookie. It is not cached, and the URL with its code is not sent as referrer.
fn redirect_with_cookie(location: &str, cookie: &Cookie) -> Response {
    let cookie = cookie.to_string();
    let headers = [
        (header::LOCATION, location),
        (header::SET_COOKIE, &cookie),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
