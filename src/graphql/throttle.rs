//! The limits of what anybody may do, at the mutations that need no permission.
//!
//! Counting is not among the statements of a request: it happens beside it, and often not at all.

use super::context::Scope;
use crate::{
    base::{Error, Result, error::Code},
    cart::hold,
    customer::{Written, check},
    identity::{Caller, account, one_time::Purpose},
    infra::{config::ThrottleConfig, throttle::ThrottleSubject},
};

/// Whom an order may have messages sent to, as the input says.
#[derive(Debug, Clone, Copy)]
pub struct OrderContacts<'a> {
    /// The e-mail address.
    pub email: Option<&'a str>,
    /// The telephone number.
    pub phone: Option<&'a str>,
    /// The telephone number of the shipping address.
    pub shipping_phone: Option<&'a str>,
    /// The id of the cart, which has what the input leaves out.
    pub cart: Option<&'a str>,
}

/// Counts an order by the client's address and by everybody it may have messages sent to. One request places at most one
/// order. Callers with a permission are not limited.
///
/// # Errors
/// When there were too many, or it is the second of its request.
pub async fn limit_orders(scope: &Scope, contacts: OrderContacts<'_>) -> Result<()> {
    if is_trusted(scope) {
        return Ok(());
    }
    if !scope.begin_checkout() {
        return Err(Error::user(Code::QueryTooComplex, "", "One request places at most one order."));
    }
    let OrderContacts { email, phone, shipping_phone, cart } = contacts;
    let mut emails: Vec<String> = email.into_iter().map(str::to_owned).collect();
    let mut phones: Vec<String> = phone.into_iter().chain(shipping_phone).map(str::to_owned).collect();
    if let (Some(cart), true) = (cart, email.is_none() || phone.is_none())
        && let Some(row) = hold::find(&scope.shared.db, cart, scope.caller).await?
    {
        emails.extend(row.email);
        let written = row.shipping_address.and_then(|address| serde_json::from_value::<Written>(address).ok());
        phones.extend(row.phone.into_iter().chain(written.and_then(|address| address.phone)));
    }
    let limit = config(scope).orders_per_recipient;
    let country = scope.shared.config.shop.country;
    let mut subjects: Vec<_> =
        address(scope, "order address", |config| config.orders_per_address).into_iter().collect();
    subjects.extend(
        emails.iter().map(|email| ThrottleSubject::new("order email", &account::email_key(email.trim()), limit)),
    );
    subjects.extend(phones.into_iter().map(|typed| {
        let number = check::phone(&typed, country).unwrap_or(typed);
        ThrottleSubject::new("order phone", &number, limit)
    }));
    if let Caller::Person { account, .. } = scope.caller {
        subjects.push(ThrottleSubject::new("order account", &account.to_string(), limit));
    }
    scope.shared.throttle.take(&scope.shared.db, &subjects).await
}

/// Counts a change of a cart. Callers with a permission are not limited.
///
/// # Errors
/// When there were too many.
pub async fn limit_cart_changes(scope: &Scope) -> Result<()> {
    if is_trusted(scope) {
        return Ok(());
    }
    let subject = address(scope, "cart address", |config| config.cart_changes_per_address);
    scope.shared.throttle.take(&scope.shared.db, subject.as_slice()).await
}

/// Counts a registration.
///
/// # Errors
/// When there were too many.
pub async fn limit_registrations(scope: &Scope, email: &str) -> Result<()> {
    let email = ThrottleSubject::new(
        "registration email",
        &account::email_key(email.trim()),
        config(scope).registrations_per_email,
    );
    let address = address(scope, "registration address", |config| config.registrations_per_address);
    let subjects: Vec<_> = std::iter::once(email).chain(address).collect();
    scope.shared.throttle.take(&scope.shared.db, &subjects).await
}

/// Counts a request for a letter that resets a password.
///
/// # Errors
/// When there were too many.
pub async fn limit_reset_requests(scope: &Scope) -> Result<()> {
    let subject = address(scope, "reset address", |config| config.reset_requests_per_address);
    scope.shared.throttle.take(&scope.shared.db, subject.as_slice()).await
}

/// Counts a token that does not exist.
///
/// # Errors
/// When there were too many.
pub async fn limit_unknown_tokens(scope: &Scope) -> Result<()> {
    let subject = address(scope, "token address", |config| config.unknown_tokens_per_address);
    scope.shared.throttle.take(&scope.shared.db, subject.as_slice()).await
}

/// Whether an account may be written another letter of this kind; counted when it may.
///
/// # Errors
/// When the database refuses.
pub async fn may_mail(scope: &Scope, account: i64, purpose: Purpose) -> Result<bool> {
    let subject =
        ThrottleSubject::new("mail account", &format!("{purpose:?} {account}"), config(scope).mails_per_account);
    match scope.shared.throttle.take(&scope.shared.db, &[subject]).await {
        Ok(()) => Ok(true),
        Err(Error::RateLimited { .. }) => Ok(false),
        Err(why) => Err(why),
    }
}

fn config(scope: &Scope) -> &ThrottleConfig {
    &scope.shared.config.throttle
}

fn address(
    scope: &Scope,
    action: &'static str,
    limit: impl FnOnce(&ThrottleConfig) -> crate::infra::config::Limit,
) -> Option<ThrottleSubject> {
    ThrottleSubject::network(action, &scope.device.address, limit(config(scope)))
}

fn is_trusted(scope: &Scope) -> bool {
    !scope.caller.permissions().is_empty()
}
