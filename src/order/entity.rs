//! Rows of orders as they are read.

use aws_lc_rs::constant_time;
use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use serde_json::Value;

use super::{
    lifecycle::{FulfilmentStatus, PaymentStatus, Status},
    refund_share::refund_share,
};

/// An order.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Order {
    pub id: i64,
    pub number: String,
    pub token: String,
    pub account_id: Option<i64>,
    pub cart_id: Option<i64>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub name_key: String,
    pub language: String,
    pub status: Status,
    pub payment_status: PaymentStatus,
    pub fulfilment_status: FulfilmentStatus,
    pub currency: String,
    pub subtotal: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub tax_added: i64,
    pub total: i64,
    pub shipping_method_id: Option<i64>,
    pub shipping_name: Option<String>,
    pub shipping_address: Option<Value>,
    pub billing_address: Option<Value>,
    pub note: Option<String>,
    pub version: i32,
    pub expires_at: Option<DateTime<Utc>>,
    pub placed_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Order {
    /// Whether this is the order's token, compared in constant time.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        constant_time::verify_slices_are_equal(self.token.as_bytes(), token.as_bytes()).is_ok()
    }
}

/// A line of an order: what was bought, as it was then.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Line {
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
    pub unit_list: i64,
    pub unit_price: i64,
    pub discount: i64,
    pub tax_name: Option<String>,
    pub tax_rate: i32,
    pub tax: i64,
    pub tax_added: i64,
    pub total: i64,
    pub tracked: bool,
    pub fulfilled: i64,
    pub refunded: i64,
    pub cancelled: i64,
    pub returned: i64,
}

impl Line {
    /// Returns how many shipped units the buyer still has to pay for, or has paid and not got back.
    #[must_use]
    pub const fn kept(&self) -> i64 {
        self.fulfilled - (self.refunded - self.cancelled)
    }

    /// Returns what the next `units` that the buyer does not pay for are worth, in minor units.
    #[must_use]
    pub fn refund_share(&self, units: i64) -> i64 {
        refund_share(self.total, self.quantity, self.refunded, units)
    }

    /// How many are still to be sent.
    #[must_use]
    pub const fn unsent(&self) -> i64 {
        self.quantity - self.fulfilled - self.cancelled
    }
}

/// A parcel.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Fulfilment {
    pub id: i64,
    pub order_id: i64,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub tracking_url: Option<String>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// So many units of a line, in a parcel or paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Part {
    pub owner: i64,
    pub order_line_id: i64,
    pub quantity: i64,
}

/// Something that has happened to an order.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Entry {
    pub id: i64,
    pub order_id: i64,
    pub kind: String,
    pub from_status: Option<Status>,
    pub to_status: Option<Status>,
    pub actor_kind: String,
    pub actor_id: Option<i64>,
    pub note: Option<String>,
    pub is_public: bool,
    pub created_at: DateTime<Utc>,
}

/// Money on its way back.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct Refund {
    pub id: i64,
    pub order_id: i64,
    pub payment_id: i64,
    pub amount: i64,
    pub shipping: i64,
    pub attempt: i32,
    pub status: String,
    pub reason: Option<String>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}
