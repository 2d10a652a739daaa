//! Conversion of the inputs of order mutations into requests of the use cases.

use async_graphql::ID;

use super::{OrderCancelInput, OrderFulfilInput, OrderLineQuantityInput, OrderRefundInput, OrderRefundLineInput};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    graphql::{context::RequestContext, orders::queries::parse_amount},
    infra::IdempotencyKey,
    order::transition::validate_note,
    payment::RefundLine,
    sales::{CancelOrderRequest, FulfillmentRequest, RefundRequest},
};

pub(super) fn parse_fulfillment(
    input: OrderFulfilInput,
    idempotency_key: IdempotencyKey,
) -> Result<FulfillmentRequest> {
    let OrderFulfilInput { lines, carrier, tracking_number, tracking_url, idempotency_key: _ } = input;
    let lines = lines.map(|lines| parse_line_quantities(lines, "input.lines")).transpose()?;
    Ok(FulfillmentRequest { idempotency_key, lines, carrier, tracking_number, tracking_url })
}

fn parse_line_quantities(lines: Vec<OrderLineQuantityInput>, field: &str) -> Result<Vec<(i64, i64)>> {
    let parse_line = |(index, line): (usize, OrderLineQuantityInput)| {
        let line_id = GlobalId::decode_as(&line.line_id, NodeType::OrderLine, &format!("{field}.{index}.lineId"))?;
        Ok::<_, Error>((line_id, line.quantity))
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
