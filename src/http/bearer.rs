//! Who sends a request: the token that came with it, and where it came from.

use std::net::SocketAddr;

use axum::{
    Extension,
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, header},
};

use super::App;
use crate::{
    graphql::context::Visit,
    identity::{Caller, gate::Refused, outside::Denied, session::Device},
};

/// What goes with 401.
pub const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Who asks, and from where.
///
/// # Errors
/// Why what came with the request does not hold, or why nobody can say.
pub async fn visit(
    app: &App,
    headers: &HeaderMap,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: &str,
) -> Result<Visit, Denied> {
    let caller = match token(headers)? {
        Some(token) => app.shared.admit(token, request).await?,
        None => Caller::Nobody,
    };
    let user_agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_string());
    let address = forwarded(headers, app.shared.config.server.proxies).or(peer).unwrap_or_default();
    Ok(Visit { caller, device: Device { user_agent: user_agent.to_owned(), address }, request: request.to_owned() })
}

/// The bearer token, if there is one.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Refused::new("there is more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| Refused::new("the Authorization header is not ASCII"))?;
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::new("the Authorization header is of another scheme than Bearer"));
    }
    Ok(Some(token.trim()))
}

/// The address that the outermost of our own proxies saw. What stands further left, anybody may have written.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<String> {
    let place = proxies.checked_sub(1)?;
    let all = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = all.flat_map(|value| value.split(',')).map(str::trim).collect();
    let hop = hops.iter().rev().nth(place)?;
    hop.parse::<std::net::IpAddr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1, 203.0.113.7"));
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.5"));
        assert_eq!(forwarded(&headers, 0), None);
        assert_eq!(forwarded(&headers, 1).as_deref(), Some("192.0.2.5"));
        assert_eq!(forwarded(&headers, 2).as_deref(), Some("203.0.113.7"));
        assert_eq!(forwarded(&headers, 4), None);
    }
}
