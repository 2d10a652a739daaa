//! Refunds: complete, by lines, or by amount. Unshipped units are canceled with it; returned units are restocked.

mod execution;

use iso_currency::Currency;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Payment, PaymentState, entity, transactions};
use crate::{
    base::{
        Error, Money, Result,
        error::{PublicError, PublicErrorCode},
    },
    customer::OwnerScope,
    infra::{SqlBuilder, Tx, jobs::BackgroundJob},
    inventory::reservation,
    order::{
        OrderLineRow, OrderRow, Status, entity::RefundRow, history, history::OrderHistoryEvent, queries,
        state_machine::OrderAction, transition,
    },
};

pub use execution::{apply_refund_result, execute_refund, run_refund_job};

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
    const fn quantity(&self) -> i64 {
        self.fulfilled + self.unfulfilled
    }

    const fn returned(&self) -> i64 {
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

/// Input of a refund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundRequest {
    /// Refunded lines; without lines and `amount`, everything that remains is refunded.
    pub lines: Option<Vec<RefundLine>>,
    /// Amount in minor units; `None` refunds the value of the lines.
    pub amount: Option<i64>,
    /// Whether shipping is refunded beside the lines.
    pub shipping: bool,
    /// Reason.
    pub reason: Option<String>,
}

/// Job that executes a refund at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {
    /// Id of the refund.
    pub refund: i64,
}

impl BackgroundJob for RefundPayment {
    const KIND: &'static str = "payment.refund";
    const QUEUE: &'static str = "payment";
}

/// Creates a refund for a locked order. Returns the order and the refund's id.
///
/// # Errors
/// Returns `IllegalTransition` if no payment is captured, `BadUserInput` if the amount exceeds the refundable amount or
/// a line has fewer units.
pub async fn refund_order(tx: &Tx, order: OrderRow, request: RefundRequest) -> Result<(OrderRow, Option<i64>)> {
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    let Some(payment) = payment.filter(|payment| payment.status == PaymentState::Captured) else {
        let allowed_actions: Vec<_> =
            order.status.available_actions(order.payment_status).map(OrderAction::name).collect();
        let message = format!("nothing has been paid yet that could go back; it can: {}", allowed_actions.join(", "));
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    };
    let refundable = transactions::load_refundable_amount(tx, &payment).await?;
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let RefundRequest { lines, amount, shipping, reason } = request;
    let is_full = lines.is_none() && amount.is_none();
    let lines = match lines {
        Some(lines) => validate_refund_lines(&order_lines, &lines)?,
        None if is_full => {
            order_lines.iter().filter(|line| line.refunded < line.quantity).map(refund_remaining_units).collect()
        }
        None => Vec::new(),
    };
    let shipping = match (shipping && !is_full, amount) {
        (true, Some(_)) => {
            let message = "an amount already says how much goes back; the shipping goes back beside lines";
            return Err(Error::bad_input("input.shipping", message));
        }
        (true, None) => calculate_refundable_shipping(tx, &order, &order_lines).await?,
        (false, _) => 0,
    };
    let (amount, error_field) = match amount {
        Some(amount) => (amount, "input.amount"),
        None if is_full => (refundable, "id"),
        None => (calculate_refund_value(&order_lines, &lines) + shipping, "input.lines"),
    };
    // Free lines and free orders are refunded without a payment.
    let is_free = !lines.is_empty() && error_field != "input.amount" && (!is_full || payment.captured == 0);
    let min_amount = i64::from(!is_free);
    if amount < min_amount || amount > refundable {
        let to_decimal =
            |minor| Currency::from_code(&order.currency).map(|currency| Money::new(minor, currency).to_decimal());
        let [refundable, amount] = [refundable, amount].map(|minor| {
            to_decimal(minor).map_or_else(|| minor.to_string(), |decimal_amount| decimal_amount.to_string())
        });
        let message = format!("at most {refundable} {} can be refunded; this comes to {amount}", order.currency);
        return Err(Error::bad_input(error_field, message));
    }
    create_refund(tx, order, payment, NewRefund { amount, shipping, lines, reason }).await
}

/// Returns the total value of lines, in minor units.
fn calculate_refund_value(order_lines: &[OrderLineRow], lines: &[RefundLine]) -> i64 {
    let share = |refund_line: &RefundLine| {
        order_lines
            .iter()
            .find(|line| line.id == refund_line.line_id)
            .map_or(0, |line| line.refund_share(refund_line.quantity()))
    };
    lines.iter().map(share).sum()
}

