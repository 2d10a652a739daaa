//! Events of Stripe's webhooks. Only what an event is about is taken from it: the state is always read from the API.

use serde::Deserialize;

use super::{amount::from_stripe_amount, objects::StripeMetadata};
use crate::{
    base::text::to_single_line,
    payment::webhook::{WebhookEvent, WebhookRejection, WebhookSubject},
};

/// Maximum length of ids and types of events. Bytes.
const MAX_ID_LENGTH: usize = 255;

#[derive(Deserialize)]
struct StripeEventBody {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    data: StripeEventData,
}

#[derive(Deserialize)]
struct StripeEventData {
    object: StripeEventObject,
}

/// An object of an event: a `PaymentIntent`, a refund or a dispute.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StripeEventObject {
    id: Option<String>,
    payment_intent: Option<String>,
    metadata: Option<StripeMetadata>,
    amount: Option<i64>,
    currency: Option<String>,
    reason: Option<String>,
    status: Option<String>,
}

/// Returns the event of a verified body.
pub(super) fn identify_event(body: &[u8]) -> Result<WebhookEvent, WebhookRejection> {
    let event: StripeEventBody = serde_json::from_slice(body).map_err(|_| WebhookRejection::InvalidBody)?;
    let StripeEventBody { id, event_type, data: StripeEventData { object } } = event;
    let is_valid = |text: &String| (1..=MAX_ID_LENGTH).contains(&text.len());
    if !is_valid(&id) || !is_valid(&event_type) {
        return Err(WebhookRejection::InvalidBody);
    }
    let subject = find_subject(&event_type, object).unwrap_or(WebhookSubject::Other);
    Ok(WebhookEvent { event_id: id, event_type, subject })
}

fn find_subject(event_type: &str, object: StripeEventObject) -> Option<WebhookSubject> {
    let StripeEventObject { id, payment_intent, metadata, amount, currency, reason, status } = object;
    let metadata = metadata.unwrap_or_default();
    match event_type {
        "charge.dispute.created" | "charge.dispute.closed" => {
            let money = from_stripe_amount(amount?, &currency?)?;
            let amount = format!("{} {}", money.currency.code(), money.to_decimal());
            let (reason, status) =
                (to_single_line(&reason.unwrap_or_default(), 60), to_single_line(&status.unwrap_or_default(), 60));
            let note = if event_type == "charge.dispute.created" {
                format!("The buyer disputes {amount} at Stripe (reason: {reason}). Respond in the Stripe Dashboard.")
            } else {
                format!("The dispute of {amount} at Stripe is closed: {status}.")
            };
            Some(WebhookSubject::Dispute { payment_reference: payment_intent?, note })
        }
        _ if event_type.starts_with("payment_intent.") => match metadata.payment_id.and_then(|id| id.parse().ok()) {
            Some(payment_id) => Some(WebhookSubject::Payment(payment_id)),
            None => Some(WebhookSubject::PaymentReference(id?)),
        },
        // Refunds that were made in the Stripe Dashboard have no refund id.
        _ if event_type.starts_with("refund.") || event_type.starts_with("charge.refund.") => {
            Some(WebhookSubject::Refund(metadata.refund_id?.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subject(event_type: &str, object: &Value) -> WebhookSubject {
        let body = json!({ "id": "evt_1", "object": "event", "type": event_type, "data": { "object": object } });
        let event = identify_event(body.to_string().as_bytes()).expect("an event");
        assert_eq!((event.event_id.as_str(), event.event_type.as_str()), ("evt_1", event_type));
        event.subject
    }

    #[test]
    fn events_are_about_payments_refunds_and_disputes() {
        let intent = json!({ "id": "pi_1", "metadata": { "payment_id": "7", "order_number": "K7QX-3M9T" } });
        assert_eq!(subject("payment_intent.succeeded", &intent), WebhookSubject::Payment(7));
        let foreign = json!({ "id": "pi_1", "metadata": {} });
        assert_eq!(subject("payment_intent.canceled", &foreign), WebhookSubject::PaymentReference("pi_1".into()));
        let refund = json!({ "id": "re_1", "payment_intent": "pi_1", "metadata": { "refund_id": "3" } });
        for event_type in ["refund.updated", "refund.failed", "refund.created", "charge.refund.updated"] {
            assert_eq!(subject(event_type, &refund), WebhookSubject::Refund(3), "{event_type}");
        }
        for (event_type, object) in [
            ("refund.updated", json!({ "id": "re_1", "metadata": null })),
            ("charge.refunded", json!({ "id": "ch_1", "payment_intent": "pi_1" })),
            ("customer.created", json!({})),
            ("charge.dispute.created", json!({ "id": "dp_1", "payment_intent": null, "amount": 1, "currency": "kes" })),
        ] {
            assert_eq!(subject(event_type, &object), WebhookSubject::Other, "{event_type}");
        }
    }

    #[test]
    fn dispute_is_described_for_staff() {
        let dispute = json!({ "id": "dp_1", "payment_intent": "pi_1", "amount": 125_050, "currency": "kes",
            "reason": "fraudulent", "status": "lost" });
        let created = WebhookSubject::Dispute {
            payment_reference: "pi_1".into(),
            note: "The buyer disputes KES 1250.50 at Stripe (reason: fraudulent). Respond in the Stripe Dashboard."
                .into(),
        };
        assert_eq!(subject("charge.dispute.created", &dispute), created);
        let WebhookSubject::Dispute { note, .. } = subject("charge.dispute.closed", &dispute) else {
            panic!("no dispute")
        };
        assert_eq!(note, "The dispute of KES 1250.50 at Stripe is closed: lost.");
    }

    #[test]
    fn malformed_body_is_rejected() {
        for body in
            ["", "{", "[]", "{}", r#"{"id":"","type":"x","data":{"object":{}}}"#, r#"{"id":"evt_1","type":"x"}"#]
        {
            assert_eq!(identify_event(body.as_bytes()), Err(WebhookRejection::InvalidBody), "{body}");
        }
    }
}
