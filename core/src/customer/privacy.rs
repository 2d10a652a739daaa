//! Erasure and export of the saved addresses of a customer.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::{PostalAddress, entity::address as address_row};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    infra::Tx,
};

/// Deletes the addresses of an account. Statements: 1.
pub async fn erase_account(tx: &Tx, account_id: i64) -> Result<()> {
    address_row::Entity::delete_many().filter(address_row::Column::AccountId.eq(account_id)).exec(tx).await?;
    Ok(())
}

/// Exports the addresses of an account. Statements: 1.
pub async fn export_account(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<Value>> {
    let query = address_row::Entity::find().filter(address_row::Column::AccountId.eq(account_id));
    let rows = query.order_by_asc(address_row::Column::Id).all(db).await?;
    let address_json = |row: &address_row::Model| {
        let mut address_json = PostalAddress::from(row.clone()).to_json();
        address_json["id"] = json!(GlobalId::new(NodeType::Address, row.id).encode());
        address_json["defaultShipping"] = json!(row.is_default_shipping);
        address_json["defaultBilling"] = json!(row.is_default_billing);
        address_json["createdAt"] = json!(row.created_at);
        address_json["updatedAt"] = json!(row.updated_at);
        address_json
    };
    Ok(rows.iter().map(address_json).collect())
}
