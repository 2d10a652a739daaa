//! Promises: units that are kept for the lines of an order until they are sent off or let go.
//!
//! The database adds up what is promised (`reserved`) from the promises themselves, so that none is counted or let go
//! twice; and it refuses to promise more than is on hand.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::row::{self, Row};
use crate::{base::Result, infra::Tx};

/// What a line of an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// The line.
    pub line: i64,
    /// Of which variant.
    pub variant: i64,
    /// How many.
    pub quantity: i64,
    /// Whether it may be ordered before it is there.
    pub backorder: bool,
}

/// A variant of which there are fewer than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// The line that wants them.
    pub line: i64,
    /// How many could be had.
    pub left: i64,
}

/// Units of a line that are kept at a location.
#[derive(Debug, Clone, Copy, FromQueryResult)]
struct Hold {
    order_line_id: i64,
    variant_id: i64,
    location_id: i64,
    quantity: i64,
}

/// Keeps what every line wants, or nothing: then it says what is short. What may be ordered before it is there is kept as
/// far as it is. Two statements for any number of lines.
///
/// # Errors
/// When the database refuses.
pub async fn reserve(tx: &Tx, wants: &[Want], until: Option<DateTime<Utc>>) -> Result<Vec<Short>> {
    if wants.is_empty() {
        return Ok(Vec::new());
    }
    let before = row::hold(tx, wants.iter().map(|want| want.variant)).await?;
    let mut after = before.clone();
    let (mut holds, mut short) = (Vec::new(), Vec::new());
    for want in wants {
        let mut missing = want.quantity;
        for row in after.iter_mut().filter(|row| row.variant_id == want.variant) {
            let taken = missing.min(row.available()).max(0);
            if taken > 0 {
                row.reserved += taken;
                missing -= taken;
                holds.push((want.line, row.variant_id, row.location_id, taken));
            }
        }
        if missing > 0 && !want.backorder {
            short.push(Short { line: want.line, left: want.quantity - missing });
        }
    }
    if !short.is_empty() {
        return Ok(short);
    }
    // In the order in which the rows of stock are held.
    holds.sort_unstable_by_key(|(line, variant, location, _)| (*variant, *location, *line));
    let now = stamp(tx.now());
    let until = until.map(stamp);
    let columns = [
        ("order_line_id", "bigint"),
        ("variant_id", "bigint"),
        ("location_id", "bigint"),
        ("quantity", "bigint"),
        ("expires_at", "timestamptz"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let cells = |(line, variant, location, quantity)| json!([line, variant, location, quantity, until, now, now]);
    if !holds.is_empty() {
        let mut sql = tx.sql();
        sql.insert("stock_hold", &columns, holds.into_iter().map(cells).collect());
        tx.execute_raw(sql.statement()).await?;
    }
    row::settle(tx, &before, &after).await?;
    Ok(Vec::new())
}

/// Keeps what is kept for lines for good: they are paid for, or will be at the door. One statement.
///
/// # Errors
/// When the database refuses.
pub async fn keep(tx: &Tx, lines: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE stock_hold SET expires_at = NULL, updated_at = ").bind(tx.now());
    sql.push(" WHERE expires_at IS NOT NULL AND ").any("order_line_id", lines.iter().copied());
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Lets go of so many units of each line that are not sent off: first of those that are kept, whatever is left of the
/// number was never kept. The caller holds the order.
///
/// # Errors
/// When the database refuses.
pub async fn release(tx: &Tx, lines: &[(i64, i64)]) -> Result<()> {
    let holds = of_lines(tx, lines.iter().map(|(line, _)| *line)).await?;
    let before = row::hold(tx, holds.iter().map(|hold| hold.variant_id)).await?;
    let mut after = before.clone();
    let mut gone = Vec::new();
    for (line, quantity) in lines {
        for (hold, taken) in taken(&holds, *line, *quantity) {
            for row in after.iter_mut().filter(|row| at(row, &hold)) {
                row.reserved -= taken;
            }
            gone.push((hold, taken));
        }
    }
    drop_holds(tx, &gone).await?;
    row::settle(tx, &before, &after).await
}

/// Sends off so many units of each line (of its variant): those that are kept for it, and for what was ordered before
/// it was there, those that nobody else was promised. All or nothing: else it says what is short.
///
/// # Errors
/// When the database refuses.
pub async fn send(tx: &Tx, lines: &[(i64, i64, i64)], reference: &str) -> Result<Vec<Short>> {
    let holds = of_lines(tx, lines.iter().map(|(line, ..)| *line)).await?;
    let before = row::hold(tx, lines.iter().map(|(_, variant, _)| *variant)).await?;
    let mut after = before.clone();
    let (mut gone, mut short) = (Vec::new(), Vec::new());
    for (line, variant, quantity) in lines {
        let mut missing = *quantity;
        for (hold, taken) in taken(&holds, *line, *quantity) {
            for row in after.iter_mut().filter(|row| at(row, &hold)) {
                row.reserved -= taken;
                row.on_hand -= taken;
            }
            missing -= taken;
            gone.push((hold, taken));
        }
        for row in after.iter_mut().filter(|row| row.variant_id == *variant) {
            let taken = missing.min(row.available()).max(0);
            row.on_hand -= taken;
            missing -= taken;
        }
        if missing > 0 {
            short.push(Short { line: *line, left: quantity - missing });
        }
    }
    if !short.is_empty() {
        return Ok(short);
    }
    drop_holds(tx, &gone).await?;
    shift(tx, &before, &after, ("sold", Some(reference))).await?;
    row::settle(tx, &before, &after).await?;
    Ok(Vec::new())
}

/// Puts units back on the shelf they are counted on first.
///
/// # Errors
/// When the database refuses.
pub async fn put_back(tx: &Tx, variants: &[(i64, i64)], reference: &str) -> Result<()> {
    let before = row::hold(tx, variants.iter().map(|(variant, _)| *variant)).await?;
    let mut after = before.clone();
    for (variant, quantity) in variants {
        if let Some(row) = after.iter_mut().find(|row| row.variant_id == *variant) {
            row.on_hand += quantity;
        }
    }
    shift(tx, &before, &after, ("returned", Some(reference))).await?;
    row::settle(tx, &before, &after).await
}

/// Writes what is on hand now where it differs, and why. The ledger follows by itself. One statement.
///
/// # Errors
/// When the database refuses.
pub async fn shift(tx: &Tx, before: &[Row], after: &[Row], (why, reference): (&str, Option<&str>)) -> Result<()> {
    let differs = |(before, after): (&Row, &Row)| {
        (before.on_hand != after.on_hand).then(|| json!([after.variant_id, after.location_id, after.on_hand]))
    };
    let given: Vec<Value> = before.iter().zip(after).filter_map(differs).collect();
    if given.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.with(&[("variant_id", "bigint"), ("location_id", "bigint"), ("on_hand", "bigint")], given);
    sql.push("UPDATE inventory SET on_hand = given.on_hand, moved_why = ").bind(why).push(", moved_for = ");
    sql.bind(reference).push(", moved_by = ").bind(tx.origin().actor.to_string());
    sql.push(", updated_at = ").bind(tx.now()).push(
        " FROM given WHERE inventory.variant_id = given.variant_id AND inventory.location_id = given.location_id",
    );
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// What is kept for lines, in one order.
async fn of_lines(tx: &Tx, lines: impl IntoIterator<Item = i64>) -> Result<Vec<Hold>> {
    let mut sql = tx.sql();
    sql.push("SELECT order_line_id, variant_id, location_id, quantity FROM stock_hold WHERE ");
    sql.any("order_line_id", lines).push(" ORDER BY variant_id, location_id, order_line_id");
    let rows = tx.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| Hold::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// How so many units of a line are taken from what is kept for it.
fn taken(holds: &[Hold], line: i64, quantity: i64) -> Vec<(Hold, i64)> {
    let mut missing = quantity;
    let mut all = Vec::new();
    for hold in holds.iter().filter(|hold| hold.order_line_id == line) {
        let taken = missing.min(hold.quantity);
        if taken > 0 {
            missing -= taken;
            all.push((*hold, taken));
        }
    }
    all
}

/// Lowers promises by what was taken from them; those that are used up go.
async fn drop_holds(tx: &Tx, gone: &[(Hold, i64)]) -> Result<()> {
    let (whole, part): (Vec<_>, Vec<_>) = gone.iter().partition(|(hold, taken)| hold.quantity == *taken);
    let columns = [("line", "bigint"), ("location", "bigint"), ("taken", "bigint")];
    let cells = |(hold, taken): &(Hold, i64)| json!([hold.order_line_id, hold.location_id, taken]);
    if !part.is_empty() {
        let mut sql = tx.sql();
        sql.with(&columns, part.iter().map(cells).collect());
        sql.push("UPDATE stock_hold SET quantity = quantity - given.taken, updated_at = ").bind(tx.now());
        sql.push(" FROM given WHERE order_line_id = given.line AND location_id = given.location");
        tx.execute_raw(sql.statement()).await?;
    }
    if !whole.is_empty() {
        let mut sql = tx.sql();
        sql.with(&columns, whole.iter().map(cells).collect());
        sql.push("DELETE FROM stock_hold WHERE (order_line_id, location_id) IN (SELECT line, location FROM given)");
        tx.execute_raw(sql.statement()).await?;
    }
    Ok(())
}

fn at(row: &Row, hold: &Hold) -> bool {
    (row.variant_id, row.location_id) == (hold.variant_id, hold.location_id)
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}
