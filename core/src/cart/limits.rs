//! Rate limits of cart changes.

use crate::{base::Result, identity::Caller, infra::RequestThrottle};

/// Counts a cart change. Callers with a permission are not limited. Counting is excluded from the statement budget of a
/// request and often needs no statement.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_cart_changes(throttle: &RequestThrottle<'_>, caller: Caller) -> Result<()> {
    if caller.has_permissions() {
        return Ok(());
    }
    let limit = throttle.config.cart_changes_per_ip;
    throttle.count_action(throttle.network_subject("cart address", limit).as_slice()).await
}
