//! Bodies of M-Pesa's callbacks: results of STK pushes, and results of reversals and status requests.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::{
    callback_token::CallbackSubject,
    client::{deserialize_flexible, flexible_text},
};
use crate::{
    base::{
        Money,
        digest::{sha256_bytes, to_hex},
    },
    payment::webhook::{WebhookEvent, WebhookRejection, WebhookSubject},
};

/// Maximum length of M-Pesa's ids in event ids. Bytes.
const MAX_ID_LENGTH: usize = 100;

/// Result of an STK push (`CallBackURL`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StkCallback {
    /// Id of the STK push.
    #[serde(rename = "CheckoutRequestID")]
    pub checkout_request_id: String,
    /// `0`: paid.
    #[serde(deserialize_with = "deserialize_flexible")]
    pub result_code: String,
    /// Only of a successful payment.
    #[serde(default)]
    callback_metadata: CallbackMetadata,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CallbackMetadata {
    item: Vec<CallbackItem>,
}

/// A value of a callback. Some have none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct CallbackItem {
    #[serde(rename = "Name", alias = "Key")]
    name: String,
    #[serde(rename = "Value", default)]
    value: Value,
}

impl StkCallback {
    /// Parses a body; `None` if it is none of these.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct StkEnvelope {
            #[serde(rename = "Body")]
            body: StkEnvelopeBody,
        }
        #[derive(Deserialize)]
        struct StkEnvelopeBody {
            #[serde(rename = "stkCallback")]
            callback: StkCallback,
        }
        let envelope: StkEnvelope = serde_json::from_slice(body).ok()?;
        Some(envelope.body.callback).filter(|callback| !callback.checkout_request_id.is_empty())
    }

    /// Returns the receipt number.
    pub fn receipt(&self) -> Option<String> {
        find_item(&self.callback_metadata.item, "MpesaReceiptNumber")
    }

    /// Returns the paid amount.
    pub fn amount(&self) -> Option<Money> {
        parse_shillings(&find_item(&self.callback_metadata.item, "Amount")?)
    }
}

/// Result of a reversal or of a status request (`ResultURL`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AsyncResult {
    /// `0`: executed. Not always a number: `R000002`.
    #[serde(deserialize_with = "deserialize_flexible")]
    pub result_code: String,
    /// Explanation.
    #[serde(default)]
    pub result_desc: String,
    /// Id of the request that this is the result of.
    #[serde(rename = "OriginatorConversationID", default)]
    pub originator_conversation_id: String,
    #[serde(rename = "ConversationID")]
    conversation_id: String,
    #[serde(rename = "TransactionID", default)]
    transaction_id: String,
    #[serde(default)]
    result_parameters: Value,
}

impl AsyncResult {
    /// Parses a body; `None` if it is none of these.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct ResultEnvelope {
            #[serde(rename = "Result")]
            result: AsyncResult,
        }
        serde_json::from_slice::<ResultEnvelope>(body).ok().map(|envelope| envelope.result)
    }

    /// Returns a result parameter. A single one is not in a list.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let parameters = match self.result_parameters.get("ResultParameter")? {
            Value::Array(parameters) => parameters.clone(),
            parameter => vec![parameter.clone()],
        };
        let items = parameters.into_iter().filter_map(|parameter| serde_json::from_value(parameter).ok());
        find_item(&items.collect::<Vec<CallbackItem>>(), name)
    }

    /// Returns the receipt number of the executed transaction.
    pub fn receipt(&self) -> Option<String> {
        self.parameter("ReceiptNo").or_else(|| Some(self.transaction_id.clone()).filter(|id| !id.is_empty()))
    }

    /// Returns the amount of the executed transaction.
    pub fn amount(&self) -> Option<Money> {
        parse_shillings(&self.parameter("Amount")?)
    }
}

/// Returns the event of a body that arrived at the URL of a subject.
///
/// The event id contains the subject, so that a body at another payment's URL cannot have the same id. Bodies in other
/// formats, such as those at the `QueueTimeOutURL`, are events too: the state is queried then.
pub(super) fn identify_event(subject: CallbackSubject, body: &[u8]) -> Result<WebhookEvent, WebhookRejection> {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return Err(WebhookRejection::InvalidBody);
    }
    let (event_type, body_id) = match subject {
        CallbackSubject::Payment(_) => {
            let callback = StkCallback::parse(body);
            ("stk_callback", callback.map(|result| format!("{}:{}", result.checkout_request_id, result.result_code)))
        }
        CallbackSubject::Refund(_) => {
            let result = AsyncResult::parse(body);
            ("result", result.map(|result| format!("{}:{}", result.conversation_id, result.result_code)))
        }
    };
    let is_short = |id: &String| id.len() <= MAX_ID_LENGTH;
    let (event_type, body_id) = match body_id.filter(is_short) {
        Some(id) => (event_type, id),
        None => ("unknown", to_hex(&sha256_bytes(body))),
    };
    Ok(WebhookEvent {
        event_id: format!("{subject}:{body_id}"),
        event_type: event_type.to_owned(),
        subject: match subject {
            CallbackSubject::Payment(id) => WebhookSubject::Payment(id),
            CallbackSubject::Refund(id) => WebhookSubject::Refund(id),
        },
    })
}

