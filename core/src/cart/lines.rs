//! Cart lines: add, update, remove. The number of statements does not depend on the number of lines.

use sea_orm::{ActiveValue::Set, ColumnTrait, DeleteMany, EntityTrait, QueryFilter};

use super::{
    access::{CartContents, CartTarget, LockedCart, lock_cart},
    attributes::LineAttributes,
    entity::{CartLineRow, cart, cart_line},
    events::CartChanged,
    line_editor::{EditContext, EditedLines, LineEditor},
    queries::{LineWrite, load_cart_contents, write_lines_and_version},
};
use crate::{
    base::{
        Error, Result,
        error::{ErrorFacts, PublicError, PublicErrorCode},
    },
    infra::{Db, Tx, eq_any},
};

/// The maximum number of lines of a cart.
pub const MAX_CART_LINES: usize = 200;

/// A quantity of a variant with attributes, to add to a cart or to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRequest {
    /// The variant's primary key.
    pub variant_id: i64,
    /// The quantity.
    pub quantity: i64,
    /// The attributes.
    pub attributes: LineAttributes,
}

/// An update of a cart line. It takes over the current price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineUpdate {
    /// The line's primary key.
    pub line_id: i64,
    /// The new quantity; `None` keeps it.
    pub quantity: Option<i64>,
    /// The new attributes; `None` keeps them.
    pub attributes: Option<LineAttributes>,
}

/// How quantities are added that exceed the available stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddMode {
    /// They are an error.
    Strict,
    /// They are reduced to the available stock.
    Adjust,
}

/// A request of which fewer units were added, because the stock is too low.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineAdjustment {
    /// The dot-separated path of the request in the input.
    pub path: String,
    /// The variant's primary key.
    pub variant_id: i64,
    /// The requested quantity.
    pub requested: i64,
    /// The added quantity; 0 if the request was left out.
    pub added: i64,
    /// The available quantity of the variant, including what the cart has.
    pub available: i64,
}

/// Edits of the lines of a cart.
#[derive(Debug, Clone, Copy)]
pub enum LineEdits<'a> {
    /// Adds quantities.
    Add(&'a [LineRequest], AddMode),
    /// Sets quantities and attributes of existing lines.
    Update(&'a [LineUpdate]),
}

/// Edits of lines, and their path in the input.
#[derive(Debug, Clone, Copy)]
pub struct LineChange<'a> {
    /// The edits.
    pub edits: LineEdits<'a>,
    /// The path of the edits.
    pub path: &'a str,
}

/// Adds or updates cart lines: all edits or none.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or all errors of the edits.
pub async fn change_lines(db: &Db, target: CartTarget<'_>, change: LineChange<'_>) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        apply_line_change(tx, row, change).await
    })
    .await
}

/// Applies edits to a locked cart. Statements: 2 on PostgreSQL, 4 on SQLite; 1 more if attributes change.
///
/// # Errors
/// Returns all errors of the edits.
pub async fn apply_line_change(tx: &Tx, row: cart::Model, change: LineChange<'_>) -> Result<LockedCart> {
    let LineChange { edits, path } = change;
    let (count, variant_ids): (usize, Vec<i64>) = match edits {
        LineEdits::Add(requests, _) => (requests.len(), requests.iter().map(|request| request.variant_id).collect()),
        LineEdits::Update(updates) => (updates.len(), Vec::new()),
    };
    if count == 0 || count > MAX_CART_LINES {
        let message = format!("give from 1 to {MAX_CART_LINES} lines; there are {count}");
        let facts = ErrorFacts { limit: i64::try_from(MAX_CART_LINES).ok(), ..ErrorFacts::default() };
        let error = PublicError::new(PublicErrorCode::BadUserInput, path, message).with_facts(facts);
        return Err(Error::User(error));
    }
    let CartContents { lines: existing, variants } = load_cart_contents(tx, row.id, &variant_ids, tx.now()).await?;
    let context = EditContext { cart_id: row.id, now: tx.now(), variants: &variants };
    let editor = LineEditor::new(context, &existing);
    let mut edited = match edits {
        LineEdits::Add(requests, mode) => editor.add(requests, mode, path)?,
        LineEdits::Update(updates) => editor.update(updates, path)?,
    };
    let adjustments = std::mem::take(&mut edited.adjustments);
    if edited.changed.is_empty() {
        let contents = CartContents { lines: existing, variants };
        return Ok(LockedCart { row, contents, adjustments });
    }
    let lines = write_edited_lines(tx, row.id, edited).await?;
    let row = with_bumped_version(tx, row);
    Ok(LockedCart { row, contents: CartContents { lines, variants }, adjustments })
}

/// Writes edited lines of a locked cart and increments its version. Returns all lines, with their IDs.
async fn write_edited_lines(tx: &Tx, cart_id: i64, edited: EditedLines) -> Result<Vec<CartLineRow>> {
    let EditedLines { mut lines, changed, replaced_ids, adjustments: _ } = edited;
    let rows: Vec<CartLineRow> = changed.iter().map(|index| lines[*index].clone()).collect();
    let write = if replaced_ids.is_empty() {
        LineWrite::Upsert
    } else {
        // The lines are replaced, because while one statement updates them, two may have the same attributes.
        let is_replaced = eq_any(tx, cart_line::Column::Id, replaced_ids);
        cart_line::Entity::delete_many().filter(is_replaced).exec(tx).await?;
        LineWrite::InsertWithId
    };
    for written in write_lines_and_version(tx, cart_id, &rows, write).await? {
        for line in lines.iter_mut().filter(|line| line.id == 0 && written.is_of(line)) {
            line.id = written.id;
        }
    }
    Ok(lines)
}

/// Removes lines from a cart. Lines that are not in the cart are ignored.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or `BadUserInput` for more than [`MAX_CART_LINES`] lines.
pub async fn remove_lines(db: &Db, target: CartTarget<'_>, line_ids: &[i64]) -> Result<LockedCart> {
    db.write(async |tx| {
        if line_ids.len() > MAX_CART_LINES {
            return Err(Error::bad_input(
                "lineIds",
                format!("at most {MAX_CART_LINES} ids; there are {}", line_ids.len()),
            ));
        }
        let row = lock_cart(tx, target).await?;
        let is_removed = eq_any(tx, cart_line::Column::Id, line_ids.iter().copied());
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

/// Increments the version of a locked cart and emits `CartChanged`. Statements: 2.
async fn bump_version(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let row = with_bumped_version(tx, row);
    let changes =
        cart::ActiveModel { version: Set(row.version), updated_at: Set(row.updated_at), ..Default::default() };
    cart::Entity::update_many().set(changes).filter(cart::Column::Id.eq(row.id)).exec(tx).await?;
    tx.emit_event(CartChanged { cart: row.id }).await?;
    Ok(row)
}

/// Returns the row after the version increment. It needs no query, because the cart is locked.
fn with_bumped_version(tx: &Tx, row: cart::Model) -> cart::Model {
    cart::Model { version: row.version + 1, updated_at: tx.now(), ..row }
}
