//! Conversion of a cart to an order: locking, closing and reopening the cart.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{
    access::{CartContents, CartTarget, lock_cart},
    entity::{
        CartLineRow,
        cart::{self, CartStatus},
    },
    events::CartChanged,
    queries::{self, load_cart_contents, reopen_only_cart},
};
use crate::{
    base::Result,
    customer::PostalAddress,
    identity::{Caller, account_access},
    infra::Tx,
    pricing::SellableVariant,
};

/// A cart locked for checkout until the end of the transaction.
#[derive(Debug, Clone)]
pub struct CheckedOutCart {
    /// The cart's primary key.
    pub id: i64,
    /// The customer's account; `None` for a guest cart.
    pub account_id: Option<i64>,
    /// The lines, sorted by variant: the lock order of inventory rows.
    pub lines: Vec<CartLineRow>,
    /// The sellable variants by primary key.
    pub variants: HashMap<i64, SellableVariant>,
    /// The details of the future order.
    pub details: CartDetails,
    /// The cart's version.
    pub version: i32,
}

/// The details of a cart, for an order that does not state them.
#[derive(Debug, Clone, Default)]
pub struct CartDetails {
    /// The shipping address.
    pub shipping_address: Option<PostalAddress>,
    /// The billing address; defaults to the shipping address.
    pub billing_address: Option<PostalAddress>,
    /// The selected shipping method.
    pub shipping_method_id: Option<i64>,
    /// The note for the packer.
    pub note: Option<String>,
    /// The contact email address.
    pub email: Option<String>,
    /// The contact phone number (E.164).
    pub phone: Option<String>,
}

/// Locks an open cart for checkout. Statements: 2.
///
/// # Errors
/// Returns `NotFound` if the cart does not exist or belongs to another customer, `IllegalTransition` if it is not open.
pub async fn lock_cart_for_checkout(tx: &Tx, token: &str, caller: Caller) -> Result<CheckedOutCart> {
    let row = lock_cart(tx, CartTarget { id: token, scope: caller, expected_version: None }).await?;
    let CartContents { mut lines, variants } = load_cart_contents(tx, row.id, &[], tx.now()).await?;
    lines.sort_by_key(|line| line.variant_id);
    Ok(CheckedOutCart {
        id: row.id,
        account_id: row.account_id,
        lines,
        variants,
        details: CartDetails {
            shipping_address: row.shipping_address.map(PostalAddress::from_json).transpose()?,
            billing_address: row.billing_address.map(PostalAddress::from_json).transpose()?,
            shipping_method_id: row.shipping_method_id,
            note: row.note,
            email: row.email,
            phone: row.phone,
        },
        version: row.version,
    })
}

/// State of the cart of an order that expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormerCart {
    /// It is open and was not changed since.
    Unchanged,
    /// It is open and was changed since, or was merged into another cart or deleted.
    Changed,
    /// It was not reopened.
    Closed,
    /// It was ordered again.
    OrderedAgain,
}

/// Locks the cart of an expired order and returns its state. Statements: 1.
pub async fn lock_former_cart(tx: &Tx, cart_id: i64, order_id: i64, reopened_at: DateTime<Utc>) -> Result<FormerCart> {
    let query = cart::Entity::find_by_id(cart_id).lock_exclusive();
    let Some(row) = query.one(tx).await? else { return Ok(FormerCart::Changed) };
    Ok(match row.status {
        CartStatus::Open if row.updated_at <= reopened_at => FormerCart::Unchanged,
        CartStatus::Open | CartStatus::Merged => FormerCart::Changed,
        CartStatus::Ordered if row.order_id == Some(order_id) => FormerCart::Closed,
        CartStatus::Ordered => FormerCart::OrderedAgain,
    })
}

/// Closes the locked, reopened cart of an order that is reinstated. Statements: 2.
pub async fn close_reopened_cart(tx: &Tx, cart_id: i64, order_id: i64) -> Result<()> {
    tx.execute_raw(queries::close_cart(tx, cart_id, order_id).into_statement()).await?;
    tx.emit_event(CartChanged { cart: cart_id }).await
}

/// Reopens the cart of an order that was not paid, unless the customer has another open cart. Locks the
/// account, so that no other cart is created concurrently.
pub async fn reopen_cart(tx: &Tx, order_id: i64) -> Result<()> {
    let owner = cart::Entity::find()
        .filter(cart::Column::OrderId.eq(order_id))
        .filter(cart::Column::AccountId.is_not_null())
        .select_only()
        .column(cart::Column::AccountId);
    if let Some(account_id) = owner.into_tuple::<i64>().one(tx).await? {
        account_access::lock_account(tx, account_id).await?;
    }
    match reopen_only_cart(tx, order_id).await? {
        Some(cart_id) => tx.emit_event(CartChanged { cart: cart_id }).await,
        None => Ok(()),
    }
}
