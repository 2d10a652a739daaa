//! Rate limits of orders of callers without permissions.

use super::SalesContext;
use crate::{
    base::{Result, phone},
    cart,
    customer::PostalAddress,
    identity::{Caller, account},
    infra::throttle::ThrottleSubject,
};

/// Notification recipients of an order, from the input.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrderContacts<'a> {
    /// Email address.
    pub email: Option<&'a str>,
    /// Phone number.
    pub phone: Option<&'a str>,
    /// Phone number of the shipping address.
    pub shipping_phone: Option<&'a str>,
    /// Phone number of the payer.
    pub payer_phone: Option<&'a str>,
    /// Token of the cart, which supplies what the input omits.
    pub cart: Option<&'a str>,
}

/// Counts an order by IP address, recipients and account. Callers with a permission are not limited. Counting is
/// excluded from the statement budget of a request and often needs no statement.
///
/// # Errors
/// Returns `RateLimited` if the limit is exceeded.
pub async fn limit_orders(context: &SalesContext<'_>, contacts: OrderContacts<'_>) -> Result<()> {
    if context.caller.has_permissions() {
        return Ok(());
    }
    let throttle = context.throttle;
    let OrderContacts { email, phone, shipping_phone, payer_phone, cart } = contacts;
    let mut emails: Vec<String> = email.into_iter().map(str::to_owned).collect();
    let mut phones: Vec<String> =
        phone.into_iter().chain(shipping_phone).chain(payer_phone).map(str::to_owned).collect();
    if let (Some(cart_token), true) = (cart, email.is_none() || phone.is_none())
        && let Some(row) = cart::find_cart_by_token(throttle.db, cart_token, context.caller).await?
    {
        emails.extend(row.email);
        let address_snapshot = row.shipping_address.and_then(|address| PostalAddress::from_json(address).ok());
        phones.extend(row.phone.into_iter().chain(address_snapshot.and_then(|address| address.phone)));
    }
    let (limit, country) = (throttle.config.orders_per_recipient, context.config.shop.country);
    let network = throttle.network_subject("order address", throttle.config.orders_per_ip);
    let emails =
        emails.iter().map(|email| ThrottleSubject::new("order email", &account::normalize_email(email.trim()), limit));
    let phones = phones.into_iter().map(|raw_phone| {
        let number = phone::normalize_phone(&raw_phone, country).unwrap_or(raw_phone);
        ThrottleSubject::new("order phone", &number, limit)
    });
    let account = match context.caller {
        Caller::User { account_id, .. } => Some(ThrottleSubject::new("order account", &account_id.to_string(), limit)),
        Caller::Anonymous | Caller::ApiKey { .. } => None,
    };
    let subjects: Vec<_> = network.into_iter().chain(emails).chain(phones).chain(account).collect();
    throttle.count_action(&subjects).await
}
