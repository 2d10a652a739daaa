//! `/auth/…`: signing in by way of an OpenID provider, with a browser.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{App, bearer, envelope, request_id::RequestId};
use crate::{
    base::{Error, Result},
    identity::{
        Caller,
        login::{self, Returned, Wish},
        provider::Provider,
        secret,
    },
    infra::{Budget, Db, Origin, config::Mode, throttle::ThrottleSubject},
};

/// So many characters of a state's digest tell the cookies of several sign-ins apart.
const TOLD_APART: usize = 12;
/// The longest word of refusal that is repeated to the browser.
const WORD_LIMIT: usize = 64;

/// What an app asks for.
#[derive(Debug, Deserialize)]
pub struct Asked {
    redirect: Option<String>,
    challenge: Option<String>,
}

/// What a provider sends along.
#[derive(Debug, Deserialize)]
pub struct Answered {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// What both ways need to know of a request.
#[derive(Debug)]
struct Visit<'a> {
    app: &'a App,
    provider: &'a Provider,
    db: Db,
    /// Where the provider sends people back to.
    callback: String,
}

/// `/auth/{provider}/login?redirect=ADDRESS`: on to the provider.
pub async fn login(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    (uri, headers, peer): (Uri, HeaderMap, Option<Extension<ConnectInfo<SocketAddr>>>),
) -> Response {
    let address = bearer::client_address(&app, &headers, peer);
    let outcome = match Visit::open(&app, &name, &id, (&uri, &headers)) {
        Ok(visit) => visit.login(asked, &address).await,
        Err(why) => Err(why),
    };
    outcome.unwrap_or_else(|why| envelope::refuse(&id, &why))
}

/// `/auth/{provider}/callback`: back from the provider, and on to the app.
pub async fn callback(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Path(name): Path<String>,
    Query(answered): Query<Answered>,
    (uri, headers): (Uri, HeaderMap),
) -> Response {
    let outcome = match Visit::open(&app, &name, &id, (&uri, &headers)) {
        Ok(visit) => visit.callback(answered, &headers).await,
        Err(why) => Err(why),
    };
    outcome.unwrap_or_else(|why| envelope::refuse(&id, &why))
}

impl<'a> Visit<'a> {
    fn open(app: &'a App, name: &str, id: &str, (uri, headers): (&Uri, &HeaderMap)) -> Result<Self> {
        let Some(provider) = app.shared.outside.providers.named(name) else {
            return Err(Error::not_found("", "provider"));
        };
        let origin = Origin { actor: Caller::Nobody.actor(), request: id.to_owned() };
        let (db, _) = app.shared.db.for_request(origin, Budget::UNLIMITED);
        let callback = format!("{}/auth/{name}/callback", own_address(app, uri, headers)?);
        Ok(Self { app, provider, db, callback })
    }

    async fn login(self, asked: Asked, address: &str) -> Result<Response> {
        let shared = &self.app.shared;
        let subject = ThrottleSubject::network("login start", address, shared.config.throttle.login_starts_per_address);
        shared.throttle.take(&shared.db, subject.as_slice()).await?;
        let redirects = &shared.config.identity.redirects;
        let (redirect, challenge) = (asked.redirect.unwrap_or_default(), asked.challenge.unwrap_or_default());
        let wish = Wish::read(redirects, redirect, challenge)?;
        let begun = login::begin(&self.db, self.provider, &self.callback, wish).await?;
        let cookie = self.cookie(&begun.state, &begun.browser, login::LASTS.num_seconds());
        Ok(sent(&begun.to, &cookie))
    }

    async fn callback(self, answered: Answered, headers: &HeaderMap) -> Result<Response> {
        let Answered { state, code, error, iss } = answered;
        let state = state.ok_or_else(login::foreign)?;
        let browser = cookie(headers, &self.cookie_name(&state)).ok_or_else(login::foreign)?;
        // A provider that says who it is must be the one that was asked (RFC 9207).
        if iss.is_some_and(|iss| iss != self.provider.config.issuer) {
            return Err(Error::bad_input("iss", "This answer is of another provider. Begin again."));
        }
        let word = |error: String| if is_plain(&error) { error } else { "for a reason of its own".into() };
        let answer = match (error, code) {
            (None, Some(code)) => Ok(code),
            (error, _) => Err(error.map_or_else(|| "without a word".into(), word)),
        };
        let ended = self.cookie(&state, "", 0);
        let returned = Returned { state, browser, answer };
        let to = login::finish(&self.db, self.provider, &self.callback, returned).await?;
        Ok(sent(&to, &ended))
    }

    /// One cookie a sign-in, so that two windows do not disturb each other. Over TLS no other host can set it.
    fn cookie_name(&self, state: &str) -> String {
        let prefix = if self.is_secure() { "__Host-" } else { "" };
        format!("{prefix}savannah-login-{}", &secret::digest(state)[..TOLD_APART])
    }

    /// `Lax`: it comes along when the provider sends the browser back, and with nothing that another page sends here.
    fn cookie(&self, state: &str, value: &str, lasts: i64) -> String {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let name = self.cookie_name(state);
        format!("{name}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}")
    }

    fn is_secure(&self) -> bool {
        self.callback.starts_with("https:")
    }
}

/// Where people reach the shop: as the settings say, or in development as the request does.
fn own_address(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<String> {
    let config = &app.shared.config;
    if !config.server.public_url.is_empty() {
        return Ok(config.server.public_url.trim_end_matches('/').to_owned());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(axum::http::uri::Authority::as_str));
    match host.filter(|host| config.shop.mode == Mode::Development && !host.contains(['/', '?', '#', '@', '\\'])) {
        Some(host) => Ok(format!("http://{host}")),
        None => Err(Error::fault("building the address to come back to", "server.public_url is not set")),
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}

/// Words as OAuth has them for errors.
fn is_plain(word: &str) -> bool {
    (1..=WORD_LIMIT).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// On to another place. Neither the address with its code nor the answer is left behind anywhere.
fn sent(to: &str, cookie: &str) -> Response {
    let mut answer = StatusCode::SEE_OTHER.into_response();
    let headers = [(header::LOCATION, to), (header::SET_COOKIE, cookie), (header::CACHE_CONTROL, "no-store")];
    for (name, value) in headers.into_iter().chain([(header::REFERRER_POLICY, "no-referrer")]) {
        match HeaderValue::from_str(value) {
            Ok(value) => answer.headers_mut().insert(name, value),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    answer
}
