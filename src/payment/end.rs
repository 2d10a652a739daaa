//! Money of an order that ends, and money that is taken of one that goes on.

use super::{
    Answer, Ask, Payment, PaymentState, Providers, entity, ledger,
    refund::{self, NewRefund},
    settle::{self, LetGo},
};
use crate::{
    base::{Error, Result, error::Code},
    infra::{Db, Tx, jobs::Outcome},
    order::{
        Order, Status,
        advance::{self, Target},
        cancel,
    },
};
use chrono::{DateTime, Utc};

/// Cancels an order: what was promised is free, what was taken goes back.
///
/// # Errors
/// When it is not there, or it is too late.
pub async fn cancel(tx: &Tx, target: Target, reason: Option<&str>) -> Result<Order> {
    let order = advance::open(tx, target).await?;
    let order = cancel::cancel(tx, order, reason).await?;
    money(tx, order).await
}

/// Cancels an order whose money has not come in time, unless it has come meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn expire(tx: &Tx, order: i64, now: DateTime<Utc>) -> Result<bool> {
    let (order, _) = settle::open(tx, order).await?;
    if order.status != Status::Pending || order.expires_at.is_none_or(|at| at > now) {
        return Ok(false);
    }
    let order = cancel::cancel(tx, order, Some("the payment did not come in time")).await?;
    money(tx, order).await?;
    Ok(true)
}

/// Cancels all orders whose money has not come in time; or only those that keep something of these variants. Says how
/// many.
///
/// # Errors
/// When the database refuses.
pub async fn expire_all(db: &Db, variants: Option<&[i64]>) -> Result<u64> {
    let mut ended = 0;
    let now = db.now();
    for order in cancel::overdue(db, now, variants).await? {
        // Each by itself: one that cannot be ended keeps no other from it.
        let outcome = db.write_with_retry(|| async |tx| expire(tx, order, now).await).await;
        match outcome {
            Ok(true) => ended += 1,
            Ok(false) => {}
            Err(why) => tracing::warn!(order, error = why.log(), "an order could not be ended"),
        }
    }
    Ok(ended)
}

/// The money of an order that was just cancelled.
async fn money(tx: &Tx, order: Order) -> Result<Order> {
    let Some(mut payment) = entity::of_order(tx, order.id).await? else { return Ok(order) };
    match payment.status {
        PaymentState::Captured => {
            let amount = ledger::left(tx, &payment).await?;
            if amount == 0 {
                return Ok(order);
            }
            let reason = Some("the order was cancelled".to_owned());
            let (order, _) = refund::begin(tx, order, payment, NewRefund { amount, reason, lines: vec![] }).await?;
            Ok(order)
        }
        PaymentState::Pending | PaymentState::Authorised => {
            payment.status = PaymentState::Voided;
            payment.action_url = None;
            ledger::stand(tx, &payment).await?;
            ledger::enter(tx, payment.id, ("void", 0), &format!("void-{}", payment.id)).await?;
            tx.enqueue(LetGo { payment: payment.id }).await?;
            Ok(order)
        }
        PaymentState::Failed | PaymentState::Voided => Ok(order),
    }
}

/// Tells the provider to let go, as a job.
pub async fn let_go(db: &Db, providers: &Providers, job: LetGo) -> Outcome {
    let answer = async {
        let Some(order) = entity::order_of(db, job.payment).await? else { return Ok(None) };
        let (order, payment) = db.write(async |tx| settle::open(tx, order).await).await?;
        let ask = Ask { key: format!("void-{}", payment.id), ..settle::ask_of(&order, &payment) };
        Ok::<_, Error>(Some(providers.of(&payment.provider)?.void(ask).await))
    };
    match answer.await {
        Ok(Some(Answer::Unknown { why })) => Outcome::Retry(why),
        Ok(Some(Answer::Refused { why })) => Outcome::Fail(why),
        Ok(_) => Outcome::Done,
        Err(why) => Outcome::from(Err(why)),
    }
}

/// Takes the money that was promised for an order: from the provider, or out of the hand that held it out.
///
/// # Errors
/// When there is none promised, or the provider refuses.
pub async fn capture(db: &Db, providers: &Providers, target: Target) -> Result<Order> {
    let (order, payment) = db
        .write(async |tx| {
            let order = advance::open(tx, target).await?;
            let payment = entity::of_order(tx, order.id).await?;
            let payment = payment.ok_or_else(|| Error::fault("taking money", "the order has no payment"))?;
            Ok((order, payment))
        })
        .await?;
    if payment.status == PaymentState::Captured {
        return Ok(order);
    }
    check(&order, &payment)?;
    let ask = Ask { key: format!("capture-{}", payment.id), ..settle::ask_of(&order, &payment) };
    match providers.of(&payment.provider)?.capture(ask).await {
        Answer::Refused { why } => Err(Error::user(Code::PaymentFailed, "id", why)),
        answer => db.write_with_retry(|| async |tx| settle::settle(tx, order.id, &answer).await).await,
    }
}

fn check(order: &Order, payment: &Payment) -> Result<()> {
    let ended = [Status::Cancelled, Status::Refunded].contains(&order.status);
    if payment.status == PaymentState::Authorised && !ended {
        return Ok(());
    }
    let message = "no money is promised for this order that could be taken";
    Err(Error::user(Code::IllegalTransition, "id", message))
}
