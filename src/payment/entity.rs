//! Entities of payments, their transactions and refunds.

use crate::order::PaymentStatus;

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
