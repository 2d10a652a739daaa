//! Stock reservations: units reserved for order lines until they are shipped or released.
//!
//! Database triggers derive `reserved` from the reservations, so that no unit is counted or released twice, and a
//! constraint rejects reserving more than is on hand.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{
    entity::stock_reservation,
    stock_level::{self, StockLevelRow},
};
use crate::{base::Result, infra::Tx};

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

/// Units reserved for an order line at a location.
#[derive(Debug, Clone, Copy, FromQueryResult)]
struct Reservation {
    order_line_id: i64,
    variant_id: i64,
    location_id: i64,
    quantity: i64,
}

/// Reserves stock for all lines, or for none and returns the shortages. Lines that allow backorders reserve what is
/// available. Statements: 2 for any number of lines.
pub async fn reserve_stock(
    tx: &Tx,
    requests: &[ReservationRequest],
    expires_at: Option<DateTime<Utc>>,
) -> Result<Vec<Shortage>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let before = stock_level::lock_stock_levels(tx, requests.iter().map(|request| request.variant_id)).await?;
    let mut after = before.clone();
    let (mut reservations, mut shortages) = (Vec::new(), Vec::new());
    for request in requests {
        let mut remaining = request.quantity;
        for row in after.iter_mut().filter(|row| row.variant_id == request.variant_id) {
            let allocated = remaining.min(row.available()).max(0);
            if allocated > 0 {
                row.reserved += allocated;
                remaining -= allocated;
                reservations.push((request.order_line_id, row.variant_id, row.location_id, allocated));
            }
        }
        if remaining > 0 && !request.allow_backorder {
            shortages.push(Shortage { order_line_id: request.order_line_id, available: request.quantity - remaining });
        }
    }
    if !shortages.is_empty() {
        return Ok(shortages);
    }
    // In the lock order of the stock levels.
    reservations.sort_unstable_by_key(|(line, variant, location, _)| (*variant, *location, *line));
    let to_row = |(order_line_id, variant_id, location_id, quantity)| stock_reservation::ActiveModel {
        order_line_id: Set(order_line_id),
        location_id: Set(location_id),
        variant_id: Set(variant_id),
        quantity: Set(quantity),
        expires_at: Set(expires_at),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    tx.insert_rows(&reservations.into_iter().map(to_row).collect::<Vec<_>>()).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await?;
    Ok(Vec::new())
}

/// Removes the expiry of the reservations of lines: the order is paid, or payable on delivery. Statements: 1.
pub async fn confirm_reservations(tx: &Tx, order_line_ids: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE stock_reservation SET expires_at = NULL, updated_at = ").bind(tx.now());
    sql.push(" WHERE expires_at IS NOT NULL AND ").eq_any("order_line_id", order_line_ids.iter().copied());
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Releases the given numbers of unshipped units of lines. Units beyond the reserved quantity were backordered and have
/// no reservation. The caller must lock the order.
pub async fn release_reservations(tx: &Tx, lines: &[(i64, i64)]) -> Result<()> {
    let reservations = load_reservations(tx, lines.iter().map(|(line, _)| *line)).await?;
    let before =
        stock_level::lock_stock_levels(tx, reservations.iter().map(|reservation| reservation.variant_id)).await?;
    let mut after = before.clone();
    let mut released = Vec::new();
    for (line, quantity) in lines {
        for (reservation, units) in allocate_from_reservations(&reservations, *line, *quantity) {
            for row in after.iter_mut().filter(|row| is_same_level(row, &reservation)) {
                row.reserved -= units;
            }
            released.push((reservation, units));
        }
    }
    reduce_reservations(tx, &released).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await
}

/// Ships units of lines, given as `(order line, variant, quantity)`: all, or none and returns the shortages. Takes the
/// line's reserved units first; backordered units are taken from unreserved stock.
pub async fn ship_stock(tx: &Tx, lines: &[(i64, i64, i64)], reference: &str) -> Result<Vec<Shortage>> {
    let reservations = load_reservations(tx, lines.iter().map(|(line, ..)| *line)).await?;
    let before = stock_level::lock_stock_levels(tx, lines.iter().map(|(_, variant, _)| *variant)).await?;
    let mut after = before.clone();
    let (mut shipped, mut shortages) = (Vec::new(), Vec::new());
    for (line, variant, quantity) in lines {
        let mut remaining = *quantity;
        for (reservation, units) in allocate_from_reservations(&reservations, *line, *quantity) {
            for row in after.iter_mut().filter(|row| is_same_level(row, &reservation)) {
                row.reserved -= units;
                row.on_hand -= units;
            }
            remaining -= units;
            shipped.push((reservation, units));
        }
        for row in after.iter_mut().filter(|row| row.variant_id == *variant) {
            let units = remaining.min(row.available()).max(0);
            row.on_hand -= units;
            remaining -= units;
        }
        if remaining > 0 {
            shortages.push(Shortage { order_line_id: *line, available: quantity - remaining });
        }
    }
    if !shortages.is_empty() {
        return Ok(shortages);
    }
    reduce_reservations(tx, &shipped).await?;
    write_on_hand_changes(tx, &before, &after, MovementReason { reason: "sold", reference: Some(reference) }).await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await?;
    Ok(Vec::new())
}

/// Adds returned units to the first location that stocks the variant.
pub async fn restock_variants(tx: &Tx, variants: &[(i64, i64)], reference: &str) -> Result<()> {
    let before = stock_level::lock_stock_levels(tx, variants.iter().map(|(variant, _)| *variant)).await?;
    let mut after = before.clone();
    for (variant, quantity) in variants {
        if let Some(row) = after.iter_mut().find(|row| row.variant_id == *variant) {
            row.on_hand += quantity;
        }
    }
    write_on_hand_changes(tx, &before, &after, MovementReason { reason: "returned", reference: Some(reference) })
        .await?;
    stock_level::propagate_stock_changes(tx, &before, &after).await
}

/// Why on-hand stock changes, as the stock movements record it.
#[derive(Debug, Clone, Copy)]
pub struct MovementReason<'a> {
    /// The reason, as stored.
    pub reason: &'a str,
    /// What it refers to, such as an order; `None` for nothing.
    pub reference: Option<&'a str>,
}

