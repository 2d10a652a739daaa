//! Status transitions of orders: status, history and event in one place.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    OrderRow, OrderStatusChanged, OrderUpdated, PaymentStatus,
    entity::orders,
    fulfillment, history,
    history::OrderHistoryEvent,
    queries,
    state_machine::{FulfillmentStatus, OrderAction},
};
use crate::{
    base::{Error, Result, VersionedTarget, error::PublicErrorCode, validation::validate_note},
    customer::OwnerScope,
    infra::{Db, Tx, outbox::EventBatch},
};

/// Order to change, with the access scope of the caller.
pub type OrderTarget = VersionedTarget<i64, OwnerScope>;

/// Locks and returns the order.
///
/// # Errors
/// Returns `NotFound` if it does not exist or is outside the access scope, `VersionConflict` if the version differs.
pub async fn lock_target_order(tx: &Tx, target: OrderTarget) -> Result<OrderRow> {
    let order = queries::lock_order(tx, target.id, target.scope).await?;
    target.check_version(order.version)?;
    Ok(order)
}

/// Applies an action to a locked order: updates the status, adds a history entry and emits `OrderStatusChanged` and
/// `OrderUpdated`.
///
/// # Errors
/// Returns `IllegalTransition` if the action is not allowed.
pub async fn transition_order(
    tx: &Tx,
    mut order: OrderRow,
    action: OrderAction,
    note: Option<&str>,
) -> Result<OrderRow> {
    let to = order.status.apply(action, order.payment_status)?;
    let from = std::mem::replace(&mut order.status, to);
    order.expires_at = None;
    let order = write_order(tx, order).await?;
    let mut events = EventBatch::default();
    if from != to {
        let event = OrderHistoryEvent::StatusChanged(from, to);
        history::record_history_event(tx, order.id, event, history::OrderNote::public(note)).await?;
        events.add(&OrderStatusChanged { order: order.id, from, to })?;
    }
    events.add(&OrderUpdated { order: order.id, account: order.account_id })?;
    tx.emit_batch(events).await?;
    Ok(order)
}

/// Updates the mutable columns of an order, increments its version and emits `OrderUpdated`. Statements: 2.
pub async fn update_order(tx: &Tx, order: OrderRow) -> Result<OrderRow> {
    let order = write_order(tx, order).await?;
    tx.emit_event(OrderUpdated { order: order.id, account: order.account_id }).await?;
    Ok(order)
}

async fn write_order(tx: &Tx, mut order: OrderRow) -> Result<OrderRow> {
    order.version += 1;
    order.updated_at = tx.now();
    let changes = orders::ActiveModel {
        status: Set(order.status),
        payment_status: Set(order.payment_status),
        fulfillment_status: Set(order.fulfillment_status),
        expires_at: Set(order.expires_at),
        version: Set(order.version),
        updated_at: Set(order.updated_at),
        ..Default::default()
    };
    orders::Entity::update_many().set(changes).filter(orders::Column::Id.eq(order.id)).exec(tx).await?;
    Ok(order)
}

/// Removes the reference of an order to its cart, which can then be ordered on its own.
pub async fn detach_cart(tx: &Tx, order_id: i64) -> Result<()> {
    let changes = orders::ActiveModel { cart_id: Set(None), ..Default::default() };
    orders::Entity::update_many().set(changes).filter(orders::Column::Id.eq(order_id)).exec(tx).await?;
    Ok(())
}

/// Confirms an order.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `VersionConflict` if the version differs, `IllegalTransition` if it is not
/// pending or its payment is not authorized.
pub async fn confirm_order(tx: &Tx, target: OrderTarget) -> Result<OrderRow> {
    let order = lock_target_order(tx, target).await?;
    if order.status.next_status(OrderAction::Confirm, order.payment_status).is_some()
        && order.payment_status == PaymentStatus::Pending
    {
        let message = "nobody has paid or promised to pay for it yet; it can: cancel";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    transition_order(tx, order, OrderAction::Confirm, None).await
}

/// Marks an order and its fulfillments as delivered.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `VersionConflict` if the version differs, `IllegalTransition` if it is not
/// shipped.
pub async fn deliver_order(db: &Db, target: OrderTarget) -> Result<OrderRow> {
    db.write_with_retry(async |tx| {
        let order = lock_target_order(tx, target).await?;
        let order = transition_order(tx, order, OrderAction::Deliver, None).await?;
        fulfillment::mark_fulfillments_delivered(tx, order.id).await?;
        Ok(order)
    })
    .await
}

/// Adds a note to the order's history, visible to staff only or also to the buyer.
///
/// # Errors
/// Returns `NotFound` if the order does not exist, `VersionConflict` if the version differs, `BadUserInput` if the note
/// is empty or too long.
pub async fn add_order_note(db: &Db, target: OrderTarget, text: &str, is_public: bool) -> Result<OrderRow> {
    let text = validate_note(text, "input.note")?;
    if text.is_empty() {
        return Err(Error::bad_input("input.note", "there is nothing to write down"));
    }
    db.write_with_retry(async |tx| {
        let order = lock_target_order(tx, target).await?;
        let note = history::OrderNote { text: Some(&text), is_public };
        history::record_history_event(tx, order.id, OrderHistoryEvent::Note, note).await?;
        update_order(tx, order).await
    })
    .await
}

/// Derives the fulfillment status of an order from its lines.
#[must_use]
pub fn derive_fulfillment_status(lines: &[super::OrderLineRow]) -> FulfillmentStatus {
    if lines.iter().all(|line| line.quantity_fulfilled == 0) {
        FulfillmentStatus::Unfulfilled
    } else if lines.iter().all(|line| line.unshipped_quantity() == 0) {
        FulfillmentStatus::Fulfilled
    } else {
        FulfillmentStatus::Partial
    }
}
