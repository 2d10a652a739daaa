//! Fulfillment of orders, complete or partial.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{
    OrderLineRow, OrderRow, OrderShipped, history,
    history::OrderHistoryEvent,
    queries,
    state_machine::OrderAction,
    transition::{self, OrderTarget},
};
use crate::{
    base::{
        Error, Result,
        error::{PublicError, PublicErrorCode},
    },
    infra::Tx,
    inventory::reservation::{self, Shortage},
};

/// Input of a fulfillment.
#[derive(Debug, Clone, Default)]
pub struct NewFulfillment {
    /// Order line ids with quantities; `None` ships all unshipped units.
    pub lines: Option<Vec<(i64, i64)>>,
    /// Name of the carrier.
    pub carrier: Option<String>,
    /// Tracking number of the carrier.
    pub tracking_number: Option<String>,
    /// Tracking URL.
    pub tracking_url: Option<String>,
}

/// Creates a fulfillment and ships its stock: on-hand stock and reservations decrease in the same transaction. Returns
/// the order and the fulfillment's id.
///
/// # Errors
/// Returns `NotFound` if the order or a line does not exist, `VersionConflict` if the version differs,
/// `IllegalTransition` if the order cannot be shipped, `BadUserInput` if a line has fewer unshipped units,
/// `InsufficientStock` if stock is missing.
pub async fn fulfill_order(tx: &Tx, target: OrderTarget, fulfillment: NewFulfillment) -> Result<(OrderRow, i64)> {
    let order = transition::lock_target_order(tx, target).await?;
    // The order's status is checked first: its error takes precedence over errors of lines.
    order.status.apply(OrderAction::Fulfill { is_last: true }, order.payment_status)?;
    let mut lines = queries::load_lines_of_order(tx, order.id).await?;
    let NewFulfillment { lines: quantities, carrier, tracking_number, tracking_url } = fulfillment;
    let quantities = match quantities {
        Some(quantities) => validate_line_quantities(&lines, &quantities)?,
        None => lines
            .iter()
            .map(|line| (line.id, line.unshipped_quantity()))
            .filter(|(_, quantity)| *quantity > 0)
            .collect(),
    };
    if quantities.is_empty() {
        let message = "nothing is left to be sent";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "input.lines", message));
    }
    ship_line_stock(tx, &order, &lines, &quantities).await?;
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO fulfilment (order_id, carrier, tracking_number, tracking_url, created_at, updated_at) VALUES (",
    );
    sql.bind(order.id).push(", ").bind(carrier).push(", ").bind(tracking_number).push(", ").bind(tracking_url);
    sql.push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(") RETURNING id");
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let fulfillment_id: i64 =
        row.map_or_else(|| Err(Error::internal("sending an order", "no parcel")), |row| Ok(row.try_get_by(0)?))?;
    let columns = [("fulfilment_id", "bigint"), ("order_line_id", "bigint"), ("quantity", "bigint")];
    let rows = quantities.iter().map(|(line, quantity)| json!([fulfillment_id, line, quantity])).collect();
    let mut sql = tx.sql();
    sql.insert_rows("fulfilment_line", &columns, rows);
    tx.execute_raw(sql.into_statement()).await?;
    for line in &mut lines {
        line.fulfilled +=
            quantities.iter().find(|(line_id, _)| *line_id == line.id).map_or(0, |(_, quantity)| *quantity);
    }
    history::record_history_event(tx, order.id, OrderHistoryEvent::Fulfillment, history::OrderNote::public(None))
        .await?;
    let is_last = lines.iter().all(|line| line.unshipped_quantity() == 0);
    let order = OrderRow { fulfilment_status: transition::derive_fulfillment_status(&lines), ..order };
    let order = transition::transition_order(tx, order, OrderAction::Fulfill { is_last }, None).await?;
    tx.emit_event(OrderShipped { order: order.id, fulfilment: fulfillment_id }).await?;
    Ok((order, fulfillment_id))
}

/// Checks that each line belongs to the order and has enough unshipped units; sums up repeated lines.
fn validate_line_quantities(lines: &[OrderLineRow], quantities: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    let mut errors = Vec::new();
    let mut totals_by_line: HashMap<i64, i64> = HashMap::new();
    for (index, (line_id, quantity)) in quantities.iter().enumerate() {
        let field = |name: &str| vec!["input".into(), "lines".into(), index.to_string(), name.to_owned()];
        let Some(line) = lines.iter().find(|line| line.id == *line_id) else {
            let message = "there is no such line of this order".to_owned();
            errors.push(PublicError { code: PublicErrorCode::NotFound, field: field("lineId"), message });
            continue;
        };
        let total = totals_by_line.entry(*line_id).or_insert(0);
        *total = total.saturating_add(*quantity);
        if *quantity < 1 || *total > line.unshipped_quantity() {
            let message = format!("{} of {} are left to be sent", line.unshipped_quantity(), line.sku);
            errors.push(PublicError { code: PublicErrorCode::BadUserInput, field: field("quantity"), message });
        }
    }
    Error::fail_if_any(errors)?;
    // In the order of the order's lines, each line once.
    Ok(lines.iter().filter_map(|line| Some((line.id, *totals_by_line.get(&line.id)?))).collect())
}

/// Ships the stock of tracked lines.
async fn ship_line_stock(tx: &Tx, order: &OrderRow, lines: &[OrderLineRow], quantities: &[(i64, i64)]) -> Result<()> {
    let find_line = |line_id: i64| lines.iter().find(|line| line.id == line_id);
    let tracked = quantities.iter().filter_map(|(line_id, quantity)| {
        let line = find_line(*line_id).filter(|line| line.tracked)?;
        Some((line.id, line.variant_id?, *quantity))
    });
    let shortage =
        reservation::ship_stock(tx, &tracked.collect::<Vec<_>>(), &format!("order {}", order.number)).await?;
    let to_user_error = |shortage: &Shortage| {
        let sku = find_line(shortage.order_line_id).map_or("", |line| &line.sku);
        let message =
            format!("only {} of {sku} are there; the others were ordered before they came", shortage.available);
        PublicError { code: PublicErrorCode::InsufficientStock, field: vec!["input".into(), "lines".into()], message }
    };
    Error::fail_if_any(shortage.iter().map(to_user_error).collect())
}
