//! Rate limits of the mutations that require no permission.
//!
//! Counting is excluded from the statement budget of a request and often needs no statement.

use super::context::RequestContext;
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    cart::queries,
    customer::{PostalAddress, validation},
    identity::{Caller, account, one_time_token::OneTimeTokenPurpose},
    infra::{config::ThrottleConfig, throttle::ThrottleSubject},
};

/// Notification recipients of an order, from the input.
#[derive(Debug, Clone, Copy)]
pub struct OrderContacts<'a> {
    /// Email address.
    pub email: Option<&'a str>,
    /// Phone number.
    pub phone: Option<&'a str>,
    /// Phone number of the shipping address.
    pub shipping_phone: Option<&'a str>,
    /// Cart ID; the cart supplies what the input omits.
    pub cart: Option<&'a str>,
}

/// Counts an order by IP address, recipients and account. A request places at most one order. Callers with a permission
/// are not limited.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded, or `QueryTooComplex` for a second order in the request.
pub async fn limit_orders(context: &RequestContext, order_contacts: OrderContacts<'_>) -> Result<()> {
    if is_trusted(context) {
        return Ok(());
    }
    if !context.try_start_checkout() {
        return Err(Error::user(PublicErrorCode::QueryTooComplex, "", "One request places at most one order."));
    }
    let OrderContacts { email, phone, shipping_phone, cart: cart_id } = order_contacts;
    let mut emails: Vec<String> = email.into_iter().map(str::to_owned).collect();
    let mut phones: Vec<String> = phone.into_iter().chain(shipping_phone).map(str::to_owned).collect();
    if let (Some(cart_id), true) = (cart_id, email.is_none() || phone.is_none())
        && let Some(row) = queries::find_cart_by_token(&context.app_state.db, cart_id, context.caller).await?
    {
        emails.extend(row.email);
        let shipping_address = row.shipping_address.and_then(|address| PostalAddress::from_json(address).ok());
        phones.extend(row.phone.into_iter().chain(shipping_address.and_then(|address| address.phone)));
    }
    let limit = throttle_config(context).orders_per_recipient;
    let country = context.app_state.config.shop.country;
    let mut subjects: Vec<_> =
        build_address_subject(context, "order address", |config| config.orders_per_address).into_iter().collect();
    subjects.extend(
        emails.iter().map(|email| ThrottleSubject::new("order email", &account::normalize_email(email.trim()), limit)),
    );
    subjects.extend(phones.into_iter().map(|raw_phone| {
        let number = validation::normalize_phone(&raw_phone, country).unwrap_or(raw_phone);
        ThrottleSubject::new("order phone", &number, limit)
    }));
    if let Caller::User { account_id, .. } = context.caller {
        subjects.push(ThrottleSubject::new("order account", &account_id.to_string(), limit));
    }
    context.app_state.throttle.count_action(&context.app_state.db, &subjects).await
}

/// Counts a cart change. Callers with a permission are not limited.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_cart_changes(context: &RequestContext) -> Result<()> {
    if is_trusted(context) {
        return Ok(());
    }
    let subject = build_address_subject(context, "cart address", |config| config.cart_changes_per_address);
    context.app_state.throttle.count_action(&context.app_state.db, subject.as_slice()).await
}

/// Counts a registration.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_registrations(context: &RequestContext, email: &str) -> Result<()> {
    let email = ThrottleSubject::new(
        "registration email",
        &account::normalize_email(email.trim()),
        throttle_config(context).registrations_per_email,
    );
    let address = build_address_subject(context, "registration address", |config| config.registrations_per_address);
    let subjects: Vec<_> = std::iter::once(email).chain(address).collect();
    context.app_state.throttle.count_action(&context.app_state.db, &subjects).await
}

/// Counts a password reset request.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_reset_requests(context: &RequestContext) -> Result<()> {
    let subject = build_address_subject(context, "reset address", |config| config.reset_requests_per_address);
    context.app_state.throttle.count_action(&context.app_state.db, subject.as_slice()).await
}

/// Counts an unknown token.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_unknown_tokens(context: &RequestContext) -> Result<()> {
    let subject = build_address_subject(context, "token address", |config| config.unknown_tokens_per_address);
    context.app_state.throttle.count_action(&context.app_state.db, subject.as_slice()).await
}

/// Returns whether the account may be sent another email of this kind, and counts it if so.
pub async fn allow_account_email(
    context: &RequestContext,
    account_id: i64,
    purpose: OneTimeTokenPurpose,
) -> Result<bool> {
    let subject = ThrottleSubject::new(
        "mail account",
        &format!("{purpose:?} {account_id}"),
        throttle_config(context).mails_per_account,
    );
    match context.app_state.throttle.count_action(&context.app_state.db, &[subject]).await {
        Ok(()) => Ok(true),
        Err(Error::RateLimited { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn throttle_config(context: &RequestContext) -> &ThrottleConfig {
    &context.app_state.config.throttle
}

fn build_address_subject(
    context: &RequestContext,
    action: &'static str,
    limit: impl FnOnce(&ThrottleConfig) -> crate::infra::config::RateLimit,
) -> Option<ThrottleSubject> {
    ThrottleSubject::for_network(action, &context.client_info.ip_address, limit(throttle_config(context)))
}

fn is_trusted(context: &RequestContext) -> bool {
    !context.caller.permissions().is_empty()
}