fn find_item(items: &[CallbackItem], name: &str) -> Option<String> {
    let text = items.iter().find(|item| item.name == name).map(|item| flexible_text(&item.value));
    text.filter(|text| !text.is_empty())
}

/// Parses an amount in shillings, such as `1.0` or `300.00`; `None` if it is not an amount in cents.
fn parse_shillings(text: &str) -> Option<Money> {
    let (money, is_rounded) = Money::from_decimal(text.parse::<Decimal>().ok()?, iso_currency::Currency::KES)?;
    (!is_rounded).then_some(money)
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use serde_json::json;

    use super::*;

    fn stk_body(items: &Value) -> Vec<u8> {
        json!({ "Body": { "stkCallback": { "MerchantRequestID": "29115-34620561-1", "CheckoutRequestID": "ws_CO_1",
            "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
            "CallbackMetadata": { "Item": items } } } })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn items_are_read_in_any_order_with_or_without_value() {
        let (amount, receipt) = (
            json!({ "Name": "Amount", "Value": 10.50 }),
            json!({ "Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV" }),
        );
        let (balance, phone) =
            (json!({ "Name": "Balance" }), json!({ "Name": "PhoneNumber", "Value": 254_708_374_149_i64 }));
        for items in [json!([amount, receipt, balance, phone]), json!([phone, balance, receipt, amount])] {
            let callback = StkCallback::parse(&stk_body(&items)).expect("a callback");
            assert_eq!((callback.checkout_request_id.as_str(), callback.result_code.as_str()), ("ws_CO_1", "0"));
            assert_eq!(callback.receipt().as_deref(), Some("NLJ7RT61SV"));
            assert_eq!(callback.amount(), Some(Money::new(1050, Currency::KES)));
        }
    }

    #[test]
    fn amounts_are_exact() {
        let amount = |value: Value| {
            let items = json!([{ "Name": "Amount", "Value": value }]);
            StkCallback::parse(&stk_body(&items)).expect("a callback").amount().map(|money| money.minor_units)
        };
        assert_eq!(amount(json!(1)), Some(100));
        assert_eq!(amount(json!(1.0)), Some(100));
        assert_eq!(amount(json!(250_000.0)), Some(25_000_000));
        assert_eq!(amount(json!("300.00")), Some(30_000));
        for wrong in [json!(null), json!("x"), json!(-1), json!(1.001), json!({}), json!(1e300)] {
            assert_eq!(amount(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn failure_has_no_metadata() {
        let body = br#"{"Body":{"stkCallback":{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResultCode":1032,
            "ResultDesc":"Request cancelled by user"}}}"#;
        let callback = StkCallback::parse(body).expect("a callback");
        assert_eq!((callback.result_code.as_str(), callback.receipt(), callback.amount()), ("1032", None, None));
    }

    #[test]
    fn result_parameters_are_a_list_or_one_object() {
        let result = |parameters: Value| {
            let body = json!({ "Result": { "ResultType": 0, "ResultCode": "0", "ResultDesc": "ok",
                "OriginatorConversationID": "o", "ConversationID": "AG_1", "TransactionID": "SKE52PAWR9",
                "ResultParameters": { "ResultParameter": parameters } } });
            AsyncResult::parse(body.to_string().as_bytes()).expect("a result")
        };
        let amount = json!({ "Key": "Amount", "Value": 1.00 });
        for parameters in [json!([{ "Key": "TransactionReason" }, amount]), amount] {
            let result = result(parameters);
            assert_eq!(result.amount(), Some(Money::new(100, Currency::KES)));
            assert_eq!(result.receipt().as_deref(), Some("SKE52PAWR9"));
            assert_eq!(result.parameter("TransactionReason"), None);
        }
    }

    #[test]
    fn event_id_identifies_subject_request_and_result() {
        let event = |subject, body: &[u8]| identify_event(subject, body).expect("an event");
        let paid = event(CallbackSubject::Payment(7), &stk_body(&json!([])));
        assert_eq!((paid.event_id.as_str(), paid.event_type.as_str()), ("payment-7:ws_CO_1:0", "stk_callback"));
        assert_eq!(paid.subject, WebhookSubject::Payment(7));
        assert_ne!(event(CallbackSubject::Payment(8), &stk_body(&json!([]))).event_id, paid.event_id);
        // A payment's body at a refund's URL is of an unknown format.
        let other = event(CallbackSubject::Refund(7), &stk_body(&json!([])));
        assert_eq!((other.event_type.as_str(), other.subject), ("unknown", WebhookSubject::Refund(7)));
        let long_id = format!(r#"{{"Result":{{"ResultCode":0,"ConversationID":"{}"}}}}"#, "x".repeat(5000));
        assert_eq!(event(CallbackSubject::Refund(7), long_id.as_bytes()).event_id.len(), "refund-7:".len() + 64);
        for malformed in [&b""[..], b"x=1", b"{", b"\xff"] {
            assert_eq!(identify_event(CallbackSubject::Refund(7), malformed), Err(WebhookRejection::InvalidBody));
        }
    }
}
