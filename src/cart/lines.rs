//! Cart lines: add, set, remove. The number of statements does not depend on the number of lines.

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveValue::Set, ConnectionTrait};

use super::{
    entity::{CartLineRow, cart, cart_line},
    queries::{CartContents, CartTarget, LockedCart, load_cart_contents, lock_cart},
};
use crate::{
    base::{
        Error, Result,
        error::{PublicError, PublicErrorCode},
        money::MAX_MINOR_UNITS,
    },
    infra::{Db, SqlBuilder, Tx},
    pricing::{SellableVariant, Unavailability, quote::MAX_LINE_QUANTITY},
};

/// The maximum number of lines of a cart.
pub const MAX_CART_LINES: usize = 200;

/// A requested quantity of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRequest {
    /// The variant's primary key.
    pub variant_id: i64,
    /// The quantity.
    pub quantity: i64,
}

/// How requested quantities are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineMode {
    /// Add to the existing quantity.
    Add,
    /// Set the quantity of an existing line.
    Set,
}

/// Requests for lines, how they are applied, and their path in the input.
#[derive(Debug, Clone, Copy)]
pub struct LineChange<'a> {
    /// The requests.
    pub requests: &'a [LineRequest],
    /// How they are applied.
    pub mode: LineMode,
    /// The path of the requests.
    pub path: &'a str,
}

/// Adds or sets quantities of cart lines: all requests or none.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or all errors of the requests.
pub async fn change_lines(db: &Db, target: CartTarget<'_>, change: LineChange<'_>) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        apply_line_change(tx, row, change).await
    })
    .await
}

/// Applies requests to a locked cart. Statements: 2 on PostgreSQL, 3 on SQLite.
///
/// # Errors
/// Returns all errors of the requests.
pub async fn apply_line_change(tx: &Tx, row: cart::Model, change: LineChange<'_>) -> Result<LockedCart> {
    let LineChange { requests, mode, path: field_path } = change;
    if requests.is_empty() || requests.len() > MAX_CART_LINES {
        return Err(Error::bad_input(
            field_path,
            format!("give from 1 to {MAX_CART_LINES} lines; there are {}", requests.len()),
        ));
    }
    let variant_ids: Vec<i64> = requests.iter().map(|request| request.variant_id).collect();
    let CartContents { lines: existing, variants } = load_cart_contents(tx, row.id, &variant_ids, tx.now()).await?;
    let (lines, changed) =
        LineEditor { field_path, mode, variants: &variants, errors: Vec::new() }.apply_requests(&existing, requests)?;
    if changed.is_empty() {
        return Ok(LockedCart { row, contents: CartContents { lines: existing, variants } });
    }
    let changed_lines: Vec<CartLineRow> =
        lines.iter().filter(|line| changed.contains(&line.variant_id)).copied().collect();
    let row = write_lines_and_version(tx, row, &changed_lines).await?;
    Ok(LockedCart { row, contents: CartContents { lines, variants } })
}

/// Removes variants from a cart. Variants that are not in the cart are ignored.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or `BadUserInput` for more than [`MAX_CART_LINES`] variants.
pub async fn remove_lines(db: &Db, target: CartTarget<'_>, variants: &[i64]) -> Result<LockedCart> {
    db.write(async |tx| {
        if variants.len() > MAX_CART_LINES {
            return Err(Error::bad_input(
                "variantIds",
                format!("at most {MAX_CART_LINES} ids; there are {}", variants.len()),
            ));
        }
        let row = lock_cart(tx, target).await?;
        let mut sql = tx.sql();
        sql.push("DELETE FROM cart_line WHERE cart_id = ").bind(row.id).push(" AND ");
        sql.eq_any("variant_id", variants.iter().copied());
        delete_lines(tx, row, sql).await
    })
    .await
}

/// Removes all lines of a cart. Addresses and other details are kept.
///
/// # Errors
/// Returns the errors of [`lock_cart`].
pub async fn clear_lines(db: &Db, target: CartTarget<'_>) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        let mut sql = tx.sql();
        sql.push("DELETE FROM cart_line WHERE cart_id = ").bind(row.id);
        delete_lines(tx, row, sql).await
    })
    .await
}

