//! Authentication of requests, and the client address.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Extension,
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, header},
};

use super::App;
use crate::{
    base::{Error, error::PublicErrorCode},
    graphql::context::RequestInfo,
    identity::{
        Caller,
        error::{AuthError, TokenError},
        session::ClientInfo,
    },
};

/// `WWW-Authenticate` challenge of 401 responses.
pub const INVALID_TOKEN_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Authenticates a request; returns its caller and client information.
///
/// # Errors
/// Returns [`AuthError`] if the token is invalid or cannot be verified.
pub async fn authenticate_request(
    app: &App,
    headers: &HeaderMap,
    peer_address: Option<Extension<ConnectInfo<SocketAddr>>>,
    request_id: &str,
) -> Result<RequestInfo, AuthError> {
    let caller = match bearer_token(headers)? {
        Some(token) => app.state.authenticate(token, request_id).await?,
        None => Caller::Anonymous,
    };
    let user_agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let address = client_address(app, headers, peer_address);
    Ok(RequestInfo {
        caller,
        client_info: ClientInfo { user_agent: user_agent.to_owned(), ip_address: address },
        request_id: request_id.to_owned(),
        cache_recorder: None,
        record: Arc::default(),
        replica_position: None,
    })
}

/// Returns the error of a failed authentication. The reason is logged, not returned.
#[must_use]
pub fn explain_failure(failure: &AuthError) -> Error {
    let (code, message) = match failure {
        AuthError::InvalidToken(failure) => {
            tracing::info!(error = %failure, "token rejected");
            (PublicErrorCode::Unauthenticated, "The token is invalid; sign in again.")
        }
        AuthError::ProviderUnavailable(failure) => {
            tracing::warn!(error = %failure, "token could not be verified: issuer unavailable");
            let message = "The token cannot be verified at the moment: its issuer is unavailable. Try again.";
            (PublicErrorCode::Unavailable, message)
        }
        AuthError::Internal(failure) => {
            tracing::error!(error = failure.log_message(), "token could not be verified");
            (PublicErrorCode::Unavailable, "The token cannot be verified at the moment. Try again.")
        }
    };
    Error::user(code, "", message)
}

/// Returns the IP address of the client; empty if unknown.
pub fn client_address(
    app: &App,
    headers: &HeaderMap,
    peer_address: Option<Extension<ConnectInfo<SocketAddr>>>,
) -> String {
    let peer_address = peer_address.map(|Extension(ConnectInfo(peer_address))| peer_address);
    find_client_address(headers, app.state.config.server.trusted_proxies, peer_address).unwrap_or_default()
}

/// Returns the IP address of the client, if it is known.
pub(super) fn find_client_address(
    headers: &HeaderMap,
    trusted_proxies: usize,
    peer_address: Option<SocketAddr>,
) -> Option<String> {
    let address = forwarded_address(headers, trusted_proxies).or(peer_address.map(|peer_address| peer_address.ip()));
    address.map(|address| address.to_canonical().to_string())
}

/// Returns the bearer token, if any.
pub(super) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    let mut header_values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = header_values.next() else { return Ok(None) };
    if header_values.next().is_some() {
        return Err(TokenError::new("there is more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| TokenError::new("the Authorization header is not ASCII"))?;
    parse_bearer_token(text).map(Some)
}

/// Returns the token of an `Authorization` header.
pub(super) fn parse_bearer_token(text: &str) -> Result<&str, TokenError> {
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::new("the Authorization header is of another scheme than Bearer"));
    }
    Ok(token.trim())
}

/// Returns the address seen by the outermost trusted proxy. Entries further left can be forged by the client.
fn forwarded_address(headers: &HeaderMap, trusted_proxy_count: usize) -> Option<IpAddr> {
    let hop_index = trusted_proxy_count.checked_sub(1)?;
    let header_values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = header_values.flat_map(|value| value.split(',')).map(str::trim).collect();
    hops.iter().rev().nth(hop_index).and_then(|hop| parse_hop_address(hop))
}

/// Parses a hop: `192.0.2.7`, `192.0.2.7:555`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:555`.
fn parse_hop_address(hop: &str) -> Option<IpAddr> {
    let without_brackets =
        hop.strip_prefix('[').and_then(|without_bracket| without_bracket.strip_suffix(']')).unwrap_or(hop);
    without_brackets.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_address_counts_trusted_proxies_only() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1, 203.0.113.7"));
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.5"));
        let forwarded_for = |proxies| forwarded_address(&headers, proxies).map(|address| address.to_string());
        assert_eq!(forwarded_for(0), None);
        assert_eq!(forwarded_for(1).as_deref(), Some("192.0.2.5"));
        assert_eq!(forwarded_for(2).as_deref(), Some("203.0.113.7"));
        assert_eq!(forwarded_for(4), None);
    }

    #[test]
    fn forwarded_hop_with_port_or_brackets_is_parsed() {
        let parse = |hop: &str| parse_hop_address(hop).map(|address| address.to_string());
        for hop in ["192.0.2.7", "192.0.2.7:555"] {
            assert_eq!(parse(hop).as_deref(), Some("192.0.2.7"), "{hop}");
        }
        for hop in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:555"] {
            assert_eq!(parse(hop).as_deref(), Some("2001:db8::7"), "{hop}");
        }
        for hop in ["", "unknown", "192.0.2.7:port", "[2001:db8::7]:"] {
            assert_eq!(parse(hop), None, "{hop}");
        }
    }
}
