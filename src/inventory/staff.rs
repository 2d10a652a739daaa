//! What staff do to stock: correct it, count it, move it, and say how it is to be watched.

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{
    DEFAULT_LOCATION,
    count::hold_products,
    hold::shift,
    mark,
    row::{self, Row},
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    infra::{Change, Tx},
};

/// The most there can be of anything.
pub const MOST: i64 = i32::MAX as i64;
/// The longest name of a location. Characters.
const NAME_LIMIT: usize = 100;

/// A place where stock lies.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Location {
    pub id: i64,
    pub name: String,
    pub is_default: bool,
}

/// Stock of a variant at a location that is to change.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The variant.
    pub variant: i64,
    /// The location; where none is said, the shop's own.
    pub location: Option<i64>,
}

impl Place {
    fn location(&self) -> i64 {
        self.location.unwrap_or(DEFAULT_LOCATION)
    }
}

/// What is done with stock.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Units come, or go.
    Adjust {
        /// How many come; below zero, how many go.
        delta: i64,
        /// Why, as the ledger calls it.
        why: &'static str,
    },
    /// Units were counted.
    Set {
        /// How many there are.
        quantity: i64,
        /// How many were believed to be there.
        expected: i64,
    },
    /// Units come from another location.
    Transfer {
        /// Which.
        from: i64,
        /// How many.
        quantity: i64,
    },
}

/// Does it; answers the place's row as it is then.
///
/// # Errors
/// When there is no such variant or location, fewer are free than are to go, or others counted meanwhile.
pub async fn step(tx: &Tx, place: Place, step: Step) -> Result<Row> {
    match step {
        Step::Adjust { delta, why } => adjust(tx, place, delta, why).await,
        Step::Set { quantity, expected } => set(tx, place, quantity, expected).await,
        Step::Transfer { from, quantity } => transfer(tx, place.variant, (from, place.location()), quantity).await,
    }
}

/// Adds to what is on hand, or takes from it. What is promised to buyers stays.
async fn adjust(tx: &Tx, place: Place, delta: i64, why: &'static str) -> Result<Row> {
    if delta == 0 || delta.abs() > MOST {
        return Err(Error::bad_input("input.delta", format!("a change is from 1 to {MOST} units, up or down")));
    }
    let before = open(tx, place.variant, &[place.location()], "input.locationId").await?;
    change(tx, &before, &[(place.location(), delta)], ("stock.adjust", why, "input.delta")).await
}

/// Says how many are on hand, if there are as many as whoever counted believed.
async fn set(tx: &Tx, place: Place, quantity: i64, expected: i64) -> Result<Row> {
    if !(0..=MOST).contains(&quantity) {
        return Err(Error::bad_input("input.quantity", format!("a quantity is from 0 to {MOST}")));
    }
    let before = open(tx, place.variant, &[place.location()], "input.locationId").await?;
    let on_hand = before.iter().find(|row| row.location_id == place.location()).map_or(0, |row| row.on_hand);
    if on_hand != expected {
        let message = format!("there are {on_hand} on hand now, not {expected}: others have changed it; count again");
        return Err(Error::user(Code::VersionConflict, "input.expectedQuantity", message));
    }
    change(tx, &before, &[(place.location(), quantity - on_hand)], ("stock.set", "count", "input.quantity")).await
}

/// Moves units from one location to another.
async fn transfer(tx: &Tx, variant: i64, (from, to): (i64, i64), quantity: i64) -> Result<Row> {
    if !(1..=MOST).contains(&quantity) {
        return Err(Error::bad_input("input.quantity", format!("a quantity is from 1 to {MOST}")));
    }
    if from == to {
        return Err(Error::bad_input("input.toLocationId", "this is where they lie; name another location"));
    }
    let before = open(tx, variant, &[from, to], "input.toLocationId").await?;
    let steps = [(to, quantity), (from, -quantity)];
    change(tx, &before, &steps, ("stock.transfer", "transfer", "input.quantity")).await
}

/// What is said of how stock is watched. `None` was not said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Whether it is counted.
    pub tracked: Option<bool>,
    /// Whether it may be ordered before it is there.
    pub backorder: Option<bool>,
    /// How few at the location are low; `Some(None)`: nobody wants to know.
    pub low_at: Option<Option<i64>>,
}

/// Says how the stock of a variant is watched.
///
/// # Errors
/// When there is no such variant or location.
pub async fn settings(tx: &Tx, place: Place, said: Settings) -> Result<Row> {
    let Settings { tracked, backorder, low_at } = said;
    if low_at.flatten().is_some_and(|low| !(0..=MOST).contains(&low)) {
        return Err(Error::bad_input("input.lowStockThreshold", format!("a threshold is from 0 to {MOST}")));
    }
    let before = open(tx, place.variant, &[place.location()], "input.locationId").await?;
    let mut told = serde_json::Map::new();
    // A product comes before its variants, for whoever edits it too.
    hold_products(tx, &[place.variant]).await?;
    for (column, name, said) in [("track_stock", "tracked", tracked), ("backorder", "backorder", backorder)] {
        let Some(said) = said else { continue };
        let mut sql = tx.sql();
        sql.push(&format!("UPDATE variant SET {column} = ")).bind(said).push(", version = version + 1, updated_at = ");
        sql.bind(tx.now()).push(" WHERE id = ").bind(place.variant).push(&format!(" AND {column} <> ")).bind(said);
        if tx.execute_raw(sql.statement()).await?.rows_affected() > 0 {
            told.insert(name.to_owned(), json!(said));
        }
    }
    if let Some(low) = low_at {
        let mut sql = tx.sql();
        sql.push("UPDATE inventory SET low_at = ").bind(low).push(", updated_at = ").bind(tx.now());
        sql.push(" WHERE variant_id = ").bind(place.variant).push(" AND location_id = ").bind(place.location());
        tx.execute_raw(sql.statement()).await?;
        told.insert("lowStockThreshold".into(), json!(low));
    }
    let after = row::hold(tx, [place.variant]).await?;
    row::settle(tx, &before, &after).await?;
    mark(tx, &[place.variant]).await?;
    if !told.is_empty() {
        record(tx, "stock.settings", place.variant, (None, Value::Object(told))).await?;
    }
    at(&after, place.location())
}

