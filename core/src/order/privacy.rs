//! Anonymization and export of a person's orders.

use iso_currency::Currency;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};
use serde_json::{Value, json};

use super::{
    OrderLineRow, OrderRow,
    entity::orders::{self, Column},
    queries::{self, AnonymizedOrders},
};
use crate::{
    base::{GlobalId, Money, Result, global_id::NodeType},
    infra::Tx,
};

/// Removes personal data from the finished orders of an account. Items, amounts and destination country are kept for
/// accounting; open orders keep the data needed for delivery. Statements: 2.
pub async fn erase_account(tx: &Tx, account_id: i64) -> Result<()> {
    queries::anonymize_finished_orders(tx, AnonymizedOrders::Account(account_id)).await.map(|_| ())
}

/// Removes personal data from the orders of erased accounts that have been finished since. Statements: 2.
pub async fn anonymize_orders_of_erased_accounts(tx: &Tx) -> Result<()> {
    queries::anonymize_finished_orders(tx, AnonymizedOrders::ErasedAccounts).await.map(|_| ())
}

/// Orders of a guest after the erasure of personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedGuestOrders {
    /// Ids of the finished orders, which were anonymized.
    pub anonymized_ids: Vec<i64>,
    /// Number of open orders; they keep the data needed for delivery.
    pub open_orders: i64,
}

/// Removes a guest's personal data, by e-mail address, from their finished orders. Statements: 3.
pub async fn erase_guest(tx: &Tx, email: &str) -> Result<ErasedGuestOrders> {
    let email = email.to_lowercase();
    let anonymized_ids = queries::anonymize_finished_orders(tx, AnonymizedOrders::Guest(&email)).await?;
    let open_orders = orders::Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "open_orders")
        .filter(Column::AccountId.is_null())
        .filter(Func::lower(Expr::col(Column::Email)).eq(email));
    let open_orders = open_orders.into_tuple().one(tx).await?.unwrap_or(0);
    Ok(ErasedGuestOrders { anonymized_ids, open_orders })
}

/// Returns all orders of a customer as JSON for a data export, oldest first. Statements: 3.
pub async fn export_account(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let query = orders::Entity::find().filter(Column::AccountId.eq(account));
    let orders = query.order_by_asc(Column::PlacedAt).order_by_asc(Column::Id).all(db).await?;
    let keys: Vec<i64> = orders.iter().map(|order| order.id).collect();
    let mut lines = queries::lines(db, &keys).await?;
    let mut fulfillments = queries::fulfillments(db, &keys).await?;
    let to_json = |order: OrderRow| {
        let amounts = ExportedAmounts(Currency::from_code(&order.currency));
        let lines = lines.remove(&order.id).unwrap_or_default();
        let fulfillments = fulfillments.remove(&order.id).unwrap_or_default().into_iter().map(|fulfillment| {
            json!({ "carrier": fulfillment.carrier, "trackingNumber": fulfillment.tracking_number, "sentAt": fulfillment.created_at,
                "deliveredAt": fulfillment.delivered_at })
        });
        json!({
            "id": GlobalId::new(NodeType::Order, order.id).encode(), "number": order.number, "placedAt": order.placed_at,
            "status": order.status, "paymentStatus": order.payment_status,
            "email": order.email, "phone": order.phone, "language": order.language, "note": order.note,
            "currency": order.currency, "listSubtotal": amounts.format_amount(order.list_subtotal), "discount": amounts.format_amount(order.discount),
            "shipping": amounts.format_amount(order.shipping), "tax": amounts.format_amount(order.tax), "total": amounts.format_amount(order.total),
            "shippingMethod": order.shipping_method_name, "shippingAddress": order.shipping_address,
            "billingAddress": order.billing_address, "parcels": fulfillments.collect::<Vec<_>>(),
            "lines": lines.iter().map(|line| amounts.line_to_json(line)).collect::<Vec<_>>(),
        })
    };
    Ok(orders.into_iter().map(to_json).collect())
}

/// Formatter of amounts as decimals; falls back to minor units if the currency code is unknown.
struct ExportedAmounts(Option<Currency>);

impl ExportedAmounts {
    fn format_amount(&self, minor: i64) -> String {
        self.0.map_or_else(|| minor.to_string(), |currency| Money::new(minor, currency).to_decimal().to_string())
    }

    fn line_to_json(&self, line: &OrderLineRow) -> Value {
        json!({ "sku": line.sku, "name": line.name, "variant": line.variant_name, "quantity": line.quantity,
            "attributes": line.attributes, "unitPrice": self.format_amount(line.unit_price), "total": self.format_amount(line.total) })
    }
}
