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
    base::{Error, Money, Result, error::PublicErrorCode, phone},
    cart::{self, CartChanged},
    infra::{Batch, IdempotencyClaim, ResourceKey, Tx, config::CheckoutConfig},
    order::{OrderRow, PaymentStatus, place, place::NewOrder},
    payment::{
        PayableOrder, PaymentMethod,
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
        return Ok(CheckoutResult { order_id, placed_order: row });
    };
    // The order is committed; if this process stops, the enqueued job calls the provider.
    authorize_payment(context.db, context.payment_providers, payment_id).await?;
    Ok(CheckoutResult { order_id, placed_order: None })
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
            let field = "input.paymentMethodId";
            context.payment_providers.find_method(&request.payment_method_id, field)?;
            let payer_phone = parse_payer_phone(context, request.payer_phone.as_deref())?;
            let prepared = prepare_order(tx, context, order_id, request.clone()).await?;
            let total = Money::new(prepared.order.total, context.config.shop.currency);
            let payable = PayableOrder { total, country: Some(prepared.country) };
            let method = context.payment_providers.find_method_for_order(&request.payment_method_id, payable, field)?;
            let deadline = payment_deadline(&context.config.checkout, method.is_local(total.minor_units), tx.now());
            place_prepared_order(tx, prepared, PaymentChoice { method, payer_phone: payer_phone.as_deref() }, deadline)
                .await
        })
        .await
}

/// The chosen payment method with the payer's phone number.
#[derive(Debug, Clone, Copy)]
struct PaymentChoice<'a> {
    method: &'a PaymentMethod,
    payer_phone: Option<&'a str>,
}

/// Parses the phone number of a payer.
///
/// # Errors
/// Returns `BadUserInput` if it is not a phone number.
pub(super) fn parse_payer_phone(context: &SalesContext<'_>, phone: Option<&str>) -> Result<Option<String>> {
    let parse = |raw_phone: &str| {
        phone::normalize_phone(raw_phone, context.config.shop.country)
            .ok_or_else(|| Error::bad_input("input.payerPhone", "this is not a phone number"))
    };
    phone.map(parse).transpose()
}

/// Returns when an order expires whose payment is not authorized, or which staff do not confirm; `None` means never.
pub(super) fn payment_deadline(config: &CheckoutConfig, is_local: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let timeout = if is_local { config.confirmation_timeout } else { config.payment_timeout };
    TimeDelta::from_std(timeout).ok().filter(|timeout| !timeout.is_zero()).map(|timeout| now + timeout)
}

/// Inserts an order with its payment, reserves its stock and closes its cart. The payment of a local provider is part
/// of the order's transaction; another one is requested after it, by this process or by a job.
async fn place_prepared_order(
    tx: &Tx,
    prepared: PreparedOrder,
    choice: PaymentChoice<'_>,
    deadline: Option<DateTime<Utc>>,
) -> Result<PlacedOrder> {
    let PreparedOrder { order, cart_id, is_verified, country: _ } = prepared;
    let PaymentChoice { method, payer_phone } = choice;
    let order_id = order.id;
    let is_local = method.is_local(order.total);
    // Manual payments of unverified buyers are authorized when staff confirm the order.
    let is_authorized = is_local && is_verified && !method.requires_confirmation();
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
    let payment = NewPayment { order_id, method, phone: payer_phone, amount: order.total };
    if is_local {
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
