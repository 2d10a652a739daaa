//! Positions of writes in requests and responses: a client that has written reads its own writes.
//!
//! The positions of callers with a token are known; other clients may send the position of the last response.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::App;
use crate::{
    identity::Caller,
    infra::{Actor, WalPosition},
};

/// Header of the position of the writes of a mutation, and of requests that must see them.
pub const WRITE_POSITION_HEADER: HeaderName = HeaderName::from_static("savannah-write-position");

/// Returns the position that a replica must have replayed for the reads of a query; `None` without a replica.
pub async fn find_required_position(app: &App, headers: &HeaderMap, caller: Caller) -> Option<WalPosition> {
    if !app.state.db.has_replica() {
        return None;
    }
    let sent = headers.get_all(WRITE_POSITION_HEADER).iter().map(|value| {
        // A position that is not understood may be of any write.
        value.to_str().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(WalPosition::UNKNOWN)
    });
    let sent = sent.max().unwrap_or(WalPosition::START);
    Some(app.state.write_positions.find(caller.actor()).await.max(sent))
}

/// Records the position of the writes of a mutation, for its caller and the accounts that it has logged in. Returns the
/// position for the client; `None` without a replica.
pub async fn record_writes(app: &App, caller: Caller, token_accounts: &[i64]) -> Option<WalPosition> {
    let position = app.state.db.read_write_position().await?;
    let accounts = token_accounts.iter().map(|account_id| Actor::Account(*account_id));
    for actor in accounts.chain([caller.actor()]) {
        app.state.write_positions.record(actor, position).await;
    }
    Some(position)
}

/// Returns the header of a position.
#[must_use]
pub fn to_header_value(position: WalPosition) -> Option<HeaderValue> {
    HeaderValue::try_from(position.to_string()).ok()
}
