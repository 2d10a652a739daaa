//! Staff operations on stock: adjusting, setting and transferring quantities, and stock settings.

use sea_orm::{ActiveValue::Set, ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{
    DEFAULT_LOCATION_ID,
    entity::inventory_level,
    in_stock::{lock_products, refresh_in_stock},
    reservation::{MovementReason, write_on_hand_changes},
    stock_level::{self, StockLevelRow},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, IdempotencyClaim, IdempotencyKey, ResourceKey, Tx, keyset},
};

/// Maximum stock quantity of a variant at a location.
pub const MAX_STOCK_QUANTITY: i64 = i32::MAX as i64;
/// Maximum length of a location's name in characters.
const MAX_LOCATION_NAME_LENGTH: usize = 100;

/// A stock location.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct StockLocation {
    pub id: i64,
    pub name: String,
    pub is_default: bool,
}

/// The stock level an operation applies to.
#[derive(Debug, Clone, Copy)]
pub struct StockKey {
    /// The variant.
    pub variant_id: i64,
    /// The location; defaults to [`DEFAULT_LOCATION_ID`].
    pub location_id: Option<i64>,
}

impl StockKey {
    fn location_or_default(&self) -> i64 {
        self.location_id.unwrap_or(DEFAULT_LOCATION_ID)
    }
}

/// An operation on on-hand stock.
#[derive(Debug, Clone, Copy)]
pub enum StockOperation {
    /// Changes on-hand stock by a delta.
    Adjust {
        /// Units to add; negative to remove units.
        delta: i64,
        /// Reason recorded in the stock movement.
        reason: &'static str,
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
        let levels = stock_level::lock_stock_levels(tx, [key.variant_id]).await?;
        let level = levels.into_iter().find(|level| level.location_id == key.location_or_default());
        level.ok_or_else(|| Error::not_found("input.variantId", "variant"))
    })
    .await
}

async fn change_stock(tx: &Tx, key: StockKey, operation: StockOperation) -> Result<StockLevelRow> {
    match operation {
        StockOperation::Adjust { delta, reason } => adjust_stock(tx, key, delta, reason).await,
        StockOperation::Set { quantity, expected } => set_stock(tx, key, quantity, expected).await,
        StockOperation::Transfer { from_location_id: from, quantity } => transfer_stock(tx, key, from, quantity).await,
    }
}

/// Changes on-hand stock by a delta; reserved units cannot be removed.
async fn adjust_stock(tx: &Tx, key: StockKey, delta: i64, reason: &'static str) -> Result<StockLevelRow> {
    if delta == 0 || delta.abs() > MAX_STOCK_QUANTITY {
        return Err(Error::bad_input(
            "input.delta",
            format!("a change is from 1 to {MAX_STOCK_QUANTITY} units, up or down"),
        ));
    }
    let before = lock_or_create_levels(tx, key.variant_id, &[key.location_or_default()], "input.locationId").await?;
    let change = StockChange { action: "stock.adjust", reason, field: "input.delta" };
    apply_deltas(tx, &before, &[(key.location_or_default(), delta)], change).await
}

/// Sets on-hand stock to `quantity` if it equals `expected`.
async fn set_stock(tx: &Tx, key: StockKey, quantity: i64, expected: i64) -> Result<StockLevelRow> {
    if !(0..=MAX_STOCK_QUANTITY).contains(&quantity) {
        return Err(Error::bad_input("input.quantity", format!("a quantity is from 0 to {MAX_STOCK_QUANTITY}")));
    }
    let before = lock_or_create_levels(tx, key.variant_id, &[key.location_or_default()], "input.locationId").await?;
    let on_hand = before.iter().find(|row| row.location_id == key.location_or_default()).map_or(0, |row| row.on_hand);
    if on_hand != expected {
        let message = format!("there are {on_hand} on hand now, not {expected}: others have changed it; count again");
        return Err(Error::user(PublicErrorCode::VersionConflict, "input.expectedQuantity", message));
    }
    let change = StockChange { action: "stock.set", reason: "count", field: "input.quantity" };
    apply_deltas(tx, &before, &[(key.location_or_default(), quantity - on_hand)], change).await
}

