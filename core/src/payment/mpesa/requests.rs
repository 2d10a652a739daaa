//! Bodies of requests to the Daraja API, and the rules for their values.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use chrono_tz::Africa::Nairobi;
use iso_currency::Currency;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::infra::config::MpesaConfig;

/// Largest amount of a payment, in shillings, as published by Safaricom.
const MAX_SHILLINGS: i64 = 250_000;
/// Length of `AccountReference`, which the prompt on the phone shows. Characters.
const MAX_ACCOUNT_REFERENCE_CHARS: usize = 12;
/// `TransactionDesc`, of at most 13 characters.
const TRANSACTION_DESCRIPTION: &str = "Order payment";
/// Identifier type of an organization whose received payment is reversed.
const REVERSAL_IDENTIFIER_TYPE: &str = "11";
/// Identifier type of a short code.
const SHORT_CODE_IDENTIFIER_TYPE: &str = "4";

/// An STK push.
#[derive(Debug, Clone, Copy)]
pub(super) struct StkPush<'a> {
    /// Number of the payer: `2547…`.
    pub msisdn: &'a str,
    /// Amount in shillings.
    pub shillings: i64,
    /// Order number.
    pub order_number: &'a str,
    /// URL of the result.
    pub callback_url: &'a str,
}

/// A reversal of a received payment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reversal<'a> {
    /// Receipt number of the payment.
    pub receipt: &'a str,
    /// Amount in shillings.
    pub shillings: i64,
    /// Order number.
    pub order_number: &'a str,
    /// URL of the result.
    pub result_url: &'a str,
}

/// Returns an amount in whole shillings if M-Pesa can move it.
pub(super) fn to_shillings(minor_units: i64, currency: &str) -> Option<i64> {
    let is_whole = currency == Currency::KES.code() && minor_units % 100 == 0;
    let shillings = minor_units / 100;
    (is_whole && (1..=MAX_SHILLINGS).contains(&shillings)).then_some(shillings)
}

