//! Entities of payments, their transactions and refunds.

use crate::order::PaymentStatus;

/// Status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum PaymentState {
    /// Waits for the provider's result.
    Pending,
    /// Waits for the buyer.
    ActionRequired,
    /// Authorized.
    Authorized,
    /// Captured.
    Captured,
    /// Declined.
    Failed,
    /// Its order expired before a result arrived.
    Expired,
    /// Voided.
    Voided,
}

/// Why a provider declined a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DeclineCode {
    /// The account has not enough money.
    InsufficientFunds,
    /// The buyer canceled the payment.
    CanceledByBuyer,
    /// The buyer did not respond in time.
    NoResponse,
    /// The PIN was wrong, or the authentication failed.
    AuthenticationFailed,
    /// The phone number, card or amount is not valid for this method.
    InvalidDetails,
    /// The provider declined for another reason.
    Declined,
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

    use crate::payment::provider::PaymentAction;

    /// A payment of an order. Triggers maintain `captured` and `refunded`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub method: String,
        pub provider: String,
        pub reference: Option<String>,
        pub status: super::PaymentState,
        pub amount: i64,
        pub captured: i64,
        pub refunded: i64,
        pub is_surplus: bool,
        pub phone: Option<String>,
        pub action: Option<PaymentAction>,
        pub decline_code: Option<super::DeclineCode>,
        pub error: Option<String>,
        pub authorize_sent_at: Option<DateTimeUtc>,
        pub capture_requested_at: Option<DateTimeUtc>,
        pub capture_sent_at: Option<DateTimeUtc>,
        pub void_sent_at: Option<DateTimeUtc>,
        pub checked_at: Option<DateTimeUtc>,
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
        pub reference: Option<String>,
        pub sent_at: Option<DateTimeUtc>,
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

/// Status of a received webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ReceivedWebhookStatus {
    /// Stored, not processed yet.
    Received,
    /// Processed.
    Processed,
    /// Nothing in the shop corresponds to it.
    Ignored,
}

/// Table `received_webhook`.
pub mod received_webhook {
    use sea_orm::entity::prelude::*;

    use crate::payment::webhook::WebhookSubject;

    /// A webhook of a payment provider, stored as received.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "received_webhook")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub provider: String,
        pub event_id: String,
        pub event_type: String,
        pub subject: WebhookSubject,
        pub body: String,
        pub status: super::ReceivedWebhookStatus,
        pub error: Option<String>,
        pub received_at: DateTimeUtc,
        pub processed_at: Option<DateTimeUtc>,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub use payment::Model as Payment;

impl PaymentState {
    /// Returns whether the provider's result is awaited.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::ActionRequired)
    }

    /// Returns whether the payment pays for its order.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Authorized | Self::Captured)
    }
}

impl Payment {
    /// Returns the payment status of the order.
    #[must_use]
    pub const fn order_payment_status(&self) -> PaymentStatus {
        match self.status {
            // The buyer can pay again until the order expires.
            PaymentState::Pending | PaymentState::ActionRequired | PaymentState::Failed => PaymentStatus::Pending,
            PaymentState::Authorized => PaymentStatus::Authorized,
            PaymentState::Expired | PaymentState::Voided => PaymentStatus::Voided,
            PaymentState::Captured if self.refunded == 0 => PaymentStatus::Paid,
            PaymentState::Captured if self.refunded < self.captured => PaymentStatus::PartiallyRefunded,
            PaymentState::Captured => PaymentStatus::Refunded,
        }
    }
}

/// Returns the payment that counts for the order, of its payments, oldest first: the accepted one, otherwise the
/// latest. Surplus payments do not count.
#[must_use]
pub fn select_current_payment(payments: &[Payment]) -> Option<&Payment> {
    let counted = || payments.iter().rev().filter(|payment| !payment.is_surplus);
    counted().find(|payment| payment.status.is_accepted()).or_else(|| counted().next())
}
