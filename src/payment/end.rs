//! The end of orders and their money: cancellation, of all or of units that were not shipped, and expiry.

use chrono::{DateTime, Utc};

use super::{
    Answer, PaymentState, Providers, entity, ledger, manual,
    refund::{self, NewRefund, RefundLine},
    settle::{self, LetGo},
};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
    },
    cart,
    infra::{Db, Tx},
    order::{
        Line, Order, Status,
        advance::{self, Target},
        cancel, find,
        lifecycle::Step,
    },
};

/// What is to be canceled of an order, by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelRequest {
    /// Why, for the buyer to read.
    pub reason: Option<String>,
    /// Units that were not shipped, by line; `None` for the whole order.
    pub lines: Option<Vec<(i64, i64)>>,
    /// Shipped units that came back into stock, by line. `None` while no parcel of the order has come back.
    pub restock: Option<Vec<(i64, i64)>>,
    /// Whether staff ask: buyers cancel a whole order of which nothing was shipped.
    pub is_staff: bool,
}

/// Cancels an order, or units of it that were not shipped: their stock is free, and money that was taken goes back.
///
/// # Errors
/// When it is not there, it is too late, or there are fewer such units.
pub async fn cancel(tx: &Tx, target: Target, request: CancelRequest) -> Result<Order> {
    let order = advance::open(tx, target).await?;
    let CancelRequest { reason, lines, restock, is_staff } = request;
    if !is_staff && (lines.is_some() || restock.is_some()) {
        return Err(Error::user(Code::Forbidden, "input", "units of an order are canceled by staff"));
    }
    if let Some(lines) = lines {
        if restock.is_some() {
            let message = "units come back when a whole order is canceled, or are refunded";
            return Err(Error::bad_input("input.restock", message));
        }
        return cancel_units(tx, order, (&lines, reason)).await;
    }
    let can_cancel = order.status.after(Step::Cancel, order.payment_status).is_some();
    if can_cancel && restock.is_none() && !order.status.is_cancellable_by_buyer() {
        let message = "a part of it has been shipped; when the parcel has come back, staff cancel it with `restock`";
        return Err(Error::user(Code::IllegalTransition, "id", message));
    }
    let line = |(line, units): &(i64, i64)| RefundLine {
        line: *line,
        fulfilled: *units,
        restock: true,
        ..RefundLine::default()
    };
    let returned: Vec<_> = restock.iter().flatten().map(line).collect();
    let returned =
        refund::check_lines(&find::lines_of(tx, order.id).await?, &returned).map_err(|why| moved(why, "restock"))?;
    order.status.take(Step::Cancel, order.payment_status)?;
    let order = match entity::of_order(tx, order.id).await? {
        Some(payment) if !returned.is_empty() => {
            let new = NewRefund { lines: returned, reason: reason.clone(), ..NewRefund::default() };
            refund::begin(tx, order, payment, new).await?.0
        }
        _ => order,
    };
    let order = cancel::cancel(tx, order, reason.as_deref()).await?;
    money(tx, order).await
}

/// Cancels units that were not shipped of an order whose money is not captured: less of it will be.
async fn cancel_units(tx: &Tx, order: Order, (wanted, reason): (&[(i64, i64)], Option<String>)) -> Result<Order> {
    let there = find::lines_of(tx, order.id).await?;
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(line, units)| RefundLine { line: *line, unfulfilled: *units, ..RefundLine::default() })
        .collect();
    let lines = refund::check_lines(&there, &wanted).map_err(|why| moved(why, "lines"))?;
    let payment = entity::of_order(tx, order.id).await?;
    let mut payment = payment.ok_or_else(|| Error::fault("canceling units", "the order has no payment"))?;
    if payment.status == PaymentState::Captured {
        let message = "the order is paid; refund the units with orderRefund, which cancels them";
        return Err(Error::user(Code::IllegalTransition, "id", message));
    }
    order.status.take(Step::Cancel, order.payment_status)?;
    let left: i64 = there.iter().map(Line::unsent).sum();
    let units: i64 = lines.iter().map(|one| one.unfulfilled).sum();
    if left == units && there.iter().all(|line| line.fulfilled == 0) {
        let order = cancel::cancel(tx, order, reason.as_deref()).await?;
        return money(tx, order).await;
    }
    let is_paying = payment.status == PaymentState::Pending && payment.provider != manual::NAME;
    if is_paying || payment.capture_asked_at.is_some() {
        return Err(Error::user(Code::IllegalTransition, "id", "its payment is under way; try again when it has come"));
    }
    let share = |one: &RefundLine| {
        there.iter().find(|line| line.id == one.line).map_or(0, |line| line.refund_share(one.unfulfilled))
    };
    payment.amount -= lines.iter().map(share).sum::<i64>();
    ledger::stand(tx, &payment).await?;
    refund::begin(tx, order, payment, NewRefund { lines, reason, ..NewRefund::default() }).await.map(|(order, _)| order)
}

