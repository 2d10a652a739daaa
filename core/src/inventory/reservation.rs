//! Stock reservations: units reserved for order lines until they are shipped or released.
//!
//! Database triggers derive `reserved` from the reservations, so that no unit is counted or released twice, and a
//! constraint rejects reserving more than is on hand.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
};

use super::{
    entity::{StockMovementReason, inventory_level, stock_reservation},
    queries,
    stock_level::{self, StockKey, StockLevelRow, VariantUnits},
};
use crate::{
    base::Result,
    infra::{
        Batch, Tx, eq_any,
        telemetry::{self, Measurement},
    },
};

/// The units an order line requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationRequest {
    /// The order line.
    pub order_line_id: i64,
    /// The variant.
    pub variant_id: i64,
    /// Units requested.
    pub quantity: i64,
    /// Whether more units may be ordered than are available.
    pub allow_backorder: bool,
}

/// A shortage of stock for an order line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// The order line.
    pub order_line_id: i64,
    /// Units available to the line.
    pub available: i64,
}

/// Units of an order line to release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRelease {
    /// The order line.
    pub order_line_id: i64,
    /// Units to release.
    pub quantity: i64,
}

/// Units of an order line to ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineShipment {
    /// The order line.
    pub order_line_id: i64,
    /// The variant.
    pub variant_id: i64,
    /// Units to ship.
    pub quantity: i64,
}

/// Units of a stock level allocated to an order line.
#[derive(Debug, Clone, Copy)]
struct Allocation {
    order_line_id: i64,
    level: StockKey,
    quantity: i64,
}

/// Units taken from a reservation.
#[derive(Debug, Clone)]
struct TakenUnits {
    reservation: stock_reservation::Model,
    quantity: i64,
}

impl TakenUnits {
    /// Returns the units that remain in the reservation.
    const fn remaining(&self) -> i64 {
        self.reservation.quantity - self.quantity
    }

    /// Returns the stock level of the reservation.
    const fn level(&self) -> StockKey {
        StockKey { variant_id: self.reservation.variant_id, location_id: self.reservation.location_id }
    }
}

/// Reserves stock for all lines, or for none and returns the shortages. Lines that allow backorders reserve what is
/// available. Statements: 2 for any number of lines, 3 on SQLite.
pub async fn reserve_stock(
    tx: &Tx,
    requests: &[ReservationRequest],
    expires_at: Option<DateTime<Utc>>,
) -> Result<Vec<Shortage>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let before = queries::lock_stock_levels(tx, requests.iter().map(|request| request.variant_id)).await?;
    let mut after = before.clone();
    let (mut allocations, mut shortages) = (Vec::new(), Vec::new());
    for request in requests {
        let mut remaining = request.quantity;
        for row in after.iter_mut().filter(|row| row.variant_id == request.variant_id) {
            let allocated = remaining.min(row.available()).max(0);
            if allocated > 0 {
                row.reserved += allocated;
                remaining -= allocated;
                let order_line_id = request.order_line_id;
                allocations.push(Allocation { order_line_id, level: row.key(), quantity: allocated });
            }
        }
        if remaining > 0 && !request.allow_backorder {
            shortages.push(Shortage { order_line_id: request.order_line_id, available: request.quantity - remaining });
        }
    }
    if !shortages.is_empty() {
        if let Some(metrics) = telemetry::metrics() {
            metrics.count_shortages(shortages.len());
        }
        return Ok(shortages);
    }
    // In the lock order of the stock levels.
    allocations.sort_unstable_by_key(|allocation| (allocation.level, allocation.order_line_id));
    let to_row = |allocation: Allocation| stock_reservation::ActiveModel {
        order_line_id: Set(allocation.order_line_id),
        location_id: Set(allocation.level.location_id),
        variant_id: Set(allocation.level.variant_id),
        quantity: Set(allocation.quantity),
        expires_at: Set(expires_at),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    if !allocations.is_empty() {
        let mut batch = Batch::default();
        batch.add(tx.emit_batch_statement(stock_level::collect_stock_events(&before, &after)?));
        let mut insert = tx.sql();
        insert.insert_models(&allocations.into_iter().map(to_row).collect::<Vec<_>>());
        tx.query_batch(batch, insert).await?;
        tx.measure_on_commit(|| Measurement::StockReserved { lines: requests.len() as u64 });
        stock_level::refresh_changed_availability(tx, &before, &after).await?;
    }
    Ok(Vec::new())
}

/// Removes the expiry of the reservations of lines: the order is paid, or payable on delivery. Statements: 1.
pub async fn confirm_reservations(tx: &Tx, order_line_ids: &[i64]) -> Result<()> {
    let changes =
        stock_reservation::ActiveModel { expires_at: Set(None), updated_at: Set(tx.now()), ..Default::default() };
    let update = stock_reservation::Entity::update_many().set(changes);
    let update = update.filter(stock_reservation::Column::ExpiresAt.is_not_null());
    let of_lines = eq_any(tx, stock_reservation::Column::OrderLineId, order_line_ids.iter().copied());
    update.filter(of_lines).exec(tx).await?;
    Ok(())
}

/// Releases the given numbers of unshipped units of lines. Units beyond the reserved quantity were backordered and have
/// no reservation. The caller must lock the order.
pub async fn release_reservations(tx: &Tx, lines: &[LineRelease]) -> Result<()> {
    let reservations = load_reservations(tx, lines.iter().map(|line| line.order_line_id)).await?;
    let before = queries::lock_stock_levels(tx, reservations.iter().map(|reservation| reservation.variant_id)).await?;
    let mut after = before.clone();
    let mut released = Vec::new();
    for line in lines {
        for taken in take_from_reservations(&reservations, line.order_line_id, line.quantity) {
            for row in after.iter_mut().filter(|row| row.key() == taken.level()) {
                row.reserved -= taken.quantity;
            }
            released.push(taken);
        }
    }
    reduce_reservations(tx, &released).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await
}

