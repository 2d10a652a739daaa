//! Requests of guests for the link to their order.

use super::{events::OrderLinkRequested, number, queries};
use crate::{
    base::Result,
    customer::OwnerScope,
    identity::account,
    infra::{Db, RequestThrottle, throttle::ThrottleSubject},
};

/// Requests the email with the link to an order, if its number and email address match. The answer does not depend on
/// it.
///
/// # Errors
/// Returns `BadUserInput` if it is not an email address, and `RateLimited`.
pub async fn request_order_link(db: &Db, throttle: RequestThrottle<'_>, number: &str, email: &str) -> Result<()> {
    let email = account::normalize_email(&account::validate_email(email, "email")?);
    let limits = throttle.config;
    let recipient = ThrottleSubject::new("order link recipient", &email, limits.order_links_per_recipient);
    throttle.count_for_recipient(recipient, "order link address", limits.order_links_per_ip).await?;
    let Some(number) = number::parse_order_number(number) else { return Ok(()) };
    let order = queries::find_order_by_number(db, &number, Some(OwnerScope::All), None).await?;
    let has_email = |stored: &String| account::normalize_email(stored) == email;
    match order.filter(|order| order.email.as_ref().is_some_and(has_email)) {
        Some(order) => db.write(async |tx| tx.emit_event(OrderLinkRequested { order: order.id }).await).await,
        None => Ok(()),
    }
}