/// Returns a Kenyan mobile number (E.164) in M-Pesa's format: `254712345678`.
pub(super) fn to_msisdn(phone: &str) -> Option<&str> {
    let number = phone.strip_prefix('+')?;
    let national = number.strip_prefix("254")?;
    let is_mobile = national.len() == 9 && national.starts_with(['7', '1']);
    (is_mobile && national.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// Returns the body of an STK push. For a till, `BusinessShortCode` stays the short code and `PartyB` is the till.
pub(super) fn stk_push(config: &MpesaConfig, now: DateTime<Utc>, push: StkPush<'_>) -> Value {
    let StkPush { msisdn, shillings, order_number, callback_url } = push;
    let (transaction_type, receiver) = if config.till_number.is_empty() {
        ("CustomerPayBillOnline", &config.short_code)
    } else {
        ("CustomerBuyGoodsOnline", &config.till_number)
    };
    let mut body = stk_credentials(config, now);
    let values = [
        ("TransactionType", json!(transaction_type)),
        ("Amount", json!(shillings)),
        ("PartyA", json!(msisdn)),
        ("PartyB", json!(receiver)),
        ("PhoneNumber", json!(msisdn)),
        ("CallBackURL", json!(callback_url)),
        ("AccountReference", json!(account_reference(order_number))),
        ("TransactionDesc", json!(TRANSACTION_DESCRIPTION)),
    ];
    for (name, value) in values {
        body[name] = value;
    }
    body
}

/// Returns the body of a status query of an STK push.
pub(super) fn stk_query(config: &MpesaConfig, now: DateTime<Utc>, checkout_request_id: &str) -> Value {
    let mut body = stk_credentials(config, now);
    body["CheckoutRequestID"] = json!(checkout_request_id);
    body
}

/// Returns the body of a reversal. `RecieverIdentifierType` is spelled as the API spells it.
pub(super) fn reversal(config: &MpesaConfig, reversal: Reversal<'_>) -> Value {
    let Reversal { receipt, shillings, order_number, result_url } = reversal;
    json!({
        "Initiator": config.initiator_name,
        "SecurityCredential": config.security_credential.expose_secret(),
        "CommandID": "TransactionReversal",
        "TransactionID": receipt,
        "Amount": shillings,
        "ReceiverParty": config.short_code,
        "RecieverIdentifierType": REVERSAL_IDENTIFIER_TYPE,
        "ResultURL": result_url,
        "QueueTimeOutURL": result_url,
        "Remarks": format!("Refund of order {}", account_reference(order_number)),
        "Occasion": "Refund",
    })
}

/// Returns the body of a status request for the transaction of an earlier request; the status is sent to `result_url`.
pub(super) fn transaction_status(config: &MpesaConfig, originator_conversation_id: &str, result_url: &str) -> Value {
    json!({
        "Initiator": config.initiator_name,
        "SecurityCredential": config.security_credential.expose_secret(),
        "CommandID": "TransactionStatusQuery",
        "OriginalConversationID": originator_conversation_id,
        "PartyA": config.short_code,
        "IdentifierType": SHORT_CODE_IDENTIFIER_TYPE,
        "ResultURL": result_url,
        "QueueTimeOutURL": result_url,
        "Remarks": "State of a refund",
        "Occasion": "Refund",
    })
}

fn stk_credentials(config: &MpesaConfig, now: DateTime<Utc>) -> Value {
    let timestamp = now.with_timezone(&Nairobi).format("%Y%m%d%H%M%S").to_string();
    let password = format!("{}{}{timestamp}", config.short_code, config.passkey.expose_secret());
    json!({
        "BusinessShortCode": config.short_code,
        "Password": BASE64_STANDARD.encode(password),
        "Timestamp": timestamp,
    })
}

/// Returns an order number as account reference: letters and digits only. Order search ignores the hyphen.
fn account_reference(order_number: &str) -> String {
    order_number.chars().filter(char::is_ascii_alphanumeric).take(MAX_ACCOUNT_REFERENCE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(till_number: &str) -> MpesaConfig {
        MpesaConfig {
            url: String::new(),
            consumer_key: String::new(),
            consumer_secret: String::new().into(),
            short_code: "174379".into(),
            passkey: "bfb279".to_owned().into(),
            till_number: till_number.into(),
            initiator_name: "api".into(),
            security_credential: "sealed".to_owned().into(),
            callback_key: String::new().into(),
        }
    }

    fn push_body(till_number: &str) -> Value {
        let push = StkPush {
            msisdn: "254712345678",
            shillings: 350,
            order_number: "K7QX-3M9T",
            callback_url: "https://shop.example/x",
        };
        stk_push(&config(till_number), "2026-10-31T22:30:05Z".parse().expect("a time"), push)
    }

    #[test]
    fn stk_push_has_the_published_format() {
        assert_eq!(
            push_body(""),
            json!({
                "BusinessShortCode": "174379",
                // 174379 bfb279 20261101013005: the time in Nairobi, three hours ahead of UTC.
                "Password": "MTc0Mzc5YmZiMjc5MjAyNjExMDEwMTMwMDU=",
                "Timestamp": "20261101013005",
                "TransactionType": "CustomerPayBillOnline",
                "Amount": 350,
                "PartyA": "254712345678",
                "PartyB": "174379",
                "PhoneNumber": "254712345678",
                "CallBackURL": "https://shop.example/x",
                "AccountReference": "K7QX3M9T",
                "TransactionDesc": "Order payment",
            })
        );
        let buy_goods = push_body("5551234");
        assert_eq!(
            (&buy_goods["TransactionType"], &buy_goods["PartyB"], &buy_goods["BusinessShortCode"]),
            (&json!("CustomerBuyGoodsOnline"), &json!("5551234"), &json!("174379"))
        );
        assert!(TRANSACTION_DESCRIPTION.len() <= 13);
        assert_eq!(account_reference("K7QX-3M9T-AB12-CD34"), "K7QX3M9TAB12");
    }

    #[test]
    fn only_whole_shillings_within_the_limits_are_moved() {
        assert_eq!(to_shillings(100, "KES"), Some(1));
        assert_eq!(to_shillings(25_000_000, "KES"), Some(250_000));
        for (minor_units, currency) in
            [(0, "KES"), (-100, "KES"), (99, "KES"), (150, "KES"), (25_000_100, "KES"), (100, "USD"), (100, "TZS")]
        {
            assert_eq!(to_shillings(minor_units, currency), None, "{minor_units} {currency}");
        }
    }

    #[test]
    fn only_kenyan_mobile_numbers_are_used() {
        assert_eq!(to_msisdn("+254712345678"), Some("254712345678"));
        assert_eq!(to_msisdn("+254110345678"), Some("254110345678"));
        for wrong in [
            "",
            "+",
            "254712345678",
            "0712345678",
            "+254202345678",
            "+25471234567",
            "+2547123456789",
            "+255712345678",
            "+25471234567x",
            "+1712345678",
        ] {
            assert_eq!(to_msisdn(wrong), None, "{wrong}");
        }
    }
}
