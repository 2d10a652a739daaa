//! OAuth 2.0 for API clients: `/oauth/token` (RFC 6749), `/oauth/revoke` (RFC 7009), `/oauth/introspect` (RFC 7662) and
//! the metadata of the server (RFC 8414). An API key is a client; people do not sign in here.

mod client_credentials;
mod form;
mod oauth_response;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use self::{client_credentials::read_credentials, form::OauthForm};
use super::{App, authentication, oidc_routes, rate_limit, request_id::RequestId, rest_response};
use crate::{
    identity::{
        Caller, Permissions,
        api_key::AuthenticatedApiKey,
        client_token,
        oauth_error::OauthError,
        oauth_token::{self, ActiveToken, ClientTokens, OauthContext},
        token_scope::{self, REFRESH_SCOPE, RequestedScope},
    },
    infra::{Actor, Db, RequestThrottle},
};

/// Request of a client.
#[derive(Debug)]
pub struct ClientRequest {
    app: Arc<App>,
    request_id: String,
    ip_address: String,
    headers: HeaderMap,
}

/// Parameters of a token request.
#[derive(Debug)]
enum TokenRequest {
    ClientCredentials(RequestedScope),
    RefreshToken(String, RequestedScope),
}

/// Handles `POST /oauth/token`: issues tokens for client credentials or a refresh token.
pub async fn handle_token(request: ClientRequest, body: Body) -> Response {
    request
        .respond(body, TokenRequest::parse, async |context, client, token_request| {
            let tokens = match token_request {
                TokenRequest::ClientCredentials(scope) => {
                    oauth_token::issue_client_tokens(context, client, scope).await
                }
                TokenRequest::RefreshToken(token, scope) => {
                    oauth_token::refresh_client_tokens(context, client, &token, scope).await
                }
            };
            tokens.map(|tokens| oauth_response::json_response(&token_response(&tokens)))
        })
        .await
}

/// Handles `POST /oauth/revoke`: revokes the grant of a token. Succeeds for unknown tokens.
pub async fn handle_revocation(request: ClientRequest, body: Body) -> Response {
    request
        .respond(body, read_token, async |context, client, token: String| {
            oauth_token::revoke_client_token(context, client, &token).await.map(|()| oauth_response::empty_response())
        })
        .await
}

/// Handles `POST /oauth/introspect`: describes a token of the calling client.
pub async fn handle_introspection(request: ClientRequest, body: Body) -> Response {
    request
        .respond(body, read_token, async |context, client, token: String| {
            let active = oauth_token::introspect_client_token(context, client, &token).await?;
            Ok(oauth_response::json_response(&introspection_response(active.as_ref())))
        })
        .await
}

