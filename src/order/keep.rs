//! What becomes of the orders of somebody who is forgotten, and what is told of them to whoever asks.

use iso_currency::Currency;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{Line, Order, find};
use crate::{
    base::{GlobalId, Money, Result, id::Kind},
    infra::{Sql, Tx},
};

/// What is left of an address: its country, which taxes hang on.
const NOWHERE: &str = r#"{"firstName": "", "lastName": "", "company": null, "line1": "", "line2": null, "city": "",
    "region": null, "postalCode": null, "phone": null}"#;

/// Takes out of orders that have come to their end what names their buyer: of the orders of one account that is being
/// forgotten, or of all whose accounts have been. What was bought, what it cost and the country it went to stay for the
/// books. Orders under way keep what is needed to bring them. Two statements; how many orders it were.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &Tx, account: Option<i64>) -> Result<u64> {
    let which = |sql: &mut Sql| {
        sql.push("JOIN account AS a ON a.id = o.account_id WHERE ");
        match account {
            Some(account) => sql.push("a.id = ").bind(account),
            None => sql.push("a.deleted_at IS NOT NULL"),
        };
    };
    Ok(u64::try_from(empty(tx, which).await?.len()).unwrap_or(u64::MAX))
}

/// Takes a guest's personal data, by their e-mail address, out of their orders that have come to their end. Returns the
/// keys of these, and how many orders are still under way. Three statements.
///
/// # Errors
/// When the database refuses.
pub async fn forget_guest(tx: &Tx, email: &str) -> Result<(Vec<i64>, i64)> {
    let email = email.to_lowercase();
    let which = |sql: &mut Sql| {
        sql.push("WHERE o.account_id IS NULL AND lower(o.email) = ").bind(email.as_str());
    };
    let erased = empty(tx, which).await?;
    let mut sql = tx.sql();
    sql.push("SELECT COUNT(*) FROM customer_order AS o WHERE o.account_id IS NULL AND lower(o.email) = ").bind(email);
    let row = tx.query_one_raw(sql.statement()).await?;
    Ok((erased, row.map_or(Ok(0), |row| row.try_get_by(0))?))
}

/// Empties the orders that have come to their end among those that are meant. Their keys.
async fn empty(tx: &Tx, which: impl FnOnce(&mut Sql)) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    let (keys, emptied) = if sql.postgres() {
        (" ORDER BY o.id FOR NO KEY UPDATE OF o)", ["shipping_address || ", "billing_address || "])
    } else {
        (" ORDER BY o.id)", ["json_patch(shipping_address, ", "json_patch(billing_address, "])
    };
    let close = if sql.postgres() { "::jsonb" } else { ")" };
    sql.push("UPDATE customer_order SET email = NULL, phone = NULL, name_key = '', note = NULL");
    for (column, emptied) in ["shipping_address", "billing_address"].into_iter().zip(emptied) {
        sql.push(&format!(", {column} = {emptied}'{NOWHERE}'{close}"));
    }
    sql.push(", version = version + 1, updated_at = ").bind(tx.now()).push(", forgotten_at = ").bind(tx.now());
    sql.push(" WHERE id IN (SELECT o.id FROM customer_order AS o ");
    which(&mut sql);
    sql.push(" AND o.forgotten_at IS NULL AND o.status IN ('delivered', 'cancelled', 'refunded')");
    sql.push(keys).push(" RETURNING id");
    let rows = tx.query_all_raw(sql.statement()).await?;
    let erased: Vec<i64> = rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?;
    let mut sql = tx.sql();
    sql.push("UPDATE order_entry SET note = NULL WHERE note IS NOT NULL AND ");
    sql.push("(kind = 'note' OR actor_kind IN ('account', 'nobody')) AND ").any("order_id", erased.iter().copied());
    tx.execute_raw(sql.statement()).await?;
    Ok(erased)
}

/// Everything about a customer's orders, for them to have, the oldest first. Three statements.
///
/// # Errors
/// When the database cannot be asked.
pub async fn told(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT o.* FROM customer_order AS o WHERE o.account_id = ").bind(account);
    sql.push(" ORDER BY o.placed_at, o.id");
    let rows = db.query_all_raw(sql.statement()).await?;
    let orders: Vec<Order> = rows.iter().map(|row| Order::from_query_result(row, "")).collect::<Result<_, _>>()?;
    let keys: Vec<i64> = orders.iter().map(|order| order.id).collect();
    let mut lines = find::lines(db, &keys).await?;
    let mut parcels = find::fulfilments(db, &keys).await?;
    let told = |order: Order| {
        let amounts = Amounts(Currency::from_code(&order.currency));
        let lines = lines.remove(&order.id).unwrap_or_default();
        let parcels = parcels.remove(&order.id).unwrap_or_default().into_iter().map(|parcel| {
            json!({ "carrier": parcel.carrier, "trackingNumber": parcel.tracking_number, "sentAt": parcel.created_at,
                "deliveredAt": parcel.delivered_at })
        });
        json!({
            "id": GlobalId::new(Kind::Order, order.id).encode(), "number": order.number, "placedAt": order.placed_at,
            "status": order.status.stored(), "paymentStatus": order.payment_status.stored(),
            "email": order.email, "phone": order.phone, "language": order.language, "note": order.note,
            "currency": order.currency, "subtotal": amounts.of(order.subtotal), "discount": amounts.of(order.discount),
            "shipping": amounts.of(order.shipping), "tax": amounts.of(order.tax), "total": amounts.of(order.total),
            "shippingMethod": order.shipping_name, "shippingAddress": order.shipping_address,
            "billingAddress": order.billing_address, "parcels": parcels.collect::<Vec<_>>(),
            "lines": lines.iter().map(|line| amounts.line(line)).collect::<Vec<_>>(),
        })
    };
    Ok(orders.into_iter().map(told).collect())
}

/// Amounts as they travel. A currency that is none any more leaves minor units.
struct Amounts(Option<Currency>);

impl Amounts {
    fn of(&self, minor: i64) -> String {
        self.0.map_or_else(|| minor.to_string(), |currency| Money::new(minor, currency).decimal().to_string())
    }

    fn line(&self, line: &Line) -> Value {
        json!({ "sku": line.sku, "name": line.name, "variant": line.variant_name, "quantity": line.quantity,
            "unitPrice": self.of(line.unit_price), "total": self.of(line.total) })
    }
}
