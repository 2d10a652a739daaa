//! Rows and queries of payments.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    base::Result,
    infra::{
        SqlBuilder, Tx,
        sql_builder::{group_by_owner, query_rows},
    },
    order::PaymentStatus,
};

/// Status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum PaymentState {
    /// Waits for the provider's result.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// Authorized.
    #[sea_orm(string_value = "authorized")]
    Authorized,
    /// Captured.
    #[sea_orm(string_value = "captured")]
    Captured,
    /// Declined.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// Voided.
    #[sea_orm(string_value = "voided")]
    Voided,
}

/// A payment of an order.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Payment {
    pub id: i64,
    pub order_id: i64,
    pub provider: String,
    pub reference: Option<String>,
    pub status: PaymentState,
    pub amount: i64,
    pub captured: i64,
    pub refunded: i64,
    pub action_url: Option<String>,
    pub error: Option<String>,
    pub capture_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Payment {
    /// Returns the payment status of the order.
    #[must_use]
    pub const fn order_payment_status(&self) -> PaymentStatus {
        match self.status {
            PaymentState::Pending => PaymentStatus::Pending,
            PaymentState::Authorized => PaymentStatus::Authorized,
            PaymentState::Failed | PaymentState::Voided => PaymentStatus::Voided,
            PaymentState::Captured if self.refunded == 0 => PaymentStatus::Paid,
            PaymentState::Captured if self.refunded < self.captured => PaymentStatus::PartiallyRefunded,
            PaymentState::Captured => PaymentStatus::Refunded,
        }
    }
}

/// Returns the latest payment of an order. The transaction must have locked the order.
pub async fn find_payment_by_order(tx: &Tx, order_id: i64) -> Result<Option<Payment>> {
    let mut by_order = list_payments_by_order(tx, &[order_id]).await?;
    Ok(by_order.remove(&order_id).and_then(|mut payments| payments.pop()))
}

/// Returns the payments of orders, oldest first. Statements: 1.
pub async fn list_payments_by_order(
    db: &impl ConnectionTrait,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<Payment>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT p.* FROM payment AS p WHERE ")
        .eq_any("p.order_id", order_ids.iter().copied())
        .push(" ORDER BY p.id");
    Ok(group_by_owner(query_rows(db, sql).await?, |payment: &Payment| payment.order_id))
}

/// Returns the order id of a payment. Lock order: the order before its payment.
pub async fn find_order_id_by_payment(db: &impl ConnectionTrait, payment_id: i64) -> Result<Option<i64>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT order_id FROM payment WHERE id = ").bind(payment_id);
    Ok(db.query_one_raw(sql.into_statement()).await?.map(|row| row.try_get_by(0)).transpose()?)
}
