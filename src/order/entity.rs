//! Row types of orders.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use serde_json::Value;

use super::{
    refund_share::refund_share,
    state_machine::{FulfillmentStatus, PaymentStatus, Status},
};
use crate::identity::random_token;

/// An order.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct OrderRow {
    pub id: i64,
    pub number: String,
    pub guest_access_token: String,
    pub account_id: Option<i64>,
    pub cart_id: Option<i64>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub customer_name_normalized: String,
    pub language: String,
    pub status: Status,
    pub payment_status: PaymentStatus,
    pub fulfillment_status: FulfillmentStatus,
    pub currency: String,
    pub subtotal: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub tax_excluded_total: i64,
    pub total: i64,
    pub shipping_method_id: Option<i64>,
    pub shipping_method_name: Option<String>,
    pub shipping_address: Option<Value>,
    pub billing_address: Option<Value>,
    pub note: Option<String>,
    pub version: i32,
    pub expires_at: Option<DateTime<Utc>>,
    pub placed_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl OrderRow {
    /// Returns whether `token` is the order's access token; compares in constant time.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        random_token::secrets_are_equal(&self.guest_access_token, token)
    }
}

/// A line of an order, with product data and prices as of placement.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct OrderLineRow {
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
    pub tax: i64,
    pub tax_excluded_total: i64,
    pub total: i64,
    pub track_stock: bool,
    pub quantity_fulfilled: i64,
    pub quantity_refunded: i64,
    pub quantity_canceled: i64,
    pub quantity_returned: i64,
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

/// A fulfillment (shipment) of an order.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct FulfillmentRow {
    pub id: i64,
    pub order_id: i64,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub tracking_url: Option<String>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Quantity of an order line in a fulfillment or a refund; `owner` is the id of the fulfillment or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct LineQuantityRow {
    pub owner: i64,
    pub order_line_id: i64,
    pub quantity: i64,
}

/// An entry of an order's history.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct OrderHistoryRow {
    pub id: i64,
    pub order_id: i64,
    pub event_type: String,
    pub from_status: Option<Status>,
    pub to_status: Option<Status>,
    pub actor_kind: String,
    pub actor_id: Option<i64>,
    pub note: Option<String>,
    pub is_public: bool,
    pub created_at: DateTime<Utc>,
}
