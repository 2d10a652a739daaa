//! Bulk updates of on-hand stock.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::{
    entity::{StockMovementReason, inventory_level},
    events::StockChanged,
    in_stock::refresh_in_stock,
    location::DEFAULT_LOCATION_ID,
    queries,
    stock_level::VariantUnits,
};
use crate::{
    base::{Result, Validator, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Tx, eq_any},
};

/// Sets the on-hand quantities of variants at the default location, at least to the reserved quantity.
pub async fn set_on_hand(tx: &Tx, counts: &[VariantUnits]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut counts = counts.to_vec();
    counts.sort_unstable_by_key(|count| (count.variant_id, count.quantity));
    counts.dedup_by_key(|count| count.variant_id);
    let actor = tx.origin().actor.to_string();
    let to_row = |count: &VariantUnits| inventory_level::ActiveModel {
        variant_id: Set(count.variant_id),
        location_id: Set(DEFAULT_LOCATION_ID),
        on_hand: Set(count.quantity),
        reserved: Set(0),
        last_reason: Set(StockMovementReason::Count),
        last_actor: Set(actor.clone()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let changed_variants = queries::upsert_on_hand(tx, &counts.iter().map(to_row).collect::<Vec<_>>()).await?;
    let variants: Vec<i64> = counts.iter().map(|count| count.variant_id).collect();
    refresh_in_stock(tx, &variants).await?;
    if changed_variants.is_empty() {
        return Ok(());
    }
    tx.emit_event(StockChanged { variants: changed_variants }).await
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
    let rows = queries::lock_stock_levels(tx, expected.iter().map(|expected| expected.variant_id)).await?;
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
pub async fn set_on_hand_with_audit(tx: &Tx, counts: &[VariantUnits]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let variant_ids: Vec<i64> = counts.iter().map(|count| count.variant_id).collect();
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
    let query = inventory_level::Entity::find()
        .select_only()
        .columns([inventory_level::Column::VariantId, inventory_level::Column::OnHand])
        .filter(inventory_level::Column::LocationId.eq(DEFAULT_LOCATION_ID))
        .filter(eq_any(tx, inventory_level::Column::VariantId, variants.iter().copied()));
    Ok(query.into_tuple::<(i64, i64)>().all(tx).await?.into_iter().collect())
}
