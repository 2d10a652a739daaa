//! Rows of payments as they are read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    base::Result,
    infra::{Sql, Tx},
    order::PaymentStatus,
};

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum PaymentState {
    /// The provider has not said anything yet.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// The money is promised.
    #[sea_orm(string_value = "authorised")]
    Authorised,
    /// The money was taken.
    #[sea_orm(string_value = "captured")]
    Captured,
    /// It was refused.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// It was let go.
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
    pub capture_asked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Payment {
    /// What it says of its order's money.
    #[must_use]
    pub const fn says(&self) -> PaymentStatus {
        match self.status {
            PaymentState::Pending => PaymentStatus::Pending,
            PaymentState::Authorised => PaymentStatus::Authorised,
            PaymentState::Failed | PaymentState::Voided => PaymentStatus::Voided,
            PaymentState::Captured if self.refunded == 0 => PaymentStatus::Paid,
            PaymentState::Captured if self.refunded < self.captured => PaymentStatus::PartiallyRefunded,
            PaymentState::Captured => PaymentStatus::Refunded,
        }
    }
}

/// The payment of an order, in a transaction that holds the order.
///
/// # Errors
/// When the database refuses.
pub async fn of_order(tx: &Tx, order: i64) -> Result<Option<Payment>> {
    let mut found = of_orders(tx, &[order]).await?;
    Ok(found.remove(&order).and_then(|mut list| list.pop()))
}

/// The payments of orders, oldest first. One statement for any number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_orders(db: &impl ConnectionTrait, orders: &[i64]) -> Result<HashMap<i64, Vec<Payment>>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT p.* FROM payment AS p WHERE ").any("p.order_id", orders.iter().copied()).push(" ORDER BY p.id");
    let mut found: HashMap<i64, Vec<Payment>> = HashMap::new();
    for row in db.query_all_raw(sql.statement()).await? {
        let row = Payment::from_query_result(&row, "")?;
        found.entry(row.order_id).or_default().push(row);
    }
    Ok(found)
}

/// Which order a payment belongs to: the order is held before its payment, always.
///
/// # Errors
/// When the database cannot be asked.
pub async fn order_of(db: &impl ConnectionTrait, payment: i64) -> Result<Option<i64>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT order_id FROM payment WHERE id = ").bind(payment);
    Ok(db.query_one_raw(sql.statement()).await?.map(|row| row.try_get_by(0)).transpose()?)
}
