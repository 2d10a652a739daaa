//! Rows of stock, held while they change, and what follows from the change.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{StockLow, mark};
use crate::{base::Result, infra::Tx};

/// How many of a variant there are at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Row {
    pub variant_id: i64,
    pub location_id: i64,
    pub on_hand: i64,
    pub reserved: i64,
    pub low_at: Option<i64>,
}

impl Row {
    /// How many can still be promised.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    fn is_low(&self) -> bool {
        self.low_at.is_some_and(|low| self.available() <= low)
    }
}

/// Reads the stock of variants and keeps others from changing it until the transaction ends. Always in one order, so
/// that writers never wait for each other in a circle. One statement.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &Tx, variants: impl IntoIterator<Item = i64>) -> Result<Vec<Row>> {
    let mut sql = tx.sql();
    sql.push("SELECT variant_id, location_id, on_hand, reserved, low_at FROM inventory WHERE ");
    sql.any("variant_id", variants).push(" ORDER BY variant_id, location_id");
    if sql.postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// What follows from a change of stock: products learn that they can be bought or no longer can, and staff that few are
/// left. No statement where nothing has turned.
///
/// # Errors
/// When the database refuses.
pub async fn settle(tx: &Tx, before: &[Row], after: &[Row]) -> Result<()> {
    let left = |rows: &[Row]| {
        let mut left = BTreeMap::new();
        for row in rows {
            *left.entry(row.variant_id).or_insert(0) += row.available();
        }
        left
    };
    let (was, is) = (left(before), left(after));
    let keys: BTreeSet<i64> = was.keys().chain(is.keys()).copied().collect();
    let some = |left: &BTreeMap<i64, i64>, key: &i64| left.get(key).is_some_and(|left| *left > 0);
    let turned: Vec<i64> = keys.into_iter().filter(|key| some(&was, key) != some(&is, key)).collect();
    mark(tx, &turned).await?;
    for row in after.iter().filter(|row| row.is_low()) {
        let place = |other: &&Row| (other.variant_id, other.location_id) == (row.variant_id, row.location_id);
        if !before.iter().find(place).is_some_and(Row::is_low) {
            let (variant, location, available) = (row.variant_id, row.location_id, row.available());
            tx.emit(StockLow { variant, location, available }).await?;
        }
    }
    Ok(())
}
