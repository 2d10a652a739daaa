//! How long carts are kept: swept when nobody touches them, forgotten with their customer, told to them on demand.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::entity::cart::{self, State};
use crate::{
    base::{GlobalId, Result, id::Kind},
    infra::{Db, Sql, Tx, config::CartConfig},
};

/// How many carts go in one transaction.
const BATCH: u64 = 500;

/// Removes carts that nobody has touched for long enough, a batch at a time; how many there were. Any number of
/// instances may do it at once.
///
/// # Errors
/// When the database cannot be asked.
pub async fn sweep(db: &Db, config: &CartConfig) -> Result<u64> {
    let ends = |life| db.now() - TimeDelta::from_std(life).unwrap_or(TimeDelta::MAX);
    let kinds = [
        ("(account_id IS NULL OR state <> 'open')", ends(config.guest_lifetime)),
        ("account_id IS NOT NULL AND state = 'open'", ends(config.customer_lifetime)),
    ];
    let mut all = 0;
    for (which, end) in kinds {
        loop {
            let gone = db.write(async |tx| batch(tx, which, end).await).await?;
            all += gone;
            if gone < BATCH {
                break;
            }
        }
    }
    Ok(all)
}

async fn batch(tx: &Tx, which: &str, end: DateTime<Utc>) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push(&format!("DELETE FROM cart WHERE id IN (SELECT id FROM cart WHERE {which} AND updated_at < ")).bind(end);
    sql.push(&format!(" ORDER BY updated_at LIMIT {BATCH}"));
    // Whoever changes one just now keeps it.
    sql.push(if sql.postgres() { " FOR UPDATE SKIP LOCKED)" } else { ")" });
    Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
}

/// Removes every cart of a customer who is forgotten. One statement.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &Tx, account: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id = ").bind(account);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Deletes every cart of guests with an e-mail address. One statement.
///
/// # Errors
/// When the database refuses.
pub async fn forget_guest(tx: &Tx, email: &str) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id IS NULL AND lower(email) = ").bind(email.to_lowercase());
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Everything about a customer's carts, for them to have. Two statements.
///
/// # Errors
/// When the database cannot be asked.
pub async fn told(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let query = cart::Entity::find().filter(cart::Column::AccountId.eq(account));
    let rows = query.order_by_asc(cart::Column::Id).all(db).await?;
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT l.cart_id, l.variant_id, v.sku, l.quantity, l.created_at FROM cart_line AS l ");
    sql.push("JOIN variant AS v ON v.id = l.variant_id WHERE ");
    sql.any("l.cart_id", rows.iter().map(|row| row.id)).push(" ORDER BY l.cart_id, l.position");
    let mut lines = std::collections::HashMap::<i64, Vec<Value>>::new();
    for row in db.query_all_raw(sql.statement()).await? {
        let (variant, sku): (i64, String) = (row.try_get("", "variant_id")?, row.try_get("", "sku")?);
        let (quantity, added): (i64, DateTime<Utc>) = (row.try_get("", "quantity")?, row.try_get("", "created_at")?);
        let variant = GlobalId::new(Kind::Variant, variant).encode();
        let line = json!({ "variant": variant, "sku": sku, "quantity": quantity, "addedAt": added });
        lines.entry(row.try_get("", "cart_id")?).or_default().push(line);
    }
    let told = |row: cart::Model| {
        let state = match row.state {
            State::Open => "open",
            State::Ordered => "ordered",
            State::Merged => "merged",
        };
        json!({
            "state": state, "lines": lines.remove(&row.id).unwrap_or_default(),
            "shippingAddress": row.shipping_address, "billingAddress": row.billing_address,
            "email": row.email, "phone": row.phone, "note": row.note,
            "createdAt": row.created_at, "updatedAt": row.updated_at,
        })
    };
    Ok(rows.into_iter().map(told).collect())
}