/// Writes changed on-hand quantities with their reason. Triggers record the stock movements. Statements: 1.
pub async fn write_on_hand_changes(
    tx: &Tx,
    before: &[StockLevelRow],
    after: &[StockLevelRow],
    reason: MovementReason<'_>,
) -> Result<()> {
    let MovementReason { reason, reference } = reason;
    let changed_row = |(before, after): (&StockLevelRow, &StockLevelRow)| {
        (before.on_hand != after.on_hand).then(|| json!([after.variant_id, after.location_id, after.on_hand]))
    };
    let changed_rows: Vec<Value> = before.iter().zip(after).filter_map(changed_row).collect();
    if changed_rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.with_rows(&[("variant_id", "bigint"), ("location_id", "bigint"), ("on_hand", "bigint")], changed_rows);
    sql.push("UPDATE inventory_level SET on_hand = given.on_hand, last_reason = ")
        .bind(reason)
        .push(", last_reference = ");
    sql.bind(reference).push(", last_actor = ").bind(tx.origin().actor.to_string());
    sql.push(", updated_at = ").bind(tx.now()).push(
        " FROM given WHERE inventory_level.variant_id = given.variant_id AND inventory_level.location_id = given.location_id",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Returns the reservations of lines, in lock order.
async fn load_reservations(tx: &Tx, lines: impl IntoIterator<Item = i64>) -> Result<Vec<Reservation>> {
    let mut sql = tx.sql();
    sql.push("SELECT order_line_id, variant_id, location_id, quantity FROM stock_reservation WHERE ");
    sql.eq_any("order_line_id", lines).push(" ORDER BY variant_id, location_id, order_line_id");
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| Reservation::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Returns how many units to take from each reservation of a line, `quantity` in total at most.
fn allocate_from_reservations(reservations: &[Reservation], line: i64, quantity: i64) -> Vec<(Reservation, i64)> {
    let mut remaining = quantity;
    let mut allocations = Vec::new();
    for reservation in reservations.iter().filter(|reservation| reservation.order_line_id == line) {
        let units = remaining.min(reservation.quantity);
        if units > 0 {
            remaining -= units;
            allocations.push((*reservation, units));
        }
    }
    allocations
}

/// Reduces reservations by the units taken and deletes those used up.
async fn reduce_reservations(tx: &Tx, reductions: &[(Reservation, i64)]) -> Result<()> {
    let (fully_used, partly_used): (Vec<_>, Vec<_>) =
        reductions.iter().partition(|(reservation, units)| reservation.quantity == *units);
    let columns = [("line", "bigint"), ("location", "bigint"), ("taken", "bigint")];
    let to_row =
        |(reservation, units): &(Reservation, i64)| json!([reservation.order_line_id, reservation.location_id, units]);
    if !partly_used.is_empty() {
        let mut sql = tx.sql();
        sql.with_rows(&columns, partly_used.iter().map(to_row).collect());
        sql.push("UPDATE stock_reservation SET quantity = quantity - given.taken, updated_at = ").bind(tx.now());
        sql.push(" FROM given WHERE order_line_id = given.line AND location_id = given.location");
        tx.execute_raw(sql.into_statement()).await?;
    }
    if !fully_used.is_empty() {
        let mut sql = tx.sql();
        sql.with_rows(&columns, fully_used.iter().map(to_row).collect());
        sql.push(
            "DELETE FROM stock_reservation WHERE (order_line_id, location_id) IN (SELECT line, location FROM given)",
        );
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

fn is_same_level(row: &StockLevelRow, reservation: &Reservation) -> bool {
    (row.variant_id, row.location_id) == (reservation.variant_id, reservation.location_id)
}
