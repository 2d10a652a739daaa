//! Stock levels: reading them, and propagating their changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder};

use super::{
    entity::inventory_level,
    events::{StockChanged, StockLow},
    in_stock::refresh_in_stock,
};
use crate::{
    base::Result,
    infra::{Tx, eq_any, outbox::EventBatch},
};

/// What identifies a stock level. Ordered as stock levels are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StockKey {
    /// The variant.
    pub variant_id: i64,
    /// The location.
    pub location_id: i64,
}

/// Units of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariantUnits {
    /// The variant.
    pub variant_id: i64,
    /// Number of units.
    pub quantity: i64,
}

/// The stock of a variant at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "inventory_level::Entity")]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct StockLevelRow {
    pub variant_id: i64,
    pub location_id: i64,
    pub on_hand: i64,
    pub reserved: i64,
    pub low_stock_threshold: Option<i64>,
}

impl StockLevelRow {
    /// Returns what identifies the stock level.
    #[must_use]
    pub const fn key(&self) -> StockKey {
        StockKey { variant_id: self.variant_id, location_id: self.location_id }
    }

    /// Returns the unreserved units on hand.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    fn is_low(&self) -> bool {
        self.low_stock_threshold.is_some_and(|threshold| self.available() <= threshold)
    }
}

/// Returns the stock levels of variants at every location. Statements: 1.
pub async fn load_stock_levels(
    db: &impl ConnectionTrait,
    variants: &[i64],
) -> Result<HashMap<i64, Vec<StockLevelRow>>> {
    let query = inventory_level::Entity::find()
        .filter(eq_any(db, inventory_level::Column::VariantId, variants.iter().copied()))
        .order_by_asc(inventory_level::Column::VariantId)
        .order_by_asc(inventory_level::Column::LocationId);
    let mut levels_by_variant: HashMap<i64, Vec<StockLevelRow>> = HashMap::new();
    for row in query.into_partial_model::<StockLevelRow>().all(db).await? {
        levels_by_variant.entry(row.variant_id).or_default().push(row);
    }
    Ok(levels_by_variant)
}

/// Propagates stock changes: updates the `in_stock` flag of products and emits the events of changed and low stock.
/// Statements: 1, none if nothing changed, and those of the flag if the availability of a product may have changed.
pub async fn propagate_stock_changes(tx: &Tx, before: &[StockLevelRow], after: &[StockLevelRow]) -> Result<()> {
    refresh_changed_availability(tx, before, after).await?;
    tx.emit_batch(collect_stock_events(before, after)?).await
}

/// Updates the `in_stock` flag of the products whose availability may have changed. Statements: none if no variant
/// became available or unavailable.
pub(super) async fn refresh_changed_availability(
    tx: &Tx,
    before: &[StockLevelRow],
    after: &[StockLevelRow],
) -> Result<()> {
    let availability = |rows: &[StockLevelRow]| {
        let mut availability = BTreeMap::new();
        for row in rows {
            *availability.entry(row.variant_id).or_insert(0) += row.available();
        }
        availability
    };
    let (available_before, available_after) = (availability(before), availability(after));
    let variant_ids: BTreeSet<i64> = available_before.keys().chain(available_after.keys()).copied().collect();
    let is_available = |availability: &BTreeMap<i64, i64>, variant_id: &i64| {
        availability.get(variant_id).is_some_and(|availability| *availability > 0)
    };
    let changed_variants: Vec<i64> = variant_ids
        .into_iter()
        .filter(|variant_id| is_available(&available_before, variant_id) != is_available(&available_after, variant_id))
        .collect();
    refresh_in_stock(tx, &changed_variants).await
}

/// Returns the events of a change of stock levels: [`StockChanged`] for all variants with a changed level, and
/// [`StockLow`] for each level that became low.
pub(super) fn collect_stock_events(before: &[StockLevelRow], after: &[StockLevelRow]) -> Result<EventBatch> {
    let mut events = EventBatch::default();
    let level_before = |row: &StockLevelRow| before.iter().find(|other| other.key() == row.key());
    let is_changed = |row: &&StockLevelRow| level_before(row) != Some(*row);
    let variants: BTreeSet<i64> = after.iter().filter(is_changed).map(|row| row.variant_id).collect();
    if !variants.is_empty() {
        events.add(&StockChanged { variants: variants.into_iter().collect() })?;
    }
    for row in after.iter().filter(|row| row.is_low()) {
        if !level_before(row).is_some_and(StockLevelRow::is_low) {
            let (variant, location, available) = (row.variant_id, row.location_id, row.available());
            events.add(&StockLow { variant, location, available })?;
        }
    }
    Ok(events)
}
