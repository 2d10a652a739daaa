//! What somebody chose before they signed in comes into their own cart. Once, however often they ask.

use std::collections::HashMap;

use sea_orm::{ActiveModelTrait, ConnectionTrait, FromQueryResult, IntoActiveModel};

use super::{
    begin,
    entity::{
        Line,
        cart::{self, State},
    },
    hold::{Contents, Held, is_word, open},
    lines::{self, LINES},
};
use crate::{
    base::{Error, Result},
    infra::Tx,
    pricing::{Offer, offers, quote::MOST},
};

/// Brings a guest's cart into a customer's: quantities are summed, capped by what is left and by the limits. Without an
/// open cart of their own the guest's becomes theirs. One that was merged before is not merged again.
///
/// # Errors
/// When there is no such cart, or it has been ordered.
pub async fn merge(tx: &Tx, account: i64, word: &str) -> Result<Held> {
    let missing = || Error::not_found("id", "cart");
    if !is_word(word) {
        return Err(missing());
    }
    // First the account, then carts by their keys: two devices that merge at once wait for each other here.
    begin::hold_owner(tx, account).await?;
    let mut rows = both(tx, account, word).await?;
    let given = rows.iter().position(|row| row.word == word).ok_or_else(missing)?;
    let given = rows.remove(given);
    let own = rows.pop();
    if given.state == State::Merged {
        let row = match own {
            Some(own) => own,
            None => begin::mine(tx, account).await?,
        };
        return Held::read(tx, row).await;
    }
    open(&given)?;
    if given.account_id.is_some() {
        return Held::read(tx, given).await;
    }
    match own {
        None => claim(tx, given, account).await,
        Some(own) => join(tx, own, given).await,
    }
}

/// The cart of this word and the customer's open one, held in the order of their keys.
async fn both(tx: &Tx, account: i64, word: &str) -> Result<Vec<cart::Model>> {
    let mut sql = tx.sql();
    sql.push("SELECT * FROM cart WHERE word = ").bind(word).push(" AND (account_id IS NULL OR account_id = ");
    sql.bind(account).push(") OR state = 'open' AND account_id = ").bind(account).push(" ORDER BY id");
    if sql.postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| cart::Model::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

async fn claim(tx: &Tx, mut row: cart::Model, account: i64) -> Result<Held> {
    row.account_id = Some(account);
    let row = write(tx, row).await?;
    Held::read(tx, row).await
}

async fn join(tx: &Tx, mut own: cart::Model, mut guest: cart::Model) -> Result<Held> {
    let (mine, theirs) = lines_of(tx, own.id, guest.id).await?;
    let keys: Vec<i64> = mine.iter().chain(&theirs).map(|line| line.variant_id).collect();
    let offers = offers(tx, tx.now(), &keys).await?;
    let (lines, changed) = sum(&mine, &theirs, &offers);
    lines::write(tx, own.id, &changed).await?;
    // What the customer has said already counts more than what the guest said.
    own.email = own.email.or(guest.email.take());
    own.phone = own.phone.or(guest.phone.take());
    own.shipping_address = own.shipping_address.or(guest.shipping_address.take());
    own.billing_address = own.billing_address.or(guest.billing_address.take());
    own.shipping_method_id = own.shipping_method_id.or(guest.shipping_method_id.take());
    own.note = own.note.or(guest.note.take());
    let owner = own.account_id;
    let own = write(tx, own).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart_line WHERE cart_id = ").bind(guest.id);
    tx.execute_raw(sql.statement()).await?;
    let emptied = cart::Model {
        account_id: owner,
        state: State::Merged,
        email: None,
        phone: None,
        shipping_address: None,
        billing_address: None,
        shipping_method_id: None,
        note: None,
        ..guest
    };
    write(tx, emptied).await?;
    Ok(Held { row: own, contents: Contents { lines, offers } })
}

/// The lines of the customer's cart and of the guest's. One statement.
async fn lines_of(tx: &Tx, own: i64, guest: i64) -> Result<(Vec<Line>, Vec<Line>)> {
    let mut sql = tx.sql();
    sql.push("SELECT cart_id, variant_id, position, quantity, unit_price FROM cart_line WHERE ");
    sql.any("cart_id", [own, guest]).push(" ORDER BY position, variant_id");
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for row in &tx.query_all_raw(sql.statement()).await? {
        let of: i64 = row.try_get("", "cart_id")?;
        let line = Line::from_query_result(row, "")?;
        if of == own { mine.push(line) } else { theirs.push(line) }
    }
    Ok((mine, theirs))
}

/// The lines that come of two carts, and those of them that are to be written. Nothing that was chosen disappears: of
/// what is sold out by now one stays, and the cart tells of it. Pure.
fn sum(mine: &[Line], theirs: &[Line], offers: &HashMap<i64, Offer>) -> (Vec<Line>, Vec<Line>) {
    let mut lines = mine.to_vec();
    let mut changed = Vec::new();
    let mut next = mine.iter().map(|line| line.position).max().map_or(0, |last| last.saturating_add(1));
    for line in theirs {
        let left = offers.get(&line.variant_id).and_then(Offer::most).unwrap_or(MOST).min(MOST);
        if let Some(own) = lines.iter_mut().find(|own| own.variant_id == line.variant_id) {
            // What the customer had stays theirs, even if fewer are left.
            let quantity = own.quantity.max((own.quantity + line.quantity).min(left));
            if quantity != own.quantity {
                own.quantity = quantity;
                changed.push(*own);
            }
        } else if lines.len() < LINES {
            let line = Line { position: next, quantity: line.quantity.min(left).max(1), ..*line };
            next = next.saturating_add(1);
            lines.push(line);
            changed.push(line);
        }
    }
    (lines, changed)
}

async fn write(tx: &Tx, mut row: cart::Model) -> Result<cart::Model> {
    row.version += 1;
    row.updated_at = tx.now();
    Ok(row.into_active_model().reset_all().update(tx).await?)
}
