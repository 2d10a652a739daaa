//! Stock levels: locking them, and propagating their changes.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{events::StockLow, in_stock::refresh_in_stock};
use crate::{base::Result, infra::Tx};

/// The stock of a variant at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct StockLevelRow {
    pub variant_id: i64,
    pub location_id: i64,
    pub on_hand: i64,
    pub reserved: i64,
    pub low_stock_threshold: Option<i64>,
}

impl StockLevelRow {
    /// Returns the unreserved units on hand.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    fn is_low(&self) -> bool {
        self.low_stock_threshold.is_some_and(|threshold| self.available() <= threshold)
    }
}

/// Locks the stock levels of variants until the transaction ends and returns them, always in the same order to prevent
/// deadlocks. Statements: 1.
pub async fn lock_stock_levels(tx: &Tx, variants: impl IntoIterator<Item = i64>) -> Result<Vec<StockLevelRow>> {
    let mut sql = tx.sql();
    sql.push("SELECT variant_id, location_id, on_hand, reserved, low_stock_threshold FROM inventory_level WHERE ");
    sql.eq_any("variant_id", variants).push(" ORDER BY variant_id, location_id");
    if sql.is_postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| StockLevelRow::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Propagates stock changes: updates the `in_stock` flag of products and emits [`StockLow`] for levels that became low.
/// Statements: none if nothing crossed a limit.
pub async fn propagate_stock_changes(tx: &Tx, before: &[StockLevelRow], after: &[StockLevelRow]) -> Result<()> {
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
    refresh_in_stock(tx, &changed_variants).await?;
    for row in after.iter().filter(|row| row.is_low()) {
        let is_same_level =
            |other: &&StockLevelRow| (other.variant_id, other.location_id) == (row.variant_id, row.location_id);
        if !before.iter().find(is_same_level).is_some_and(StockLevelRow::is_low) {
            let (variant, location, available) = (row.variant_id, row.location_id, row.available());
            tx.emit_event(StockLow { variant, location, available }).await?;
        }
    }
    Ok(())
}
