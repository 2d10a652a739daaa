//! Access to an order by its buyer or by staff.

use super::SalesContext;
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    customer::OwnerScope,
    identity::Permission,
    order::{queries, transition::OrderTarget},
};

/// Which order is accessed, and how.
#[derive(Debug, Clone, Copy)]
pub struct OrderAccess<'a> {
    /// Id of the order.
    pub order_id: i64,
    /// Expected current version; `None` skips the check.
    pub expected_version: Option<i32>,
    /// Guest access token of the order, if given.
    pub token: Option<&'a str>,
}

/// Returns the order as target of a change if the caller may change it. A matching token is sufficient, logged in or
/// not; without one, staff can access every order and customers their own.
///
/// # Errors
/// Returns `NotFound` if the caller may not access the order.
pub(super) async fn authorize_order_target(
    context: &SalesContext<'_>,
    access: &OrderAccess<'_>,
) -> Result<OrderTarget> {
    let OrderAccess { order_id, expected_version, token } = *access;
    if let Some(token) = token {
        let order = queries::find_order_by_id(context.db, order_id).await?;
        if order.is_some_and(|order| order.has_token(token)) {
            return Ok(OrderTarget { id: order_id, scope: OwnerScope::All, expected_version });
        }
    }
    let not_found =
        || Error::user(PublicErrorCode::NotFound, "id", "there is no such order; a guest gives its token too");
    let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderWrite).ok_or_else(not_found)?;
    Ok(OrderTarget { id: order_id, scope: owner_scope, expected_version })
}
