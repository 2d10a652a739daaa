//! Lines of refunds: their validation and value. Pure.

use crate::{
    base::{Result, Validator, error::PublicErrorCode},
    order::OrderLineRow,
    payment::RefundLine,
};

/// Returns the total value of lines, in minor units.
#[must_use]
pub fn calculate_refund_value(order_lines: &[OrderLineRow], lines: &[RefundLine]) -> i64 {
    let share = |refund_line: &RefundLine| {
        order_lines
            .iter()
            .find(|line| line.id == refund_line.line_id)
            .map_or(0, |line| line.refund_share(refund_line.quantity()))
    };
    lines.iter().map(share).sum()
}

/// Returns all units of a line that are not refunded.
pub(super) fn refund_remaining_units(line: &OrderLineRow) -> RefundLine {
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
    let mut validator = Validator::default();
    let mut lines: Vec<RefundLine> = Vec::new();
    for (index, refund_line) in requested.iter().enumerate() {
        let mut input = validator.at("input.lines").index(index);
        let Some(line) = order_lines.iter().find(|line| line.id == refund_line.line_id) else {
            input.reject_as(PublicErrorCode::NotFound, "lineId", "there is no such line of this order");
            continue;
        };
        let (refundable_units, unshipped_units) = (line.net_shipped_quantity(), line.unshipped_quantity());
        if lines.iter().any(|accepted| accepted.line_id == refund_line.line_id) {
            input.reject("lineId", "this line is named twice");
        } else if !(0..=refundable_units).contains(&refund_line.fulfilled) {
            let message = format!("{refundable_units} shipped units of {} are not refunded", line.sku);
            input.reject("quantityFulfilled", message);
        } else if !(0..=unshipped_units).contains(&refund_line.unfulfilled) {
            let message = format!("{unshipped_units} units of {} are still to be shipped", line.sku);
            input.reject("quantityUnfulfilled", message);
        } else if refund_line.quantity() == 0 {
            let message = "give quantityFulfilled for shipped units, quantityUnfulfilled for those not shipped";
            input.reject("quantityFulfilled", message);
        } else if refund_line.restock && refund_line.fulfilled == 0 {
            input.reject("restock", "only shipped units can come back into stock");
        } else {
            lines.push(*refund_line);
        }
    }
    validator.finish()?;
    Ok(lines)
}
