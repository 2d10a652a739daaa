//! Rows and writes of refunds.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};

pub use super::entity::refund::Model as RefundRow;
use super::{
    entity::{
        Payment, RefundStatus,
        refund::{self, Column},
        refund_line,
    },
    events::OrderUnitsCanceled,
};
use crate::{base::Result, infra::Tx};

/// Refunded units of an order line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefundLine {
    /// Id of the order line.
    pub line_id: i64,
    /// Number of shipped units.
    pub fulfilled: i64,
    /// Number of unshipped units; they are canceled.
    pub unfulfilled: i64,
    /// Whether the shipped units were returned and are restocked.
    pub restock: bool,
}

impl RefundLine {
    /// Returns the number of refunded units.
    #[must_use]
    pub const fn quantity(&self) -> i64 {
        self.fulfilled + self.unfulfilled
    }

    /// Returns the number of units that are restocked.
    #[must_use]
    pub const fn returned(&self) -> i64 {
        if self.restock { self.fulfilled } else { 0 }
    }
}

/// A validated refund with its final amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRefund {
    /// Amount in minor units; 0 refunds lines without a payment.
    pub amount: i64,
    /// Part of the amount that refunds shipping, in minor units.
    pub shipping: i64,
    /// Refunded lines.
    pub lines: Vec<RefundLine>,
    /// Reason.
    pub reason: Option<String>,
}

/// Inserts a refund of a payment with its lines; returns its id. One without an amount is done at once.
pub async fn insert_refund(tx: &Tx, payment: &Payment, new_refund: &NewRefund) -> Result<i64> {
    let NewRefund { amount, shipping, lines, reason } = new_refund;
    let status = if *amount == 0 { RefundStatus::Succeeded } else { RefundStatus::Pending };
    let row = refund::ActiveModel {
        order_id: Set(payment.order_id),
        payment_id: Set(payment.id),
        amount: Set(*amount),
        shipping: Set(*shipping),
        status: Set(status),
        reason: Set(reason.clone()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let refund_id = row.insert(tx).await?.id;
    let to_row = |refund_line: &RefundLine| refund_line::ActiveModel {
        refund_id: Set(refund_id),
        order_line_id: Set(refund_line.line_id),
        quantity: Set(refund_line.quantity()),
        quantity_canceled: Set(refund_line.unfulfilled),
        quantity_returned: Set(refund_line.returned()),
    };
    tx.insert_rows(&lines.iter().map(to_row).collect::<Vec<_>>()).await?;
    if lines.iter().any(|refund_line| refund_line.unfulfilled > 0) {
        tx.emit_event(OrderUnitsCanceled { order: payment.order_id }).await?;
    }
    Ok(refund_id)
}

/// Makes a declined refund pending again, as a new attempt.
pub async fn restart_refund(tx: &Tx, refund_id: i64) -> Result<()> {
    let changes = refund::ActiveModel {
        status: Set(RefundStatus::Pending),
        error: Set(None),
        reference: Set(None),
        sent_at: Set(None),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    refund::Entity::update_many()
        .set(changes)
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .filter(Column::Id.eq(refund_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Stores that the provider was called for a refund, and the provider's reference if known.
pub async fn mark_refund_sent(tx: &Tx, refund: &RefundRow, reference: Option<&str>) -> Result<()> {
    let changes = refund::ActiveModel {
        sent_at: Set(Some(refund.sent_at.unwrap_or_else(|| tx.now()))),
        reference: Set(reference.map(str::to_owned).or_else(|| refund.reference.clone())),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let update = refund::Entity::update_many().set(changes).filter(Column::Id.eq(refund.id));
    update.filter(Column::Attempt.eq(refund.attempt)).exec(tx).await?;
    Ok(())
}

/// Stores the result of a refund's attempt: done, or failed with an error. Returns whether it was pending.
pub async fn finish_refund(tx: &Tx, refund: &RefundRow, error: Option<&str>) -> Result<bool> {
    let status = if error.is_some() { RefundStatus::Failed } else { RefundStatus::Succeeded };
    let changes = refund::ActiveModel {
        status: Set(status),
        error: Set(error.map(str::to_owned)),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let finished = refund::Entity::update_many()
        .set(changes)
        .filter(Column::Status.eq(RefundStatus::Pending))
        .filter(Column::Id.eq(refund.id))
        .filter(Column::Attempt.eq(refund.attempt))
        .exec(tx)
        .await?;
    Ok(finished.rows_affected > 0)
}
