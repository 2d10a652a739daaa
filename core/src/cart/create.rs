//! Creation of carts: guests get a new cart, customers their open one.

use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, EntityTrait, IntoActiveModel, QuerySelect, sea_query::LockType};

use super::{
    access::{LockedCart, caller_account_id, find_open_cart},
    details::NewCartDetails,
    entity::cart::{self, CartStatus},
    lines::{self, AddMode, LineChange, LineEdits, LineRequest},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    identity::{Caller, account_access, random_token},
    infra::{Db, Tx},
    pricing::ShopContext,
};

/// The lines and details of a cart to create.
#[derive(Debug)]
pub struct NewCart {
    /// The lines.
    pub lines: Vec<LineRequest>,
    /// How lines are added that exceed the stock.
    pub mode: AddMode,
    /// The details.
    pub details: NewCartDetails,
}

/// Creates a cart with lines and details, or sets them on the customer's open cart.
///
/// # Errors
/// Returns all errors of the lines, the first error of the details, or `Unauthenticated` if the account does not exist.
pub async fn create_cart(db: &Db, caller: Caller, new_cart: NewCart, shop: ShopContext<'_>) -> Result<LockedCart> {
    let NewCart { lines: requests, mode, details } = new_cart;
    db.write(async |tx| {
        let account_id = caller_account_id(caller);
        let row = match account_id {
            Some(account_id) => lock_or_create_cart(tx, account_id).await?,
            None => insert_cart(tx, None).await?,
        };
        let change = LineChange { edits: LineEdits::Add(&requests, mode), path: "input.lines" };
        let locked = if requests.is_empty() {
            LockedCart::load(tx, row).await?
        } else {
            lines::apply_line_change(tx, row, change).await?
        };
        details.clone().apply(tx, locked, account_id, shop).await
    })
    .await
}

/// Locks the open cart of a customer, and creates it if there is none. The lock on the account serializes concurrent
/// calls, so that they get the same cart.
///
/// # Errors
/// Returns `Unauthenticated` if the account does not exist.
pub async fn lock_or_create_cart(tx: &Tx, account: i64) -> Result<cart::Model> {
    lock_account(tx, account).await?;
    match find_open_cart(tx, account).await? {
        Some(row) => relock_or_create_cart(tx, row).await,
        None => insert_cart(tx, Some(account)).await,
    }
}

/// Locks an account until the end of the transaction. Required before a cart is assigned to the account.
///
/// # Errors
/// Returns `Unauthenticated` if the account does not exist.
pub(super) async fn lock_account(tx: &Tx, account: i64) -> Result<()> {
    let account_missing = || Error::user(PublicErrorCode::Unauthenticated, "", "This account is gone.");
    account_access::lock_account(tx, account).await?.map(|_| ()).ok_or_else(account_missing)
}

/// Locks a cart that was read without a lock; creates a new one if it is no longer open.
async fn relock_or_create_cart(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let account = row.account_id;
    let locked = cart::Entity::find_by_id(row.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    match locked.filter(|locked| locked.status == CartStatus::Open) {
        Some(locked) => Ok(locked),
        None => insert_cart(tx, account).await,
    }
}

/// Inserts an empty cart.
async fn insert_cart(tx: &Tx, account: Option<i64>) -> Result<cart::Model> {
    let row = cart::Model {
        id: 0,
        token: random_token::generate_token()?,
        account_id: account,
        status: CartStatus::Open,
        order_id: None,
        email: None,
        phone: None,
        shipping_address: None,
        billing_address: None,
        shipping_method_id: None,
        note: None,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    let mut row = row.into_active_model().reset_all();
    row.id = NotSet;
    Ok(row.insert(tx).await?)
}
