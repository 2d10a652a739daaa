//! Examples of the default payloads, as in docs/WEBHOOKS.md.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{WebhookEventType, payload::PayloadEnvelope};
use crate::base::{GlobalId, Result, global_id::NodeType};

/// An example: the aggregate, the number of the event among those of the aggregate (0 for none), the data.
type ExampleData = (&'static str, i64, Value);

/// Returns an example of the default payload of a type.
pub fn example_body(event_type: WebhookEventType) -> Result<String> {
    let (aggregate, sequence, data) = example_of_order(event_type).unwrap_or_else(|| example_of_others(event_type));
    let envelope = PayloadEnvelope {
        event_id: 1024,
        event_type,
        occurred_at: DateTime::from_timestamp(1_795_680_000, 0).unwrap_or_default(),
        aggregate: aggregate.to_owned(),
        sequence: (sequence > 0).then_some(sequence),
    };
    envelope.to_body(&data)
}

fn encode_id(node_type: NodeType, key: i64) -> String {
    GlobalId::new(node_type, key).encode()
}

/// Returns the example of an event of orders and their payments; `None` for another type.
fn example_of_order(event_type: WebhookEventType) -> Option<ExampleData> {
    let order = |status: &str, payment_status: &str, fulfillment_status: &str, version: i32| {
        json!({
            "id": encode_id(NodeType::Order, 17),
            "number": "K7M2-9QXR",
            "status": status,
            "paymentStatus": payment_status,
            "fulfillmentStatus": fulfillment_status,
            "currency": "KES",
            "total": "4250.00",
            "shipping": "350.00",
            "tax": "586.21",
            "customerId": encode_id(NodeType::Customer, 5),
            "placedAt": "2026-11-26T08:00:00Z",
            "version": version,
        })
    };
    let payment = |decline_code: Option<&str>| {
        json!({
            "id": encode_id(NodeType::Payment, 21),
            "paymentMethodId": "mpesa",
            "amount": "4250.00",
            "isSurplus": false,
            "declineCode": decline_code,
        })
    };
    Some(match event_type {
        WebhookEventType::OrderPlaced => {
            ("order:17", 1, json!({ "order": order("PENDING", "PENDING", "UNFULFILLED", 1) }))
        }
        WebhookEventType::OrderConfirmed => {
            ("order:17", 2, json!({ "order": order("CONFIRMED", "AUTHORIZED", "UNFULFILLED", 2) }))
        }
        WebhookEventType::OrderUpdated => {
            ("order:17", 3, json!({ "order": order("CONFIRMED", "AUTHORIZED", "UNFULFILLED", 2) }))
        }
        WebhookEventType::OrderFulfilled => (
            "order:17",
            5,
            json!({
                "order": order("SHIPPED", "AUTHORIZED", "FULFILLED", 3),
                "fulfillment": {
                    "id": encode_id(NodeType::Fulfillment, 9),
                    "carrier": "G4S",
                    "trackingNumber": "G4S-123",
                },
            }),
        ),
        WebhookEventType::OrderDelivered => {
            ("order:17", 8, json!({ "order": order("DELIVERED", "PAID", "FULFILLED", 5) }))
        }
        WebhookEventType::OrderCanceled => {
            ("order:17", 2, json!({ "order": order("CANCELED", "VOIDED", "UNFULFILLED", 2) }))
        }
        WebhookEventType::OrderRefunded => (
            "order:17",
            10,
            json!({
                "order": order("DELIVERED", "PARTIALLY_REFUNDED", "FULFILLED", 6),
                "refund": { "id": encode_id(NodeType::Refund, 3) },
            }),
        ),
        WebhookEventType::PaymentCaptured => (
            "order:17",
            4,
            json!({
                "order": order("CONFIRMED", "PAID", "UNFULFILLED", 2),
                "payment": payment(None),
            }),
        ),
        WebhookEventType::PaymentFailed => (
            "order:17",
            2,
            json!({
                "order": order("PENDING", "PENDING", "UNFULFILLED", 2),
                "payment": payment(Some("INSUFFICIENT_FUNDS")),
            }),
        ),
        _ => return None,
    })
}

/// Returns the example of an event of other objects.
fn example_of_others(event_type: WebhookEventType) -> ExampleData {
    let products = json!({ "products": [{ "id": encode_id(NodeType::Product, 42) }], "isComplete": true });
    let customer = json!({ "customer": { "id": encode_id(NodeType::Customer, 5) } });
    match event_type {
        WebhookEventType::ProductUpdated => ("catalog:1", 311, products),
        WebhookEventType::ProductPublished => ("product:42", 1, products),
        WebhookEventType::StockChanged => (
            "variant:77",
            12,
            json!({ "variants": [{ "id": encode_id(NodeType::Variant, 77) }, { "id": encode_id(NodeType::Variant, 78) }], "isComplete": true }),
        ),
        WebhookEventType::StockLow => (
            "variant:77",
            13,
            json!({
                "variant": { "id": encode_id(NodeType::Variant, 77) },
                "location": { "id": encode_id(NodeType::Location, 1) },
                "available": 3,
            }),
        ),
        WebhookEventType::CustomerCreated => ("customer:5", 1, customer),
        WebhookEventType::CustomerUpdated => ("customer:5", 2, customer),
        WebhookEventType::CustomerDeleted => ("customer:5", 3, customer),
        _ => ("webhook_endpoint:1", 0, json!({ "endpoint": { "id": encode_id(NodeType::WebhookEndpoint, 1) } })),
    }
}
