//! Event handlers of order notifications; their template data is a snapshot of the order.

use std::collections::HashMap;

use iso_currency::Currency;
use sea_orm::EntityTrait;
use serde_json::Value;

use super::{
    FulfillmentTemplateData, LineTemplateData, NewNotification, NotificationEventType, NotificationRecipient,
    OrderTemplateData, enqueue_notification, format_amount, sanitize_web_url,
};
use crate::{
    base::{Country, Error, Result, link_detection::contains_link},
    catalog::DEFAULT_VARIANT,
    identity::entity::account,
    infra::{Tx, outbox::DeliveredEvent},
    order::{
        OrderLineRow, OrderLinkRequested, OrderPlaced, OrderRefunded, OrderRow, OrderShipped, OrderStatusChanged,
        Status,
        entity::{FulfillmentRow, LineQuantityRow},
        queries,
    },
    payment,
};

/// Enqueues the notification of a placed order.
pub async fn notify_order_placed(tx: &Tx, delivered: &DeliveredEvent<OrderPlaced>) -> Result<()> {
    let Some((recipient, order, data)) = load_order_notification(tx, delivered.event.order).await? else {
        return Ok(());
    };
    let order = Some((order.id, data));
    enqueue_notification(
        tx,
        NewNotification { event_id: delivered.id, event_type: NotificationEventType::OrderPlaced, recipient, order },
    )
    .await
}

/// Enqueues the email with the link to an order, to the address of the order only.
pub async fn notify_order_link_requested(tx: &Tx, delivered: &DeliveredEvent<OrderLinkRequested>) -> Result<()> {
    let Some((recipient, order, data)) = load_order_notification(tx, delivered.event.order).await? else {
        return Ok(());
    };
    let recipient = NotificationRecipient { email: order.email.clone(), phone: None, ..recipient };
    let order = Some((order.id, data));
    let event_type = NotificationEventType::OrderLink;
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order }).await
}

/// Enqueues the notification of a status change. Fulfillments and refunds have notifications of their own.
pub async fn notify_order_status_changed(tx: &Tx, delivered: &DeliveredEvent<OrderStatusChanged>) -> Result<()> {
    let event_type = match delivered.event.to {
        Status::Confirmed => NotificationEventType::OrderConfirmed,
        Status::Delivered => NotificationEventType::OrderDelivered,
        Status::Canceled => NotificationEventType::OrderCanceled,
        Status::Pending | Status::Processing | Status::Shipped | Status::Refunded => return Ok(()),
    };
    let Some((recipient, order, data)) = load_order_notification(tx, delivered.event.order).await? else {
        return Ok(());
    };
    let order = Some((order.id, data));
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order }).await
}

