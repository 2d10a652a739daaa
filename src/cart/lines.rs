//! Cart lines: add, set, remove. The number of statements does not depend on the number of lines.

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveValue::Set, ColumnTrait, DeleteMany, EntityTrait, QueryFilter};

use super::{
    access::{CartContents, CartTarget, LockedCart, lock_cart},
    entity::{CartLineRow, cart, cart_line},
    queries::{load_cart_contents, write_lines_and_version},
};
use crate::{
    base::{Error, Result, Validator, error::PublicErrorCode, money::MAX_MINOR_UNITS, validation::InputScope},
    infra::{Db, Tx, eq_any},
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
    let LineChange { requests, mode, path } = change;
    if requests.is_empty() || requests.len() > MAX_CART_LINES {
        return Err(Error::bad_input(
            path,
            format!("give from 1 to {MAX_CART_LINES} lines; there are {}", requests.len()),
        ));
    }
    let variant_ids: Vec<i64> = requests.iter().map(|request| request.variant_id).collect();
    let CartContents { lines: existing, variants } = load_cart_contents(tx, row.id, &variant_ids, tx.now()).await?;
    let (lines, changed) = LineEditor { mode, variants: &variants }.apply_requests(&existing, change)?;
    if changed.is_empty() {
        return Ok(LockedCart { row, contents: CartContents { lines: existing, variants } });
    }
    let changed_lines: Vec<CartLineRow> =
        lines.iter().filter(|line| changed.contains(&line.variant_id)).copied().collect();
    write_lines_and_version(tx, row.id, &changed_lines).await?;
    Ok(LockedCart { row: with_bumped_version(tx, row), contents: CartContents { lines, variants } })
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
        let is_removed = eq_any(tx, cart_line::Column::VariantId, variants.iter().copied());
        delete_lines(tx, row, cart_line::Entity::delete_many().filter(is_removed)).await
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
        delete_lines(tx, row, cart_line::Entity::delete_many()).await
    })
    .await
}

/// Deletes lines of a locked cart. The others are read in the same transaction, so that they match the version.
async fn delete_lines(tx: &Tx, row: cart::Model, deletion: DeleteMany<cart_line::Entity>) -> Result<LockedCart> {
    let deletion = deletion.filter(cart_line::Column::CartId.eq(row.id));
    let deleted_count = deletion.exec(tx).await?.rows_affected;
    let row = if deleted_count == 0 { row } else { bump_version(tx, row).await? };
    LockedCart::load(tx, row).await
}

/// Increments the version of a locked cart. Statements: 1.
async fn bump_version(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let row = with_bumped_version(tx, row);
    let changes =
        cart::ActiveModel { version: Set(row.version), updated_at: Set(row.updated_at), ..Default::default() };
    cart::Entity::update_many().set(changes).filter(cart::Column::Id.eq(row.id)).exec(tx).await?;
    Ok(row)
}

/// Returns the row after the version increment. It needs no query, because the cart is locked.
fn with_bumped_version(tx: &Tx, row: cart::Model) -> cart::Model {
    cart::Model { version: row.version + 1, updated_at: tx.now(), ..row }
}

/// Applies requests to lines. Pure.
struct LineEditor<'a> {
    mode: LineMode,
    variants: &'a HashMap<i64, SellableVariant>,
}

impl LineEditor<'_> {
    /// Returns the resulting lines, and the variants whose lines change.
    fn apply_requests(
        &self,
        existing: &[CartLineRow],
        change: LineChange<'_>,
    ) -> Result<(Vec<CartLineRow>, HashSet<i64>)> {
        let mut lines = existing.to_vec();
        let mut index_by_variant: HashMap<i64, usize> =
            existing.iter().enumerate().map(|(line_index, line)| (line.variant_id, line_index)).collect();
        let mut next_position =
            existing.iter().map(|line| line.position).max().map_or(0, |last_position| last_position.saturating_add(1));
        let mut seen_variants = HashSet::new();
        let mut validator = Validator::default();
        for (request_index, request) in change.requests.iter().enumerate() {
            let mut input = validator.at(change.path).index(request_index);
            let is_repeated = !seen_variants.insert(request.variant_id);
            let line_index = index_by_variant.get(&request.variant_id).copied();
            let current_quantity = line_index.map_or(0, |line_index| lines[line_index].quantity);
            // Repeated requests for a variant are summed, also in `Set` mode.
            let base_quantity = if self.mode == LineMode::Add || is_repeated { current_quantity } else { 0 };
            if self.mode == LineMode::Set && line_index.is_none() && self.variants.contains_key(&request.variant_id) {
                input.reject_as(PublicErrorCode::NotFound, "variantId", "this is not in the cart; add it instead");
                continue;
            }
            let Some((variant, quantity)) = self.validate_request(*request, base_quantity, &mut input) else {
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
        let mut input = validator.at(change.path);
        if lines.len() > MAX_CART_LINES {
            let message = format!("a cart has at most {MAX_CART_LINES} lines; this one would have {}", lines.len());
            input.reject("", message);
        }
        let list_value = |line: &CartLineRow| {
            self.variants.get(&line.variant_id).map_or(0, |variant| i128::from(variant.list_price))
        };
        let list_value: i128 = lines.iter().map(|line| list_value(line) * i128::from(line.quantity)).sum();
        // The limit leaves a margin for tax.
        if list_value > i128::from(MAX_MINOR_UNITS / 2) {
            input.reject("", "this comes to more than the shop can count; take fewer");
        }
        validator.finish()?;
        let before: HashMap<i64, &CartLineRow> = existing.iter().map(|line| (line.variant_id, line)).collect();
        let changed = lines.iter().filter(|line| before.get(&line.variant_id) != Some(line));
        let changed = changed.map(|line| line.variant_id).collect();
        Ok((lines, changed))
    }

    /// Validates a request. Returns the variant and the resulting quantity, or gathers an error.
    fn validate_request(
        &self,
        request: LineRequest,
        base_quantity: i64,
        input: &mut InputScope<'_>,
    ) -> Option<(&SellableVariant, i64)> {
        if !(1..=MAX_LINE_QUANTITY).contains(&request.quantity) {
            input.reject("quantity", format!("a quantity is from 1 to {MAX_LINE_QUANTITY}"));
            return None;
        }
        let quantity = base_quantity + request.quantity;
        let Some(variant) = self.variants.get(&request.variant_id) else {
            input.reject_as(PublicErrorCode::NotFound, "variantId", "there is no such variant");
            return None;
        };
        match variant.unavailability(quantity) {
            Some(Unavailability::NotForSale) => {
                input.reject_as(PublicErrorCode::ProductNotAvailable, "variantId", "the shop does not sell this");
            }
            Some(Unavailability::SoldOut) => {
                input.reject_as(PublicErrorCode::InsufficientStock, "quantity", "this is sold out: 0 are left");
            }
            Some(Unavailability::InsufficientStock(available)) => {
                let cart_note =
                    if base_quantity > 0 { format!("; the cart has {base_quantity}") } else { String::new() };
                let message = format!("only {available} are left{cart_note}");
                input.reject_as(PublicErrorCode::InsufficientStock, "quantity", message);
            }
            None if quantity > MAX_LINE_QUANTITY => {
                let message =
                    format!("a cart has at most {MAX_LINE_QUANTITY} of one thing; this would make {quantity}");
                input.reject("quantity", message);
            }
            None => return Some((variant, quantity)),
        }
        None
    }
}
