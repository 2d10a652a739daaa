//! Captures: money that was promised is taken, or let go. What is decided is stored before the provider is asked, and a job
//! asks again until the answer is known.

use serde::{Deserialize, Serialize};

use super::{
    Answer, Ask, Payment, PaymentState, Provider, Providers, entity, ledger, manual,
    settle::{self, ASKED_AGAIN, LetGo},
};
use crate::{
    base::{Error, Result, error::Code},
    infra::{
        Db, Tx,
        jobs::{Job, Outcome},
    },
    order::{
        Order, Status,
        advance::{self, Target},
        history,
        history::Told,
    },
};

/// Asks a provider for the money of a payment that is to be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The payment.
    pub payment: i64,
}

impl Job for Capture {
    const KIND: &'static str = "payment.capture";
    const QUEUE: &'static str = "payment";
}

/// Captures the money that was promised for an order. When the provider's answer is not known, the order is returned as it
/// is, and a job asks again.
///
/// # Errors
/// When there is none promised, or the provider refuses.
pub async fn capture(db: &Db, providers: &Providers, target: Target) -> Result<Order> {
    let (order, payment) = db.write_with_retry(|| async |tx| decide(tx, target).await).await?;
    if payment.capture_asked_at.is_none() {
        return Ok(order);
    }
    match ask(db, providers, payment.id).await? {
        (_, Some(Answer::Refused { why })) => Err(Error::user(Code::PaymentFailed, "id", why)),
        (order, _) => Ok(order),
    }
}

/// Writes down that a payment is to be captured, with the job that asks for it. Money that people hand over is captured at
/// once.
async fn decide(tx: &Tx, target: Target) -> Result<(Order, Payment)> {
    let order = advance::open(tx, target).await?;
    let payment = entity::of_order(tx, order.id).await?;
    let mut payment = payment.ok_or_else(|| Error::fault("taking money", "the order has no payment"))?;
    if payment.status == PaymentState::Captured {
        return Ok((order, payment));
    }
    check(&order, &payment)?;
    if payment.provider == manual::NAME {
        let reference = format!("capture-{}", payment.id);
        let order = settle::settle(tx, order.id, &Answer::Done { reference }).await?;
        return Ok((order, payment));
    }
    if payment.capture_asked_at.is_none() {
        payment.capture_asked_at = Some(tx.now());
        ledger::stand(tx, &payment).await?;
        tx.enqueue_at(Capture { payment: payment.id }, tx.now() + ASKED_AGAIN).await?;
    }
    Ok((order, payment))
}

fn check(order: &Order, payment: &Payment) -> Result<()> {
    let ended = [Status::Cancelled, Status::Refunded].contains(&order.status);
    let by_hand = payment.provider == manual::NAME && payment.status == PaymentState::Pending;
    if (payment.status == PaymentState::Authorised || by_hand) && !ended {
        return Ok(());
    }
    let message = "no money is promised for this order that could be taken";
    Err(Error::user(Code::IllegalTransition, "id", message))
}

/// Asks the provider, once more if need be, and does what follows. No answer where there is nothing to ask any more.
async fn ask(db: &Db, providers: &Providers, payment: i64) -> Result<(Order, Option<Answer>)> {
    let (order, payment) = open(db, payment).await?;
    if payment.status == PaymentState::Captured || payment.capture_asked_at.is_none() {
        return Ok((order, None));
    }
    let answer = capture_of(providers.of(&payment.provider)?.as_ref(), &order, &payment).await;
    let order = db.write_with_retry(|| async |tx| answered(tx, order.id, &answer).await).await?;
    Ok((order, Some(answer)))
}

async fn open(db: &Db, payment: i64) -> Result<(Order, Payment)> {
    let order = entity::order_of(db, payment).await?.ok_or_else(|| Error::not_found("id", "payment"))?;
    db.write(async |tx| settle::open(tx, order).await).await
}

async fn capture_of(provider: &dyn Provider, order: &Order, payment: &Payment) -> Answer {
    provider.capture(Ask { key: format!("capture-{}", payment.id), ..settle::ask_of(order, payment) }).await
}

/// What follows from an answer to a capture: a refusal ends the asking, and staff may decide anew.
async fn answered(tx: &Tx, order: i64, answer: &Answer) -> Result<Order> {
    let Answer::Refused { why } = answer else { return settle::settle(tx, order, answer).await };
    let (order, mut payment) = settle::open(tx, order).await?;
    if payment.status == PaymentState::Captured || payment.capture_asked_at.is_none() {
        return Ok(order);
    }
    payment.capture_asked_at = None;
    ledger::stand(tx, &payment).await?;
    let note = format!("the capture was refused: {why}");
    history::tell(tx, order.id, Told::Payment, (Some(&note), false)).await?;
    advance::store(tx, order).await
}

/// The same, as a job: until there is an answer, or none is needed any more.
pub async fn work(db: &Db, providers: &Providers, job: Capture) -> Outcome {
    match ask(db, providers, job.payment).await {
        Ok((_, Some(Answer::Unknown { why }))) => Outcome::Retry(why),
        Ok((_, Some(Answer::Later { .. }))) => Outcome::Retry("the provider has not taken the money yet".into()),
        Ok(_) => Outcome::Done,
        Err(why) => Outcome::from(Err(why)),
    }
}

/// Tells the provider to let go of what was promised, as a job. A provider that refuses has taken the money, or is about to:
/// it is asked how the payment stands, and what it took for an order that has ended is refunded.
pub async fn let_go(db: &Db, providers: &Providers, job: LetGo) -> Outcome {
    match void(db, providers, job.payment).await {
        Ok(Answer::Unknown { why }) => Outcome::Retry(why),
        Ok(Answer::Later { .. } | Answer::Authorised { .. }) => {
            Outcome::Retry("the provider has not let go of the money yet".into())
        }
        Ok(Answer::Refused { why }) => Outcome::Fail(why),
        Ok(Answer::Done { .. }) => Outcome::Done,
        Err(why) => Outcome::from(Err(why)),
    }
}

async fn void(db: &Db, providers: &Providers, payment: i64) -> Result<Answer> {
    let (order, payment) = open(db, payment).await?;
    if payment.status == PaymentState::Captured {
        return Ok(Answer::Done { reference: format!("void-{}", payment.id) });
    }
    let provider = providers.of(&payment.provider)?;
    let answer = provider.void(Ask { key: format!("void-{}", payment.id), ..settle::ask_of(&order, &payment) }).await;
    if !matches!(answer, Answer::Refused { .. }) {
        return Ok(answer);
    }
    // The same keys as before: asking again moves no money again.
    let state = if payment.capture_asked_at.is_some() {
        capture_of(provider.as_ref(), &order, &payment).await
    } else {
        provider.authorise(settle::ask_of(&order, &payment)).await
    };
    if matches!(state, Answer::Done { .. }) {
        db.write_with_retry(|| async |tx| settle::settle(tx, order.id, &state).await).await?;
    }
    Ok(state)
}