/// Handles other methods of these paths.
pub async fn handle_other_method() -> Response {
    let mut response = oauth_response::error_response(&OauthError::InvalidRequest("The method must be POST."));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

/// Handles `/.well-known/oauth-authorization-server`: the metadata of the server.
pub async fn handle_metadata(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Ok(base_url) = oidc_routes::public_base_url(&app, &uri, &headers) else {
        let message = "The metadata is available when server.public_url is set.";
        return rest_response::error_response(StatusCode::NOT_FOUND, &request_id, "NOT_FOUND", message);
    };
    let authentication_methods = ["client_secret_basic", "client_secret_post"];
    let metadata = json!({
        "issuer": base_url,
        "token_endpoint": format!("{base_url}/oauth/token"),
        "token_endpoint_auth_methods_supported": authentication_methods,
        "revocation_endpoint": format!("{base_url}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": authentication_methods,
        "introspection_endpoint": format!("{base_url}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": authentication_methods,
        "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "scopes_supported": token_scope::list_scopes().collect::<Vec<_>>(),
    });
    ([(header::CACHE_CONTROL, "public, max-age=300")], axum::Json(metadata)).into_response()
}

impl TokenRequest {
    fn parse(form: &OauthForm) -> Result<Self, OauthError> {
        let grant_type = form.require("grant_type", "The parameter grant_type is missing.")?;
        let scope = || RequestedScope::parse(form.get("scope").unwrap_or_default());
        match grant_type.as_str() {
            "client_credentials" => Ok(Self::ClientCredentials(scope()?)),
            "refresh_token" => {
                let token = form.require("refresh_token", "The parameter refresh_token is missing.")?;
                Ok(Self::RefreshToken(token, scope()?))
            }
            _ => Err(OauthError::UnsupportedGrantType),
        }
    }
}

fn read_token(form: &OauthForm) -> Result<String, OauthError> {
    form.require("token", "The parameter token is missing.")
}

impl FromRequestParts<Arc<App>> for ClientRequest {
    type Rejection = <Extension<RequestId> as FromRequestParts<Arc<App>>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let Extension(RequestId(request_id)) = Extension::from_request_parts(parts, app).await?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied().map(Extension);
        let ip_address = authentication::client_address(app, &parts.headers, peer);
        Ok(Self { app: Arc::clone(app), request_id, ip_address, headers: parts.headers.clone() })
    }
}

impl ClientRequest {
    /// Parses and authenticates the request, and executes it. It is charged to the client; if there is none, to the
    /// network.
    async fn respond<T>(
        &self,
        body: Body,
        parse: impl FnOnce(&OauthForm) -> Result<T, OauthError>,
        execute: impl AsyncFnOnce(OauthContext<'_>, AuthenticatedApiKey, T) -> Result<Response, OauthError>,
    ) -> Response {
        let outcome = match self.open(body, parse).await {
            Ok((client, parameters)) => self.execute(client, parameters, execute).await,
            Err(error) => match rate_limit::charge_rest_request(&self.app, &self.ip_address).await {
                Ok(()) => Err(error),
                Err(rejected) => Err(OauthError::Failure(rejected)),
            },
        };
        outcome.unwrap_or_else(|error| oauth_response::error_response(&error))
    }

    /// Reads the parameters and authenticates the client.
    async fn open<T>(
        &self,
        body: Body,
        parse: impl FnOnce(&OauthForm) -> Result<T, OauthError>,
    ) -> Result<(AuthenticatedApiKey, T), OauthError> {
        let form = OauthForm::read(&self.headers, body).await?;
        let parameters = parse(&form)?;
        let credentials = read_credentials(&self.headers, &form)?;
        let db = self.app.state.request_db(Actor::Anonymous, &self.request_id);
        let client = oauth_token::authenticate_client(self.context(&db), credentials).await?;
        Ok((client, parameters))
    }

    async fn execute<T>(
        &self,
        client: AuthenticatedApiKey,
        parameters: T,
        execute: impl AsyncFnOnce(OauthContext<'_>, AuthenticatedApiKey, T) -> Result<Response, OauthError>,
    ) -> Result<Response, OauthError> {
        let caller = Caller::ApiKey { api_key_id: client.id, permissions: client.permissions };
        rate_limit::charge_caller(&self.app, caller, &self.ip_address).await?;
        let db = self.app.state.request_db(caller.actor(), &self.request_id);
        execute(self.context(&db), client, parameters).await
    }

    fn context<'c>(&'c self, db: &'c Db) -> OauthContext<'c> {
        let state = &self.app.state;
        OauthContext {
            config: &state.config.identity,
            access_tokens: &state.access_token_service,
            authenticator: &state.authenticator,
            throttle: RequestThrottle {
                throttle: &state.throttle,
                db,
                config: &state.config.throttle,
                ip_address: &self.ip_address,
            },
        }
    }
}

/// Returns the scope that tokens are described with.
fn scope_text(permissions: Permissions, is_refreshable: bool) -> String {
    if is_refreshable { format!("{permissions} {REFRESH_SCOPE}") } else { permissions.to_string() }
}

fn token_response(tokens: &ClientTokens) -> Value {
    let ClientTokens { access_token, expires_in, permissions, refresh_token } = tokens;
    let mut response = json!({
        "access_token": access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": expires_in,
        "scope": scope_text(*permissions, refresh_token.is_some()),
    });
    if let Some(refresh_token) = refresh_token {
        response["refresh_token"] = refresh_token.expose_secret().into();
    }
    response
}

fn introspection_response(active: Option<&ActiveToken>) -> Value {
    match active {
        None => json!({ "active": false }),
        Some(ActiveToken::Access(claims, permissions)) => json!({
            "active": true,
            "token_type": "Bearer",
            "scope": permissions.to_string(),
            "client_id": claims.client_id,
            "sub": claims.sub,
            "aud": claims.aud,
            "iss": claims.iss,
            "jti": claims.jti,
            "iat": claims.iat,
            "exp": claims.exp,
        }),
        Some(ActiveToken::Refresh(grant)) => json!({
            "active": true,
            "scope": scope_text(Permissions::parse(&grant.scope), true),
            "client_id": client_token::client_id(grant.api_key_id),
            "sub": client_token::client_id(grant.api_key_id),
            "iat": grant.updated_at.timestamp(),
            "exp": grant.expires_at.timestamp(),
        }),
    }
}
