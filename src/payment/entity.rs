//! Entities of payments, their transactions and refunds; queries of payments.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

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
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum PaymentState {
    /// Waits for the provider's result.
    Pending,
    /// Authorized.
    Authorized,
    /// Captured.
    Captured,
    /// Declined.
    Failed,
    /// Voided.
    Voided,
}

/// Type of an entry of the transaction ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TransactionType {
    /// The provider authorized the amount.
    Authorize,
    /// The amount was captured.
    Capture,
    /// The amount was refunded.
    Refund,
    /// The authorization was voided.
    Void,
    /// The provider declined the payment.
    Fail,
}

/// Status of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum RefundStatus {
    /// Waits for the provider's result.
    Pending,
    /// The amount was refunded.
    Succeeded,
    /// The provider declined the refund.
    Failed,
}

/// Table `payment`.
pub mod payment {
    use sea_orm::entity::prelude::*;

    /// A payment of an order. Triggers maintain `captured` and `refunded`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub provider: String,
        pub reference: Option<String>,
        pub status: super::PaymentState,
        pub amount: i64,
        pub captured: i64,
        pub refunded: i64,
        pub action_url: Option<String>,
        pub error: Option<String>,
        pub capture_requested_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `payment_transaction`.
pub mod payment_transaction {
    use sea_orm::entity::prelude::*;

    /// An entry of the transaction ledger. Append-only.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment_transaction")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub payment_id: i64,
        pub transaction_type: super::TransactionType,
        pub amount: i64,
        pub reference: String,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `refund`.
pub mod refund {
    use sea_orm::entity::prelude::*;

    /// A refund of a payment.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refund")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub payment_id: i64,
        pub amount: i64,
        pub shipping: i64,
        pub attempt: i32,
        pub status: super::RefundStatus,
        pub reason: Option<String>,
        pub error: Option<String>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `refund_line`.
pub mod refund_line {
    use sea_orm::entity::prelude::*;

    /// The refunded quantity of an order line.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refund_line")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub refund_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_line_id: i64,
        pub quantity: i64,
        pub quantity_canceled: i64,
        pub quantity_returned: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub use payment::Model as Payment;

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