/// Enqueues the notification of a fulfillment.
pub async fn notify_order_shipped(tx: &Tx, delivered: &DeliveredEvent<OrderShipped>) -> Result<()> {
    let Some((recipient, order, mut data)) = load_order_notification(tx, delivered.event.order).await? else {
        return Ok(());
    };
    let fulfillments = queries::fulfillments(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    let fulfillment = fulfillments.into_iter().find(|fulfillment| fulfillment.id == delivered.event.fulfillment);
    let fulfillment = fulfillment.ok_or_else(|| Error::internal("notifying of a shipment", "row not found"))?;
    let fulfillment_lines = queries::parcels(tx, &[fulfillment.id]).await?.remove(&fulfillment.id).unwrap_or_default();
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    data.parcel = Some(build_fulfillment_data(fulfillment, &fulfillment_lines, &lines));
    enqueue_notification(
        tx,
        NewNotification {
            event_id: delivered.id,
            event_type: NotificationEventType::OrderShipped,
            recipient,
            order: Some((order.id, data)),
        },
    )
    .await
}

/// Enqueues the notification of a refund.
pub async fn notify_order_refunded(tx: &Tx, delivered: &DeliveredEvent<OrderRefunded>) -> Result<()> {
    let Some((recipient, order, mut data)) = load_order_notification(tx, delivered.event.order).await? else {
        return Ok(());
    };
    let refunds = payment::queries::list_refunds_of_order(tx, order.id).await?;
    let refund = refunds.into_iter().find(|refund| refund.id == delivered.event.refund);
    let refund = refund.ok_or_else(|| Error::internal("notifying of a refund", "row not found"))?;
    data.refund = Some(format_amount(refund.amount, parse_order_currency(&order)?));
    enqueue_notification(
        tx,
        NewNotification {
            event_id: delivered.id,
            event_type: NotificationEventType::OrderRefunded,
            recipient,
            order: Some((order.id, data)),
        },
    )
    .await
}

/// Loads the recipient, the order and its template data. Returns `None` if the customer was erased. Statements: 3.
async fn load_order_notification(
    tx: &Tx,
    order_id: i64,
) -> Result<Option<(NotificationRecipient, OrderRow, OrderTemplateData)>> {
    let Some(order) = queries::find_order_by_id(tx, order_id).await? else { return Ok(None) };
    let owner = match order.account_id {
        Some(account) => match account::Entity::find_by_id(account).one(tx).await? {
            Some(owner) if owner.deleted_at.is_none() => Some(owner),
            _ => return Ok(None),
        },
        None => None,
    };
    let lines = queries::load_lines_of_order(tx, order_id).await?;
    let mut data = build_order_data(&order, &lines)?;
    let (mut email, mut phone) = (order.email.clone(), order.phone.clone());
    if let Some(owner) = &owner {
        // The greeting uses the name of an account with a verified address only: a guest's name is unverified input.
        if owner.email_verified_at.is_some() && !contains_link(&owner.first_name) {
            data.name.clone_from(&owner.first_name);
        }
        email = email.or_else(|| owner.email.clone());
        phone = phone.or_else(|| owner.phone.clone());
    }
    let recipient =
        NotificationRecipient { account_id: order.account_id, email, phone, language: Some(order.language) };
    Ok(Some((recipient, order, data)))
}

fn parse_order_currency(order: &OrderRow) -> Result<Currency> {
    Currency::from_code(&order.currency)
        .ok_or_else(|| Error::internal("reading an order's currency", order.currency.clone()))
}

/// Builds the template data of an order. The lines add up to the subtotal, and with the other amounts to the total.
fn build_order_data(order: &OrderRow, lines: &[OrderLineRow]) -> Result<OrderTemplateData> {
    let currency = parse_order_currency(order)?;
    let format_minor = |minor: i64| format_amount(minor, currency);
    let format_nonzero = |minor: i64| (minor != 0).then(|| format_minor(minor));
    let line = |line: &OrderLineRow| LineTemplateData {
        name: line.name.clone(),
        variant: displayed_variant_name(line),
        quantity: line.quantity,
        total: format_minor(line.unit_list_price.saturating_mul(line.quantity)),
    };
    let shipping_address = order.shipping_address.as_ref();
    Ok(OrderTemplateData {
        number: order.number.clone(),
        name: String::new(),
        lines: lines.iter().map(line).collect(),
        subtotal: format_minor(order.list_subtotal),
        discount: format_nonzero(order.discount),
        shipping: format_minor(order.shipping),
        tax: format_nonzero(order.tax_excluded_total),
        tax_included: format_nonzero(order.tax - order.tax_excluded_total),
        total: format_minor(order.total),
        address: shipping_address.map(format_address).unwrap_or_default(),
        parcel: None,
        refund: None,
    })
}

/// Returns the variant's name; empty for a product with only the default variant.
fn displayed_variant_name(line: &OrderLineRow) -> String {
    if line.variant_name == DEFAULT_VARIANT { String::new() } else { line.variant_name.clone() }
}

fn build_fulfillment_data(
    fulfillment: FulfillmentRow,
    fulfillment_lines: &[LineQuantityRow],
    lines: &[OrderLineRow],
) -> FulfillmentTemplateData {
    let by_key: HashMap<i64, &OrderLineRow> = lines.iter().map(|line| (line.id, line)).collect();
    let to_line_data = |fulfillment_line: &LineQuantityRow| {
        let line = by_key.get(&fulfillment_line.order_line_id)?;
        let (name, variant) = (line.name.clone(), displayed_variant_name(line));
        Some(LineTemplateData { name, variant, quantity: fulfillment_line.quantity, total: String::new() })
    };
    FulfillmentTemplateData {
        lines: fulfillment_lines.iter().filter_map(to_line_data).collect(),
        carrier: fulfillment.carrier,
        tracking: fulfillment.tracking_number,
        url: fulfillment.tracking_url.as_deref().and_then(sanitize_web_url),
        partial: lines.iter().any(|line| line.unshipped_quantity() > 0),
    }
}

fn read_address_field<'a>(stored_address: &'a Value, name: &str) -> &'a str {
    stored_address[name].as_str().unwrap_or_default()
}

/// Formats an address as the lines of a shipping label.
fn format_address(stored_address: &Value) -> Vec<String> {
    let field = |name: &str| read_address_field(stored_address, name);
    let country = Country::from_code(field("countryCode")).map(Country::name).unwrap_or_default();
    let lines = [
        format!("{} {}", field("firstName"), field("lastName")),
        field("company").to_owned(),
        field("line1").to_owned(),
        field("line2").to_owned(),
        format!("{} {}", field("postalCode"), field("city")),
        field("region").to_owned(),
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
    fn formatted_address_omits_empty_lines() {
        let stored_address = json!({ "firstName": "Wanjiku", "lastName": "", "company": null, "line1": "Moi Avenue 1",
            "city": "Nairobi", "countryCode": "KE" });
        assert_eq!(format_address(&stored_address), ["Wanjiku", "Moi Avenue 1", "Nairobi", "Kenya"]);
        assert!(format_address(&json!({})).is_empty());
        let stored_address =
            json!({ "firstName": "Verify", "line1": "at http://evil.example/login", "city": "Nairobi" });
        assert_eq!(
            format_address(&stored_address),
            ["Verify", "Nairobi"],
            "an address that was stored before links were refused"
        );
    }
}
