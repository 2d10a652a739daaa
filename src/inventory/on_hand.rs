//! Bulk updates of on-hand stock.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, ConnectionTrait};
use serde_json::json;

use super::{
    entity::{StockMovementReason, inventory_level},
    in_stock::refresh_in_stock,
    location::DEFAULT_LOCATION_ID,
    stock_level,
};
use crate::{
    base::{Result, Validator, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Tx},
};

/// Sets the on-hand quantities of variants at the default location, at least to the reserved quantity.
pub async fn set_on_hand(tx: &Tx, counts: &[(i64, i64)]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    counts.dedup_by_key(|(variant, _)| *variant);
    let actor = tx.origin().actor.to_string();
    let to_row = |(variant_id, on_hand): &(i64, i64)| inventory_level::ActiveModel {
        variant_id: Set(*variant_id),
        location_id: Set(DEFAULT_LOCATION_ID),
        on_hand: Set(*on_hand),
        reserved: Set(0),
        last_reason: Set(StockMovementReason::Count),
        last_actor: Set(actor.clone()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let mut sql = tx.sql();
    sql.insert_models(&counts.iter().map(to_row).collect::<Vec<_>>()).push(
        " ON CONFLICT (variant_id, location_id) DO UPDATE SET updated_at = excluded.updated_at, \
         last_reason = excluded.last_reason, last_reference = NULL, last_actor = excluded.last_actor, \
         on_hand = CASE WHEN excluded.on_hand < inventory_level.reserved THEN inventory_level.reserved ELSE \
         excluded.on_hand END \
         WHERE inventory_level.on_hand <> excluded.on_hand",
    );
    tx.execute_raw(sql.into_statement()).await?;
    let variants: Vec<i64> = counts.iter().map(|(variant, _)| *variant).collect();
    refresh_in_stock(tx, &variants).await
}

/// The on-hand quantity of a variant that the caller expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedOnHand {
    /// The variant.
    pub variant_id: i64,
    /// The quantity at the default location.
    pub quantity: i64,
    /// Path of this input.
    pub path: String,
}

/// Locks the stock levels of variants and checks their on-hand quantities at the default location.
///
/// # Errors
/// Returns `VersionConflict` for each variant whose on-hand quantity differs.
pub async fn check_on_hand(tx: &Tx, expected: &[ExpectedOnHand]) -> Result<()> {
    if expected.is_empty() {
        return Ok(());
    }
    let rows = stock_level::lock_stock_levels(tx, expected.iter().map(|expected| expected.variant_id)).await?;
    let mut validator = Validator::default();
    for ExpectedOnHand { variant_id, quantity, path } in expected {
        let level = rows.iter().find(|row| row.variant_id == *variant_id && row.location_id == DEFAULT_LOCATION_ID);
        let on_hand = level.map_or(0, |row| row.on_hand);
        if on_hand != *quantity {
            let message =
                format!("there are {on_hand} on hand now, not {quantity}: others have changed it; count again");
            validator.at(path).reject_as(PublicErrorCode::VersionConflict, "", message);
        }
    }
    validator.finish()
}

/// Sets on-hand quantities as [`set_on_hand`] does and writes an audit record for each variant whose quantity changes.
pub async fn set_on_hand_with_audit(tx: &Tx, counts: &[(i64, i64)]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let variant_ids: Vec<i64> = counts.iter().map(|(variant, _)| *variant).collect();
    let before = load_on_hand(tx, &variant_ids).await?;
    set_on_hand(tx, counts).await?;
    let after = load_on_hand(tx, &variant_ids).await?;
    let to_audit_record = |variant_id: &i64| AuditRecord {
        action: "inventory.set",
        entity: (NodeType::Variant, *variant_id),
        before: Some(json!({ "onHand": before.get(variant_id) })),
        after: Some(json!({ "onHand": after.get(variant_id) })),
    };
    let changed_ids = variant_ids.iter().filter(|variant_id| before.get(variant_id) != after.get(variant_id));
    tx.record_audit(&changed_ids.map(to_audit_record).collect::<Vec<_>>()).await
}

async fn load_on_hand(tx: &Tx, variants: &[i64]) -> Result<HashMap<i64, i64>> {
    let mut sql = tx.sql();
    sql.push("SELECT variant_id, on_hand FROM inventory_level WHERE location_id = ")
        .bind(DEFAULT_LOCATION_ID)
        .push(" AND ");
    sql.eq_any("variant_id", variants.iter().copied());
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| Ok((row.try_get("", "variant_id")?, row.try_get("", "on_hand")?))).collect()
}
