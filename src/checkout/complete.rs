//! Checkout: reserves stock and places the order in one transaction, commits, calls the payment provider, then applies
//! its result. No lock is kept during provider calls; after a crash at any point a job continues.

use chrono::TimeDelta;

use super::{
    prepare::{PreparedOrder, prepare_order},
    request::{CheckoutContext, CheckoutRequest, OrderSource},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    cart,
    infra::{Batch, IdempotencyClaim, ResourceKey, Tx},
    order::{OrderRow, PaymentStatus, place},
    payment::{PaymentResult, cancellation, payment_result, transactions},
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
pub async fn complete_checkout(context: &CheckoutContext<'_>, request: CheckoutRequest) -> Result<CheckoutResult> {
    let placed = match place_order_with_retry(context, &request).await {
        Err(error) if is_insufficient_stock(&error) => {
            // Canceling expired unpaid orders may release enough stock.
            let variant_ids = find_requested_variants(context, &request).await?;
            if cancellation::expire_overdue_orders(context.db, Some(&variant_ids)).await? == 0 {
                return Err(error);
            }
            place_order_with_retry(context, &request).await?
        }
        outcome => outcome?,
    };
    let Some(payment_id) = placed.pending_payment_id else {
        return Ok(CheckoutResult { order_id: placed.order_id, placed_order: placed.row, decline_reason: None });
    };
    // The order is committed; if this process stops, the enqueued job calls the provider.
    let (_, payment_result) = payment_result::authorize_payment(context.db, context.providers, payment_id).await?;
    let decline_reason =
        if let PaymentResult::Declined { reason: error } = payment_result { Some(error) } else { None };
    Ok(CheckoutResult { order_id: placed.order_id, placed_order: None, decline_reason })
}

/// Places the order; retries after a deadlock or serialization failure.
async fn place_order_with_retry(context: &CheckoutContext<'_>, request: &CheckoutRequest) -> Result<PlacedOrder> {
    context.db.write_with_retry(|| async |tx| place_order(tx, context, request.clone()).await).await
}

async fn place_order(tx: &Tx, context: &CheckoutContext<'_>, mut request: CheckoutRequest) -> Result<PlacedOrder> {
    let order_id = match tx.claim_idempotency_key(&request.idempotency_key, ResourceKey::New("customer_order")).await? {
        IdempotencyClaim::New(order_id) => order_id,
        IdempotencyClaim::Replay(order) => {
            return Ok(PlacedOrder { order_id: order, row: None, pending_payment_id: None });
        }
    };
    let allowed_methods = context.config.payment_methods.as_slice();
    let provider = context.providers.find_allowed(&request.provider, (allowed_methods, "input.paymentMethod"))?;
    let PreparedOrder { mut order, cart_id: cart, is_verified } =
        prepare_order(tx, context, order_id, &mut request).await?;
    // Manual payments of unverified buyers are authorized when staff confirm the order.
    let is_authorized = provider.is_local() && is_verified;
    if is_authorized {
        order.payment_status = PaymentStatus::Authorised;
    } else {
        let timeout =
            if provider.is_local() { context.config.confirmation_timeout } else { context.config.payment_timeout };
        let timeout = TimeDelta::from_std(timeout).ok().filter(|timeout| !timeout.is_zero());
        order.expires_at = timeout.map(|timeout| tx.now() + timeout);
    }
    let mut batch = Batch::default();
    if let Some(cart) = cart {
        batch.add(cart::close_cart(tx, cart, order_id));
    }
    let charge = (provider.name(), order.total);
    if provider.is_local() {
        let reference = is_authorized.then(|| format!("order-{order_id}"));
        batch.add_named(transactions::PAYMENT, transactions::insert(tx, order_id, charge, reference.as_deref()));
        if let Some(reference) = &reference {
            batch.add(transactions::first_entry(tx, order_id, order.total, reference));
        }
    }
    let placed_order = place::place_order(tx, &order, batch).await?;
    if provider.is_local() {
        return Ok(PlacedOrder { order_id, row: Some(placed_order), pending_payment_id: None });
    }
    let payment_id = transactions::create_payment(tx, order_id, charge).await?;
    tx.enqueue_job_at(
        payment_result::AuthorizePayment { payment: payment_id },
        tx.now() + payment_result::PAYMENT_RETRY_DELAY,
    )
    .await?;
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

async fn find_requested_variants(context: &CheckoutContext<'_>, request: &CheckoutRequest) -> Result<Vec<i64>> {
    let cart_token = match &request.source {
        OrderSource::Items(items) => return Ok(items.iter().map(|(variant, _)| *variant).collect()),
        OrderSource::Cart(cart_token) => cart_token,
    };
    let Some(row) = cart::queries::find_cart_by_token(context.db, cart_token, context.caller).await? else {
        return Ok(Vec::new());
    };
    Ok(cart::queries::load_cart_lines(context.db, row.id).await?.iter().map(|line| line.variant_id).collect())
}
