//! Erasure of a guest's personal data, by their e-mail address: from carts, orders and messages.

use sea_orm::ConnectionTrait;

use crate::{
    base::{Result, id::Kind},
    cart,
    infra::{Change, Tx},
    order,
};

/// What was erased, and what could not be yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestErasure {
    /// Orders without personal data now.
    pub erased_orders: i64,
    /// Orders that are under way: they keep what is needed to deliver them.
    pub open_orders: i64,
}

/// Erases a guest's personal data. Orders that have ended stay for the books without it; those under way are to be erased
/// again when they have ended. Each erased order leaves a line in the audit log.
///
/// # Errors
/// When the database refuses.
pub async fn erase_guest(tx: &Tx, email: &str) -> Result<GuestErasure> {
    cart::keep::forget_guest(tx, email).await?;
    let (erased, open_orders) = order::keep::forget_guest(tx, email).await?;
    let mut sql = tx.sql();
    sql.push(
        "UPDATE message SET recipient = NULL, words = NULL, provider_id = NULL, \
         why = CASE state WHEN 'sent' THEN NULL ELSE 'its recipient has been forgotten' END, \
         state = CASE state WHEN 'sent' THEN 'sent' ELSE 'skipped' END WHERE account_id IS NULL AND (",
    );
    sql.any("order_id", erased.iter().copied()).push(" OR (state <> 'queued' AND lower(recipient) = ");
    sql.bind(email.to_lowercase()).push("))");
    tx.execute_raw(sql.statement()).await?;
    let change = |key: &i64| Change { action: "order.erase", thing: (Kind::Order, *key), before: None, after: None };
    tx.record(&erased.iter().map(change).collect::<Vec<_>>()).await?;
    Ok(GuestErasure { erased_orders: i64::try_from(erased.len()).unwrap_or(i64::MAX), open_orders })
}
