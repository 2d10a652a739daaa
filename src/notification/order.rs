//! What is told of orders: the order as it is when there is something to tell, put into words.

use std::collections::HashMap;

use iso_currency::Currency;
use sea_orm::EntityTrait;
use serde_json::Value;

use super::{LineWords, Notice, Occasion, OrderWords, ParcelWords, Recipient, amount, tell, web};
use crate::{
    base::{Country, Error, Language, Result, link::contains_link},
    catalog::DEFAULT_VARIANT,
    customer::Reach,
    identity::entity::account,
    infra::{Tx, outbox::Told},
    order::{
        Line, Order, OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, Status,
        entity::{Fulfilment, Part},
        find,
    },
};

/// An order has come in.
///
/// # Errors
/// When the database refuses.
pub async fn placed(tx: &Tx, told: &Told<OrderPlaced>) -> Result<()> {
    let Some((to, order, words)) = read(tx, told.event.order).await? else { return Ok(()) };
    let order = Some((order.id, words));
    tell(tx, Notice { event: told.id, occasion: Occasion::OrderPlaced, to, order }).await
}

/// An order has come further. Parcels and refunds are told of by themselves.
///
/// # Errors
/// When the database refuses.
pub async fn changed(tx: &Tx, told: &Told<OrderStatusChanged>) -> Result<()> {
    let occasion = match told.event.to {
        Status::Confirmed => Occasion::OrderConfirmed,
        Status::Delivered => Occasion::OrderDelivered,
        Status::Cancelled => Occasion::OrderCancelled,
        Status::Pending | Status::Processing | Status::Shipped | Status::Refunded => return Ok(()),
    };
    let Some((to, order, words)) = read(tx, told.event.order).await? else { return Ok(()) };
    let order = Some((order.id, words));
    tell(tx, Notice { event: told.id, occasion, to, order }).await
}

/// A parcel has gone off.
///
/// # Errors
/// When the database refuses.
pub async fn shipped(tx: &Tx, told: &Told<OrderShipped>) -> Result<()> {
    let Some((to, order, mut words)) = read(tx, told.event.order).await? else { return Ok(()) };
    let keys = [order.id];
    let all = find::fulfilments(tx, &keys).await?.remove(&order.id).unwrap_or_default();
    let parcel = all.into_iter().find(|parcel| parcel.id == told.event.fulfilment);
    let parcel = parcel.ok_or_else(|| Error::fault("telling of a parcel", "it is not there"))?;
    let parts = find::parcels(tx, &[parcel.id]).await?.remove(&parcel.id).unwrap_or_default();
    let lines = find::lines(tx, &keys).await?.remove(&order.id).unwrap_or_default();
    words.parcel = Some(parcel_words(parcel, &parts, &lines));
    tell(tx, Notice { event: told.id, occasion: Occasion::OrderShipped, to, order: Some((order.id, words)) }).await
}

