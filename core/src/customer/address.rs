//! Saved addresses of customers and the default shipping and billing address.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;

use super::{
    access_scope::OwnerScope,
    entity::address,
    postal_address::{AddressPatch, PostalAddress},
};
use crate::{
    base::{Country, Error, GlobalId, Result, VersionedTarget, error::PublicErrorCode, global_id::NodeType},
    identity::{AccountTarget, Caller, Permission, account_access::lock_account_for_caller, events::CustomerUpdated},
    infra::{AuditRecord, Db, Tx},
};

/// Maximum number of addresses per customer; the list needs no pagination.
pub const MAX_ADDRESSES: u64 = 100;

/// Default uses of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressDefaults {
    /// Default shipping address.
    pub shipping: bool,
    /// Default billing address.
    pub billing: bool,
}

/// New address, and the uses for which it becomes the default.
#[derive(Debug)]
pub struct NewAddress {
    /// Fields of the address.
    pub patch: AddressPatch,
    /// Uses for which it becomes the default.
    pub defaults: AddressDefaults,
}

/// Address to change, with the caller: the owner, or staff who may change all customers.
pub type AddressTarget = VersionedTarget<i64, Caller>;

/// Creates an address. The first address of a customer becomes the default for shipping and billing.
///
/// # Errors
/// Returns `IllegalTransition` if the customer has [`MAX_ADDRESSES`] addresses, `NotFound` or `Forbidden` for the
/// account, or all invalid fields together.
pub async fn create_address(
    db: &Db,
    target: AccountTarget,
    new: NewAddress,
    shop_country: Country,
) -> Result<address::Model> {
    db.write(async |tx| {
        let NewAddress { patch, defaults } = new;
        let owner_id = lock_account_for_caller(tx, target.id, target.scope).await?.id;
        let count = address::Entity::find().filter(address::Column::AccountId.eq(owner_id)).count(tx).await?;
        if count >= MAX_ADDRESSES {
            let message = format!("there are already {MAX_ADDRESSES} addresses; remove one that is no longer needed");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let postal_address = PostalAddress::default().apply_patch(patch, "input", shop_country)?;
        let (entity, after) = ((NodeType::Account, owner_id), Some(postal_address.to_json()));
        let row = address::ActiveModel {
            account_id: Set(owner_id),
            is_default_shipping: Set(false),
            is_default_billing: Set(false),
            version: Set(1),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
            ..postal_address.into()
        };
        let row = row.insert(tx).await?;
        record_address_change(tx, &row, AuditRecord { action: "address.create", entity, before: None, after }).await?;
        let implied = AddressDefaults { shipping: count == 0, billing: count == 0 };
        let defaults = AddressDefaults {
            shipping: defaults.shipping || implied.shipping,
            billing: defaults.billing || implied.billing,
        };
        assign_defaults(tx, row, defaults).await
    })
    .await
}

/// Updates an address. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden`, `VersionConflict`, or all invalid fields together.
pub async fn update_address(
    db: &Db,
    target: AddressTarget,
    patch: AddressPatch,
    shop_country: Country,
) -> Result<address::Model> {
    db.write(async |tx| {
        let row = lock_address(tx, target).await?;
        let before = PostalAddress::from(row.clone());
        let after = before.clone().apply_patch(patch, "input", shop_country)?;
        let entity = (NodeType::Account, row.account_id);
        let Some(record) = AuditRecord::updated("address.update", entity, &before.to_json(), &after.to_json()) else {
            return Ok(row);
        };
        let row = address::ActiveModel {
            id: Unchanged(row.id),
            version: Set(row.version + 1),
            updated_at: Set(tx.now()),
            ..after.into()
        };
        let row = row.update(tx).await?;
        record_address_change(tx, &row, record).await?;
        Ok(row)
    })
    .await
}

/// Deletes an address. If it was a default, the customer has no default for that use afterwards.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden` or `VersionConflict`.
pub async fn delete_address(db: &Db, target: AddressTarget) -> Result<i64> {
    db.write(async |tx| {
        let row = lock_address(tx, target).await?;
        let (entity, before) = ((NodeType::Account, row.account_id), Some(PostalAddress::from(row.clone()).to_json()));
        record_address_change(tx, &row, AuditRecord { action: "address.delete", entity, before, after: None }).await?;
        let address_id = row.id;
        row.delete(tx).await?;
        Ok(address_id)
    })
    .await
}

/// Makes an address the default, in place of the previous one.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden` or `VersionConflict`.
pub async fn set_default_address(db: &Db, target: AddressTarget, defaults: AddressDefaults) -> Result<address::Model> {
    db.write(async |tx| {
        let row = lock_address(tx, target).await?;
        assign_defaults(tx, row, defaults).await
    })
    .await
}

/// Locks the owner of an address within the scope and returns the address. The owner is locked first, so that
/// concurrent changes of defaults are serialized.
async fn lock_address(tx: &Tx, target: AddressTarget) -> Result<address::Model> {
    let not_found = || Error::not_found("id", "address");
    let owner_scope = OwnerScope::for_caller(target.scope, Permission::CustomerWrite).ok_or_else(not_found)?;
    let owner_id = find_address(tx, target.id, owner_scope).await?.ok_or_else(not_found)?.account_id;
    lock_account_for_caller(tx, owner_id, Some(target.scope)).await?;
    let row = find_address(tx, target.id, owner_scope).await?.ok_or_else(not_found)?;
    target.check_version(row.version)?;
    Ok(row)
}

async fn find_address(tx: &Tx, address_id: i64, owner_scope: OwnerScope) -> Result<Option<address::Model>> {
    let mut query = address::Entity::find_by_id(address_id);
    if let OwnerScope::Account(account_id) = owner_scope {
        query = query.filter(address::Column::AccountId.eq(account_id));
    }
    Ok(query.one(tx).await?)
}

/// Makes an address the only default for the requested uses.
async fn assign_defaults(tx: &Tx, mut row: address::Model, requested: AddressDefaults) -> Result<address::Model> {
    let added = AddressDefaults {
        shipping: requested.shipping && !row.is_default_shipping,
        billing: requested.billing && !row.is_default_billing,
    };
    if added == AddressDefaults::default() {
        return Ok(row);
    }
    clear_defaults(tx, row.account_id, added).await?;
    row.is_default_shipping |= added.shipping;
    row.is_default_billing |= added.billing;
    // An address created in the same transaction keeps its version.
    row.version += i32::from(row.created_at != tx.now());
    row.updated_at = tx.now();
    let row = row.into_active_model().reset_all().update(tx).await?;
    let after = json!({ "defaultShipping": row.is_default_shipping, "defaultBilling": row.is_default_billing });
    let entity = (NodeType::Account, row.account_id);
    let record = AuditRecord { action: "address.set_default", entity, before: None, after: Some(after) };
    record_address_change(tx, &row, record).await?;
    Ok(row)
}

/// Clears these defaults on all addresses of an account.
async fn clear_defaults(tx: &Tx, owner: i64, AddressDefaults { shipping, billing }: AddressDefaults) -> Result<()> {
    let mut update = address::Entity::update_many()
        .col_expr(address::Column::Version, Expr::col(address::Column::Version).add(1))
        .col_expr(address::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(address::Column::AccountId.eq(owner));
    let mut is_default = Condition::any();
    let defaults = [(shipping, address::Column::IsDefaultShipping), (billing, address::Column::IsDefaultBilling)];
    for (_, column) in defaults.into_iter().filter(|(is_cleared, _)| *is_cleared) {
        update = update.col_expr(column, Expr::value(false));
        is_default = is_default.add(column.eq(true));
    }
    update.filter(is_default).exec(tx).await?;
    Ok(())
}

/// Records a change in the audit log and emits the event. The audited entity is the customer, so that the history is
/// kept in one place and erased together with the customer.
async fn record_address_change(tx: &Tx, row: &address::Model, mut record: AuditRecord) -> Result<()> {
    for value in [&mut record.before, &mut record.after].into_iter().flatten() {
        value["address"] = json!(GlobalId::new(NodeType::Address, row.id).encode());
    }
    tx.record_audit(&[record]).await?;
    tx.emit_event(CustomerUpdated { customer: row.account_id }).await
}