/// Ships units of lines: all, or none and returns the shortages. Takes the line's reserved units first; backordered
/// units are taken from unreserved stock.
pub async fn ship_stock(tx: &Tx, lines: &[LineShipment], reference: &str) -> Result<Vec<Shortage>> {
    let reservations = load_reservations(tx, lines.iter().map(|line| line.order_line_id)).await?;
    let before = queries::lock_stock_levels(tx, lines.iter().map(|line| line.variant_id)).await?;
    let mut after = before.clone();
    let (mut shipped, mut shortages) = (Vec::new(), Vec::new());
    for LineShipment { order_line_id, variant_id, quantity } in lines.iter().copied() {
        let mut remaining = quantity;
        for taken in take_from_reservations(&reservations, order_line_id, quantity) {
            for row in after.iter_mut().filter(|row| row.key() == taken.level()) {
                row.reserved -= taken.quantity;
                row.on_hand -= taken.quantity;
            }
            remaining -= taken.quantity;
            shipped.push(taken);
        }
        for row in after.iter_mut().filter(|row| row.variant_id == variant_id) {
            let units = remaining.min(row.available()).max(0);
            row.on_hand -= units;
            remaining -= units;
        }
        if remaining > 0 {
            shortages.push(Shortage { order_line_id, available: quantity - remaining });
        }
    }
    if !shortages.is_empty() {
        return Ok(shortages);
    }
    reduce_reservations(tx, &shipped).await?;
    let cause = MovementCause { reason: StockMovementReason::Sold, reference: Some(reference) };
    write_on_hand_changes(tx, &before, &after, cause).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await?;
    Ok(Vec::new())
}

/// Adds returned units to the first location that stocks the variant.
pub async fn restock_variants(tx: &Tx, returned: &[VariantUnits], reference: &str) -> Result<()> {
    let before = queries::lock_stock_levels(tx, returned.iter().map(|units| units.variant_id)).await?;
    let mut after = before.clone();
    for VariantUnits { variant_id, quantity } in returned {
        if let Some(row) = after.iter_mut().find(|row| row.variant_id == *variant_id) {
            row.on_hand += quantity;
        }
    }
    let cause = MovementCause { reason: StockMovementReason::Returned, reference: Some(reference) };
    write_on_hand_changes(tx, &before, &after, cause).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await
}

/// Why on-hand stock changes, as the stock movements record it.
#[derive(Debug, Clone, Copy)]
pub struct MovementCause<'a> {
    /// The reason.
    pub reason: StockMovementReason,
    /// What it refers to, such as an order; `None` for nothing.
    pub reference: Option<&'a str>,
}

/// Writes changed on-hand quantities with their cause. Triggers record the stock movements. Statements: 1.
pub async fn write_on_hand_changes(
    tx: &Tx,
    before: &[StockLevelRow],
    after: &[StockLevelRow],
    cause: MovementCause<'_>,
) -> Result<()> {
    let actor = tx.origin().actor.to_string();
    let to_row = |level: &StockLevelRow| inventory_level::ActiveModel {
        variant_id: Unchanged(level.variant_id),
        location_id: Unchanged(level.location_id),
        on_hand: Set(level.on_hand),
        last_reason: Set(cause.reason),
        last_reference: Set(cause.reference.map(str::to_owned)),
        last_actor: Set(actor.clone()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let changed = before.iter().zip(after).filter(|(before, after)| before.on_hand != after.on_hand);
    tx.update_rows(&changed.map(|(_, after)| to_row(after)).collect::<Vec<_>>()).await
}

/// Returns the reservations of lines, in lock order.
async fn load_reservations(
    tx: &Tx,
    order_line_ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<stock_reservation::Model>> {
    let query = stock_reservation::Entity::find()
        .filter(eq_any(tx, stock_reservation::Column::OrderLineId, order_line_ids))
        .order_by_asc(stock_reservation::Column::VariantId)
        .order_by_asc(stock_reservation::Column::LocationId)
        .order_by_asc(stock_reservation::Column::OrderLineId);
    Ok(query.all(tx).await?)
}

/// Returns how many units to take from each reservation of a line, `quantity` in total at most.
fn take_from_reservations(
    reservations: &[stock_reservation::Model],
    order_line_id: i64,
    quantity: i64,
) -> Vec<TakenUnits> {
    let mut remaining = quantity;
    let mut taken = Vec::new();
    for reservation in reservations.iter().filter(|reservation| reservation.order_line_id == order_line_id) {
        let quantity = remaining.min(reservation.quantity);
        if quantity > 0 {
            remaining -= quantity;
            taken.push(TakenUnits { reservation: reservation.clone(), quantity });
        }
    }
    taken
}

/// Reduces reservations by the units taken and deletes those used up. They change under the lock of their order only, so
/// the quantities that were read are current.
async fn reduce_reservations(tx: &Tx, reductions: &[TakenUnits]) -> Result<()> {
    let (fully_used, partly_used): (Vec<_>, Vec<_>) = reductions.iter().partition(|taken| taken.remaining() == 0);
    let to_row = |taken: &TakenUnits| stock_reservation::ActiveModel {
        order_line_id: Unchanged(taken.reservation.order_line_id),
        location_id: Unchanged(taken.reservation.location_id),
        quantity: Set(taken.remaining()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    tx.update_rows(&partly_used.into_iter().map(to_row).collect::<Vec<_>>()).await?;
    queries::delete_reservations(tx, fully_used.into_iter().map(|taken| &taken.reservation)).await
}
