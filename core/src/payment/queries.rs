//! Queries of payments and refunds.
//!
//! Batches are SQL text whose list of keys is one bound value, so that each is prepared once for any number of keys.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    RefundRow, RefundStatus,
    entity::{
        Payment, PaymentState, ReceivedWebhookStatus, TransactionType, payment, payment_transaction, received_webhook,
        refund, select_current_payment,
    },
    received_webhooks::ReceivedWebhookRow,
    transactions::NewPayment,
};
use crate::{
    base::{
        Error, Result,
        pagination::{Page, PageRequest},
    },
    infra::{
        Db, SqlBuilder, Tx,
        keyset::{self, KeysetOrder},
        sql_builder::{group_by_owner, query_rows},
    },
    order::entity::LineQuantityRow,
};

/// Returns the payments of an order, oldest first. The transaction must have locked the order.
pub async fn list_payments_of_order(tx: &Tx, order_id: i64) -> Result<Vec<Payment>> {
    let payments = payment::Entity::find().filter(payment::Column::OrderId.eq(order_id));
    Ok(payments.order_by_asc(payment::Column::Id).all(tx).await?)
}

/// Returns the payment that counts for an order: the accepted one, otherwise the latest. The transaction must have
/// locked the order.
pub async fn find_current_payment(tx: &Tx, order_id: i64) -> Result<Option<Payment>> {
    Ok(select_current_payment(&list_payments_of_order(tx, order_id).await?).cloned())
}

/// Returns a payment.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn find_payment(db: &impl ConnectionTrait, payment_id: i64) -> Result<Payment> {
    let row = payment::Entity::find_by_id(payment_id).one(db).await?;
    row.ok_or_else(|| Error::not_found("id", "payment"))
}

/// Returns the id of the payment with a provider's reference.
pub async fn find_payment_id_by_reference(
    db: &impl ConnectionTrait,
    provider: &str,
    reference: &str,
) -> Result<Option<i64>> {
    let query = payment::Entity::find().select_only().column(payment::Column::Id);
    let query = query.filter(payment::Column::Provider.eq(provider));
    Ok(query.filter(payment::Column::Reference.eq(reference)).into_tuple().one(db).await?)
}

/// Returns the provider's reference of the capture of a payment; `None` if it was not captured.
pub async fn find_capture_reference(db: &impl ConnectionTrait, payment_id: i64) -> Result<Option<String>> {
    let query = payment_transaction::Entity::find().select_only().column(payment_transaction::Column::Reference);
    let query = query.filter(payment_transaction::Column::PaymentId.eq(payment_id));
    let query = query.filter(payment_transaction::Column::TransactionType.eq(TransactionType::Capture));
    Ok(query.order_by_asc(payment_transaction::Column::Id).into_tuple().one(db).await?)
}

/// Returns the payments of orders, oldest first. Statements: 1.
pub async fn list_payments_by_order(
    db: &impl ConnectionTrait,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<Payment>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ")
        .push_columns::<payment::Entity>("p")
        .push(" FROM payment AS p WHERE ")
        .eq_any("p.order_id", order_ids.iter().copied())
        .push(" ORDER BY p.id");
    Ok(group_by_owner(query_rows(db, sql).await?, |payment: &Payment| payment.order_id))
}

/// Returns the order id of a payment. Lock order: the order before its payment.
pub async fn find_order_id_by_payment(db: &impl ConnectionTrait, payment_id: i64) -> Result<Option<i64>> {
    let query = payment::Entity::find_by_id(payment_id).select_only().column(payment::Column::OrderId);
    Ok(query.into_tuple().one(db).await?)
}

/// Returns a refund.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn find_refund(db: &impl ConnectionTrait, refund_id: i64) -> Result<RefundRow> {
    let row = refund::Entity::find_by_id(refund_id).one(db).await?;
    row.ok_or_else(|| Error::not_found("id", "refund"))
}

/// Returns the refunds of orders, of any status, oldest first. Statements: 1.
pub async fn list_refunds_by_order(
    db: &impl ConnectionTrait,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<RefundRow>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ")
        .push_columns::<refund::Entity>("r")
        .push(" FROM refund AS r WHERE ")
        .eq_any("r.order_id", order_ids.iter().copied());
    sql.push(" ORDER BY r.order_id, r.id");
    Ok(group_by_owner(query_rows(db, sql).await?, |refund: &RefundRow| refund.order_id))
}

/// Returns the refunds of an order, of any status, oldest first. Statements: 1.
pub async fn list_refunds_of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<RefundRow>> {
    let refunds = refund::Entity::find().filter(refund::Column::OrderId.eq(order_id));
    Ok(refunds.order_by_asc(refund::Column::Id).all(db).await?)
}

/// Returns the line quantities of refunds. Statements: 1.
pub async fn list_refund_lines(
    db: &impl ConnectionTrait,
    refund_ids: &[i64],
) -> Result<HashMap<i64, Vec<LineQuantityRow>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT refund_id AS owner, order_line_id, quantity FROM refund_line WHERE ");
    sql.eq_any("refund_id", refund_ids.iter().copied()).push(" ORDER BY order_line_id");
    Ok(group_by_owner(query_rows(db, sql).await?, |line: &LineQuantityRow| line.owner))
}

/// Returns the captured amount that is neither refunded nor part of a pending refund, in minor units.
pub async fn load_refundable_amount(tx: &Tx, payment: &Payment) -> Result<i64> {
    let pending_sum = refund::Entity::find()
        .select_only()
        .column_as(refund::Column::Amount.sum().cast_as("BIGINT"), "pending")
        .filter(refund::Column::PaymentId.eq(payment.id))
        .filter(refund::Column::Status.eq(RefundStatus::Pending));
    let pending = pending_sum.into_tuple::<Option<i64>>().one(tx).await?.flatten().unwrap_or(0);
    Ok(payment.captured - payment.refunded - pending)
}

