//! Erasure and export of a person's carts.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::entity::cart::{self, CartStatus};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    infra::{SqlBuilder, Tx},
};

/// Deletes all carts of a customer whose personal data is erased. Statements: 1.
pub async fn erase_account(tx: &Tx, account: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id = ").bind(account);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Deletes all guest carts with an email address. Statements: 1.
pub async fn erase_guest(tx: &Tx, email: &str) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id IS NULL AND lower(email) = ").bind(email.to_lowercase());
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Exports all carts of a customer for a data request. Statements: 2.
pub async fn export_account(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let query = cart::Entity::find().filter(cart::Column::AccountId.eq(account));
    let rows = query.order_by_asc(cart::Column::Id).all(db).await?;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT l.cart_id, l.variant_id, v.sku, l.quantity, l.created_at FROM cart_line AS l ");
    sql.push("JOIN variant AS v ON v.id = l.variant_id WHERE ");
    sql.eq_any("l.cart_id", rows.iter().map(|row| row.id)).push(" ORDER BY l.cart_id, l.position");
    let mut lines = std::collections::HashMap::<i64, Vec<Value>>::new();
    for row in db.query_all_raw(sql.into_statement()).await? {
        let (variant, sku): (i64, String) = (row.try_get("", "variant_id")?, row.try_get("", "sku")?);
        let (quantity, added_at): (i64, DateTime<Utc>) = (row.try_get("", "quantity")?, row.try_get("", "created_at")?);
        let variant = GlobalId::new(NodeType::Variant, variant).encode();
        let line = json!({ "variant": variant, "sku": sku, "quantity": quantity, "addedAt": added_at });
        lines.entry(row.try_get("", "cart_id")?).or_default().push(line);
    }
    let to_json = |row: cart::Model| {
        let status = match row.status {
            CartStatus::Open => "open",
            CartStatus::Ordered => "ordered",
            CartStatus::Merged => "merged",
        };
        json!({
            "status": status, "lines": lines.remove(&row.id).unwrap_or_default(),
            "shippingAddress": row.shipping_address, "billingAddress": row.billing_address,
            "email": row.email, "phone": row.phone, "note": row.note,
            "createdAt": row.created_at, "updatedAt": row.updated_at,
        })
    };
    Ok(rows.into_iter().map(to_json).collect())
}