/// Money has gone back.
///
/// # Errors
/// When the database refuses.
pub async fn refunded(tx: &Tx, told: &Told<OrderRefunded>) -> Result<()> {
    let Some((to, order, mut words)) = read(tx, told.event.order).await? else { return Ok(()) };
    let all = find::refunds(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    let refund = all.into_iter().find(|refund| refund.id == told.event.refund);
    let refund = refund.ok_or_else(|| Error::fault("telling of a refund", "it is not there"))?;
    words.refund = Some(amount(refund.amount, currency(&order)?));
    tell(tx, Notice { event: told.id, occasion: Occasion::OrderRefunded, to, order: Some((order.id, words)) }).await
}

/// An order, whom it is told to, and what is said of it. `None` when whoever ordered has been forgotten. Three statements.
async fn read(tx: &Tx, key: i64) -> Result<Option<(Recipient, Order, OrderWords)>> {
    let Some(order) = find::by_key(tx, &[key], Reach::All).await?.remove(&key) else { return Ok(None) };
    let owner = match order.account_id {
        Some(account) => match account::Entity::find_by_id(account).one(tx).await? {
            Some(owner) if owner.deleted_at.is_none() => Some(owner),
            _ => return Ok(None),
        },
        None => None,
    };
    let lines = find::lines(tx, &[key]).await?.remove(&key).unwrap_or_default();
    let mut words = words(&order, &lines)?;
    let (mut email, mut phone) = (order.email.clone(), order.phone.clone());
    if let Some(owner) = &owner {
        // A name in the greeting is one that its owner has verified an address for: anybody can type a guest's.
        if owner.email_verified_at.is_some() && !contains_link(&owner.first_name) {
            words.name.clone_from(&owner.first_name);
        }
        email = email.or_else(|| owner.email.clone());
        phone = phone.or_else(|| owner.phone.clone());
    }
    let to = Recipient { account: order.account_id, email, phone, language: Language::named(&order.language) };
    Ok(Some((to, order, words)))
}

fn currency(order: &Order) -> Result<Currency> {
    Currency::from_code(&order.currency)
        .ok_or_else(|| Error::fault("reading an order's currency", order.currency.clone()))
}

/// What is said of an order. Its lines add up to the subtotal, and that with the rest to the total.
fn words(order: &Order, lines: &[Line]) -> Result<OrderWords> {
    let currency = currency(order)?;
    let shown = |minor: i64| amount(minor, currency);
    let some = |minor: i64| (minor != 0).then(|| shown(minor));
    let line = |line: &Line| LineWords {
        name: line.name.clone(),
        variant: variant_of(line),
        quantity: line.quantity,
        total: shown(line.unit_list.saturating_mul(line.quantity)),
    };
    let place = order.shipping_address.as_ref();
    Ok(OrderWords {
        number: order.number.clone(),
        name: String::new(),
        lines: lines.iter().map(line).collect(),
        subtotal: shown(order.subtotal),
        discount: some(order.discount),
        shipping: shown(order.shipping),
        tax: some(order.tax_added),
        tax_included: some(order.tax - order.tax_added),
        total: shown(order.total),
        address: place.map(address).unwrap_or_default(),
        parcel: None,
        refund: None,
    })
}

/// The variant's name, where the product has more than one.
fn variant_of(line: &Line) -> String {
    if line.variant_name == DEFAULT_VARIANT { String::new() } else { line.variant_name.clone() }
}

fn parcel_words(parcel: Fulfilment, parts: &[Part], lines: &[Line]) -> ParcelWords {
    let by_key: HashMap<i64, &Line> = lines.iter().map(|line| (line.id, line)).collect();
    let told = |part: &Part| {
        let line = by_key.get(&part.order_line_id)?;
        let (name, variant) = (line.name.clone(), variant_of(line));
        Some(LineWords { name, variant, quantity: part.quantity, total: String::new() })
    };
    ParcelWords {
        lines: parts.iter().filter_map(told).collect(),
        carrier: parcel.carrier,
        tracking: parcel.tracking_number,
        url: parcel.tracking_url.as_deref().and_then(web),
        partial: lines.iter().any(|line| line.unsent() > 0),
    }
}

fn part<'a>(place: &'a Value, name: &str) -> &'a str {
    place[name].as_str().unwrap_or_default()
}

/// An address as it stands on a parcel.
fn address(place: &Value) -> Vec<String> {
    let of = |name: &str| part(place, name);
    let country = Country::named(of("countryCode")).map(Country::name).unwrap_or_default();
    let lines = [
        format!("{} {}", of("firstName"), of("lastName")),
        of("company").to_owned(),
        of("line1").to_owned(),
        of("line2").to_owned(),
        format!("{} {}", of("postalCode"), of("city")),
        of("region").to_owned(),
        country.to_owned(),
    ];
    let lines = lines.iter().map(|line| line.trim().to_owned());
    lines.filter(|line| !line.is_empty() && !contains_link(line)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_has_no_empty_lines() {
        let place = json!({ "firstName": "Wanjiku", "lastName": "", "company": null, "line1": "Moi Avenue 1",
            "city": "Nairobi", "countryCode": "KE" });
        assert_eq!(address(&place), ["Wanjiku", "Moi Avenue 1", "Nairobi", "Kenya"]);
        assert!(address(&json!({})).is_empty());
        let place = json!({ "firstName": "Verify", "line1": "at http://evil.example/login", "city": "Nairobi" });
        assert_eq!(address(&place), ["Verify", "Nairobi"], "an address that was stored before links were refused");
    }
}
