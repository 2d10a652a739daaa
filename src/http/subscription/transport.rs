//! Selection of the transport of a request to `/graphql`: WebSocket, server-sent events, or a single response.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{super::App, origin, registry::ConnectionPlace, sse, websocket};
use crate::{
    base::error::PublicErrorCode,
    http::{authentication, request_id::RequestId, rest_response},
    infra::throttle::client_network,
};

/// Serves a request over WebSocket or as server-sent events if the client asks for that; passes on the others.
pub async fn select_transport(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if is_websocket_handshake(request.headers()) {
        return accept_websocket(app, request).await;
    }
    if prefers_event_stream(request.headers()) {
        return Box::pin(sse::stream_events(app, request)).await;
    }
    next.run(request).await
}

fn is_websocket_handshake(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Returns whether `Accept` names `text/event-stream` before every other media type of the same quality.
pub(in crate::http) fn prefers_event_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut preferred: Option<(&str, f32)> = None;
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |value| value.parse().unwrap_or(0.0));
        if quality > preferred.map_or(0.0, |(_, best)| best) {
            preferred = Some((essence, quality));
        }
    }
    preferred.is_some_and(|(essence, _)| essence.eq_ignore_ascii_case("text/event-stream"))
}

async fn accept_websocket(app: Arc<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let request_id = parts.extensions.get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default();
    if !origin::is_allowed_origin(&parts.headers, &app.state.config) {
        let message = "This origin may not connect.";
        let code = PublicErrorCode::Forbidden.as_str();
        return rest_response::error_response(StatusCode::FORBIDDEN, &request_id, code, message);
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &app).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let peer_address = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied().map(Extension);
    let place = match reserve_place(&app, &parts.headers, peer_address, &request_id) {
        Ok(place) => place,
        Err(response) => return *response,
    };
    let authenticated = authentication::authenticate_request(&app, &parts.headers, peer_address, &request_id).await;
    let Ok(request_info) = authenticated else {
        let message = "The token is invalid; sign in again.";
        let code = PublicErrorCode::Unauthenticated.as_str();
        return rest_response::error_response(StatusCode::UNAUTHORIZED, &request_id, code, message);
    };
    let token = authentication::bearer_token(&parts.headers).ok().flatten().map(|token| token.to_owned().into());
    websocket::upgrade_connection(app, upgrade, websocket::Handshake { request_info, token, place })
}

/// Reserves a place for a connection of the client's network.
///
/// # Errors
/// Returns the response to a client that cannot have a connection.
pub(super) fn reserve_place(
    app: &App,
    headers: &HeaderMap,
    peer_address: Option<Extension<ConnectInfo<SocketAddr>>>,
    request_id: &str,
) -> Result<ConnectionPlace, Box<Response>> {
    let address = authentication::client_address(app, headers, peer_address);
    let place = app.subscriptions.connections.add(client_network(&address));
    place.map_err(|status| Box::new(rejection(status, request_id)))
}

/// Returns the response to a client that cannot have a connection.
pub(super) fn rejection(status: StatusCode, request_id: &str) -> Response {
    let (code, message) = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            (PublicErrorCode::RateLimited, "There are too many live connections from your network or account.")
        }
        _ => (PublicErrorCode::Unavailable, "The shop has too many live connections at the moment; try again later."),
    };
    let mut response = rest_response::error_response(status, request_id, code.as_str(), message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Reads the body of a request within its limit.
pub(super) async fn read_body(request: Request) -> Result<axum::body::Bytes, axum::extract::rejection::BytesRejection> {
    axum::body::Bytes::from_request(request, &()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_stream_is_served_if_it_is_preferred() {
        let prefers =
            |accept| prefers_event_stream(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]));
        assert!(prefers("text/event-stream"));
        assert!(prefers("text/event-stream, application/json"));
        assert!(prefers("application/json;q=0.5, text/event-stream;q=0.9"));
        for accept in ["", "*/*", "application/json", "application/json, text/event-stream", "text/event-stream;q=0"] {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_event_stream(&HeaderMap::new()));
    }
}
