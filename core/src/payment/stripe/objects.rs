//! Stripe's objects, as far as the shop needs them, and the results that they mean.

use serde::Deserialize;

use super::amount::from_stripe_amount;
use crate::{
    base::text::to_single_line,
    payment::{
        entity::DeclineCode,
        provider::{PaymentAction, PaymentResult},
    },
};

/// Maximum length of a reason. Characters.
const MAX_REASON_CHARS: usize = 300;

/// A `PaymentIntent`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PaymentIntent {
    /// Id: `pi_…`.
    pub id: String,
    status: String,
    currency: String,
    client_secret: Option<String>,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    last_payment_error: Option<LastPaymentError>,
    /// Values that the shop stored with it.
    #[serde(default)]
    pub metadata: StripeMetadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct LastPaymentError {
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

/// Values that the shop stores with Stripe's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct StripeMetadata {
    /// Id of the payment.
    pub payment_id: Option<String>,
    /// Id of the refund.
    pub refund_id: Option<String>,
    /// Order number.
    pub order_number: Option<String>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct StripeRefund {
    id: String,
    status: Option<String>,
    amount: i64,
    currency: String,
    failure_reason: Option<String>,
    /// Values that the shop stored with it.
    #[serde(default)]
    pub metadata: Option<StripeMetadata>,
}

/// A page of refunds, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct StripeRefundList {
    /// The refunds.
    pub data: Vec<StripeRefund>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}

impl PaymentIntent {
    /// Returns the result. `publishable_key` is for the action of the buyer.
    ///
    /// A declined attempt is not final: the buyer can try again with the same `PaymentIntent`, and sees the reason of the
    /// decline in Stripe's form. Only a canceled one cannot be paid any more.
    pub fn into_result(self, publishable_key: &str) -> PaymentResult {
        let money = |amount| from_stripe_amount(amount, &self.currency);
        match self.status.as_str() {
            "requires_payment_method" | "requires_confirmation" | "requires_action" => PaymentResult::Pending {
                reference: Some(self.id),
                action: self.client_secret.map(|client_secret| PaymentAction::ClientSecret {
                    client_secret,
                    publishable_key: publishable_key.to_owned(),
                }),
            },
            "processing" => PaymentResult::Pending { reference: Some(self.id), action: None },
            "requires_capture" => {
                PaymentResult::Authorized { amount: money(self.amount_capturable), reference: self.id }
            }
            "succeeded" => PaymentResult::Succeeded { amount: money(self.amount_received), reference: self.id },
            "canceled" => match self.last_payment_error {
                Some(LastPaymentError { code, decline_code, message }) => {
                    let code = decline_code.or(code).unwrap_or_default();
                    decline_result(&code, &message.unwrap_or_default())
                }
                None => PaymentResult::Voided,
            },
            other => PaymentResult::unknown(format!("unknown status {}", to_single_line(other, 40))),
        }
    }

    /// Returns whether it was created for this payment of this order, and not by another shop with the same account.
    pub fn belongs_to(&self, payment_id: i64, order_number: &str) -> bool {
        self.metadata.payment_id == Some(payment_id.to_string())
            && self.metadata.order_number.as_deref() == Some(order_number)
    }
}

impl StripeRefund {
    /// Returns the result.
    pub fn into_result(self) -> PaymentResult {
        match self.status.as_deref() {
            Some("succeeded") => {
                let amount = from_stripe_amount(self.amount, &self.currency);
                PaymentResult::Succeeded { reference: self.id, amount }
            }
            Some("pending" | "requires_action") => PaymentResult::Pending { reference: Some(self.id), action: None },
            Some(status @ ("failed" | "canceled")) => {
                let reason = self.failure_reason.as_deref().unwrap_or("no reason given");
                let reason = format!("The refund {} {status} at Stripe: {}", self.id, to_single_line(reason, 100));
                PaymentResult::declined(DeclineCode::Declined, reason)
            }
            _ => PaymentResult::unknown("unknown status of the refund"),
        }
    }

    /// Returns whether it was created for this refund of this order.
    pub fn belongs_to(&self, refund_id: i64, order_number: &str) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| {
            metadata.refund_id == Some(refund_id.to_string()) && metadata.order_number.as_deref() == Some(order_number)
        })
    }
}

