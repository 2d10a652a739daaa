//! Erasure and export of a person's carts.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, Func},
};
use serde_json::{Value, json};

use super::{
    entity::cart::{self, CartStatus},
    queries::{ExportedCartLine, load_exported_lines},
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    infra::Tx,
};

/// Deletes all carts of a customer whose personal data is erased. Statements: 1.
pub async fn erase_account(tx: &Tx, account: i64) -> Result<()> {
    cart::Entity::delete_many().filter(cart::Column::AccountId.eq(account)).exec(tx).await?;
    Ok(())
}

/// Deletes all guest carts with an email address. Statements: 1.
pub async fn erase_guest(tx: &Tx, email: &str) -> Result<()> {
    let has_email = Expr::expr(Func::lower(Expr::col(cart::Column::Email))).eq(email.to_lowercase());
    let guest_carts = cart::Entity::delete_many().filter(cart::Column::AccountId.is_null());
    guest_carts.filter(has_email).exec(tx).await?;
    Ok(())
}

/// Exports all carts of a customer for a data request. Statements: 2.
pub async fn export_account(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let query = cart::Entity::find().filter(cart::Column::AccountId.eq(account));
    let rows = query.order_by_asc(cart::Column::Id).all(db).await?;
    let mut lines = load_exported_lines(db, rows.iter().map(|row| row.id)).await?;
    let line_to_json = |line: ExportedCartLine| {
        let variant = GlobalId::new(NodeType::Variant, line.variant_id).encode();
        json!({ "variant": variant, "sku": line.sku, "quantity": line.quantity,
            "attributes": line.attributes, "addedAt": line.created_at })
    };
    let to_json = |row: cart::Model| {
        let status = match row.status {
            CartStatus::Open => "open",
            CartStatus::Ordered => "ordered",
            CartStatus::Merged => "merged",
        };
        let lines = lines.remove(&row.id).unwrap_or_default();
        json!({
            "status": status, "lines": lines.into_iter().map(line_to_json).collect::<Vec<_>>(),
            "shippingAddress": row.shipping_address, "billingAddress": row.billing_address,
            "email": row.email, "phone": row.phone, "note": row.note,
            "createdAt": row.created_at, "updatedAt": row.updated_at,
        })
    };
    Ok(rows.into_iter().map(to_json).collect())
}
