//! Stock locations: created, updated and deactivated by staff.

use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::LockType,
};
use serde_json::{Value, json};

pub use super::entity::location::Model as StockLocation;
use super::entity::{inventory_level, location};
use crate::{
    base::{Country, Error, Patch, Result, Validator, VersionedTarget, error::PublicErrorCode, global_id::NodeType},
    customer::{AddressPatch, PostalAddress},
    infra::{AuditRecord, Db, Tx},
};

/// Id of the default location, which every database has.
pub const DEFAULT_LOCATION_ID: i64 = 1;
/// Maximum length of a location's name in characters.
const MAX_LOCATION_NAME_LENGTH: usize = 100;

/// Fields of a location.
#[derive(Debug, Clone, Default)]
pub struct LocationPatch {
    /// Name, unique across locations.
    pub name: Patch,
    /// Postal address.
    pub address: Patch<AddressPatch>,
}

/// Creates a stock location.
///
/// # Errors
/// Returns all invalid fields, or `AlreadyExists` if another location has the name.
pub async fn create_location(db: &Db, patch: LocationPatch, shop_country: Country) -> Result<StockLocation> {
    db.write(async |tx| {
        let mut row = StockLocation {
            id: 0,
            name: String::new(),
            is_default: false,
            active: true,
            address: None,
            version: 1,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        apply_patch(&mut row, patch.clone(), shop_country)?;
        let mut changes = row.into_active_model().reset_all();
        changes.id = sea_orm::ActiveValue::NotSet;
        let row = changes.insert(tx).await.map_err(Error::from).map_err(to_name_taken_error)?;
        let record = AuditRecord::created("location.create", (NodeType::Location, row.id), &to_audit_json(&row));
        tx.record_audit(&[record]).await?;
        Ok(row)
    })
    .await
}

/// Updates a stock location. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, all invalid fields, or `AlreadyExists` if another location has the name.
pub async fn update_location(
    db: &Db,
    target: VersionedTarget,
    patch: LocationPatch,
    shop_country: Country,
) -> Result<StockLocation> {
    db.write(async |tx| {
        let before = lock_location(tx, &target).await?;
        let mut after = before.clone();
        apply_patch(&mut after, patch.clone(), shop_country)?;
        save_location(tx, "location.update", before, after).await
    })
    .await
}

/// Deactivates a location without stock, or activates it again. Staff cannot change the stock of an inactive location;
/// units that an order returns to it are still counted.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, or `IllegalTransition` for the default location and for one with stock.
pub async fn set_location_active(db: &Db, target: VersionedTarget, active: bool) -> Result<StockLocation> {
    db.write(async |tx| {
        let before = lock_location(tx, &target).await?;
        if !active && before.is_default {
            let message = "the default location cannot be deactivated";
            return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
        }
        let stocked = inventory_level::Entity::find()
            .filter(inventory_level::Column::LocationId.eq(before.id))
            .filter(inventory_level::Column::OnHand.gt(0));
        let stocked_count = if active { 0 } else { stocked.count(tx).await? };
        if stocked_count > 0 {
            let message = format!("{stocked_count} variants have stock at this location; transfer it first");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
        }
        let after = StockLocation { active, ..before.clone() };
        let action = if active { "location.activate" } else { "location.deactivate" };
        save_location(tx, action, before, after).await
    })
    .await
}

/// Returns all locations, the default location first. Statements: 1.
pub async fn list_locations(db: &impl ConnectionTrait) -> Result<Vec<StockLocation>> {
    let query = location::Entity::find().order_by_desc(location::Column::IsDefault);
    Ok(query.order_by_asc(location::Column::Id).all(db).await?)
}

/// Locks locations for a change of their stock, so that none is deactivated meanwhile. Statements: 1.
///
/// # Errors
/// Returns `NotFound` at `path` if a location does not exist, and `IllegalTransition` if one is inactive.
pub(super) async fn lock_active_locations(
    tx: &Tx,
    location_ids: impl IntoIterator<Item = i64>,
    path: &str,
) -> Result<()> {
    let ids: HashSet<i64> = location_ids.into_iter().collect();
    let query = location::Entity::find().filter(location::Column::Id.is_in(ids.iter().copied()));
    let rows = query.order_by_asc(location::Column::Id).lock(LockType::Share).all(tx).await?;
    if rows.len() < ids.len() {
        return Err(Error::not_found(path, "location"));
    }
    match rows.iter().find(|row| !row.active) {
        Some(row) => {
            let message = format!("{} is deactivated; activate it first", row.name);
            Err(Error::user(PublicErrorCode::IllegalTransition, path, message))
        }
        None => Ok(()),
    }
}

async fn lock_location(tx: &Tx, target: &VersionedTarget) -> Result<StockLocation> {
    let row = location::Entity::find_by_id(target.id).lock(LockType::Update).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "location"))?;
    target.check_version(row.version)?;
    Ok(row)
}

async fn save_location(
    tx: &Tx,
    action: &'static str,
    before: StockLocation,
    mut after: StockLocation,
) -> Result<StockLocation> {
    let entity = (NodeType::Location, before.id);
    let Some(record) = AuditRecord::updated(action, entity, &to_audit_json(&before), &to_audit_json(&after)) else {
        return Ok(before);
    };
    after.version += 1;
    after.updated_at = tx.now();
    let row = after.into_active_model().reset_all().update(tx).await.map_err(Error::from);
    let row = row.map_err(to_name_taken_error)?;
    tx.record_audit(&[record]).await?;
    Ok(row)
}

fn apply_patch(row: &mut StockLocation, patch: LocationPatch, shop_country: Country) -> Result<()> {
    let LocationPatch { name, address } = patch;
    let mut validator = Validator::default();
    validator.at("input").apply_required_text(&mut row.name, name, "name", MAX_LOCATION_NAME_LENGTH);
    validator.finish()?;
    match address {
        Patch::Unchanged => {}
        Patch::Clear => row.address = None,
        Patch::Set(patch) => {
            let address = PostalAddress::default().apply_patch(patch, "input.address", shop_country)?;
            row.address = Some(address.to_json());
        }
    }
    Ok(())
}

fn to_name_taken_error(error: Error) -> Error {
    let message = "there is a location of this name";
    if error.is_unique_violation() { Error::user(PublicErrorCode::AlreadyExists, "input.name", message) } else { error }
}

fn to_audit_json(row: &StockLocation) -> Value {
    json!({ "name": row.name, "address": row.address, "active": row.active })
}