/// Filter of received webhooks; `None` does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceivedWebhookFilter {
    /// Name of the provider.
    pub provider: Option<String>,
    /// Status.
    pub status: Option<ReceivedWebhookStatus>,
}

/// Newest first.
const WEBHOOK_ORDER: KeysetOrder = KeysetOrder { tag: 'r', columns: &[], id_column: "w.id", descending: true };

impl ReceivedWebhookRow {
    /// Returns the webhook's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        WEBHOOK_ORDER.cursor(Vec::new(), self.id)
    }
}

/// Returns a page of received webhooks, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_received_webhooks(
    db: &Db,
    filter: &ReceivedWebhookFilter,
    request: &PageRequest,
) -> Result<Page<ReceivedWebhookRow>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<received_webhook::Entity>("w").push(" FROM received_webhook AS w");
    push_webhook_conditions(&mut sql, filter);
    WEBHOOK_ORDER.load_page(db, sql, request).await
}

/// Returns the number of received webhooks. Statements: 1.
pub async fn count_received_webhooks(db: &Db, filter: &ReceivedWebhookFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM received_webhook AS w");
    push_webhook_conditions(&mut sql, filter);
    keyset::load_count(db, sql).await
}

fn push_webhook_conditions(sql: &mut SqlBuilder, filter: &ReceivedWebhookFilter) {
    let ReceivedWebhookFilter { provider, status } = filter;
    sql.push(" WHERE true");
    if let Some(provider) = provider {
        sql.push(" AND w.provider = ").bind(provider.as_str());
    }
    if let Some(status) = status {
        sql.push(" AND w.status = ").bind(status.to_value());
    }
}

/// Maximum number of rows in one batch of the reconciliation.
const RECONCILIATION_BATCH_SIZE: u64 = 100;

/// Time after which a payment without a result, or a refund, is asked about: its own jobs come first.
const RECONCILIATION_DELAY: TimeDelta = TimeDelta::minutes(5);
/// Time in which ended payments are asked about: money may arrive late.
const LATE_PAYMENT_PERIOD: TimeDelta = TimeDelta::days(2);

/// Returns one batch of the payments in doubt after an id, by id: the result of a call is missing, or the payment ended
/// recently without money, which may still arrive.
pub async fn list_payments_in_doubt(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    remote_providers: &[&str],
    after_id: i64,
) -> Result<Vec<Payment>> {
    let ended = [PaymentState::Failed, PaymentState::Voided, PaymentState::Expired];
    let is_waiting = Condition::any()
        .add(payment::Column::Status.is_in([PaymentState::Pending, PaymentState::ActionRequired]))
        .add(
            Condition::all()
                .add(payment::Column::Status.eq(PaymentState::Authorized))
                .add(payment::Column::CaptureRequestedAt.is_not_null()),
        )
        .add(
            // Without a reference, there is nothing to ask for.
            Condition::all()
                .add(payment::Column::Status.is_in(ended))
                .add(payment::Column::Reference.is_not_null())
                .add(payment::Column::UpdatedAt.gt(now - LATE_PAYMENT_PERIOD)),
        );
    let query = payment::Entity::find()
        .filter(payment::Column::Id.gt(after_id))
        .filter(payment::Column::Provider.is_in(remote_providers.iter().copied()))
        .filter(payment::Column::AuthorizeSentAt.lte(now - RECONCILIATION_DELAY))
        .filter(is_waiting);
    Ok(query.order_by_asc(payment::Column::Id).limit(RECONCILIATION_BATCH_SIZE).all(db).await?)
}

/// Returns one batch of the refunds without a result after an id, by id.
pub async fn list_refunds_in_doubt(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    after_id: i64,
) -> Result<Vec<RefundRow>> {
    let query = refund::Entity::find()
        .filter(refund::Column::Id.gt(after_id))
        .filter(refund::Column::Status.eq(RefundStatus::Pending))
        .filter(refund::Column::SentAt.lte(now - RECONCILIATION_DELAY));
    Ok(query.order_by_asc(refund::Column::Id).limit(RECONCILIATION_BATCH_SIZE).all(db).await?)
}

/// Name of the statement that inserts the payment in a batch.
pub(super) const INSERTED_PAYMENT: &str = "inserted_payment";

/// Returns the statement that inserts a payment. It returns the payment's id.
///
/// As text, because it is part of a batch.
pub(super) fn insert_payment(tx: &Tx, row: payment::ActiveModel) -> SqlBuilder {
    let mut sql = tx.sql();
    sql.insert_models(&[row]).push(" RETURNING id");
    sql
}

/// Returns the statement that inserts the authorization of a payment. It must be in one batch with the statement named
/// [`INSERTED_PAYMENT`].
///
/// As text, because it inserts from the rows of that statement.
pub(super) fn insert_authorization(tx: &Tx, payment: NewPayment<'_>, reference: &str) -> SqlBuilder {
    let NewPayment { order_id, amount, .. } = payment;
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) SELECT id, 'authorize', ");
    sql.bind(amount).push(", ").bind(reference).push(", ").bind(tx.now()).push(" FROM ");
    if sql.is_postgres() {
        sql.push(INSERTED_PAYMENT);
    } else {
        sql.push("payment WHERE order_id = ").bind(order_id);
    }
    sql
}
