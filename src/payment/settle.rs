//! What follows from a provider's answer, whenever and however often it comes: right after the order was placed, after
//! the process was killed in between, or long after the order has ended.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Ask, Payment, PaymentState, Providers, entity, ledger,
    refund::{self, NewRefund},
};
use crate::{
    base::{Error, Result},
    cart,
    customer::Reach,
    infra::{
        Db, Tx,
        jobs::{Job, Outcome},
    },
    inventory::hold,
    order::{Order, PaymentStatus, Status, advance, cancel, find, history, history::Told, lifecycle::Step},
};

/// So long after an order was placed its provider is asked again, should nobody have heard the answer.
pub const ASKED_AGAIN: TimeDelta = TimeDelta::seconds(30);
/// The longest pause before a provider is asked again about a payment that its buyer has not made yet.
const ASKED_AT_LEAST: TimeDelta = TimeDelta::hours(1);

/// Asks a payment's provider (again), and does what follows from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskProvider {
    /// The payment.
    pub payment: i64,
}

impl Job for AskProvider {
    const KIND: &'static str = "payment.ask";
    const QUEUE: &'static str = "payment";
}

/// Tells a provider to let go of what was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetGo {
    /// The payment.
    pub payment: i64,
}

impl Job for LetGo {
    const KIND: &'static str = "payment.void";
    const QUEUE: &'static str = "payment";
}

/// Asks a payment's provider, and does what follows. The provider moves money once, however often it is asked.
///
/// # Errors
/// When the payment is not there, or the database refuses.
pub async fn ask(db: &Db, providers: &Providers, payment: i64) -> Result<(Order, Answer)> {
    let order = entity::order_of(db, payment).await?;
    let order = order.ok_or_else(|| Error::not_found("id", "payment"))?;
    let (order, payment) = db.write(async |tx| open(tx, order).await).await?;
    let provider = providers.of(&payment.provider)?;
    let answer = provider.authorise(ask_of(&order, &payment)).await;
    let order = db.write_with_retry(|| async |tx| settle(tx, order.id, &answer).await).await?;
    Ok((order, answer))
}

/// The same, as a job: until there is an answer, or none is needed any more.
pub async fn work(db: &Db, providers: &Providers, job: AskProvider) -> Outcome {
    let waits = async {
        let Some(order) = entity::order_of(db, job.payment).await? else { return Ok(false) };
        let found = entity::of_orders(db, &[order]).await?;
        let waits = found.get(&order).and_then(|list| list.last()).map(|one| one.status == PaymentState::Pending);
        Ok::<_, Error>(waits == Some(true))
    };
    match waits.await {
        Ok(false) => return Outcome::Done,
        Ok(true) => {}
        Err(why) => return Outcome::from(Err(why)),
    }
    match ask(db, providers, job.payment).await {
        Ok((_, Answer::Unknown { why })) => Outcome::Retry(why),
        Ok((order, Answer::Later { .. })) => Outcome::from(ask_later(db, &order, job).await),
        Ok(_) => Outcome::Done,
        Err(why) => Outcome::from(Err(why)),
    }
}

/// Has the provider asked again whether the buyer has paid, as long as the order waits: less and less often.
async fn ask_later(db: &Db, order: &Order, job: AskProvider) -> Result<()> {
    let pause = ((db.now() - order.placed_at) / 2).clamp(ASKED_AGAIN, ASKED_AT_LEAST);
    db.write(async |tx| tx.enqueue_at(job, tx.now() + pause).await).await
}

/// What is asked of the provider of an order's payment.
#[must_use]
pub fn ask_of(order: &Order, payment: &Payment) -> Ask {
    Ask {
        key: format!("payment-{}", payment.id),
        reference: payment.reference.clone(),
        order: order.number.clone(),
        amount: payment.amount,
        currency: order.currency.clone(),
        phone: order.phone.clone(),
        email: order.email.clone(),
    }
}

