//! Fulfillment of orders, complete or partial.

use std::collections::HashMap;

use super::SalesContext;
use crate::{
    base::{
        Error, Result, Validator,
        error::{ErrorFacts, PublicError, PublicErrorCode},
    },
    customer::OwnerScope,
    infra::{IdempotencyClaim, IdempotencyKey, ResourceKey, Tx},
    inventory::reservation::{self, LineShipment, Shortage},
    order::{
        LineQuantity, OrderLineRow, OrderRow, OrderShipped,
        fulfillment::{self, NewFulfillment},
        history,
        history::OrderHistoryEvent,
        queries,
        state_machine::OrderAction,
        transition::{self, OrderTarget},
    },
};

/// Maximum length of a carrier's name and of a tracking number, in characters.
const MAX_TRACKING_TEXT_LENGTH: usize = 100;
/// Maximum length of a tracking URL, in characters.
const MAX_TRACKING_URL_LENGTH: usize = 2000;

/// Input of a fulfillment.
#[derive(Debug, Clone)]
pub struct FulfillmentRequest {
    /// Idempotency key.
    pub idempotency_key: IdempotencyKey,
    /// Quantities of order lines; `None` ships all unshipped units.
    pub lines: Option<Vec<LineQuantity>>,
    /// Name of the carrier.
    pub carrier: Option<String>,
    /// Tracking number of the carrier.
    pub tracking_number: Option<String>,
    /// Tracking URL.
    pub tracking_url: Option<String>,
}

impl FulfillmentRequest {
    /// Trims and validates the texts.
    fn validate(self) -> Result<Self> {
        let Self { idempotency_key, lines, carrier, tracking_number, tracking_url } = self;
        let tracking_url = clean_line(tracking_url, "input.trackingUrl", MAX_TRACKING_URL_LENGTH)?;
        if tracking_url.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            return Err(Error::bad_input("input.trackingUrl", "this is no address of the web; write https://…"));
        }
        let carrier = clean_line(carrier, "input.carrier", MAX_TRACKING_TEXT_LENGTH)?;
        let tracking_number = clean_line(tracking_number, "input.trackingNumber", MAX_TRACKING_TEXT_LENGTH)?;
        Ok(Self { idempotency_key, lines, carrier, tracking_number, tracking_url })
    }
}

/// Returns trimmed single-line text of limited length; `None` if empty.
fn clean_line(text: Option<String>, field: &str, limit: usize) -> Result<Option<String>> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > limit || text.chars().any(char::is_control)) {
        return Err(Error::bad_input(field, format!("at most {limit} characters on one line")));
    }
    Ok(text)
}

/// Creates a fulfillment and ships its stock: on-hand stock and reservations decrease in the same transaction. A
/// request that was carried out before only returns the order.
///
/// # Errors
/// Returns `NotFound` if the order or a line does not exist, `VersionConflict` if the version differs,
/// `IllegalTransition` if the order cannot be shipped, `BadUserInput` if a line has fewer unshipped units or a text is
/// invalid, `InsufficientStock` if stock is missing.
pub async fn fulfill_order(
    context: &SalesContext<'_>,
    target: OrderTarget,
    request: FulfillmentRequest,
) -> Result<OrderRow> {
    let request = request.validate()?;
    context
        .db
        .write_with_retry(async |tx| {
            let resource = ResourceKey::Existing(target.id);
            if let IdempotencyClaim::Replay(order_id) =
                tx.claim_idempotency_key(&request.idempotency_key, resource).await?
            {
                return queries::lock_order(tx, order_id, OwnerScope::All).await;
            }
            let order = transition::lock_target_order(tx, target).await?;
            ship_units(tx, order, request.clone()).await
        })
        .await
}