/// Adds a location.
///
/// # Errors
/// When there is one of that name.
pub async fn location(tx: &Tx, name: &str) -> Result<Location> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(Error::bad_input("input.name", format!("a name has 1 to {NAME_LIMIT} characters on one line")));
    }
    let mut sql = tx.sql();
    sql.push("INSERT INTO location (name, is_default, created_at, updated_at) VALUES (").bind(name).push(", false, ");
    sql.bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (name) DO NOTHING RETURNING id");
    let Some(row) = tx.query_one_raw(sql.statement()).await? else {
        return Err(Error::user(Code::AlreadyExists, "input.name", "there is a location of this name"));
    };
    let made = Location { id: row.try_get_by(0)?, name: name.to_owned(), is_default: false };
    let change = Change {
        action: "location.create",
        thing: (Kind::Location, made.id),
        before: None,
        after: Some(json!({ "name": made.name })),
    };
    tx.record(&[change]).await?;
    Ok(made)
}

/// All locations, the shop's own first. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn locations(db: &impl ConnectionTrait) -> Result<Vec<Location>> {
    let mut sql = crate::infra::Sql::new(db.get_database_backend());
    sql.push("SELECT id, name, is_default FROM location ORDER BY is_default DESC, id");
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| Location::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Holds all stock of a living variant, with a row at each of these locations.
async fn open(tx: &Tx, variant: i64, locations: &[i64], field: &str) -> Result<Vec<Row>> {
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COUNT(*) AS BIGINT) FROM variant WHERE deleted_at IS NULL AND id = ").bind(variant);
    if count(tx, sql).await? == 0 {
        return Err(Error::not_found("input.variantId", "variant"));
    }
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COUNT(*) AS BIGINT) FROM location WHERE ").any("id", locations.iter().copied());
    if count(tx, sql).await? < i64::try_from(locations.len()).unwrap_or(i64::MAX) {
        return Err(Error::not_found(field, "location"));
    }
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let columns = [
        ("variant_id", "bigint"),
        ("location_id", "bigint"),
        ("on_hand", "bigint"),
        ("reserved", "bigint"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut locations = locations.to_vec();
    locations.sort_unstable();
    let mut sql = tx.sql();
    sql.insert("inventory", &columns, locations.iter().map(|at| json!([variant, at, 0, 0, now, now])).collect());
    sql.push(" ON CONFLICT (variant_id, location_id) DO NOTHING");
    tx.execute_raw(sql.statement()).await?;
    row::hold(tx, [variant]).await
}

async fn count(tx: &Tx, sql: crate::infra::Sql) -> Result<i64> {
    Ok(tx.query_one_raw(sql.statement()).await?.map_or(Ok(0), |row| row.try_get_by(0))?)
}

/// Takes steps at locations, and answers the first one's row as it is then.
async fn change(
    tx: &Tx,
    before: &[Row],
    steps: &[(i64, i64)],
    (action, why, field): (&'static str, &str, &str),
) -> Result<Row> {
    let mut after = before.to_vec();
    for (location, delta) in steps {
        let Some(row) = after.iter_mut().find(|row| row.location_id == *location) else { continue };
        row.on_hand += delta;
        if row.on_hand < row.reserved {
            let free = row.on_hand - delta - row.reserved;
            let message = format!("only {free} of these are free there; {} are promised to buyers", row.reserved);
            return Err(Error::user(Code::InsufficientStock, field, message));
        }
        if row.on_hand > MOST {
            return Err(Error::bad_input(field, format!("there would be more than {MOST}")));
        }
    }
    shift(tx, before, &after, (why, None)).await?;
    row::settle(tx, before, &after).await?;
    let told = |rows: &[Row]| {
        let touched = rows.iter().filter(|row| steps.iter().any(|(location, _)| row.location_id == *location));
        let cell = |row: &Row| json!({ "location": row.location_id, "onHand": row.on_hand });
        Value::Array(touched.map(cell).collect())
    };
    let first = at(&after, steps.first().map_or(DEFAULT_LOCATION, |(location, _)| *location))?;
    record(tx, action, first.variant_id, (Some(told(before)), told(&after))).await?;
    Ok(first)
}

fn at(rows: &[Row], location: i64) -> Result<Row> {
    let found = rows.iter().find(|row| row.location_id == location).copied();
    found.ok_or_else(|| Error::fault("changing stock", "the row is not there"))
}

async fn record(tx: &Tx, action: &'static str, variant: i64, (before, after): (Option<Value>, Value)) -> Result<()> {
    tx.record(&[Change { action, thing: (Kind::Variant, variant), before, after: Some(after) }]).await
}
