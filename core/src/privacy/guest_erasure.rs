//! Erasure of a guest's personal data, by e-mail address: carts, orders and notifications.

use crate::{
    base::{Result, global_id::NodeType},
    cart,
    identity::account,
    infra::{AuditRecord, Db, Tx},
    notification,
    order::{self, privacy::ErasedGuestOrders},
};

/// Result of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestErasureCounts {
    /// Number of anonymized orders.
    pub erased_orders: i64,
    /// Number of open orders; they keep the data needed for delivery.
    pub open_orders: i64,
}

/// Erases a guest's personal data. Finished orders are kept for accounting without it; open orders must be erased again
/// after they are finished. Adds an audit record for each anonymized order.
///
/// # Errors
/// Returns `BadUserInput` if it is not an e-mail address.
pub async fn erase_guest(db: &Db, email: &str) -> Result<GuestErasureCounts> {
    let email = account::validate_email(email, "email")?;
    db.write_with_retry(async |tx| erase_guest_data(tx, &email).await).await
}

async fn erase_guest_data(tx: &Tx, email: &str) -> Result<GuestErasureCounts> {
    cart::privacy::erase_guest(tx, email).await?;
    let ErasedGuestOrders { anonymized_ids, open_orders } = order::privacy::erase_guest(tx, email).await?;
    notification::privacy::erase_guest(tx, email, &anonymized_ids).await?;
    let to_audit_record = |order_id: &i64| AuditRecord {
        action: "order.erase",
        entity: (NodeType::Order, *order_id),
        before: None,
        after: None,
    };
    tx.record_audit(&anonymized_ids.iter().map(to_audit_record).collect::<Vec<_>>()).await?;
    Ok(GuestErasureCounts { erased_orders: i64::try_from(anonymized_ids.len()).unwrap_or(i64::MAX), open_orders })
}