/// Moves units from another location to that of the key.
async fn transfer_stock(tx: &Tx, key: StockKey, from: i64, quantity: i64) -> Result<StockLevelRow> {
    let to = key.location_or_default();
    if !(1..=MAX_STOCK_QUANTITY).contains(&quantity) {
        return Err(Error::bad_input("input.quantity", format!("a quantity is from 1 to {MAX_STOCK_QUANTITY}")));
    }
    if from == to {
        return Err(Error::bad_input("input.toLocationId", "this is where they lie; name another location"));
    }
    let before = lock_or_create_levels(tx, key.variant_id, &[from, to], "input.toLocationId").await?;
    let deltas = [(to, quantity), (from, -quantity)];
    let change = StockChange { action: "stock.transfer", reason: "transfer", field: "input.quantity" };
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
pub async fn update_stock_settings(db: &Db, key: StockKey, setting: StockSettings) -> Result<StockLevelRow> {
    db.write_with_retry(async |tx| {
        let StockSettings { tracked, allow_backorder: backorder, low_stock_threshold } = setting;
        if low_stock_threshold.flatten().is_some_and(|threshold| !(0..=MAX_STOCK_QUANTITY).contains(&threshold)) {
            return Err(Error::bad_input(
                "input.lowStockThreshold",
                format!("a threshold is from 0 to {MAX_STOCK_QUANTITY}"),
            ));
        }
        let before =
            lock_or_create_levels(tx, key.variant_id, &[key.location_or_default()], "input.locationId").await?;
        let mut audit_fields = serde_json::Map::new();
        // Lock order: the product before its variants, as in product edits.
        lock_products(tx, &[key.variant_id]).await?;
        for (column, name, setting) in
            [("track_stock", "tracked", tracked), ("allow_backorder", "backorder", backorder)]
        {
            let Some(setting) = setting else { continue };
            let mut sql = tx.sql();
            sql.push(&format!("UPDATE variant SET {column} = "))
                .bind(setting)
                .push(", version = version + 1, updated_at = ");
            sql.bind(tx.now())
                .push(" WHERE id = ")
                .bind(key.variant_id)
                .push(&format!(" AND {column} <> "))
                .bind(setting);
            if tx.execute_raw(sql.into_statement()).await?.rows_affected() > 0 {
                audit_fields.insert(name.to_owned(), json!(setting));
            }
        }
        if let Some(threshold) = low_stock_threshold {
            let mut sql = tx.sql();
            sql.push("UPDATE inventory_level SET low_stock_threshold = ")
                .bind(threshold)
                .push(", updated_at = ")
                .bind(tx.now());
            sql.push(" WHERE variant_id = ")
                .bind(key.variant_id)
                .push(" AND location_id = ")
                .bind(key.location_or_default());
            tx.execute_raw(sql.into_statement()).await?;
            audit_fields.insert("lowStockThreshold".into(), json!(threshold));
        }
        let after = stock_level::lock_stock_levels(tx, [key.variant_id]).await?;
        stock_level::propagate_stock_changes(tx, &before, &after).await?;
        refresh_in_stock(tx, &[key.variant_id]).await?;
        if !audit_fields.is_empty() {
            tx.record_audit(&[AuditRecord {
                action: "stock.settings",
                entity: (NodeType::Variant, key.variant_id),
                before: None,
                after: Some(Value::Object(audit_fields)),
            }])
            .await?;
        }
        find_level(&after, key.location_or_default())
    })
    .await
}

/// Creates a stock location.
///
/// # Errors
/// Returns `BadUserInput` if the name is invalid, and `AlreadyExists` if another location has it.
pub async fn create_location(db: &Db, name: &str) -> Result<StockLocation> {
    db.write(async |tx| {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_LOCATION_NAME_LENGTH || name.chars().any(char::is_control) {
            return Err(Error::bad_input(
                "input.name",
                format!("a name has 1 to {MAX_LOCATION_NAME_LENGTH} characters on one line"),
            ));
        }
        let mut sql = tx.sql();
        sql.push("INSERT INTO location (name, is_default, created_at, updated_at) VALUES (")
            .bind(name)
            .push(", false, ");
        sql.bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (name) DO NOTHING RETURNING id");
        let Some(row) = tx.query_one_raw(sql.into_statement()).await? else {
            return Err(Error::user(PublicErrorCode::AlreadyExists, "input.name", "there is a location of this name"));
        };
        let location = StockLocation { id: row.try_get_by(0)?, name: name.to_owned(), is_default: false };
        let audit_record = AuditRecord {
            action: "location.create",
            entity: (NodeType::Location, location.id),
            before: None,
            after: Some(json!({ "name": location.name })),
        };
        tx.record_audit(&[audit_record]).await?;
        Ok(location)
    })
    .await
}

/// Returns all locations, the default location first. Statements: 1.
pub async fn list_locations(db: &impl ConnectionTrait) -> Result<Vec<StockLocation>> {
    let mut sql = crate::infra::SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT id, name, is_default FROM location ORDER BY is_default DESC, id");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| StockLocation::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Locks all stock levels of an active variant, creating missing ones at the given locations.
async fn lock_or_create_levels(tx: &Tx, variant: i64, locations: &[i64], field: &str) -> Result<Vec<StockLevelRow>> {
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COUNT(*) AS BIGINT) FROM variant WHERE deleted_at IS NULL AND id = ").bind(variant);
    if keyset::load_count(tx, sql).await? == 0 {
        return Err(Error::not_found("input.variantId", "variant"));
    }
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COUNT(*) AS BIGINT) FROM location WHERE ").eq_any("id", locations.iter().copied());
    if keyset::load_count(tx, sql).await? < i64::try_from(locations.len()).unwrap_or(i64::MAX) {
        return Err(Error::not_found(field, "location"));
    }
    let mut locations = locations.to_vec();
    locations.sort_unstable();
    let mut sql = tx.sql();
    let to_row = |location_id| inventory_level::ActiveModel {
        variant_id: Set(variant),
        location_id: Set(location_id),
        on_hand: Set(0),
        reserved: Set(0),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    sql.insert_models(&locations.into_iter().map(to_row).collect::<Vec<_>>());
    sql.push(" ON CONFLICT (variant_id, location_id) DO NOTHING");
    tx.execute_raw(sql.into_statement()).await?;
    stock_level::lock_stock_levels(tx, [variant]).await
}

/// The operation that changes on-hand stock: its audit action, the reason of its movements, and the input field of the
/// quantity.
#[derive(Debug, Clone, Copy)]
struct StockChange {
    action: &'static str,
    reason: &'static str,
    field: &'static str,
}

/// Applies on-hand deltas to locations and returns the resulting stock level at the first one.
async fn apply_deltas(
    tx: &Tx,
    before: &[StockLevelRow],
    deltas: &[(i64, i64)],
    change: StockChange,
) -> Result<StockLevelRow> {
    let StockChange { action, reason, field } = change;
    let mut after = before.to_vec();
    for (location, delta) in deltas {
        let Some(row) = after.iter_mut().find(|row| row.location_id == *location) else { continue };
        row.on_hand += delta;
        if row.on_hand < row.reserved {
            let unreserved = row.on_hand - delta - row.reserved;
            let message = format!("only {unreserved} of these are free there; {} are promised to buyers", row.reserved);
            return Err(Error::user(PublicErrorCode::InsufficientStock, field, message));
        }
        if row.on_hand > MAX_STOCK_QUANTITY {
            return Err(Error::bad_input(field, format!("there would be more than {MAX_STOCK_QUANTITY}")));
        }
    }
    write_on_hand_changes(tx, before, &after, MovementReason { reason, reference: None }).await?;
    stock_level::propagate_stock_changes(tx, before, &after).await?;
    let to_audit_json = |rows: &[StockLevelRow]| {
        let changed_levels = rows.iter().filter(|row| deltas.iter().any(|(location, _)| row.location_id == *location));
        let level_to_json = |row: &StockLevelRow| json!({ "location": row.location_id, "onHand": row.on_hand });
        Value::Array(changed_levels.map(level_to_json).collect())
    };
    let level = find_level(&after, deltas.first().map_or(DEFAULT_LOCATION_ID, |(location, _)| *location))?;
    let (entity, before) = ((NodeType::Variant, level.variant_id), Some(to_audit_json(before)));
    tx.record_audit(&[AuditRecord { action, entity, before, after: Some(to_audit_json(&after)) }]).await?;
    Ok(level)
}

fn find_level(rows: &[StockLevelRow], location_id: i64) -> Result<StockLevelRow> {
    let level = rows.iter().find(|row| row.location_id == location_id).copied();
    level.ok_or_else(|| Error::internal("updating stock", "stock level not found"))
}