/// Returns the result of a decline. Stripe's messages about cards are written for buyers.
pub(super) fn decline_result(code: &str, message: &str) -> PaymentResult {
    let decline_code = match code {
        "insufficient_funds" | "withdrawal_count_limit_exceeded" | "card_velocity_exceeded" => {
            DeclineCode::InsufficientFunds
        }
        "authentication_required"
        | "payment_intent_authentication_failure"
        | "incorrect_pin"
        | "invalid_pin"
        | "pin_try_exceeded"
        | "offline_pin_required"
        | "online_or_offline_pin_required" => DeclineCode::AuthenticationFailed,
        "payment_method_customer_decline" => DeclineCode::CanceledByBuyer,
        "payment_intent_payment_attempt_expired" | "payment_method_provider_timeout" => DeclineCode::NoResponse,
        "expired_card"
        | "incorrect_number"
        | "invalid_number"
        | "incorrect_cvc"
        | "invalid_cvc"
        | "incorrect_zip"
        | "incorrect_address"
        | "invalid_expiry_month"
        | "invalid_expiry_year"
        | "invalid_account"
        | "invalid_amount"
        | "card_not_supported"
        | "currency_not_supported"
        | "amount_too_small"
        | "amount_too_large" => DeclineCode::InvalidDetails,
        _ => DeclineCode::Declined,
    };
    let message = to_single_line(message, MAX_REASON_CHARS);
    let reason = if message.is_empty() { "The payment was declined.".to_owned() } else { message };
    PaymentResult::declined(decline_code, reason)
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use serde_json::{Value, json};

    use super::*;
    use crate::base::Money;

    fn intent_result(changes: &Value) -> PaymentResult {
        let mut intent = json!({ "id": "pi_1", "object": "payment_intent", "amount": 125_050, "amount_capturable": 0,
            "amount_received": 0, "currency": "kes", "client_secret": "pi_1_secret_2", "last_payment_error": null,
            "latest_charge": null, "metadata": {} });
        for (name, value) in changes.as_object().expect("changes") {
            intent[name] = value.clone();
        }
        serde_json::from_value::<PaymentIntent>(intent).expect("an intent").into_result("pk_1")
    }

    fn refund_result(status: &Value) -> PaymentResult {
        let refund = json!({ "id": "re_1", "object": "refund", "amount": 500, "currency": "kes", "status": status,
            "failure_reason": "expired_or_canceled_card", "metadata": null });
        serde_json::from_value::<StripeRefund>(refund).expect("a refund").into_result()
    }

    #[test]
    fn declined_attempt_leaves_the_intent_to_the_buyer() {
        let error = json!({ "code": "card_declined", "decline_code": "insufficient_funds", "message": "No money." });
        for status in ["requires_payment_method", "requires_confirmation", "requires_action"] {
            for last_error in [&Value::Null, &error] {
                let result = intent_result(&json!({ "status": status, "last_payment_error": last_error }));
                let action = PaymentAction::ClientSecret {
                    client_secret: "pi_1_secret_2".into(),
                    publishable_key: "pk_1".into(),
                };
                assert_eq!(result, PaymentResult::Pending { reference: Some("pi_1".into()), action: Some(action) });
            }
        }
        let canceled = intent_result(&json!({ "status": "canceled", "last_payment_error": error }));
        assert_eq!(canceled, PaymentResult::declined(DeclineCode::InsufficientFunds, "No money."));
    }

    #[test]
    fn statuses_are_results_with_reported_amounts() {
        let amount = Some(Money::new(125_050, Currency::KES));
        assert_eq!(
            intent_result(&json!({ "status": "processing" })),
            PaymentResult::Pending { reference: Some("pi_1".into()), action: None }
        );
        assert_eq!(
            intent_result(&json!({ "status": "requires_capture", "amount_capturable": 125_050 })),
            PaymentResult::Authorized { reference: "pi_1".into(), amount }
        );
        assert_eq!(
            intent_result(&json!({ "status": "succeeded", "amount_received": 125_050, "client_secret": null })),
            PaymentResult::Succeeded { reference: "pi_1".into(), amount }
        );
        assert_eq!(intent_result(&json!({ "status": "canceled" })), PaymentResult::Voided);
        let unknown = intent_result(&json!({ "status": "requires_prayer" }));
        assert!(matches!(unknown, PaymentResult::Unknown { .. }), "{unknown:?}");
    }

    #[test]
    fn refund_statuses_are_results() {
        let amount = Some(Money::new(500, Currency::KES));
        assert_eq!(refund_result(&json!("succeeded")), PaymentResult::Succeeded { reference: "re_1".into(), amount });
        for status in ["pending", "requires_action"] {
            assert!(matches!(refund_result(&json!(status)), PaymentResult::Pending { .. }), "{status}");
        }
        for status in ["failed", "canceled"] {
            assert!(matches!(refund_result(&json!(status)), PaymentResult::Declined { .. }), "{status}");
        }
        assert!(matches!(refund_result(&Value::Null), PaymentResult::Unknown { .. }));
    }

    #[test]
    fn decline_codes_are_classified() {
        for (code, expected) in [
            ("insufficient_funds", DeclineCode::InsufficientFunds),
            ("authentication_required", DeclineCode::AuthenticationFailed),
            ("payment_intent_authentication_failure", DeclineCode::AuthenticationFailed),
            ("expired_card", DeclineCode::InvalidDetails),
            ("do_not_honor", DeclineCode::Declined),
            ("", DeclineCode::Declined),
        ] {
            assert_eq!(decline_result(code, "x"), PaymentResult::declined(expected, "x"), "{code}");
        }
        assert_eq!(decline_result("", ""), PaymentResult::declined(DeclineCode::Declined, "The payment was declined."));
    }
}