/// An order, held, and its payment.
///
/// # Errors
/// When either is not there.
pub async fn open(tx: &Tx, order: i64) -> Result<(Order, Payment)> {
    let order = find::hold(tx, order, Reach::All).await?;
    let payment = entity::of_order(tx, order.id).await?;
    Ok((order, payment.ok_or_else(|| Error::fault("settling a payment", "it is not there"))?))
}

/// Does what follows from an answer. The same answer twice is the same as once.
///
/// # Errors
/// When the database refuses.
pub async fn settle(tx: &Tx, order: i64, answer: &Answer) -> Result<Order> {
    let (order, mut payment) = open(tx, order).await?;
    match answer {
        Answer::Unknown { .. } => return Ok(order),
        Answer::Later { reference, action_url } => {
            if payment.status != PaymentState::Pending {
                return Ok(order);
            }
            payment.reference = reference.clone().or(payment.reference);
            payment.action_url.clone_from(action_url);
            ledger::stand(tx, &payment).await?;
            return Ok(order);
        }
        Answer::Refused { why } => return refuse(tx, order, payment, why).await,
        Answer::Authorised { reference } => {
            if !ledger::enter(tx, payment.id, ("authorise", payment.amount), reference).await? {
                return Ok(order);
            }
            payment.reference = Some(reference.clone());
            if payment.status == PaymentState::Pending {
                payment.status = PaymentState::Authorised;
            }
            payment.action_url = None;
            ledger::stand(tx, &payment).await?;
        }
        Answer::Done { reference } => {
            payment.reference.get_or_insert_with(|| reference.clone());
            payment.action_url = None;
            payment.error = None;
            ledger::stand(tx, &payment).await?;
            if !ledger::enter(tx, payment.id, ("capture", payment.amount), reference).await? {
                return Ok(order);
            }
        }
    }
    let payment = entity::of_order(tx, order.id).await?.unwrap_or(payment);
    accept(tx, order, payment).await
}

/// The money is promised or there: the order goes on, if it still can. Money that came for an order that has ended goes
/// back.
async fn accept(tx: &Tx, order: Order, payment: Payment) -> Result<Order> {
    if order.status == Status::Cancelled {
        if payment.status == PaymentState::Captured {
            let reason = Some("the payment came after the order had ended".to_owned());
            let new = NewRefund { amount: payment.captured, reason, ..NewRefund::default() };
            return refund::begin(tx, order, payment, new).await.map(|(order, _)| order);
        }
        tx.enqueue(LetGo { payment: payment.id }).await?;
        return Ok(order);
    }
    let lines: Vec<i64> = find::lines_of(tx, order.id).await?.iter().map(|line| line.id).collect();
    hold::keep(tx, &lines).await?;
    let captured = payment.status == PaymentState::Captured;
    history::tell(tx, order.id, Told::Payment, (Some(if captured { "paid" } else { "promised" }), true)).await?;
    let order = Order { payment_status: ledger::status(Some(&payment)), expires_at: None, ..order };
    if order.status == Status::Pending {
        return advance::go(tx, order, Step::Confirm, None).await;
    }
    advance::store(tx, order).await
}

/// The money will not come: an order that waited for it ends.
async fn refuse(tx: &Tx, order: Order, mut payment: Payment, why: &str) -> Result<Order> {
    if payment.status != PaymentState::Pending {
        return Ok(order);
    }
    payment.status = PaymentState::Failed;
    payment.error = Some(why.chars().take(500).collect());
    payment.action_url = None;
    ledger::stand(tx, &payment).await?;
    ledger::enter(tx, payment.id, ("fail", 0), &format!("payment-{}", payment.id)).await?;
    if order.status == Status::Pending {
        let order = Order { payment_status: PaymentStatus::Voided, ..order };
        let order = cancel::cancel(tx, order, Some("the payment was refused")).await?;
        cart::reopen(tx, order.id).await?;
        return Ok(order);
    }
    Ok(order)
}
