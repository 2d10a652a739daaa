//! Finding carts: by the word that opens a guest's, or as the customer whose it is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::entity::{
    Line,
    cart::{self, State},
};
use crate::{
    base::{Error, Result, error::Code},
    customer::reach,
    identity::{Caller, Permission},
    infra::{Sql, Tx},
    pricing::{Offer, offer},
};

/// How long a cart's word is.
const WORD: usize = 43;

/// Which cart is changed by whom, and which version of it they know.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its word.
    pub word: &'a str,
    /// Who asks.
    pub caller: Caller,
    /// The version they have seen.
    pub expected: Option<i32>,
}

/// What is in a cart, and what the shop offers of it.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Its lines, in order.
    pub lines: Vec<Line>,
    /// The offers of their variants.
    pub offers: HashMap<i64, Offer>,
}

/// A cart that was changed, with what is in it at that version: both are of one transaction.
#[derive(Debug, Clone)]
pub struct Held {
    /// The cart.
    pub row: cart::Model,
    /// What is in it.
    pub contents: Contents,
}

impl Held {
    /// A cart that is held, with its lines. One statement.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(tx: &Tx, row: cart::Model) -> Result<Self> {
        let contents = contents(tx, (row.id, &[]), tx.now()).await?;
        Ok(Self { row, contents })
    }
}

/// The account of a person.
#[must_use]
pub const fn owner(caller: Caller) -> Option<i64> {
    match caller {
        Caller::Person { account, .. } => Some(account),
        Caller::Nobody | Caller::Machine { .. } => None,
    }
}

/// Whether a word could be a cart's. What could not be is not asked of the database.
#[must_use]
pub fn is_word(word: &str) -> bool {
    word.len() == WORD && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A cart by its word: a guest's for whoever has the word, a customer's for the customer, any for staff who see orders.
/// One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(db: &impl ConnectionTrait, word: &str, caller: Caller) -> Result<Option<cart::Model>> {
    if !is_word(word) {
        return Ok(None);
    }
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM cart WHERE word = ").bind(word);
    if !caller.permissions().has(Permission::OrderRead) {
        reachable(&mut sql, caller);
    }
    one(db, sql).await
}

/// A customer's open cart, if they have one. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_customer(db: &impl ConnectionTrait, account: i64) -> Result<Option<cart::Model>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM cart WHERE state = 'open' AND account_id = ").bind(account);
    one(db, sql).await
}

/// A cart that can be changed, as it is until the transaction ends: whoever changes a cart holds it first, so two who
/// change the same one wait for each other. One statement.
///
/// # Errors
/// When it is not there or not the caller's, can be changed no more, or has changed since.
pub async fn hold(tx: &Tx, target: Target<'_>) -> Result<cart::Model> {
    let missing = || Error::user(Code::NotFound, "id", "there is no such cart; it may have expired: begin a new one");
    if !is_word(target.word) {
        return Err(missing());
    }
    let mut sql = tx.sql();
    sql.push("SELECT * FROM cart WHERE word = ").bind(target.word);
    reachable(&mut sql, target.caller);
    if sql.postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let row = one(tx, sql).await?.ok_or_else(missing)?;
    open(&row)?;
    reach::expect(row.version, target.expected)?;
    Ok(row)
}

/// Says no to a change of a cart that has ended.
///
/// # Errors
/// When it has.
pub fn open(row: &cart::Model) -> Result<()> {
    let message = match row.state {
        State::Open => return Ok(()),
        State::Ordered => "this cart has been ordered; begin a new one",
        State::Merged => "what was in this cart is in your other cart; go on with that one",
    };
    Err(Error::user(Code::IllegalTransition, "id", message))
}

/// The lines of a cart, in order. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lines(db: &impl ConnectionTrait, cart: i64) -> Result<Vec<Line>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT variant_id, position, quantity, unit_price FROM cart_line WHERE cart_id = ").bind(cart);
    sql.push(" ORDER BY position, variant_id");
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| Line::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// What is in a cart, and what the shop offers of it and of these variants besides. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn contents(
    db: &impl ConnectionTrait,
    (cart, variants): (i64, &[i64]),
    now: DateTime<Utc>,
) -> Result<Contents> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT l.position, l.quantity, l.unit_price, ").push(offer::COLUMNS).push(" FROM ").push(offer::TABLES);
    sql.push(" LEFT JOIN cart_line AS l ON l.variant_id = v.id AND l.cart_id = ").bind(cart).push(" WHERE v.id ");
    let postgres = sql.postgres();
    sql.push(if postgres { "= ANY(ARRAY(" } else { "IN (" });
    sql.push("SELECT variant_id FROM cart_line WHERE cart_id = ").place(1);
    sql.push(if postgres { ") || " } else { " UNION ALL SELECT value FROM json_each(" });
    sql.ints(variants.iter().copied()).push(if postgres { ")" } else { "))" });
    let mut contents = Contents::default();
    for row in db.query_all_raw(sql.statement()).await? {
        let offer = Offer::read(&row, now)?;
        if let Some(position) = row.try_get("", "position")? {
            let (quantity, unit_price) = (row.try_get("", "quantity")?, row.try_get("", "unit_price")?);
            contents.lines.push(Line { variant_id: offer.variant, position, quantity, unit_price });
        }
        contents.offers.insert(offer.variant, offer);
    }
    contents.lines.sort_unstable_by_key(|line| (line.position, line.variant_id));
    Ok(contents)
}

/// Whoever has the word of a guest's cart may; a customer's is the customer's only.
fn reachable(sql: &mut Sql, caller: Caller) {
    match owner(caller) {
        Some(account) => sql.push(" AND (account_id IS NULL OR account_id = ").bind(account).push(")"),
        None => sql.push(" AND account_id IS NULL"),
    };
}

async fn one(db: &impl ConnectionTrait, sql: Sql) -> Result<Option<cart::Model>> {
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map(|row| cart::Model::from_query_result(&row, "")).transpose()?)
}
