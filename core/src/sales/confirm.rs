//! Confirmation of orders by staff.

use super::{SalesContext, payment_result::apply_payment_result};
use crate::{
    base::Result,
    order::{
        OrderRow, Status,
        transition::{self, OrderTarget},
    },
    payment::{self, PaymentResult},
};

/// Confirms an order. Authorizes the pending manual payment of an unverified buyer.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `VersionConflict` if the version differs, `IllegalTransition` if it is not
/// pending or its payment is not authorized.
pub async fn confirm_order(context: &SalesContext<'_>, target: OrderTarget) -> Result<OrderRow> {
    context
        .db
        .write_with_retry(async |tx| {
            let order = transition::lock_target_order(tx, target).await?;
            let payment = payment::queries::find_current_payment(tx, order.id).await?;
            let pending_payment =
                payment.filter(|payment| payment.status.is_pending() && order.status == Status::Pending);
            if let Some(payment) = pending_payment
                && context.payment_providers.find_by_name(&payment.provider)?.is_local()
            {
                let reference = format!("order-{}", order.id);
                let result = PaymentResult::Authorized { reference, amount: None };
                return apply_payment_result(tx, payment.id, &result).await;
            }
            transition::confirm_order(tx, target).await
        })
        .await
}
