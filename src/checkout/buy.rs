//! Buying: reserve, commit, talk to whoever moves the money, then settle. Nothing is held while others are talked to, and
//! wherever the process ends, what was begun comes to its end.

use chrono::TimeDelta;

use super::{
    purchase::{Basket, Purchase, Till},
    read::{Ready, read},
};
use crate::{
    base::{Error, Result, error::Code},
    cart,
    infra::{Batch, Claim, Makes, Tx},
    order::{Order, PaymentStatus, place},
    payment::{Answer, end, ledger, settle},
};

/// What came of a purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct Bought {
    /// The order's key.
    pub order: i64,
    /// The order, if it is as it was placed just now; otherwise it is to be read.
    pub placed: Option<Order>,
    /// Why its payment was refused, if it was: then the order has ended.
    pub refused: Option<String>,
}

/// An order that was placed, and the payment that somebody else has to answer for.
#[derive(Debug)]
struct Placed {
    order: i64,
    row: Option<Order>,
    asks: Option<i64>,
}

/// Buys. The same request again gives the order that was made of it.
///
/// # Errors
/// With everything that stands in its way; then nothing has changed.
pub async fn buy(till: &Till<'_>, purchase: Purchase) -> Result<Bought> {
    let placed = match again(till, &purchase).await {
        Err(why) if is_short(&why) => {
            // What is kept for payments that never came may be enough.
            let variants = wanted(till, &purchase).await?;
            if end::expire_all(till.db, Some(&variants)).await? == 0 {
                return Err(why);
            }
            again(till, &purchase).await?
        }
        outcome => outcome?,
    };
    let Some(payment) = placed.asks else {
        return Ok(Bought { order: placed.order, placed: placed.row, refused: None });
    };
    // From here on the order is kept: should this process end, the job that was stored with it asks in its place.
    let (_, answer) = settle::ask(till.db, till.providers, payment).await?;
    let refused = if let Answer::Refused { why } = answer { Some(why) } else { None };
    Ok(Bought { order: placed.order, placed: None, refused })
}

/// Places the order; once more when the database had to break a circle of waiting.
async fn again(till: &Till<'_>, purchase: &Purchase) -> Result<Placed> {
    till.db.write_with_retry(|| async |tx| once(tx, till, purchase.clone()).await).await
}

async fn once(tx: &Tx, till: &Till<'_>, mut purchase: Purchase) -> Result<Placed> {
    let key = match tx.claim(&purchase.once, Makes::New("customer_order")).await? {
        Claim::First(key) => key,
        Claim::Again(order) => return Ok(Placed { order, row: None, asks: None }),
    };
    let allowed = till.config.payment_methods.as_slice();
    let provider = till.providers.chosen(&purchase.provider, (allowed, "input.paymentMethod"))?;
    let Ready { mut order, cart, is_verified } = read(tx, till, key, &mut purchase).await?;
    // Of somebody whom nobody knows, money that people hand over is promised when staff say so.
    let is_promised = provider.is_local() && is_verified;
    if is_promised {
        order.payment = PaymentStatus::Authorised;
    } else {
        let life = if provider.is_local() { till.config.unconfirmed_lifetime } else { till.config.payment_lifetime };
        let life = TimeDelta::from_std(life).ok().filter(|life| !life.is_zero());
        order.expires_at = life.map(|life| tx.now() + life);
    }
    let mut batch = Batch::default();
    if let Some(cart) = cart {
        batch.add(cart::close(tx, cart, key));
    }
    let money = (provider.name(), order.total);
    if provider.is_local() {
        let reference = is_promised.then(|| format!("order-{key}"));
        batch.add_named(ledger::PAYMENT, ledger::insert(tx, key, money, reference.as_deref()));
        if let Some(reference) = &reference {
            batch.add(ledger::first_entry(tx, key, order.total, reference));
        }
    }
    let row = place::place(tx, &order, batch).await?;
    if provider.is_local() {
        return Ok(Placed { order: key, row: Some(row), asks: None });
    }
    let payment = ledger::open(tx, key, money).await?;
    tx.enqueue_at(settle::AskProvider { payment }, tx.now() + settle::ASKED_AGAIN).await?;
    Ok(Placed { order: key, row: None, asks: Some(payment) })
}

fn is_short(why: &Error) -> bool {
    let short = |code: Code| code == Code::InsufficientStock;
    match why {
        Error::User(problem) => short(problem.code),
        Error::Many(problems) => problems.iter().any(|problem| short(problem.code)),
        Error::RateLimited { .. } | Error::Fault(_) => false,
    }
}

async fn wanted(till: &Till<'_>, purchase: &Purchase) -> Result<Vec<i64>> {
    let word = match &purchase.basket {
        Basket::Items(items) => return Ok(items.iter().map(|(variant, _)| *variant).collect()),
        Basket::Cart(word) => word,
    };
    let Some(row) = cart::hold::find(till.db, word, till.caller).await? else { return Ok(Vec::new()) };
    Ok(cart::hold::lines(till.db, row.id).await?.iter().map(|line| line.variant_id).collect())
}
