//! Beginning a cart: a guest gets a new one, a customer the one they have.

use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, EntityTrait, IntoActiveModel, QuerySelect, sea_query::LockType};

use super::{
    entity::cart::{self, State},
    hold::{Held, of_customer, owner},
    lines::{self, How, Wish},
};
use crate::{
    base::{Error, Result, error::Code},
    customer::reach,
    identity::{Caller, secret},
    infra::Tx,
};

/// Begins a cart with these lines in it. A customer who has an open one goes on with that.
///
/// # Errors
/// With everything that is wrong with the lines.
pub async fn begin(tx: &Tx, caller: Caller, wishes: &[Wish]) -> Result<Held> {
    let row = match owner(caller) {
        Some(account) => mine(tx, account).await?,
        None => create(tx, None).await?,
    };
    if wishes.is_empty() {
        return Held::read(tx, row).await;
    }
    lines::fill(tx, row, wishes, (How::Add, "input.lines")).await
}

/// The open cart of a customer, made if there is none, held. Two devices that begin at once wait for each other at the
/// account, so they begin the same one.
///
/// # Errors
/// When the account is gone.
pub async fn mine(tx: &Tx, account: i64) -> Result<cart::Model> {
    hold_owner(tx, account).await?;
    match of_customer(tx, account).await? {
        Some(row) => again(tx, row).await,
        None => create(tx, Some(account)).await,
    }
}

/// Keeps an account as it is until the transaction ends. Whoever gives a cart to an account holds that first.
///
/// # Errors
/// When it is gone.
pub(super) async fn hold_owner(tx: &Tx, account: i64) -> Result<()> {
    let gone = || Error::user(Code::Unauthenticated, "", "This account is gone.");
    reach::hold(tx, account).await?.map(|_| ()).ok_or_else(gone)
}

/// A cart that was found, held: it may have been ordered in between.
async fn again(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let account = row.account_id;
    let held = cart::Entity::find_by_id(row.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    match held.filter(|held| held.state == State::Open) {
        Some(held) => Ok(held),
        None => create(tx, account).await,
    }
}

/// A new, empty cart.
///
/// # Errors
/// When the database refuses.
async fn create(tx: &Tx, account: Option<i64>) -> Result<cart::Model> {
    let row = cart::Model {
        id: 0,
        word: secret::random()?,
        account_id: account,
        state: State::Open,
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
