//! Cart queries: by token, or by the customer who owns the cart.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::entity::{
    CartLineRow,
    cart::{self, CartStatus},
};
use crate::{
    base::{Error, Result, VersionedTarget, error::PublicErrorCode},
    identity::{Caller, Permission},
    infra::{SqlBuilder, Tx},
    pricing::{SellableVariant, sellable_variant},
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
}

impl LockedCart {
    /// Loads the contents of a locked cart. Statements: 1.
    pub async fn load(tx: &Tx, row: cart::Model) -> Result<Self> {
        let contents = load_cart_contents(tx, row.id, &[], tx.now()).await?;
        Ok(Self { row, contents })
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
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM cart WHERE token = ").bind(token);
    if !caller.permissions().has(Permission::OrderRead) {
        push_access_condition(&mut sql, caller);
    }
    query_cart(db, sql).await
}

/// Returns a customer's open cart, if any. Statements: 1.
pub async fn find_open_cart(db: &impl ConnectionTrait, account: i64) -> Result<Option<cart::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM cart WHERE status = 'open' AND account_id = ").bind(account);
    query_cart(db, sql).await
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
    let mut sql = tx.sql();
    sql.push("SELECT * FROM cart WHERE token = ").bind(target.id);
    push_access_condition(&mut sql, target.scope);
    if sql.is_postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let row = query_cart(tx, sql).await?.ok_or_else(missing)?;
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
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT variant_id, position, quantity, unit_price FROM cart_line WHERE cart_id = ").bind(cart);
    sql.push(" ORDER BY position, variant_id");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| CartLineRow::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Loads the lines of a cart, and the sellable variants of the lines and of `variants`. Statements: 1.
pub async fn load_cart_contents(
    db: &impl ConnectionTrait,
    cart: i64,
    variants: &[i64],
    now: DateTime<Utc>,
) -> Result<CartContents> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT l.position, l.quantity, l.unit_price, ")
        .push(sellable_variant::SELLABLE_VARIANT_COLUMNS)
        .push(" FROM ")
        .push(sellable_variant::SELLABLE_VARIANT_TABLES);
    sql.push(" LEFT JOIN cart_line AS l ON l.variant_id = v.id AND l.cart_id = ").bind(cart).push(" WHERE v.id ");
    let postgres = sql.is_postgres();
    sql.push(if postgres { "= ANY(ARRAY(" } else { "IN (" });
    sql.push("SELECT variant_id FROM cart_line WHERE cart_id = ").placeholder(1);
    sql.push(if postgres { ") || " } else { " UNION ALL SELECT value FROM json_each(" });
    sql.bind_ints(variants.iter().copied()).push(if postgres { ")" } else { "))" });
    let mut contents = CartContents::default();
    for row in db.query_all_raw(sql.into_statement()).await? {
        let variant = SellableVariant::from_row(&row, now)?;
        if let Some(position) = row.try_get("", "position")? {
            let (quantity, unit_price) = (row.try_get("", "quantity")?, row.try_get("", "unit_price")?);
            contents.lines.push(CartLineRow { variant_id: variant.variant_id, position, quantity, unit_price });
        }
        contents.variants.insert(variant.variant_id, variant);
    }
    contents.lines.sort_unstable_by_key(|line| (line.position, line.variant_id));
    Ok(contents)
}

/// Restricts a query to guest carts and the caller's own carts.
fn push_access_condition(sql: &mut SqlBuilder, caller: Caller) {
    match caller_account_id(caller) {
        Some(account) => sql.push(" AND (account_id IS NULL OR account_id = ").bind(account).push(")"),
        None => sql.push(" AND account_id IS NULL"),
    };
}

async fn query_cart(db: &impl ConnectionTrait, sql: SqlBuilder) -> Result<Option<cart::Model>> {
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map(|row| cart::Model::from_query_result(&row, "")).transpose()?)
}
