//! Inputs of the order mutations, and their conversion into requests of the use cases.

use async_graphql::{ID, InputObject};
use rust_decimal::Decimal;

use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, validation::validate_note},
    graphql::{context::RequestContext, input::parse_amount},
    infra::IdempotencyKey,
    order::LineQuantity,
    payment::RefundLine,
    sales::{CancelOrderRequest, FulfillmentRequest, RefundRequest},
};

/// Order line and quantity.
#[derive(Debug, InputObject)]
pub struct OrderLineQuantityInput {
    /// ID of the order line.
    line_id: ID,
    /// Quantity.
    quantity: i64,
}

/// Input of `orderFulfill`.
#[derive(Debug, InputObject)]
pub struct OrderFulfillInput {
    /// Lines to ship; defaults to all unshipped units.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Carrier, at most 100 characters.
    carrier: Option<String>,
    /// Tracking number, at most 100 characters.
    tracking_number: Option<String>,
    /// Tracking URL (http or https).
    tracking_url: Option<String>,
    /// Idempotency key: repeated requests with the same key and input create one fulfillment. Use a new UUID for each
    /// one.
    pub(super) idempotency_key: String,
}

/// Input of `orderCancel`.
#[derive(Debug, Default, InputObject)]
pub struct OrderCancelInput {
    /// Reason, visible to the buyer; at most 1000 characters.
    reason: Option<String>,
    /// Guest access token of the order. Checked before the caller's login, so it also authorizes a logged-in caller.
    token: Option<String>,
    /// Staff only: unshipped units of an unpaid order to cancel; the total is reduced and the order stays open. Without
    /// lines the whole order is canceled. Units of a paid order are refunded instead.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Staff only: shipped units that return to stock when a whole unpaid order is canceled after its shipment was
    /// returned; an empty list for none. Without it a shipped order cannot be canceled.
    restock: Option<Vec<OrderLineQuantityInput>>,
}

/// Units of an order line to refund.
#[derive(Debug, InputObject)]
pub struct OrderRefundLineInput {
    /// ID of the order line.
    line_id: ID,
    /// Number of shipped units, whether or not they were returned.
    #[graphql(default)]
    quantity_fulfilled: i64,
    /// Number of unshipped units: they are canceled and their stock reservation is released.
    #[graphql(default)]
    quantity_unfulfilled: i64,
    /// Whether the shipped units return to stock.
    #[graphql(default)]
    restock: bool,
}

/// Input of `orderRefund`. Without lines and amount the remaining captured amount is refunded.
#[derive(Debug, InputObject)]
pub struct OrderRefundInput {
    /// Lines to refund.
    lines: Option<Vec<OrderRefundLineInput>>,
    /// Amount to refund; defaults to the price of the lines.
    amount: Option<Decimal>,
    /// Whether the shipping cost is refunded with the lines. At most once per order.
    #[graphql(default)]
    shipping: bool,
    /// Reason, visible to the buyer; at most 1000 characters.
    reason: Option<String>,
    /// Idempotency key: repeated requests with the same key and input create one refund. Use a new UUID for each
    /// refund.
    pub(super) idempotency_key: String,
}

/// Input of `orderNoteAdd`.
#[derive(Debug, InputObject)]
pub struct OrderNoteInput {
    /// Text of the note, at most 1000 characters.
    pub(super) note: String,
    /// Whether the note is visible to the buyer.
    #[graphql(default)]
    pub(super) public: bool,
}

pub(super) fn parse_fulfillment(
    input: OrderFulfillInput,
    idempotency_key: IdempotencyKey,
) -> Result<FulfillmentRequest> {
    let OrderFulfillInput { lines, carrier, tracking_number, tracking_url, idempotency_key: _ } = input;
    let lines = lines.map(|lines| parse_line_quantities(lines, "input.lines")).transpose()?;
    Ok(FulfillmentRequest { idempotency_key, lines, carrier, tracking_number, tracking_url })
}

fn parse_line_quantities(lines: Vec<OrderLineQuantityInput>, field: &str) -> Result<Vec<LineQuantity>> {
    let parse_line = |(index, line): (usize, OrderLineQuantityInput)| {
        let line_id = GlobalId::decode_as(&line.line_id, NodeType::OrderLine, &format!("{field}.{index}.lineId"))?;
        Ok::<_, Error>(LineQuantity { line_id, quantity: line.quantity })
    };
    lines.into_iter().enumerate().map(parse_line).collect()
}

pub(super) fn parse_cancel_request(
    id: &ID,
    input: Option<OrderCancelInput>,
    expected_version: Option<i32>,
) -> Result<CancelOrderRequest> {
    let OrderCancelInput { reason, token, lines, restock } = input.unwrap_or_default();
    let reason = reason.map(|reason| validate_note(&reason, "input.reason")).transpose()?;
    let lines = lines.map(|lines| parse_line_quantities(lines, "input.lines")).transpose()?;
    let restock = restock.map(|restock| parse_line_quantities(restock, "input.restock")).transpose()?;
    let order_id = GlobalId::decode_as(id, NodeType::Order, "id")?;
    let reason = reason.filter(|reason| !reason.is_empty());
    Ok(CancelOrderRequest { order_id, expected_version, token, reason, lines, restock })
}

pub(super) fn parse_refund_request(
    context: &RequestContext,
    input: OrderRefundInput,
    idempotency_key: IdempotencyKey,
) -> Result<RefundRequest> {
    let OrderRefundInput { lines, amount: amount_input, shipping, reason, idempotency_key: _ } = input;
    let parse_line = |(index, line): (usize, OrderRefundLineInput)| {
        let OrderRefundLineInput { line_id, quantity_fulfilled, quantity_unfulfilled, restock } = line;
        let line_id = GlobalId::decode_as(&line_id, NodeType::OrderLine, &format!("input.lines.{index}.lineId"))?;
        Ok::<_, Error>(RefundLine {
            line_id,
            fulfilled: quantity_fulfilled,
            unfulfilled: quantity_unfulfilled,
            restock,
        })
    };
    let reason = reason.map(|reason| validate_note(&reason, "input.reason")).transpose()?;
    Ok(RefundRequest {
        idempotency_key,
        lines: lines.map(|lines| lines.into_iter().enumerate().map(parse_line).collect::<Result<_>>()).transpose()?,
        amount: parse_amount(context, amount_input, "input.amount")?,
        shipping,
        reason: reason.filter(|reason| !reason.is_empty()),
    })
}
