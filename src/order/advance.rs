//! Bringing an order further: its status, its history, and what the world hears of it, in one place.

use sea_orm::ConnectionTrait;

use super::{
    Order, OrderStatusChanged, PaymentStatus, find, history,
    history::Told,
    lifecycle::{FulfilmentStatus, Step},
};
use crate::{
    base::{Error, Result, error::Code},
    customer::{Reach, reach},
    infra::Tx,
};

/// The longest note. Characters.
pub const NOTE_LIMIT: usize = 1000;

/// An order that somebody is about to change.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Which.
    pub order: i64,
    /// Whose orders its caller reaches.
    pub reach: Reach,
    /// The version that its caller has seen.
    pub expected: Option<i32>,
}

/// Holds it.
///
/// # Errors
/// When it is not there, out of reach, or has been changed since its caller looked.
pub async fn open(tx: &Tx, target: Target) -> Result<Order> {
    let order = find::hold(tx, target.order, target.reach).await?;
    reach::expect(order.version, target.expected)?;
    Ok(order)
}

/// Takes a step with an order that is held.
///
/// # Errors
/// When it cannot be taken from where the order stands.
pub async fn go(tx: &Tx, mut order: Order, step: Step, note: Option<&str>) -> Result<Order> {
    let to = order.status.take(step, order.payment_status)?;
    let from = std::mem::replace(&mut order.status, to);
    order.expires_at = None;
    let order = store(tx, order).await?;
    if from != to {
        history::tell(tx, order.id, Told::Went(from, to), (note, true)).await?;
        tx.emit(OrderStatusChanged { order: order.id, from, to }).await?;
    }
    Ok(order)
}

/// Writes what changes of an order in its life, as its next version.
///
/// # Errors
/// When the database refuses.
pub async fn store(tx: &Tx, mut order: Order) -> Result<Order> {
    order.version += 1;
    order.updated_at = tx.now();
    let mut sql = tx.sql();
    sql.push("UPDATE customer_order SET status = ").bind(order.status.stored()).push(", payment_status = ");
    sql.bind(order.payment_status.stored()).push(", fulfilment_status = ").bind(order.fulfilment_status.stored());
    sql.push(", expires_at = ").bind(order.expires_at).push(", version = ").bind(order.version);
    sql.push(", updated_at = ").bind(order.updated_at).push(" WHERE id = ").bind(order.id);
    tx.execute_raw(sql.statement()).await?;
    Ok(order)
}

/// The shop takes the order on.
///
/// # Errors
/// When it is not there, nobody has promised its money, or it stands elsewhere.
pub async fn confirm(tx: &Tx, target: Target) -> Result<Order> {
    let order = open(tx, target).await?;
    if order.status.after(Step::Confirm, order.payment_status).is_some()
        && order.payment_status == PaymentStatus::Pending
    {
        let message = "nobody has paid or promised to pay for it yet; it can: cancel";
        return Err(Error::user(Code::IllegalTransition, "id", message));
    }
    go(tx, order, Step::Confirm, None).await
}

/// The order has arrived.
///
/// # Errors
/// When it is not there, or not on its way.
pub async fn deliver(tx: &Tx, target: Target) -> Result<Order> {
    let order = open(tx, target).await?;
    let order = go(tx, order, Step::Deliver, None).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE fulfilment SET delivered_at = ").bind(tx.now()).push(", updated_at = ").bind(tx.now());
    sql.push(" WHERE delivered_at IS NULL AND order_id = ").bind(order.id);
    tx.execute_raw(sql.statement()).await?;
    Ok(order)
}

/// Writes a note into the order's history, for the staff or for the buyer too.
///
/// # Errors
/// When it is not there, or the note is empty or too long.
pub async fn note(tx: &Tx, target: Target, (text, public): (&str, bool)) -> Result<Order> {
    let text = check_note(text, "input.note")?;
    if text.is_empty() {
        return Err(Error::bad_input("input.note", "there is nothing to write down"));
    }
    let order = open(tx, target).await?;
    history::tell(tx, order.id, Told::Note, (Some(&text), public)).await?;
    store(tx, order).await
}

/// A text of people's own, of a length that can be kept.
///
/// # Errors
/// When it is too long, or holds what no text holds.
pub fn check_note(text: &str, field: &str) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length > NOTE_LIMIT {
        let message = format!("this has {length} characters; at most {NOTE_LIMIT} will do");
        return Err(Error::bad_input(field, message));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Error::bad_input(field, "this holds control characters"));
    }
    Ok(text.to_owned())
}

/// How much of an order is on its way, by its lines.
#[must_use]
pub fn fulfilment(lines: &[super::Line]) -> FulfilmentStatus {
    if lines.iter().all(|line| line.fulfilled == 0) {
        FulfilmentStatus::Unfulfilled
    } else if lines.iter().all(|line| line.unsent() == 0) {
        FulfilmentStatus::Fulfilled
    } else {
        FulfilmentStatus::Partial
    }
}
