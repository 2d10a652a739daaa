//! What staff do about accounts: who may sign in, and what with.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, sea_query::LockType,
};
use serde_json::json;

use super::{
    profile::{CustomerChanged, Wish},
    reach,
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    identity::{Role, entity::account, session},
    infra::{Change, Tx},
};

/// Keeps an account from signing in, and ends its sessions; or lets it sign in again.
///
/// # Errors
/// When it is not there, is of staff and the caller may not change those, or is the last admin.
pub async fn disable(tx: &Tx, wish: Wish, disabled: bool) -> Result<account::Model> {
    let admins = admins(tx).await?;
    let row = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(row.version, wish.expected)?;
    if row.disabled_at.is_some() == disabled {
        return Ok(row);
    }
    if disabled {
        keep_one(&admins, row.id, "id")?;
        session::revoke(tx, row.id, None).await?;
    }
    let (key, version) = (row.id, row.version + 1);
    let mut row = row.into_active_model();
    row.disabled_at = Set(disabled.then(|| tx.now()));
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let action = if disabled { "customer.disable" } else { "customer.enable" };
    let (before, after) = (json!({ "disabled": !disabled }), json!({ "disabled": disabled }));
    tx.record(&[Change { action, thing: (Kind::Customer, key), before: Some(before), after: Some(after) }]).await?;
    tx.emit(CustomerChanged { customer: key }).await?;
    Ok(row)
}

/// Gives an account another role, and ends its sessions, so that it counts at once.
///
/// # Errors
/// When it is not there, has changed since, or is the last admin.
pub async fn set_role(tx: &Tx, wish: Wish, role: Role) -> Result<account::Model> {
    let admins = admins(tx).await?;
    let row = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(row.version, wish.expected)?;
    if row.role == role {
        return Ok(row);
    }
    keep_one(&admins, row.id, "id")?;
    session::revoke(tx, row.id, None).await?;
    let (key, version, was) = (row.id, row.version + 1, row.role);
    let mut row = row.into_active_model();
    row.role = Set(role);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let (before, after) = (json!({ "role": was.name() }), json!({ "role": role.name() }));
    let thing = (Kind::Customer, key);
    tx.record(&[Change { action: "staff.role", thing, before: Some(before), after: Some(after) }]).await?;
    tx.emit(CustomerChanged { customer: key }).await?;
    Ok(row)
}

/// The admins who can sign in, as they are until the transaction ends: two who would take each other's role, each of them
/// not the last, wait for each other here. Always taken before an account of its own, and in one order.
pub(super) async fn admins(tx: &Tx) -> Result<Vec<i64>> {
    let rows = account::Entity::find()
        .filter(account::Column::Role.eq(Role::Admin))
        .filter(account::Column::DeletedAt.is_null())
        .order_by_asc(account::Column::CreatedAt)
        .order_by_asc(account::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    Ok(rows.into_iter().filter(|row| row.disabled_at.is_none()).map(|row| row.id).collect())
}

/// A shop without an admin could not be helped from inside.
pub(super) fn keep_one(admins: &[i64], going: i64, field: &str) -> Result<()> {
    if admins == [going] {
        let message = "this is the last admin who can sign in; make another one first";
        return Err(Error::user(Code::IllegalTransition, field, message));
    }
    Ok(())
}
