//! Who sends a request: the token that came with it, and where it came from.

use std::net::{IpAddr, SocketAddr};

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
    let address = client_address(app, headers, peer);
    Ok(Visit { caller, device: Device { user_agent: user_agent.to_owned(), address }, request: request.to_owned() })
}

/// The network address of the client; empty where it is not known.
pub fn client_address(app: &App, headers: &HeaderMap, peer: Option<Extension<ConnectInfo<SocketAddr>>>) -> String {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let address = forwarded(headers, app.shared.config.server.proxies).or(peer);
    address.map(|address| address.to_canonical().to_string()).unwrap_or_default()
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
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let place = proxies.checked_sub(1)?;
    let all = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = all.flat_map(|value| value.split(',')).map(str::trim).collect();
    hops.iter().rev().nth(place).and_then(|hop| hop_address(hop))
}

/// The address of a hop: `192.0.2.7`, `192.0.2.7:555`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:555`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1, 203.0.113.7"));
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.5"));
        let seen = |proxies| forwarded(&headers, proxies).map(|address| address.to_string());
        assert_eq!(seen(0), None);
        assert_eq!(seen(1).as_deref(), Some("192.0.2.5"));
        assert_eq!(seen(2).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(4), None);
    }

    #[test]
    fn forwarded_hop_with_port_or_brackets_is_parsed() {
        let read = |hop: &str| hop_address(hop).map(|address| address.to_string());
        for hop in ["192.0.2.7", "192.0.2.7:555"] {
            assert_eq!(read(hop).as_deref(), Some("192.0.2.7"), "{hop}");
        }
        for hop in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:555"] {
            assert_eq!(read(hop).as_deref(), Some("2001:db8::7"), "{hop}");
        }
        for hop in ["", "unknown", "192.0.2.7:port", "[2001:db8::7]:"] {
            assert_eq!(read(hop), None, "{hop}");
        }
    }
}
