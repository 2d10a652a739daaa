//! Merging of a guest cart into the customer's cart after login. Idempotent.

use std::collections::HashMap;

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{
    access::{CartContents, LockedCart, ensure_open, is_cart_token},
    create,
    entity::{
        CartLineRow,
        cart::{self, CartStatus},
        cart_line,
    },
    events::CartChanged,
    lines::MAX_CART_LINES,
    queries::{lock_both_carts, write_lines},
};
use crate::{
    base::{Error, Result},
    infra::{Db, Tx},
    pricing::{SellableVariant, load_sellable_variants, quote::MAX_LINE_QUANTITY},
};

/// Merges a guest cart into the customer's open cart. Quantities are added up to the available stock and the limits.
/// Without an open cart the guest cart is assigned to the customer. A merged cart is not merged again.
///
/// # Errors
/// Returns `NotFound` if there is no such cart, `IllegalTransition` if it has been ordered, `Unauthenticated` if the
/// account does not exist.
pub async fn merge_guest_cart(db: &Db, account: i64, token: &str) -> Result<LockedCart> {
    db.write(async |tx| {
        let missing = || Error::not_found("id", "cart");
        if !is_cart_token(token) {
            return Err(missing());
        }
        // Lock order: the account, then carts by primary key. The account lock serializes concurrent merges.
        create::lock_account(tx, account).await?;
        let mut rows = lock_both_carts(tx, account, token).await?;
        let guest_cart = rows.iter().position(|row| row.token == token).ok_or_else(missing)?;
        let guest_cart = rows.remove(guest_cart);
        let customer_cart = rows.pop();
        if guest_cart.status == CartStatus::Merged {
            let row = match customer_cart {
                Some(customer_cart) => customer_cart,
                None => create::lock_or_create_cart(tx, account).await?,
            };
            return LockedCart::load(tx, row).await;
        }
        ensure_open(&guest_cart)?;
        if guest_cart.account_id.is_some() {
            return LockedCart::load(tx, guest_cart).await;
        }
        match customer_cart {
            None => assign_cart_to_account(tx, guest_cart, account).await,
            Some(customer_cart) => merge_into_cart(tx, customer_cart, guest_cart).await,
        }
    })
    .await
}

/// Merges a guest cart after a login. A failure is logged and does not fail the login.
pub async fn merge_guest_cart_at_login(db: &Db, account: i64, token: &str) {
    if let Err(error) = merge_guest_cart(db, account, token).await {
        tracing::info!(error = error.log_message(), "guest cart not merged at login");
    }
}

async fn assign_cart_to_account(tx: &Tx, mut row: cart::Model, account: i64) -> Result<LockedCart> {
    row.account_id = Some(account);
    let row = update_cart(tx, row).await?;
    tx.emit_event(CartChanged { cart: row.id }).await?;
    LockedCart::load(tx, row).await
}

async fn merge_into_cart(tx: &Tx, mut customer_cart: cart::Model, mut guest_cart: cart::Model) -> Result<LockedCart> {
    let LinesOfBoth { customer: customer_lines, guest: guest_lines } =
        load_lines_of_both(tx, customer_cart.id, guest_cart.id).await?;
    let variant_ids: Vec<i64> = customer_lines.iter().chain(&guest_lines).map(|line| line.variant_id).collect();
    let variants = load_sellable_variants(tx, tx.now(), &variant_ids).await?;
    let (mut lines, changed) = merge_lines(&customer_lines, &guest_lines, &variants);
    for written in write_lines(tx, customer_cart.id, &changed).await? {
        for line in lines.iter_mut().filter(|line| written.is_of(line)) {
            (line.id, line.cart_id) = (written.id, customer_cart.id);
        }
    }
    // Values of the customer's cart take precedence over those of the guest cart.
    customer_cart.email = customer_cart.email.or(guest_cart.email.take());
    customer_cart.phone = customer_cart.phone.or(guest_cart.phone.take());
    customer_cart.shipping_address = customer_cart.shipping_address.or(guest_cart.shipping_address.take());
    customer_cart.billing_address = customer_cart.billing_address.or(guest_cart.billing_address.take());
    customer_cart.shipping_method_id = customer_cart.shipping_method_id.or(guest_cart.shipping_method_id.take());
    customer_cart.note = customer_cart.note.or(guest_cart.note.take());
    let owner = customer_cart.account_id;
    let customer_cart = update_cart(tx, customer_cart).await?;
    cart_line::Entity::delete_many().filter(cart_line::Column::CartId.eq(guest_cart.id)).exec(tx).await?;
    let emptied = cart::Model {
        account_id: owner,
        status: CartStatus::Merged,
        email: None,
        phone: None,
        shipping_address: None,
        billing_address: None,
        shipping_method_id: None,
        note: None,
        ..guest_cart
    };
    let emptied = update_cart(tx, emptied).await?;
    let mut changed_ids = [customer_cart.id, emptied.id];
    // In the order of the locks.
    changed_ids.sort_unstable();
    tx.emit_events(&changed_ids.map(|cart| CartChanged { cart })).await?;
    Ok(LockedCart::new(customer_cart, CartContents { lines, variants }))
}