/// Returns the shipping cost of an order including tax, in minor units. Shipping can be refunded once.
async fn calculate_refundable_shipping(tx: &Tx, order: &OrderRow, order_lines: &[OrderLineRow]) -> Result<i64> {
    let previous_refunds = queries::refunds(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    if previous_refunds.iter().any(|refund| refund.shipping > 0 && refund.status != "failed") {
        return Err(Error::bad_input("input.shipping", "the shipping has been refunded already"));
    }
    Ok(order.total - order_lines.iter().map(|line| line.total).sum::<i64>())
}

/// Returns all units of a line that are not refunded.
fn refund_remaining_units(line: &OrderLineRow) -> RefundLine {
    RefundLine {
        line_id: line.id,
        fulfilled: line.net_shipped_quantity(),
        unfulfilled: line.unshipped_quantity(),
        restock: false,
    }
}

/// Checks that each line belongs to the order, occurs once, and has enough units of each kind.
///
/// # Errors
/// Returns the user errors of all lines.
pub fn validate_refund_lines(order_lines: &[OrderLineRow], requested: &[RefundLine]) -> Result<Vec<RefundLine>> {
    let mut user_errors = Vec::new();
    let mut lines: Vec<RefundLine> = Vec::new();
    for (index, refund_line) in requested.iter().enumerate() {
        let mut add_error = |code, name: &str, message: String| {
            let field = vec!["input".into(), "lines".into(), index.to_string(), name.to_owned()];
            user_errors.push(PublicError { code, field, message });
        };
        let Some(line) = order_lines.iter().find(|line| line.id == refund_line.line_id) else {
            add_error(PublicErrorCode::NotFound, "lineId", "there is no such line of this order".into());
            continue;
        };
        let (refundable_units, unshipped_units) = (line.net_shipped_quantity(), line.unshipped_quantity());
        if lines.iter().any(|accepted| accepted.line_id == refund_line.line_id) {
            add_error(PublicErrorCode::BadUserInput, "lineId", "this line is named twice".into());
        } else if !(0..=refundable_units).contains(&refund_line.fulfilled) {
            let message = format!("{refundable_units} shipped units of {} are not refunded", line.sku);
            add_error(PublicErrorCode::BadUserInput, "quantityFulfilled", message);
        } else if !(0..=unshipped_units).contains(&refund_line.unfulfilled) {
            let message = format!("{unshipped_units} units of {} are still to be shipped", line.sku);
            add_error(PublicErrorCode::BadUserInput, "quantityUnfulfilled", message);
        } else if refund_line.quantity() == 0 {
            let message = "give quantityFulfilled for shipped units, quantityUnfulfilled for those not shipped".into();
            add_error(PublicErrorCode::BadUserInput, "quantityFulfilled", message);
        } else if refund_line.restock && refund_line.fulfilled == 0 {
            add_error(PublicErrorCode::BadUserInput, "restock", "only shipped units can come back into stock".into());
        } else {
            lines.push(*refund_line);
        }
    }
    Error::fail_if_any(user_errors)?;
    Ok(lines)
}

/// Creates a refund of a locked order: inserts its lines, releases and restocks units, enqueues the provider job. With
/// amount 0 no provider is called, and no refund id is returned.
pub async fn create_refund(
    tx: &Tx,
    order: OrderRow,
    payment: Payment,
    new_refund: NewRefund,
) -> Result<(OrderRow, Option<i64>)> {
    let NewRefund { amount, shipping, lines, reason } = new_refund;
    let status = if amount == 0 { "done" } else { "pending" };
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO refund (order_id, payment_id, amount, shipping, status, reason, created_at, updated_at) VALUES (",
    );
    sql.bind(order.id).push(", ").bind(payment.id).push(", ").bind(amount).push(", ").bind(shipping).push(", ");
    sql.bind(status).push(", ").bind(reason.as_deref()).push(", ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") RETURNING id");
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let refund_id: i64 =
        row.map_or_else(|| Err(Error::internal("giving money back", "no refund")), |row| Ok(row.try_get_by(0)?))?;
    if !lines.is_empty() {
        let columns = [
            ("refund_id", "bigint"),
            ("order_line_id", "bigint"),
            ("quantity", "bigint"),
            ("cancelled", "bigint"),
            ("returned", "bigint"),
        ];
        let row = |refund_line: &RefundLine| {
            json!([
                refund_id,
                refund_line.line_id,
                refund_line.quantity(),
                refund_line.unfulfilled,
                refund_line.returned()
            ])
        };
        let mut sql = tx.sql();
        sql.insert_rows("refund_line", &columns, lines.iter().map(row).collect());
        tx.execute_raw(sql.into_statement()).await?;
        release_and_restock(tx, &order, &lines).await?;
    }
    if amount == 0 {
        history::record_history_event(
            tx,
            order.id,
            OrderHistoryEvent::Refund,
            history::OrderNote::public(reason.as_deref()),
        )
        .await?;
        return finalize_order(tx, order, Some(payment), reason.as_deref()).await.map(|order| (order, None));
    }
    let order = update_fulfillment_status(tx, order).await?;
    tx.enqueue_job(RefundPayment { refund: refund_id }).await?;
    Ok((order, Some(refund_id)))
}

/// Retries a declined refund under a new idempotency key. Its lines stay unchanged.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `IllegalTransition` if it was not declined or its amount was refunded
/// otherwise.
pub async fn retry_refund(tx: &Tx, refund_id: i64) -> Result<OrderRow> {
    let refund = find_refund(tx, refund_id).await?;
    let order = queries::lock_order(tx, refund.order_id, OwnerScope::All).await?;
    // Read again under the order's lock.
    let refund = find_refund(tx, refund_id).await?;
    if refund.status != "failed" {
        return Err(Error::user(
            PublicErrorCode::IllegalTransition,
            "id",
            "this refund was not refused; only those are asked for again",
        ));
    }
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    let refundable = match &payment {
        Some(payment) => transactions::load_refundable_amount(tx, payment).await?,
        None => 0,
    };
    let order_refunds = queries::refunds(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    let is_shipping_refunded =
        refund.shipping > 0 && order_refunds.iter().any(|other| other.shipping > 0 && other.status != "failed");
    if refund.amount > refundable || is_shipping_refunded {
        let message = "its money has been refunded another way since; less is left than it comes to";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    let mut sql = tx.sql();
    sql.push("UPDATE refund SET status = 'pending', error = NULL, attempt = attempt + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE id = ").bind(refund_id);
    tx.execute_raw(sql.into_statement()).await?;
    tx.enqueue_job(RefundPayment { refund: refund_id }).await?;
    transition::update_order(tx, order).await
}

async fn find_refund(db: &impl ConnectionTrait, refund_id: i64) -> Result<RefundRow> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT r.* FROM refund AS r WHERE r.id = ").bind(refund_id);
    let row = db.query_one_raw(sql.into_statement()).await?.ok_or_else(|| Error::not_found("id", "refund"))?;
    Ok(RefundRow::from_query_result(&row, "")?)
}

/// Releases the reservations of unshipped units and restocks returned units.
async fn release_and_restock(tx: &Tx, order: &OrderRow, lines: &[RefundLine]) -> Result<()> {
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let find_tracked_line = |line_id: i64| order_lines.iter().find(|line| line.id == line_id && line.tracked);
    let unshipped = lines
        .iter()
        .filter(|refund_line| refund_line.unfulfilled > 0 && find_tracked_line(refund_line.line_id).is_some());
    let released: Vec<_> = unshipped.map(|refund_line| (refund_line.line_id, refund_line.unfulfilled)).collect();
    if !released.is_empty() {
        reservation::release_reservations(tx, &released).await?;
    }
    let returned = lines.iter().filter(|refund_line| refund_line.returned() > 0);
    let returned: Vec<_> = returned
        .filter_map(|refund_line| Some((find_tracked_line(refund_line.line_id)?.variant_id?, refund_line.returned())))
        .collect();
    if !returned.is_empty() {
        reservation::restock_variants(tx, &returned, &format!("order {}", order.number)).await?;
    }
    Ok(())
}

/// Updates the fulfillment status; canceled units can complete a partial fulfillment.
async fn update_fulfillment_status(tx: &Tx, order: OrderRow) -> Result<OrderRow> {
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let order = OrderRow { fulfilment_status: transition::derive_fulfillment_status(&lines), ..order };
    let is_fully_shipped =
        lines.iter().all(|line| line.unshipped_quantity() == 0) && lines.iter().any(|line| line.fulfilled > 0);
    if is_fully_shipped && order.status == Status::Processing {
        return transition::transition_order(tx, order, OrderAction::Fulfill { is_last: true }, None).await;
    }
    transition::update_order(tx, order).await
}

/// Transitions a completely refunded order to `refunded`; any other order gets its fulfillment status updated. A free
/// order is completely refunded when all its units are.
async fn finalize_order(tx: &Tx, order: OrderRow, payment: Option<Payment>, reason: Option<&str>) -> Result<OrderRow> {
    let captured = payment.as_ref().map_or(0, |payment| payment.captured);
    let is_refunded = payment.is_some_and(|payment| payment.refunded == payment.captured);
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let is_fully_refunded = is_refunded && (captured > 0 || lines.iter().all(|line| line.refunded == line.quantity));
    if !is_fully_refunded || order.status.next_status(OrderAction::Refund, order.payment_status).is_none() {
        return update_fulfillment_status(tx, order).await;
    }
    // Unshipped units of a refunded order will not be shipped.
    let reserved: Vec<_> =
        lines.iter().filter(|line| line.tracked).map(|line| (line.id, line.unshipped_quantity())).collect();
    reservation::release_reservations(tx, &reserved).await?;
    let order = OrderRow { fulfilment_status: transition::derive_fulfillment_status(&lines), ..order };
    transition::transition_order(tx, order, OrderAction::Refund, reason).await
}
