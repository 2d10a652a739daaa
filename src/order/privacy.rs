//! Anonymization and export of a person's orders.

use iso_currency::Currency;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{OrderLineRow, OrderRow, queries};
use crate::{
    base::{GlobalId, Money, Result, global_id::NodeType},
    infra::{SqlBuilder, Tx},
};

/// JSON patch that removes personal data from an address; the country stays because taxes depend on it.
const ANONYMIZED_ADDRESS_JSON: &str = r#"{"firstName": "", "lastName": "", "company": null, "line1": "", "line2": null, "city": "",
    "region": null, "postalCode": null, "phone": null}"#;

/// Removes personal data from the finished orders of an account. Items, amounts and destination country are kept for
/// accounting; open orders keep the data needed for delivery. Statements: 2.
pub async fn erase_account(tx: &Tx, account_id: i64) -> Result<()> {
    let push_condition = |sql: &mut SqlBuilder| {
        sql.push("JOIN account AS a ON a.id = o.account_id WHERE a.id = ").bind(account_id);
    };
    anonymize_matching_orders(tx, push_condition).await.map(|_| ())
}

/// Removes personal data from the orders of erased accounts that have been finished since. Statements: 2.
pub async fn anonymize_orders_of_erased_accounts(tx: &Tx) -> Result<()> {
    let push_condition = |sql: &mut SqlBuilder| {
        sql.push("JOIN account AS a ON a.id = o.account_id WHERE a.deleted_at IS NOT NULL");
    };
    anonymize_matching_orders(tx, push_condition).await.map(|_| ())
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
    let push_condition = |sql: &mut SqlBuilder| {
        sql.push("WHERE o.account_id IS NULL AND lower(o.email) = ").bind(email.as_str());
    };
    let anonymized_ids = anonymize_matching_orders(tx, push_condition).await?;
    let mut sql = tx.sql();
    sql.push("SELECT COUNT(*) FROM orders AS o WHERE o.account_id IS NULL AND lower(o.email) = ").bind(email);
    let row = tx.query_one_raw(sql.into_statement()).await?;
    Ok(ErasedGuestOrders { anonymized_ids, open_orders: row.map_or(Ok(0), |row| row.try_get_by(0))? })
}

/// Anonymizes the finished orders that match the condition. Returns their ids.
async fn anonymize_matching_orders(tx: &Tx, push_condition: impl FnOnce(&mut SqlBuilder)) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    let (lock_clause, merge_expression) = if sql.is_postgres() {
        (" ORDER BY o.id FOR NO KEY UPDATE OF o)", ["shipping_address || ", "billing_address || "])
    } else {
        (" ORDER BY o.id)", ["json_patch(shipping_address, ", "json_patch(billing_address, "])
    };
    let merge_end = if sql.is_postgres() { "::jsonb" } else { ")" };
    sql.push("UPDATE orders SET email = NULL, phone = NULL, customer_name_normalized = '', note = NULL");
    for (column, merge_expression) in ["shipping_address", "billing_address"].into_iter().zip(merge_expression) {
        sql.push(&format!(", {column} = {merge_expression}'{ANONYMIZED_ADDRESS_JSON}'{merge_end}"));
    }
    sql.push(", version = version + 1, updated_at = ").bind(tx.now()).push(", anonymized_at = ").bind(tx.now());
    sql.push(" WHERE id IN (SELECT o.id FROM orders AS o ");
    push_condition(&mut sql);
    sql.push(" AND o.anonymized_at IS NULL AND o.status IN ('delivered', 'canceled', 'refunded')");
    sql.push(lock_clause).push(" RETURNING id");
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    let anonymized_ids: Vec<i64> = rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?;
    let mut sql = tx.sql();
    sql.push("UPDATE order_history SET note = NULL WHERE note IS NOT NULL AND ");
    sql.push("(event_type = 'note' OR actor_kind IN ('account', 'anonymous')) AND ")
        .eq_any("order_id", anonymized_ids.iter().copied());
    tx.execute_raw(sql.into_statement()).await?;
    Ok(anonymized_ids)
}

/// Returns all orders of a customer as JSON for a data export, oldest first. Statements: 3.
pub async fn export_account(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT o.* FROM orders AS o WHERE o.account_id = ").bind(account);
    sql.push(" ORDER BY o.placed_at, o.id");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let orders: Vec<OrderRow> =
        rows.iter().map(|row| OrderRow::from_query_result(row, "")).collect::<Result<_, _>>()?;
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
            "currency": order.currency, "subtotal": amounts.format_amount(order.subtotal), "discount": amounts.format_amount(order.discount),
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
            "unitPrice": self.format_amount(line.unit_price), "total": self.format_amount(line.total) })
    }
}