/// The lines of the two carts.
struct LinesOfBoth {
    customer: Vec<CartLineRow>,
    guest: Vec<CartLineRow>,
}

/// Loads the lines of the customer's cart and of the guest cart. Statements: 1.
async fn load_lines_of_both(tx: &Tx, customer_cart_id: i64, guest_cart_id: i64) -> Result<LinesOfBoth> {
    let query = cart_line::Entity::find()
        .filter(cart_line::Column::CartId.is_in([customer_cart_id, guest_cart_id]))
        .order_by_asc(cart_line::Column::Position)
        .order_by_asc(cart_line::Column::Id);
    let mut lines = LinesOfBoth { customer: Vec::new(), guest: Vec::new() };
    for line in query.all(tx).await? {
        if line.cart_id == customer_cart_id { lines.customer.push(line) } else { lines.guest.push(line) }
    }
    Ok(lines)
}

/// Merges the lines of two carts: quantities of lines with the same variant and attributes are added. Returns all lines
/// and those to write. A line of a sold-out variant is kept with quantity 1 and reported as a cart issue. Pure.
fn merge_lines(
    customer_lines: &[CartLineRow],
    guest_lines: &[CartLineRow],
    variants: &HashMap<i64, SellableVariant>,
) -> (Vec<CartLineRow>, Vec<CartLineRow>) {
    let mut lines = customer_lines.to_vec();
    let mut changed = Vec::new();
    let mut next_position = customer_lines
        .iter()
        .map(|line| line.position)
        .max()
        .map_or(0, |last_position| last_position.saturating_add(1));
    for line in guest_lines {
        let is_same_variant = |other: &&CartLineRow| other.variant_id == line.variant_id;
        let in_cart: i64 = lines.iter().filter(is_same_variant).map(|other| other.quantity).sum();
        let max_quantity = variants.get(&line.variant_id).and_then(SellableVariant::max_quantity);
        // What the variant's other lines do not take.
        let available = max_quantity.map_or(i64::MAX, |max_quantity| (max_quantity - in_cart).max(0));
        if let Some(customer_line) = lines.iter_mut().find(|customer_line| customer_line.is_equal(line)) {
            // The customer's quantity is not reduced, even if less stock is available.
            let added = line.quantity.min(available).min(MAX_LINE_QUANTITY - customer_line.quantity);
            if added > 0 {
                customer_line.quantity += added;
                changed.push(customer_line.clone());
            }
        } else if lines.len() < MAX_CART_LINES {
            let quantity = line.quantity.min(available).max(1);
            let line = CartLineRow { position: next_position, quantity, ..line.clone() };
            next_position = next_position.saturating_add(1);
            lines.push(line.clone());
            changed.push(line);
        }
    }
    (lines, changed)
}

async fn update_cart(tx: &Tx, mut row: cart::Model) -> Result<cart::Model> {
    row.version += 1;
    row.updated_at = tx.now();
    Ok(row.into_active_model().reset_all().update(tx).await?)
}