/// Deletes lines of a locked cart. The others are read in the same transaction, so that they match the version.
async fn delete_lines(tx: &Tx, row: cart::Model, sql: SqlBuilder) -> Result<LockedCart> {
    let deleted = tx.execute_raw(sql.into_statement()).await?.rows_affected();
    let row = if deleted == 0 { row } else { bump_version(tx, row).await? };
    LockedCart::load(tx, row).await
}

/// Increments the version of a locked cart.
async fn bump_version(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let mut sql = tx.sql();
    push_version_bump(&mut sql, tx, &row);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(with_bumped_version(tx, row))
}

fn push_version_bump(sql: &mut SqlBuilder, tx: &Tx, row: &cart::Model) {
    sql.push("UPDATE cart SET version = version + 1, updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(row.id);
}

/// Returns the row after the version increment. It needs no query, because the cart is locked.
fn with_bumped_version(tx: &Tx, row: cart::Model) -> cart::Model {
    cart::Model { version: row.version + 1, updated_at: tx.now(), ..row }
}

/// Upserts lines of a locked cart and increments its version. Statements: 1 on PostgreSQL, 2 on SQLite.
async fn write_lines_and_version(tx: &Tx, row: cart::Model, lines: &[CartLineRow]) -> Result<cart::Model> {
    let mut sql = tx.sql();
    if !sql.is_postgres() {
        write_lines(tx, row.id, lines).await?;
        return bump_version(tx, row).await;
    }
    sql.push("WITH counted AS (");
    push_version_bump(&mut sql, tx, &row);
    sql.push(") ");
    push_line_upsert(&mut sql, tx, row.id, lines);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(with_bumped_version(tx, row))
}

/// Upserts lines of a locked cart. Statements: 1.
pub(super) async fn write_lines(tx: &Tx, cart: i64, lines: &[CartLineRow]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    push_line_upsert(&mut sql, tx, cart, lines);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

fn push_line_upsert(sql: &mut SqlBuilder, tx: &Tx, cart: i64, lines: &[CartLineRow]) {
    let to_row = |line: &CartLineRow| cart_line::ActiveModel {
        cart_id: Set(cart),
        variant_id: Set(line.variant_id),
        position: Set(line.position),
        quantity: Set(line.quantity),
        unit_price: Set(line.unit_price),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    sql.insert_models(&lines.iter().map(to_row).collect::<Vec<_>>()).push(
        " ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity, \
         unit_price = excluded.unit_price, updated_at = excluded.updated_at",
    );
}

/// Applies requests to lines and collects their errors. Pure.
struct LineEditor<'a> {
    field_path: &'a str,
    mode: LineMode,
    variants: &'a HashMap<i64, SellableVariant>,
    errors: Vec<PublicError>,
}

impl LineEditor<'_> {
    /// Returns the resulting lines, and the variants whose lines change.
    fn apply_requests(
        mut self,
        existing: &[CartLineRow],
        requests: &[LineRequest],
    ) -> Result<(Vec<CartLineRow>, HashSet<i64>)> {
        let mut lines = existing.to_vec();
        let mut index_by_variant: HashMap<i64, usize> =
            existing.iter().enumerate().map(|(line_index, line)| (line.variant_id, line_index)).collect();
        let mut next_position =
            existing.iter().map(|line| line.position).max().map_or(0, |last_position| last_position.saturating_add(1));
        let mut seen_variants = HashSet::new();
        for (request_index, request) in requests.iter().enumerate() {
            let is_repeated = !seen_variants.insert(request.variant_id);
            let line_index = index_by_variant.get(&request.variant_id).copied();
            let current_quantity = line_index.map_or(0, |line_index| lines[line_index].quantity);
            // Repeated requests for a variant are summed, also in `Set` mode.
            let base_quantity = if self.mode == LineMode::Add || is_repeated { current_quantity } else { 0 };
            if self.mode == LineMode::Set && line_index.is_none() && self.variants.contains_key(&request.variant_id) {
                self.add_line_error(
                    request_index,
                    "variantId",
                    PublicErrorCode::NotFound,
                    "this is not in the cart; add it instead",
                );
                continue;
            }
            let Some((variant, quantity)) = self.validate_request(request_index, *request, base_quantity) else {
                continue;
            };
            let unit_price = variant.unit_price;
            if let Some(line_index) = line_index {
                lines[line_index] = CartLineRow { quantity, unit_price, ..lines[line_index] };
            } else {
                index_by_variant.insert(request.variant_id, lines.len());
                lines.push(CartLineRow {
                    variant_id: request.variant_id,
                    position: next_position,
                    quantity,
                    unit_price,
                });
                next_position = next_position.saturating_add(1);
            }
        }
        if lines.len() > MAX_CART_LINES {
            self.add_error(format!("a cart has at most {MAX_CART_LINES} lines; this one would have {}", lines.len()));
        }
        let list_value = |line: &CartLineRow| {
            self.variants.get(&line.variant_id).map_or(0, |variant| i128::from(variant.list_price))
        };
        let list_value: i128 = lines.iter().map(|line| list_value(line) * i128::from(line.quantity)).sum();
        // The limit leaves a margin for tax.
        if list_value > i128::from(MAX_MINOR_UNITS / 2) {
            self.add_error("this comes to more than the shop can count; take fewer".to_owned());
        }
        Error::fail_if_any(self.errors)?;
        let before: HashMap<i64, &CartLineRow> = existing.iter().map(|line| (line.variant_id, line)).collect();
        let changed = lines.iter().filter(|line| before.get(&line.variant_id) != Some(line));
        let changed = changed.map(|line| line.variant_id).collect();
        Ok((lines, changed))
    }

    /// Validates a request. Returns the variant and the resulting quantity, or records an error.
    fn validate_request(
        &mut self,
        request_index: usize,
        request: LineRequest,
        base_quantity: i64,
    ) -> Option<(&SellableVariant, i64)> {
        if !(1..=MAX_LINE_QUANTITY).contains(&request.quantity) {
            self.add_line_error(
                request_index,
                "quantity",
                PublicErrorCode::BadUserInput,
                format!("a quantity is from 1 to {MAX_LINE_QUANTITY}"),
            );
            return None;
        }
        let quantity = base_quantity + request.quantity;
        let Some(variant) = self.variants.get(&request.variant_id) else {
            self.add_line_error(request_index, "variantId", PublicErrorCode::NotFound, "there is no such variant");
            return None;
        };
        match variant.unavailability(quantity) {
            Some(Unavailability::NotForSale) => {
                self.add_line_error(
                    request_index,
                    "variantId",
                    PublicErrorCode::ProductNotAvailable,
                    "the shop does not sell this",
                );
            }
            Some(Unavailability::SoldOut) => {
                self.add_line_error(
                    request_index,
                    "quantity",
                    PublicErrorCode::InsufficientStock,
                    "this is sold out: 0 are left",
                );
            }
            Some(Unavailability::InsufficientStock(available)) => {
                let cart_note =
                    if base_quantity > 0 { format!("; the cart has {base_quantity}") } else { String::new() };
                self.add_line_error(
                    request_index,
                    "quantity",
                    PublicErrorCode::InsufficientStock,
                    format!("only {available} are left{cart_note}"),
                );
            }
            None if quantity > MAX_LINE_QUANTITY => {
                let message =
                    format!("a cart has at most {MAX_LINE_QUANTITY} of one thing; this would make {quantity}");
                self.add_line_error(request_index, "quantity", PublicErrorCode::BadUserInput, message);
            }
            None => return Some((variant, quantity)),
        }
        None
    }

    fn add_line_error(&mut self, request_index: usize, field: &str, code: PublicErrorCode, message: impl Into<String>) {
        let request_index = request_index.to_string();
        let field = self.field_path.split('.').chain([request_index.as_str(), field]).map(str::to_owned).collect();
        self.errors.push(PublicError { code, field, message: message.into() });
    }

    fn add_error(&mut self, message: String) {
        let field = self.field_path.split('.').map(str::to_owned).collect();
        self.errors.push(PublicError { code: PublicErrorCode::BadUserInput, field, message });
    }
}
