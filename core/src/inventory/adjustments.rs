//! Staff operations on stock: adjusting, setting and transferring quantities, and stock settings.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde_json::{Value, json};

use super::{
    entity::{StockMovementReason, inventory_level},
    events::StockChanged,
    in_stock::refresh_in_stock,
    location::lock_active_locations,
    queries,
    reservation::{MovementCause, write_on_hand_changes},
    stock_level::{self, StockKey, StockLevelRow},
};
use crate::{
    base::{Error, Result, Validator, error::PublicErrorCode, global_id::NodeType},
    catalog::variant,
    infra::{AuditRecord, Db, IdempotencyClaim, IdempotencyKey, ResourceKey, Tx},
};

/// Maximum stock quantity of a variant at a location.
pub const MAX_STOCK_QUANTITY: i64 = i32::MAX as i64;

/// An operation on on-hand stock.
#[derive(Debug, Clone, Copy)]
pub enum StockOperation {
    /// Changes on-hand stock by a delta.
    Adjust {
        /// Units to add; negative to remove units.
        delta: i64,
        /// Reason recorded in the stock movement.
        reason: StockMovementReason,
    },
    /// Sets on-hand stock to a counted quantity.
    Set {
        /// Counted quantity.
        quantity: i64,
        /// On-hand quantity the caller expects before the change.
        expected: i64,
    },
    /// Moves units from another location.
    Transfer {
        /// The source location.
        from_location_id: i64,
        /// Units to move.
        quantity: i64,
    },
}

/// Applies an operation once and returns the resulting stock level at the key's location; a request that was carried out
/// before only returns the current one.
///
/// # Errors
/// Returns `BadUserInput` if a quantity is out of range or both locations are the same, `NotFound` if the variant or a
/// location does not exist, `InsufficientStock` if too few unreserved units are on hand, and `VersionConflict` if the
/// on-hand quantity differs from `expected`.
pub async fn apply_stock_operation(
    db: &Db,
    idempotency_key: &IdempotencyKey,
    key: StockKey,
    operation: StockOperation,
) -> Result<StockLevelRow> {
    db.write_with_retry(async |tx| {
        let resource = ResourceKey::Existing(key.variant_id);
        if let IdempotencyClaim::New(_) = tx.claim_idempotency_key(idempotency_key, resource).await? {
            return change_stock(tx, key, operation).await;
        }
        let levels = queries::lock_stock_levels(tx, [key.variant_id]).await?;
        let level = levels.into_iter().find(|level| level.key() == key);
        level.ok_or_else(|| Error::not_found("input.variantId", "variant"))
    })
    .await
}

async fn change_stock(tx: &Tx, key: StockKey, operation: StockOperation) -> Result<StockLevelRow> {
    operation.validate(key)?;
    match operation {
        StockOperation::Adjust { delta, reason } => adjust_stock(tx, key, delta, reason).await,
        StockOperation::Set { quantity, expected } => set_stock(tx, key, quantity, expected).await,
        StockOperation::Transfer { from_location_id: from, quantity } => transfer_stock(tx, key, from, quantity).await,
    }
}

impl StockOperation {
    /// Checks the quantity and the locations.
    fn validate(self, key: StockKey) -> Result<()> {
        let mut validator = Validator::default();
        let mut input = validator.at("input");
        match self {
            Self::Adjust { delta, .. } => {
                if delta == 0 || delta.abs() > MAX_STOCK_QUANTITY {
                    let message = format!("a change is from 1 to {MAX_STOCK_QUANTITY} units, up or down");
                    input.reject("delta", message);
                }
            }
            Self::Set { quantity, .. } => {
                if !(0..=MAX_STOCK_QUANTITY).contains(&quantity) {
                    input.reject("quantity", format!("a quantity is from 0 to {MAX_STOCK_QUANTITY}"));
                }
            }
            Self::Transfer { from_location_id, quantity } => {
                if from_location_id == key.location_id {
                    input.reject("toLocationId", "this is where they lie; name another location");
                }
                if !(1..=MAX_STOCK_QUANTITY).contains(&quantity) {
                    input.reject("quantity", format!("a quantity is from 1 to {MAX_STOCK_QUANTITY}"));
                }
            }
        }
        validator.finish()
    }
}

