//! The data of events: ids, and of orders their number, statuses and amounts. Neither personal data nor tokens.

use iso_currency::Currency;
use sea_orm::{ActiveEnum, EntityTrait};
use serde_json::{Value, json};

use super::source::EventSubject;
use crate::{
    base::{Error, GlobalId, Money, Result, global_id::NodeType},
    infra::Tx,
    inventory::StockLow,
    order::{
        OrderRow,
        entity::{fulfillment, orders},
    },
    payment::entity::payment,
};

/// Maximum number of ids in the data of an event, so that it stays below the maximum size.
pub(super) const MAX_LISTED_IDS: usize = 250;

/// Data of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EventData {
    /// Ids of its objects, which payload queries get as variables.
    pub(super) subject_ids: Vec<String>,
    /// The field `data` of the default payload.
    pub(super) data: Value,
}

fn encode_id(node_type: NodeType, key: i64) -> String {
    GlobalId::new(node_type, key).encode()
}

/// Reads the data of an event as they are now. Returns `None` if its object does not exist any more. Statements: 2 at
/// most.
pub(super) async fn load_event_data(tx: &Tx, subject: &EventSubject) -> Result<Option<EventData>> {
    Ok(Some(match subject {
        EventSubject::Order { order, fulfillment, refund, payment } => {
            let Some(row) = orders::Entity::find_by_id(*order).one(tx).await? else { return Ok(None) };
            let mut data = json!({ "order": describe_order(&row)? });
            if let Some(fulfillment_id) = fulfillment
                && let Some(row) = fulfillment::Entity::find_by_id(*fulfillment_id).one(tx).await?
            {
                data["fulfillment"] = json!({
                    "id": encode_id(NodeType::Fulfillment, row.id),
                    "carrier": row.carrier,
                    "trackingNumber": row.tracking_number,
                });
            }
            if let Some(refund_id) = refund {
                data["refund"] = json!({ "id": encode_id(NodeType::Refund, *refund_id) });
            }
            if let Some(payment_id) = payment
                && let Some(payment) = payment::Entity::find_by_id(*payment_id).one(tx).await?
            {
                data["payment"] = describe_payment(&row, &payment)?;
            }
            EventData { subject_ids: vec![encode_id(NodeType::Order, row.id)], data }
        }
        EventSubject::Products(products) => describe_list("products", NodeType::Product, products),
        EventSubject::Variants(variants) => describe_list("variants", NodeType::Variant, variants),
        EventSubject::LowStock(StockLow { variant, location, available }) => {
            let variant_id = encode_id(NodeType::Variant, *variant);
            let data = json!({
                "variant": { "id": variant_id },
                "location": { "id": encode_id(NodeType::Location, *location) },
                "available": available,
            });
            EventData { subject_ids: vec![variant_id], data }
        }
        EventSubject::Customer(customer) => {
            let customer_id = encode_id(NodeType::Customer, *customer);
            EventData { data: json!({ "customer": { "id": customer_id } }), subject_ids: vec![customer_id] }
        }
    }))
}

/// Describes a list of objects. `isComplete` is false if there are more than [`MAX_LISTED_IDS`].
fn describe_list(name: &str, node_type: NodeType, keys: &[i64]) -> EventData {
    let subject_ids: Vec<String> = keys.iter().take(MAX_LISTED_IDS).map(|key| encode_id(node_type, *key)).collect();
    let items: Vec<Value> = subject_ids.iter().map(|id| json!({ "id": id })).collect();
    EventData { subject_ids, data: json!({ name: items, "isComplete": keys.len() <= MAX_LISTED_IDS }) }
}

/// Formats an amount of an order as a decimal.
fn format_amount(order: &OrderRow, minor_units: i64) -> Result<String> {
    let currency = Currency::from_code(&order.currency);
    let currency = currency.ok_or_else(|| Error::internal("describing an order", "its currency is unknown"))?;
    Ok(Money::new(minor_units, currency).to_decimal().to_string())
}

fn describe_payment(order: &OrderRow, payment: &payment::Model) -> Result<Value> {
    Ok(json!({
        "id": encode_id(NodeType::Payment, payment.id),
        "paymentMethodId": payment.method,
        "amount": format_amount(order, payment.amount)?,
        "isSurplus": payment.is_surplus,
        "declineCode": payment.decline_code.map(|code| code.to_value().to_uppercase()),
    }))
}

fn describe_order(row: &OrderRow) -> Result<Value> {
    Ok(json!({
        "id": encode_id(NodeType::Order, row.id),
        "number": row.number,
        "status": row.status.to_value().to_uppercase(),
        "paymentStatus": row.payment_status.to_value().to_uppercase(),
        "fulfillmentStatus": row.fulfillment_status.to_value().to_uppercase(),
        "currency": row.currency,
        "total": format_amount(row, row.total)?,
        "shipping": format_amount(row, row.shipping)?,
        "tax": format_amount(row, row.tax)?,
        "customerId": row.account_id.map(|account_id| encode_id(NodeType::Customer, account_id)),
        "placedAt": row.placed_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        "version": row.version,
    }))
}

/// Returns the id of the object whose events are numbered: of a product, an order, ...; `catalog` for all products.
pub(super) fn describe_aggregate(aggregate: &str) -> String {
    let node_type = |name: &str| match name {
        "order" => Some(NodeType::Order),
        "product" => Some(NodeType::Product),
        "variant" => Some(NodeType::Variant),
        "customer" => Some(NodeType::Customer),
        "webhook_endpoint" => Some(NodeType::WebhookEndpoint),
        _ => None,
    };
    let (name, key) = aggregate.split_once(':').unwrap_or((aggregate, ""));
    match (node_type(name), key.parse()) {
        (Some(node_type), Ok(key)) => encode_id(node_type, key),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::payload::MAX_PAYLOAD_BYTES;

    #[test]
    fn long_list_is_cut_below_the_maximum_size() {
        let keys: Vec<i64> = (0..2000).map(|index| i64::MAX - index).collect();
        let long = describe_list("products", NodeType::Variant, &keys);
        assert_eq!((long.subject_ids.len(), &long.data["isComplete"]), (MAX_LISTED_IDS, &json!(false)));
        // With room for the envelope, even if the ids were the longest ones.
        assert!(long.data.to_string().len() + 500 < MAX_PAYLOAD_BYTES, "{}", long.data.to_string().len());
        let complete = describe_list("variants", NodeType::Variant, &keys[..MAX_LISTED_IDS]);
        assert_eq!(complete.data["isComplete"], json!(true));
    }

    #[test]
    fn aggregate_is_described_by_a_global_id() {
        assert_eq!(describe_aggregate("order:17"), encode_id(NodeType::Order, 17));
        assert_eq!(describe_aggregate("catalog:1"), "catalog");
    }
}
