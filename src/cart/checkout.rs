//! What becomes of a cart that is ordered: taken, and closed.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::hold::{Contents, Target, contents, hold};
use crate::{
    base::Result,
    customer::{Written, reach},
    identity::Caller,
    infra::{Sql, Tx},
    pricing::Offer,
};

/// A cart as its order takes it. It is held until the transaction ends.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its key.
    pub key: i64,
    /// Whose it is; `None` for a guest's.
    pub account: Option<i64>,
    /// Variants and how many of each, by the variants' keys: the order in which rows are held.
    pub lines: Vec<(i64, i64)>,
    /// What the shop offers of these variants.
    pub offers: HashMap<i64, Offer>,
    /// Where the goods go.
    pub shipping_address: Option<Written>,
    /// Where the bill goes; where the goods go when nothing is said.
    pub billing_address: Option<Written>,
    /// How the goods go there.
    pub shipping_method: Option<i64>,
    /// What to know.
    pub note: Option<String>,
    /// Where mail goes.
    pub email: Option<String>,
    /// A telephone number in E.164.
    pub phone: Option<String>,
    /// Its version.
    pub version: i32,
}

/// Takes an open cart to make an order of. Two statements.
///
/// # Errors
/// When it is not there or not the caller's, or can be ordered no more.
pub async fn take(tx: &Tx, id: &str, caller: Caller) -> Result<Taken> {
    let row = hold(tx, Target { word: id, caller, expected: None }).await?;
    let Contents { lines, offers } = contents(tx, (row.id, &[]), tx.now()).await?;
    let mut lines: Vec<(i64, i64)> = lines.iter().map(|line| (line.variant_id, line.quantity)).collect();
    lines.sort_unstable();
    Ok(Taken {
        key: row.id,
        account: row.account_id,
        lines,
        offers,
        shipping_address: row.shipping_address.map(Written::kept).transpose()?,
        billing_address: row.billing_address.map(Written::kept).transpose()?,
        shipping_method: row.shipping_method_id,
        note: row.note,
        email: row.email,
        phone: row.phone,
        version: row.version,
    })
}

/// The statement that closes a cart that was taken: this order was made of it.
#[must_use]
pub fn close(tx: &Tx, key: i64, order: i64) -> Sql {
    let mut sql = tx.sql();
    sql.push("UPDATE cart SET state = 'ordered', order_id = ").bind(order);
    sql.push(", version = version + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE state = 'open' AND id = ").bind(key);
    sql
}

/// Opens the cart of an order again whose payment was refused, unless its customer has begun another one, or is about
/// to: so their account is held.
///
/// # Errors
/// When the database refuses.
pub async fn reopen(tx: &Tx, order: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("SELECT account_id FROM cart WHERE account_id IS NOT NULL AND order_id = ").bind(order);
    if let Some(row) = tx.query_one_raw(sql.statement()).await? {
        reach::hold(tx, row.try_get_by(0)?).await?;
    }
    let mut sql = tx.sql();
    sql.push("UPDATE cart SET state = 'open', order_id = NULL, version = version + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE state = 'ordered' AND order_id = ").bind(order).push(
        " AND NOT EXISTS (SELECT 1 FROM cart AS other WHERE other.state = 'open' AND other.account_id = cart.account_id)",
    );
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}
