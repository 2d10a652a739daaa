//! Entities of orders, their lines, history and fulfillments.

use sea_orm::FromQueryResult;

use super::{
    refund_share::refund_share,
    state_machine::{FulfillmentStatus, PaymentStatus, Status},
};
use crate::identity::random_token;

pub use fulfillment::Model as FulfillmentRow;
pub use order_history::Model as OrderHistoryRow;
pub use order_line::Model as OrderLineRow;
pub use orders::Model as OrderRow;

/// Table `orders`.
pub mod orders {
    use sea_orm::entity::prelude::*;

    /// An order.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub number: String,
        pub guest_access_token: String,
        pub account_id: Option<i64>,
        pub cart_id: Option<i64>,
        pub email: Option<String>,
        pub phone: Option<String>,
        pub customer_name_normalized: String,
        pub language: crate::base::LanguageCode,
        pub status: super::Status,
        pub payment_status: super::PaymentStatus,
        pub fulfillment_status: super::FulfillmentStatus,
        pub currency: String,
        pub list_subtotal: i64,
        pub discount: i64,
        pub shipping: i64,
        pub tax: i64,
        pub tax_excluded_total: i64,
        pub total: i64,
        pub shipping_method_id: Option<i64>,
        pub shipping_method_name: Option<String>,
        pub shipping_tax_name: Option<String>,
        pub shipping_tax_rate_bps: i32,
        pub shipping_tax_included: bool,
        pub shipping_address: Option<Json>,
        pub billing_address: Option<Json>,
        pub note: Option<String>,
        pub version: i32,
        pub expires_at: Option<DateTimeUtc>,
        pub placed_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub anonymized_at: Option<DateTimeUtc>,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `order_line`.
pub mod order_line {
    use sea_orm::entity::prelude::*;

    /// A line of an order, with product data and prices as of placement. Triggers maintain the fulfilled and refunded
    /// quantities.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_line")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub position: i32,
        pub variant_id: Option<i64>,
        pub product_id: Option<i64>,
        pub sku: String,
        pub name: String,
        pub variant_name: String,
        pub image: Option<String>,
        pub quantity: i64,
        pub unit_list_price: i64,
        pub unit_price: i64,
        pub discount: i64,
        pub tax_name: Option<String>,
        pub tax_rate_bps: i32,
        pub tax_included: bool,
        pub tax: i64,
        pub tax_excluded_total: i64,
        pub total: i64,
        pub weight_grams: Option<i64>,
        pub track_stock: bool,
        pub attributes: Json,
        pub quantity_fulfilled: i64,
        pub quantity_refunded: i64,
        pub quantity_canceled: i64,
        pub quantity_returned: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `order_history`.
pub mod order_history {
    use sea_orm::entity::prelude::*;

    /// An entry of an order's history.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_history")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub event_type: OrderHistoryEventType,
        pub from_status: Option<super::Status>,
        pub to_status: Option<super::Status>,
        pub actor_kind: crate::infra::ActorKind,
        pub actor_id: Option<i64>,
        pub note: Option<String>,
        pub is_public: bool,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    /// Type of a history entry.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
    pub enum OrderHistoryEventType {
        /// The order was placed.
        Placed,
        /// The status of the order changed.
        Status,
        /// The payment changed.
        Payment,
        /// A fulfillment was created.
        Fulfillment,
        /// A refund was completed or declined.
        Refund,
        /// A note was added.
        Note,
    }
}

/// Table `fulfillment`.
pub mod fulfillment {
    use sea_orm::entity::prelude::*;

    /// A fulfillment (shipment) of an order.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "fulfillment")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub order_id: i64,
        pub carrier: Option<String>,
        pub tracking_number: Option<String>,
        pub tracking_url: Option<String>,
        pub delivered_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `fulfillment_line`.
pub mod fulfillment_line {
    use sea_orm::entity::prelude::*;

    /// The quantity of an order line in a fulfillment.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "fulfillment_line")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub fulfillment_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_line_id: i64,
        pub quantity: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl OrderRow {
    /// Returns whether `token` is the order's access token; compares in constant time.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        random_token::secrets_are_equal(&self.guest_access_token, token)
    }
}

impl OrderLineRow {
    /// Returns the number of shipped units that are not refunded.
    #[must_use]
    pub const fn net_shipped_quantity(&self) -> i64 {
        self.quantity_fulfilled - (self.quantity_refunded - self.quantity_canceled)
    }

    /// Returns the value of the next `units` refunded units, in minor units.
    #[must_use]
    pub fn refund_share(&self, units: i64) -> i64 {
        refund_share(self.total, self.quantity, self.quantity_refunded, units)
    }

    /// Returns the number of units that are neither shipped nor canceled.
    #[must_use]
    pub const fn unshipped_quantity(&self) -> i64 {
        self.quantity - self.quantity_fulfilled - self.quantity_canceled
    }
}

/// Quantity of an order line in a fulfillment or a refund; `owner` is the id of the fulfillment or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct LineQuantityRow {
    pub owner: i64,
    pub order_line_id: i64,
    pub quantity: i64,
}