/// Changes on-hand stock by a delta; reserved units cannot be removed.
async fn adjust_stock(tx: &Tx, key: StockKey, delta: i64, reason: StockMovementReason) -> Result<StockLevelRow> {
    let before = lock_or_create_levels(tx, &[key], "locationId").await?;
    let change = StockChange { action: "stock.adjust", reason, field: "delta" };
    apply_deltas(tx, &before, &[StockDelta { level: key, delta }], change).await
}

/// Sets on-hand stock to `quantity` if it equals `expected`.
async fn set_stock(tx: &Tx, key: StockKey, quantity: i64, expected: i64) -> Result<StockLevelRow> {
    let before = lock_or_create_levels(tx, &[key], "locationId").await?;
    let on_hand = before.iter().find(|row| row.key() == key).map_or(0, |row| row.on_hand);
    if on_hand != expected {
        let message = format!("there are {on_hand} on hand now, not {expected}: others have changed it; count again");
        return Err(Error::user(PublicErrorCode::VersionConflict, "input.expectedQuantity", message));
    }
    let change = StockChange { action: "stock.set", reason: StockMovementReason::Count, field: "quantity" };
    apply_deltas(tx, &before, &[StockDelta { level: key, delta: quantity - on_hand }], change).await
}

/// Moves units from another location to that of the key.
async fn transfer_stock(tx: &Tx, key: StockKey, from_location_id: i64, quantity: i64) -> Result<StockLevelRow> {
    let source = StockKey { location_id: from_location_id, ..key };
    let before = lock_or_create_levels(tx, &[source, key], "toLocationId").await?;
    let deltas = [StockDelta { level: key, delta: quantity }, StockDelta { level: source, delta: -quantity }];
    let change = StockChange { action: "stock.transfer", reason: StockMovementReason::Transfer, field: "quantity" };
    apply_deltas(tx, &before, &deltas, change).await
}

/// Changes to stock settings; `None` leaves a setting unchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct StockSettings {
    /// Whether stock is tracked.
    pub tracked: Option<bool>,
    /// Whether more units may be ordered than are available.
    pub allow_backorder: Option<bool>,
    /// Low-stock threshold at the location; `Some(None)` removes it.
    pub low_stock_threshold: Option<Option<i64>>,
}

/// Updates the stock settings of a variant.
///
/// # Errors
/// Returns `NotFound` if the variant or location does not exist, and `BadUserInput` if the threshold is out of range.
pub async fn update_stock_settings(db: &Db, key: StockKey, settings: StockSettings) -> Result<StockLevelRow> {
    db.write_with_retry(async |tx| {
        let StockSettings { tracked, allow_backorder, low_stock_threshold } = settings;
        if low_stock_threshold.flatten().is_some_and(|threshold| !(0..=MAX_STOCK_QUANTITY).contains(&threshold)) {
            let message = format!("a threshold is from 0 to {MAX_STOCK_QUANTITY}");
            return Err(Error::bad_input("input.lowStockThreshold", message));
        }
        let before = lock_or_create_levels(tx, &[key], "locationId").await?;
        let mut audit_fields = serde_json::Map::new();
        // Lock order: the product before its variants, as in product edits.
        queries::lock_products(tx, &[key.variant_id]).await?;
        let flags = [
            (variant::Column::TrackStock, "tracked", tracked),
            (variant::Column::AllowBackorder, "backorder", allow_backorder),
        ];
        for (column, name, setting) in flags {
            let Some(setting) = setting else { continue };
            if set_variant_flag(tx, key.variant_id, column, setting).await? {
                audit_fields.insert(name.to_owned(), json!(setting));
            }
        }
        if let Some(threshold) = low_stock_threshold {
            let changes = inventory_level::ActiveModel {
                low_stock_threshold: Set(threshold),
                updated_at: Set(tx.now()),
                ..Default::default()
            };
            let update = inventory_level::Entity::update_many().set(changes);
            let update = update.filter(inventory_level::Column::VariantId.eq(key.variant_id));
            update.filter(inventory_level::Column::LocationId.eq(key.location_id)).exec(tx).await?;
            audit_fields.insert("lowStockThreshold".into(), json!(threshold));
        }
        let after = queries::lock_stock_levels(tx, [key.variant_id]).await?;
        stock_level::propagate_stock_changes(tx, &before, &after).await?;
        refresh_in_stock(tx, &[key.variant_id]).await?;
        if !audit_fields.is_empty() {
            if before == after {
                tx.emit_event(StockChanged { variants: vec![key.variant_id] }).await?;
            }
            tx.record_audit(&[AuditRecord {
                action: "stock.settings",
                entity: (NodeType::Variant, key.variant_id),
                before: None,
                after: Some(Value::Object(audit_fields)),
            }])
            .await?;
        }
        find_level(&after, key)
    })
    .await
}

