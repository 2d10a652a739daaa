//! Checkout: reserves stock and places the order in one transaction, commits, calls the payment provider, then applies
//! its result. No lock is kept during provider calls; after a crash at any point a job continues.

mod basket;
mod buyer;
mod prepare;
mod request;
mod totals;

use chrono::{DateTime, TimeDelta, Utc};

use self::prepare::{PreparedOrder, prepare_order};
pub use self::{
    request::{BuyerDetails, CheckoutRequest, OrderSource},
    totals::price_lines,
};
use super::{SalesContext, authorize::authorize_payment, expire::expire_overdue_orders};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    cart::{self, CartChanged},
    infra::{Batch, IdempotencyClaim, ResourceKey, Tx, config::CheckoutConfig},
    order::{OrderRow, PaymentStatus, place, place::NewOrder},
    payment::{
        PaymentProvider, PaymentResult,
        jobs::{AuthorizePayment, PAYMENT_RETRY_DELAY},
        transactions::{self, NewPayment},
    },
};

/// Result of a checkout.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckoutResult {
    /// Id of the order.
    pub order_id: i64,
    /// The placed order, if unchanged since; otherwise the caller reads it.
    pub placed_order: Option<OrderRow>,
    /// Reason of a declined payment; the order is canceled then.
    pub decline_reason: Option<String>,
}

/// A placed order, with the payment that waits for a remote provider.
#[derive(Debug)]
struct PlacedOrder {
    order_id: i64,
    row: Option<OrderRow>,
    pending_payment_id: Option<i64>,
}

/// Completes a checkout. Idempotent by the request's key.
///
/// # Errors
/// Returns the user errors of the request; nothing is changed then.
pub async fn complete_checkout(context: &SalesContext<'_>, request: CheckoutRequest) -> Result<CheckoutResult> {
    let placed = match place_order(context, &request).await {
        // The missing stock may be reserved by orders that were not paid in time and that the schedule has not canceled
        // yet. They are canceled and the order is placed again: once, because stock that is missing then is not there.
        Err(error) if is_insufficient_stock(&error) => {
            let variant_ids = find_requested_variants(context, &request).await?;
            if expire_overdue_orders(context.db, Some(&variant_ids)).await? == 0 {
                return Err(error);
            }
            place_order(context, &request).await?
        }
        outcome => outcome?,
    };
    let PlacedOrder { order_id, row, pending_payment_id } = placed;
    let Some(payment_id) = pending_payment_id else {
        return Ok(CheckoutResult { order_id, placed_order: row, decline_reason: None });
    };
    // The order is committed; if this process stops, the enqueued job calls the provider.
    let outcome = authorize_payment(context.db, context.payment_providers, payment_id).await?;
    let decline_reason = match outcome.result {
        PaymentResult::Declined { reason } => Some(reason),
        _ => None,
    };
    Ok(CheckoutResult { order_id, placed_order: None, decline_reason })
}

/// Places the order with its payment in one transaction. A request that was carried out before only returns its order.
async fn place_order(context: &SalesContext<'_>, request: &CheckoutRequest) -> Result<PlacedOrder> {
    context
        .db
        .write_with_retry(async |tx| {
            let resource = ResourceKey::New("orders");
            let order_id = match tx.claim_idempotency_key(&request.idempotency_key, resource).await? {
                IdempotencyClaim::New(order_id) => order_id,
                IdempotencyClaim::Replay(order_id) => {
                    return Ok(PlacedOrder { order_id, row: None, pending_payment_id: None });
                }
            };
            let allowed_methods = &context.config.checkout.payment_methods;
            let provider =
                context.payment_providers.find_allowed(&request.provider, allowed_methods, "input.paymentMethod")?;
            let prepared = prepare_order(tx, context, order_id, request.clone()).await?;
            let deadline = payment_deadline(&context.config.checkout, provider.is_local(), tx.now());
            place_prepared_order(tx, prepared, provider.as_ref(), deadline).await
        })
        .await
}

/// Returns when an order expires whose payment is not authorized, or which staff do not confirm; `None` means never.
fn payment_deadline(config: &CheckoutConfig, is_local: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let timeout = if is_local { config.confirmation_timeout } else { config.payment_timeout };
    TimeDelta::from_std(timeout).ok().filter(|timeout| !timeout.is_zero()).map(|timeout| now + timeout)
}

/// Inserts an order with its payment, reserves its stock and closes its cart. The payment of a local provider is part
/// of the order's transaction; another one is requested after it, by this process or by a job.
async fn place_prepared_order(
    tx: &Tx,
    prepared: PreparedOrder,
    provider: &dyn PaymentProvider,
    deadline: Option<DateTime<Utc>>,
) -> Result<PlacedOrder> {
    let PreparedOrder { order, cart_id, is_verified } = prepared;
    let order_id = order.id;
    // Manual payments of unverified buyers are authorized when staff confirm the order.
    let is_authorized = provider.is_local() && is_verified;
    let order = if is_authorized {
        NewOrder { payment_status: PaymentStatus::Authorized, ..order }
    } else {
        NewOrder { expires_at: deadline, ..order }
    };
    let mut batch = Batch::default();
    if let Some(cart_id) = cart_id {
        batch.add(cart::close_cart(tx, cart_id, order_id));
        batch.add(tx.emit_statement(&[CartChanged { cart: cart_id }])?);
    }
    let payment = NewPayment { order_id, provider: provider.name(), amount: order.total };
    if provider.is_local() {
        let reference = is_authorized.then(|| format!("order-{order_id}"));
        transactions::add_payment(&mut batch, tx, payment, reference.as_deref());
        let row = place::place_order(tx, &order, batch).await?;
        return Ok(PlacedOrder { order_id, row: Some(row), pending_payment_id: None });
    }
    place::place_order(tx, &order, batch).await?;
    let payment_id = transactions::create_payment(tx, payment).await?;
    tx.enqueue_job_at(AuthorizePayment { payment: payment_id }, tx.now() + PAYMENT_RETRY_DELAY).await?;
    Ok(PlacedOrder { order_id, row: None, pending_payment_id: Some(payment_id) })
}

fn is_insufficient_stock(error: &Error) -> bool {
    let is_shortage = |code: PublicErrorCode| code == PublicErrorCode::InsufficientStock;
    match error {
        Error::User(user_error) => is_shortage(user_error.code),
        Error::UserErrors(user_errors) => user_errors.iter().any(|user_error| is_shortage(user_error.code)),
        Error::RateLimited { .. } | Error::Internal(_) => false,
    }
}

async fn find_requested_variants(context: &SalesContext<'_>, request: &CheckoutRequest) -> Result<Vec<i64>> {
    let cart_token = match &request.source {
        OrderSource::Items(items) => return Ok(items.iter().map(|item| item.variant_id).collect()),
        OrderSource::Cart(cart_token) => cart_token,
    };
    let Some(row) = cart::find_cart_by_token(context.db, cart_token, context.caller).await? else {
        return Ok(Vec::new());
    };
    Ok(cart::access::load_cart_lines(context.db, row.id).await?.iter().map(|line| line.variant_id).collect())
}
