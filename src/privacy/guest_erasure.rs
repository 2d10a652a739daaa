//! Erasure of a guest's personal data, by e-mail address: carts, orders and notifications.

use sea_orm::ConnectionTrait;

use crate::{
    base::{Result, global_id::NodeType},
    cart,
    infra::{AuditRecord, Tx},
    order,
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
pub async fn erase_guest_data(tx: &Tx, email: &str) -> Result<GuestErasureCounts> {
    cart::retention::delete_guest_carts(tx, email).await?;
    let (erased_order_ids, open_orders) = order::privacy::anonymize_guest_orders(tx, email).await?;
    let mut sql = tx.sql();
    sql.push(
        "UPDATE notification SET recipient = NULL, template_data = NULL, provider_id = NULL, \
         failure_reason = CASE status WHEN 'sent' THEN NULL ELSE 'its recipient has been forgotten' END, \
         status = CASE status WHEN 'sent' THEN 'sent' ELSE 'skipped' END WHERE account_id IS NULL AND (",
    );
    sql.eq_any("order_id", erased_order_ids.iter().copied()).push(" OR (status <> 'queued' AND lower(recipient) = ");
    sql.bind(email.to_lowercase()).push("))");
    tx.execute_raw(sql.into_statement()).await?;
    let to_audit_record = |order_id: &i64| AuditRecord {
        action: "order.erase",
        entity: (NodeType::Order, *order_id),
        before: None,
        after: None,
    };
    tx.record_audit(&erased_order_ids.iter().map(to_audit_record).collect::<Vec<_>>()).await?;
    Ok(GuestErasureCounts { erased_orders: i64::try_from(erased_order_ids.len()).unwrap_or(i64::MAX), open_orders })
}