/// Sets a flag of a variant; returns whether it changed.
async fn set_variant_flag(tx: &Tx, variant_id: i64, column: variant::Column, flag: bool) -> Result<bool> {
    let update = variant::Entity::update_many()
        .col_expr(column, Expr::value(flag))
        .col_expr(variant::Column::Version, Expr::col(variant::Column::Version).add(1))
        .col_expr(variant::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(variant::Column::Id.eq(variant_id))
        .filter(column.ne(flag));
    Ok(update.exec(tx).await?.rows_affected > 0)
}

/// Locks all stock levels of an active variant, creating missing ones among the given levels of it.
async fn lock_or_create_levels(tx: &Tx, levels: &[StockKey], location_field: &str) -> Result<Vec<StockLevelRow>> {
    let Some(StockKey { variant_id, .. }) = levels.first().copied() else { return Ok(Vec::new()) };
    let variant = variant::Entity::find_by_id(variant_id).filter(variant::Column::DeletedAt.is_null());
    if variant.count(tx).await? == 0 {
        return Err(Error::not_found("input.variantId", "variant"));
    }
    lock_active_locations(tx, levels.iter().map(|level| level.location_id), &format!("input.{location_field}")).await?;
    let mut levels = levels.to_vec();
    levels.sort_unstable();
    let to_row = |level: StockKey| inventory_level::ActiveModel {
        variant_id: Set(level.variant_id),
        location_id: Set(level.location_id),
        on_hand: Set(0),
        reserved: Set(0),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    queries::insert_missing_levels(tx, &levels.into_iter().map(to_row).collect::<Vec<_>>()).await?;
    queries::lock_stock_levels(tx, [variant_id]).await
}

/// The operation that changes on-hand stock: its audit action, the reason of its movements, and the input field of the
/// quantity.
#[derive(Debug, Clone, Copy)]
struct StockChange {
    action: &'static str,
    reason: StockMovementReason,
    field: &'static str,
}

/// A change of the on-hand quantity of a stock level.
#[derive(Debug, Clone, Copy)]
struct StockDelta {
    level: StockKey,
    delta: i64,
}

/// Applies on-hand deltas and returns the resulting stock level of the first one.
async fn apply_deltas(
    tx: &Tx,
    before: &[StockLevelRow],
    deltas: &[StockDelta],
    change: StockChange,
) -> Result<StockLevelRow> {
    let StockChange { action, reason, field } = change;
    let mut after = before.to_vec();
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    for StockDelta { level, delta } in deltas {
        let Some(row) = after.iter_mut().find(|row| row.key() == *level) else { continue };
        row.on_hand += delta;
        if row.on_hand < row.reserved {
            let unreserved = row.on_hand - delta - row.reserved;
            let message = format!("only {unreserved} of these are free there; {} are promised to buyers", row.reserved);
            input.reject_as(PublicErrorCode::InsufficientStock, field, message);
        }
        if row.on_hand > MAX_STOCK_QUANTITY {
            input.reject(field, format!("there would be more than {MAX_STOCK_QUANTITY}"));
        }
    }
    validator.finish()?;
    write_on_hand_changes(tx, before, &after, MovementCause { reason, reference: None }).await?;
    stock_level::propagate_stock_changes(tx, before, &after).await?;
    let to_audit_json = |rows: &[StockLevelRow]| {
        let changed_levels = rows.iter().filter(|row| deltas.iter().any(|delta| row.key() == delta.level));
        let level_to_json = |row: &StockLevelRow| json!({ "location": row.location_id, "onHand": row.on_hand });
        Value::Array(changed_levels.map(level_to_json).collect())
    };
    let changed = deltas.first().ok_or_else(|| Error::internal("updating stock", "no stock level to change"))?;
    let level = find_level(&after, changed.level)?;
    let (entity, before) = ((NodeType::Variant, level.variant_id), Some(to_audit_json(before)));
    tx.record_audit(&[AuditRecord { action, entity, before, after: Some(to_audit_json(&after)) }]).await?;
    Ok(level)
}

fn find_level(rows: &[StockLevelRow], key: StockKey) -> Result<StockLevelRow> {
    let level = rows.iter().find(|row| row.key() == key).copied();
    level.ok_or_else(|| Error::internal("updating stock", "stock level not found"))
}