/// Names the input's own field in problems of lines.
fn moved(why: Error, list: &str) -> Error {
    let moved = |mut problem: Problem| {
        if let [_, place, .., last] = problem.field.as_mut_slice() {
            list.clone_into(place);
            if last.starts_with("quantity") {
                "quantity".clone_into(last);
            }
        }
        problem
    };
    match why {
        Error::Many(problems) => Error::Many(problems.into_iter().map(moved).collect()),
        Error::User(problem) => Error::User(moved(problem)),
        other @ (Error::RateLimited { .. } | Error::Fault(_)) => other,
    }
}

/// Confirms an order. An order that is paid by hand and whose buyer nobody knows waits for this: staff vouch for it.
///
/// # Errors
/// When it is not there, nobody has promised its money, or it stands elsewhere.
pub async fn confirm(tx: &Tx, providers: &Providers, target: Target) -> Result<Order> {
    let order = advance::open(tx, target).await?;
    let payment = entity::of_order(tx, order.id).await?;
    let waits = payment.filter(|payment| payment.status == PaymentState::Pending && order.status == Status::Pending);
    if let Some(payment) = waits
        && providers.of(&payment.provider)?.is_local()
    {
        let reference = format!("order-{}", order.id);
        return settle::settle(tx, order.id, &Answer::Authorised { reference }).await;
    }
    advance::confirm(tx, target).await
}

/// Cancels an order whose money has not come in time, unless it has come meanwhile; its cart can be ordered again.
///
/// # Errors
/// When the database refuses.
pub async fn expire(tx: &Tx, order: i64, now: DateTime<Utc>) -> Result<bool> {
    let (order, payment) = settle::open(tx, order).await?;
    if order.status != Status::Pending || order.expires_at.is_none_or(|at| at > now) {
        return Ok(false);
    }
    let reason = if payment.provider == manual::NAME {
        "the shop did not confirm the order in time"
    } else {
        "the payment did not come in time"
    };
    let order = cancel::cancel(tx, order, Some(reason)).await?;
    let order = money(tx, order).await?;
    cart::reopen(tx, order.id).await?;
    Ok(true)
}

/// Cancels all orders whose money has not come in time; or only those that keep something of these variants. Says how
/// many.
///
/// # Errors
/// When the database refuses.
pub async fn expire_all(db: &Db, variants: Option<&[i64]>) -> Result<u64> {
    let (now, mut ended, mut after) = (db.now(), 0, None);
    loop {
        let batch = cancel::overdue(db, now, (variants, after)).await?;
        for (_, order) in &batch {
            // Each by itself: one that cannot be ended keeps no other from it.
            match db.write_with_retry(|| async |tx| expire(tx, *order, now).await).await {
                Ok(true) => ended += 1,
                Ok(false) => {}
                Err(why) => tracing::warn!(order, error = why.log(), "an order could not be ended"),
            }
        }
        after = batch.last().copied();
        if batch.len() < cancel::BATCH {
            return Ok(ended);
        }
    }
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
            let (order, _) =
                refund::begin(tx, order, payment, NewRefund { amount, reason, ..NewRefund::default() }).await?;
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
