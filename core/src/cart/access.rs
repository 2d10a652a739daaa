//! Finding and locking carts: by token, or by the customer who owns the cart.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{
    entity::{
        CartLineRow,
        cart::{self, CartStatus},
        cart_line,
    },
    lines::LineAdjustment,
    queries::load_cart_contents,
};
use crate::{
    base::{Error, Result, VersionedTarget, error::PublicErrorCode},
    identity::{Caller, Permission, random_token::secrets_are_equal},
    infra::{Tx, literal},
    pricing::SellableVariant,
};

/// The length of a cart token. Characters.
const CART_TOKEN_LENGTH: usize = 43;

/// The cart to change, by its token, with the caller.
pub type CartTarget<'a> = VersionedTarget<&'a str, Caller>;

/// The lines of a cart and their sellable variants.
#[derive(Debug, Clone, Default)]
pub struct CartContents {
    /// The lines, in order.
    pub lines: Vec<CartLineRow>,
    /// The sellable variants by primary key.
    pub variants: HashMap<i64, SellableVariant>,
}

/// A locked cart with its contents at that version, read in the same transaction.
#[derive(Debug, Clone)]
pub struct LockedCart {
    /// The cart.
    pub row: cart::Model,
    /// The contents.
    pub contents: CartContents,
    /// The requested lines of which fewer units were added.
    pub adjustments: Vec<LineAdjustment>,
}

impl LockedCart {
    /// Creates a locked cart without adjustments.
    #[must_use]
    pub const fn new(row: cart::Model, contents: CartContents) -> Self {
        Self { row, contents, adjustments: Vec::new() }
    }

    /// Loads the contents of a locked cart. Statements: 1.
    pub async fn load(tx: &Tx, row: cart::Model) -> Result<Self> {
        let contents = load_cart_contents(tx, row.id, &[], tx.now()).await?;
        Ok(Self::new(row, contents))
    }
}

/// Returns the account of a user; `None` for guests and API keys.
#[must_use]
pub const fn caller_account_id(caller: Caller) -> Option<i64> {
    match caller {
        Caller::User { account_id: account, .. } => Some(account),
        Caller::Anonymous | Caller::ApiKey { .. } => None,
    }
}

/// Returns whether a string has the format of a cart token. Others are rejected without a query.
#[must_use]
pub fn is_cart_token(token: &str) -> bool {
    token.len() == CART_TOKEN_LENGTH && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Returns a cart by its token: a guest cart to any caller, a customer's cart to the customer, any cart to staff with
/// `OrderRead`. Statements: 1.
pub async fn find_cart_by_token(db: &impl ConnectionTrait, token: &str, caller: Caller) -> Result<Option<cart::Model>> {
    if !is_cart_token(token) {
        return Ok(None);
    }
    let mut query = cart::Entity::find().filter(cart::Column::Token.eq(token));
    if !caller.permissions().has(Permission::OrderRead) {
        query = query.filter(accessible_to(caller));
    }
    Ok(query.one(db).await?)
}

/// Returns whether a caller may read a cart with this token, as [`find_cart_by_token`] decides.
#[must_use]
pub fn is_accessible(row: &cart::Model, token: &str, caller: Caller) -> bool {
    let is_owner = row.account_id.is_none() || row.account_id == caller_account_id(caller);
    secrets_are_equal(&row.token, token) && (is_owner || caller.permissions().has(Permission::OrderRead))
}

/// Returns a customer's open cart, if any. Statements: 1.
pub async fn find_open_cart(db: &impl ConnectionTrait, account: i64) -> Result<Option<cart::Model>> {
    // The condition of the index of open carts.
    let is_open = Expr::col(cart::Column::Status).eq(literal(CartStatus::Open));
    Ok(cart::Entity::find().filter(is_open).filter(cart::Column::AccountId.eq(account)).one(db).await?)
}

/// Locks an open cart until the end of the transaction. Every change of a cart locks it first, so that concurrent
/// changes are serialized. Statements: 1.
///
/// # Errors
/// Returns `NotFound` if the cart does not exist or belongs to another customer, `IllegalTransition` if it is not open,
/// `VersionConflict` if the version differs.
pub async fn lock_cart(tx: &Tx, target: CartTarget<'_>) -> Result<cart::Model> {
    let missing =
        || Error::user(PublicErrorCode::NotFound, "id", "there is no such cart; it may have expired: begin a new one");
    if !is_cart_token(target.id) {
        return Err(missing());
    }
    let query = cart::Entity::find().filter(cart::Column::Token.eq(target.id)).filter(accessible_to(target.scope));
    let row = query.lock(LockType::NoKeyUpdate).one(tx).await?.ok_or_else(missing)?;
    ensure_open(&row)?;
    target.check_version(row.version)?;
    Ok(row)
}

/// Checks that a cart is open.
///
/// # Errors
/// Returns `IllegalTransition` if it has been ordered or merged.
pub fn ensure_open(row: &cart::Model) -> Result<()> {
    let message = match row.status {
        CartStatus::Open => return Ok(()),
        CartStatus::Ordered => "this cart has been ordered; begin a new one",
        CartStatus::Merged => "what was in this cart is in your other cart; go on with that one",
    };
    Err(Error::user(PublicErrorCode::IllegalTransition, "id", message))
}

/// Loads the lines of a cart, in order. Statements: 1.
pub async fn load_cart_lines(db: &impl ConnectionTrait, cart: i64) -> Result<Vec<CartLineRow>> {
    let query = cart_line::Entity::find()
        .filter(cart_line::Column::CartId.eq(cart))
        .order_by_asc(cart_line::Column::Position)
        .order_by_asc(cart_line::Column::Id);
    Ok(query.all(db).await?)
}

/// Returns the condition for guest carts and the caller's own carts.
fn accessible_to(caller: Caller) -> Condition {
    let owner = caller_account_id(caller).map(|account| cart::Column::AccountId.eq(account));
    Condition::any().add(cart::Column::AccountId.is_null()).add_option(owner)
}