/// Ships units of a locked order.
async fn ship_units(tx: &Tx, order: OrderRow, request: FulfillmentRequest) -> Result<OrderRow> {
    // The order's status is checked first: its error takes precedence over errors of lines.
    order.status.apply(OrderAction::Fulfill { is_last: true }, order.payment_status)?;
    let mut lines = queries::load_lines_of_order(tx, order.id).await?;
    let FulfillmentRequest { idempotency_key: _, lines: quantities, carrier, tracking_number, tracking_url } = request;
    let quantities = match quantities {
        Some(quantities) => validate_line_quantities(&lines, &quantities)?,
        None => lines
            .iter()
            .map(|line| LineQuantity { line_id: line.id, quantity: line.unshipped_quantity() })
            .filter(|line| line.quantity > 0)
            .collect(),
    };
    if quantities.is_empty() {
        let message = "nothing is left to be sent";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "input.lines", message));
    }
    ship_line_stock(tx, &order, &lines, &quantities).await?;
    for line in &mut lines {
        let shipped = quantities.iter().find(|shipped| shipped.line_id == line.id);
        line.quantity_fulfilled += shipped.map_or(0, |shipped| shipped.quantity);
    }
    let new_fulfillment = NewFulfillment { lines: quantities, carrier, tracking_number, tracking_url };
    let fulfillment_id = fulfillment::insert_fulfillment(tx, order.id, new_fulfillment).await?;
    history::record_history_event(tx, order.id, OrderHistoryEvent::Fulfillment, history::OrderNote::public(None))
        .await?;
    let is_last = lines.iter().all(|line| line.unshipped_quantity() == 0);
    let order = OrderRow { fulfillment_status: transition::derive_fulfillment_status(&lines), ..order };
    let order = transition::transition_order(tx, order, OrderAction::Fulfill { is_last }, None).await?;
    tx.emit_event(OrderShipped { order: order.id, fulfillment: fulfillment_id }).await?;
    Ok(order)
}

/// Checks that each line belongs to the order and has enough unshipped units; sums up repeated lines.
fn validate_line_quantities(lines: &[OrderLineRow], quantities: &[LineQuantity]) -> Result<Vec<LineQuantity>> {
    let mut validator = Validator::default();
    let mut totals_by_line: HashMap<i64, i64> = HashMap::new();
    for (index, LineQuantity { line_id, quantity }) in quantities.iter().enumerate() {
        let mut input = validator.at("input.lines").index(index);
        let Some(line) = lines.iter().find(|line| line.id == *line_id) else {
            input.reject_as(PublicErrorCode::NotFound, "lineId", "there is no such line of this order");
            continue;
        };
        let total = totals_by_line.entry(*line_id).or_insert(0);
        *total = total.saturating_add(*quantity);
        if *quantity < 1 || *total > line.unshipped_quantity() {
            let message = format!("{} of {} are left to be sent", line.unshipped_quantity(), line.sku);
            input.reject("quantity", message);
        }
    }
    validator.finish()?;
    // In the order of the order's lines, each line once.
    let to_line_quantity =
        |line: &OrderLineRow| Some(LineQuantity { line_id: line.id, quantity: *totals_by_line.get(&line.id)? });
    Ok(lines.iter().filter_map(to_line_quantity).collect())
}

/// Ships the stock of tracked lines.
async fn ship_line_stock(tx: &Tx, order: &OrderRow, lines: &[OrderLineRow], quantities: &[LineQuantity]) -> Result<()> {
    let find_line = |line_id: i64| lines.iter().find(|line| line.id == line_id);
    let tracked = quantities.iter().filter_map(|LineQuantity { line_id, quantity }| {
        let line = find_line(*line_id).filter(|line| line.track_stock)?;
        Some(LineShipment { order_line_id: line.id, variant_id: line.variant_id?, quantity: *quantity })
    });
    let shortage =
        reservation::ship_stock(tx, &tracked.collect::<Vec<_>>(), &format!("order {}", order.number)).await?;
    let to_user_error = |shortage: &Shortage| {
        let line = find_line(shortage.order_line_id);
        let sku = line.map_or("", |line| &line.sku);
        let message =
            format!("only {} of {sku} are there; the others were ordered before they came", shortage.available);
        let facts = ErrorFacts {
            variant_id: line.and_then(|line| line.variant_id),
            available: Some(shortage.available),
            ..ErrorFacts::default()
        };
        PublicError::new(PublicErrorCode::InsufficientStock, "input.lines", message).with_facts(facts)
    };
    Error::fail_if_any(shortage.iter().map(to_user_error).collect())
}
