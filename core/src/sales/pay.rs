//! Further payments of an order: after a payment failed, or with another method.

use sea_orm::EntityTrait;

use super::{
    SalesContext,
    authorize::authorize_payment,
    checkout::{parse_payer_phone, payment_deadline},
    order_access::{OrderAccess, authorize_order_target},
    payment_result::{apply_payment_result, end_pending_payments},
};
use crate::{
    base::{Error, Money, Result, error::PublicErrorCode},
    customer::PostalAddress,
    identity::entity::account,
    infra::{IdempotencyClaim, IdempotencyKey, ResourceKey, Tx},
    order::{OrderRow, Status, queries, transition},
    payment::{
        self, PayableOrder, PaymentMethod, PaymentResult,
        jobs::{AuthorizePayment, PAYMENT_RETRY_DELAY},
        select_current_payment,
        transactions::{self, NewPayment},
    },
};

/// Input of a further payment.
#[derive(Debug, Clone)]
pub struct PayOrderRequest<'a> {
    /// The order.
    pub access: OrderAccess<'a>,
    /// Idempotency key.
    pub idempotency_key: IdempotencyKey,
    /// Id of the payment method.
    pub payment_method_id: String,
    /// Phone number of the payer, for mobile money; `None` for the order's.
    pub payer_phone: Option<String>,
}

/// Pays an order with a new payment, which replaces a pending one. A request that was carried out before only returns
/// the order.
///
/// # Errors
/// Returns `NotFound` if the caller may not access the order, `IllegalTransition` if it is paid, ended or had the maximum
/// number of payments, `BadUserInput` if the method is not available for it.
pub async fn pay_order(context: &SalesContext<'_>, request: PayOrderRequest<'_>) -> Result<OrderRow> {
    let target = authorize_order_target(context, &request.access).await?;
    let payment_id = context
        .db
        .write_with_retry(async |tx| {
            let resource = ResourceKey::Existing(target.id);
            if let IdempotencyClaim::Replay(_) = tx.claim_idempotency_key(&request.idempotency_key, resource).await? {
                return Ok(None);
            }
            let order = transition::lock_target_order(tx, target).await?;
            create_further_payment(tx, context, order, &request).await
        })
        .await?;
    if let Some(payment_id) = payment_id {
        authorize_payment(context.db, context.payment_providers, payment_id).await?;
    }
    queries::find_order(context.db, target.id).await
}

/// Creates a payment of a locked order. Returns its id if a remote provider must be called.
async fn create_further_payment(
    tx: &Tx,
    context: &SalesContext<'_>,
    order: OrderRow,
    request: &PayOrderRequest<'_>,
) -> Result<Option<i64>> {
    let illegal = |message: &str| Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    let payments = payment::queries::list_payments_of_order(tx, order.id).await?;
    let current = select_current_payment(&payments);
    if matches!(order.status, Status::Canceled | Status::Refunded) {
        return illegal("the order has ended; place a new one");
    }
    if current.is_some_and(|current| current.status.is_accepted()) {
        return illegal("the order is already paid, or its payment is authorized");
    }
    let max_attempts = usize::try_from(context.config.payment.max_attempts).unwrap_or(usize::MAX);
    if payments.len() >= max_attempts {
        return illegal("the maximum number of payments of this order is reached; contact the shop");
    }
    // Canceled units are not paid for.
    let amount = current.map_or(order.total, |current| current.amount);
    let payer_phone = parse_payer_phone(context, request.payer_phone.as_deref())?;
    let address = order.shipping_address.clone().and_then(|address| PostalAddress::from_json(address).ok());
    let country = address.and_then(|address| address.country()).or(Some(context.config.shop.country));
    let payable = PayableOrder { total: Money::new(amount, context.config.shop.currency), country };
    let field = "input.paymentMethodId";
    let method = context.payment_providers.find_method_for_order(&request.payment_method_id, payable, field)?;
    end_pending_payments(tx, order.id).await?;
    let new_payment = NewPayment { order_id: order.id, method, phone: payer_phone.as_deref(), amount };
    let payment_id = transactions::create_payment(tx, new_payment).await?;
    if !method.is_local(amount) {
        tx.enqueue_job_at(AuthorizePayment { payment: payment_id }, tx.now() + PAYMENT_RETRY_DELAY).await?;
        transition::update_order(tx, order).await?;
        return Ok(Some(payment_id));
    }
    choose_local_payment(tx, context, order, method, payment_id).await?;
    Ok(None)
}

/// Authorizes a local payment of a verified customer; another order waits for staff, as at its placement.
async fn choose_local_payment(
    tx: &Tx,
    context: &SalesContext<'_>,
    order: OrderRow,
    method: &PaymentMethod,
    payment_id: i64,
) -> Result<()> {
    let account = match order.account_id {
        Some(account_id) => account::Entity::find_by_id(account_id).one(tx).await?,
        None => None,
    };
    let is_verified = account.is_some_and(|account| account.email_verified_at.is_some());
    if is_verified && !method.requires_confirmation() {
        let result = PaymentResult::Authorized { reference: format!("payment-{payment_id}"), amount: None };
        apply_payment_result(tx, payment_id, &result).await?;
        return Ok(());
    }
    let expires_at = match order.status {
        Status::Pending => payment_deadline(&context.config.checkout, true, tx.now()),
        _ => None,
    };
    transition::update_order(tx, OrderRow { expires_at, ..order }).await?;
    Ok(())
}
