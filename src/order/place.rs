//! Placing an order: everything is copied as it is now, and promised, or nothing is.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{Order, OrderPlaced, PaymentStatus, history, history::Told, number};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
    },
    identity::secret,
    infra::{Batch, Tx},
    inventory::hold::{self, Want},
};

/// So often another number is tried when one is taken.
const TRIES: usize = 5;

/// An order that is to be placed.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct NewOrder {
    pub key: i64,
    pub account: Option<i64>,
    pub cart: Option<i64>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub name_key: String,
    pub language: String,
    pub currency: String,
    pub subtotal: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub tax_added: i64,
    pub total: i64,
    pub shipping_method: Option<(i64, String)>,
    pub shipping_address: Option<Value>,
    pub billing_address: Option<Value>,
    pub note: Option<String>,
    /// How the money stands already.
    pub payment: PaymentStatus,
    /// Until when it waits for its money.
    pub expires_at: Option<DateTime<Utc>>,
    pub lines: Vec<NewLine>,
}

/// A line of it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct NewLine {
    /// Where the caller named it: `lines.2`.
    pub path: String,
    pub variant: i64,
    pub product: i64,
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
    pub grams: Option<i64>,
    pub tracked: bool,
    pub backorder: bool,
}

/// Places it, and writes what belongs to it. The rows of stock are held last, and so as shortly as can be: many may want
/// the same.
///
/// # Errors
/// When there is less of something than is wanted: for each, how many are left.
pub async fn place(tx: &Tx, new: &NewOrder, mut batch: Batch) -> Result<Order> {
    let order = write_order(tx, new).await?;
    batch.add(history::statement(tx, new.key, Told::Placed, (None, true)));
    batch.add(tx.emit_statement(&[OrderPlaced { order: new.key }])?);
    let keys = write_lines(tx, new, batch).await?;
    let want = |(line, key): (&NewLine, &i64)| {
        let (variant, quantity, backorder) = (line.variant, line.quantity, line.backorder);
        line.tracked.then_some(Want { line: *key, variant, quantity, backorder })
    };
    let wants: Vec<_> = new.lines.iter().zip(&keys).filter_map(want).collect();
    let short = hold::reserve(tx, &wants, new.expires_at).await?;
    let problem = |short: &hold::Short| {
        let line = keys.iter().position(|key| *key == short.line).and_then(|at| new.lines.get(at))?;
        Some(insufficient(line, short.left))
    };
    Error::all(short.iter().filter_map(problem).collect())?;
    Ok(order)
}

fn insufficient(line: &NewLine, left: i64) -> Problem {
    let message = match left {
        0 => format!("{} ({}) is sold out", line.name, line.sku),
        left => format!("of {} ({}) only {left} are left, not {}", line.name, line.sku, line.quantity),
    };
    let field = line.path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    Problem { code: Code::InsufficientStock, field, message }
}

async fn write_order(tx: &Tx, new: &NewOrder) -> Result<Order> {
    let token = secret::random()?;
    for _ in 0..TRIES {
        let mut sql = tx.sql();
        sql.push(
            "INSERT INTO customer_order (id, number, token, account_id, cart_id, email, phone, name_key, language, status, \
             payment_status, fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, \
             shipping_method_id, shipping_name, shipping_address, billing_address, note, version, expires_at, placed_at, \
             created_at, updated_at) VALUES (",
        );
        sql.bind(new.key).push(", ").bind(number::random()?).push(", ").bind(token.as_str()).push(", ");
        sql.bind(new.account).push(", ").bind(new.cart).push(", ").bind(new.email.as_deref()).push(", ");
        sql.bind(new.phone.as_deref()).push(", ").bind(new.name_key.as_str()).push(", ");
        sql.bind(new.language.as_str()).push(", 'pending', ").bind(new.payment.stored()).push(", 'unfulfilled', ");
        sql.bind(new.currency.as_str());
        for amount in [new.subtotal, new.discount, new.shipping, new.tax, new.tax_added, new.total] {
            sql.push(", ").bind(amount);
        }
        let (method, name) = new.shipping_method.clone().unzip();
        sql.push(", ").bind(method).push(", ").bind(name).push(", ").bind(new.shipping_address.clone()).push(", ");
        sql.bind(new.billing_address.clone()).push(", ").bind(new.note.as_deref()).push(", 1, ").bind(new.expires_at);
        for _ in 0..3 {
            sql.push(", ").bind(tx.now());
        }
        sql.push(") ON CONFLICT (number) DO NOTHING RETURNING *");
        if let Some(row) = tx.query_one_raw(sql.statement()).await? {
            return Ok(Order::from_query_result(&row, "")?);
        }
    }
    Err(Error::fault("placing an order", "every number that was tried is taken"))
}

/// Writes the lines after a batch; their keys, in their order.
async fn write_lines(tx: &Tx, new: &NewOrder, batch: Batch) -> Result<Vec<i64>> {
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let columns = [
        ("order_id", "bigint"),
        ("position", "int"),
        ("variant_id", "bigint"),
        ("product_id", "bigint"),
        ("sku", "text"),
        ("name", "text"),
        ("variant_name", "text"),
        ("image", "text"),
        ("quantity", "bigint"),
        ("unit_list", "bigint"),
        ("unit_price", "bigint"),
        ("discount", "bigint"),
        ("tax_name", "text"),
        ("tax_rate", "int"),
        ("tax", "bigint"),
        ("tax_added", "bigint"),
        ("total", "bigint"),
        ("weight_grams", "bigint"),
        ("tracked", "boolean"),
        ("fulfilled", "bigint"),
        ("refunded", "bigint"),
        ("cancelled", "bigint"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let row = |(at, line): (usize, &NewLine)| {
        json!([
            new.key,
            at,
            line.variant,
            line.product,
            line.sku,
            line.name,
            line.variant_name,
            line.image,
            line.quantity,
            line.unit_list,
            line.unit_price,
            line.discount,
            line.tax_name,
            line.tax_rate,
            line.tax,
            line.tax_added,
            line.total,
            line.grams,
            line.tracked,
            0,
            0,
            0,
            now,
            now
        ])
    };
    let mut sql = tx.sql();
    sql.insert("order_line", &columns, new.lines.iter().enumerate().map(row).collect());
    sql.push(" RETURNING id, position");
    let mut keys = Vec::with_capacity(new.lines.len());
    for row in tx.query_batch(batch, sql).await? {
        let (key, position): (i64, i32) = (row.try_get_by(0)?, row.try_get_by(1)?);
        keys.push((position, key));
    }
    keys.sort_unstable();
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}
