//! M-Pesa's result codes as results of payments and refunds.

use super::{callback::AsyncResult, client::DarajaError};
use crate::{
    base::text::to_single_line,
    payment::{entity::DeclineCode, provider::PaymentResult},
};

/// Result code of a success.
pub(super) const SUCCESS_CODE: &str = "0";
/// Result code of a status query about a payment that waits for the buyer.
const IN_PROCESS_CODE: &str = "4999";

/// Shown to buyers if the shop or M-Pesa cannot start a payment.
pub(super) const UNAVAILABLE: &str =
    "M-Pesa is not available at the moment. Try again later, or choose another payment method.";
const SESSION_OPEN: &str = "Another M-Pesa request is open on this phone. Answer it or wait a minute, then try again.";
const UNKNOWN_PHONE_NUMBER: &str = "M-Pesa does not know this phone number.";
const INVALID_AMOUNT: &str = "M-Pesa does not accept this amount.";

/// Returns whether a status query says that the payment is still being processed.
pub(super) fn is_in_process(code: &str, description: &str) -> bool {
    let description = description.to_lowercase();
    let says_so = ["being processed", "under processing"].iter().any(|phrase| description.contains(phrase));
    code != SUCCESS_CODE && (code == IN_PROCESS_CODE || says_so)
}

/// Returns the result of a payment that failed with a result code. The reason is shown to the buyer.
pub(super) fn decline_payment(code: &str) -> PaymentResult {
    let (decline_code, reason) = match code {
        "1" => (DeclineCode::InsufficientFunds, "There is not enough money on the M-Pesa account."),
        "2" | "3" => (DeclineCode::InvalidDetails, INVALID_AMOUNT),
        "4" => (DeclineCode::Declined, "The daily limit of the M-Pesa account is reached."),
        "17" => (
            DeclineCode::Declined,
            "M-Pesa refuses a second payment of the same amount within two minutes. Wait, then try again.",
        ),
        "1001" => (DeclineCode::Declined, SESSION_OPEN),
        "1019" => (DeclineCode::NoResponse, "The M-Pesa request expired before it was confirmed."),
        "1025" | "9999" => (DeclineCode::NoResponse, "The M-Pesa request could not be shown on the phone."),
        "1031" | "1032" => (DeclineCode::CanceledByBuyer, "The payment was canceled on the phone."),
        "1037" => (DeclineCode::NoResponse, "The phone did not respond. Check that it is on and has network."),
        "2001" => (DeclineCode::AuthenticationFailed, "The M-Pesa PIN was wrong."),
        "8006" => (DeclineCode::AuthenticationFailed, "The M-Pesa PIN is locked. Call the customer care of Safaricom."),
        // The receiving account is full, or short code, till and type of transaction do not match.
        "8" | "2028" | "SFC_IC0003" => {
            tracing::error!(code, "m-pesa declines payments to this short code: check its settings");
            (DeclineCode::Declined, UNAVAILABLE)
        }
        other => {
            let code = to_single_line(other, 20);
            return PaymentResult::declined(
                DeclineCode::Declined,
                format!("M-Pesa declined the payment (code {code})."),
            );
        }
    };
    PaymentResult::declined(decline_code, reason)
}

/// Returns the result of an STK push that failed. Without a lost response the phone shows no prompt, so the payment
/// has failed and the buyer can start another one.
pub(super) fn decline_push(error: &DarajaError) -> PaymentResult {
    let (code, message) = match error {
        DarajaError::Lost(_) => return PaymentResult::unknown(error.to_string()),
        DarajaError::Unavailable(_) => {
            tracing::error!(%error, "m-pesa payment was not started");
            return PaymentResult::declined(DeclineCode::Declined, UNAVAILABLE);
        }
        DarajaError::Rejected { code, message } => (code, message.to_lowercase()),
    };
    let mentions = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if mentions(&["lock subscriber"]) {
        return PaymentResult::declined(DeclineCode::Declined, SESSION_OPEN);
    }
    if mentions(&["phonenumber", "phone number", "partya"]) {
        return PaymentResult::declined(DeclineCode::InvalidDetails, UNKNOWN_PHONE_NUMBER);
    }
    if mentions(&["amount"]) {
        return PaymentResult::declined(DeclineCode::InvalidDetails, INVALID_AMOUNT);
    }
    tracing::error!(code, message, "m-pesa rejected the request for a payment: check the settings");
    PaymentResult::declined(DeclineCode::Declined, UNAVAILABLE)
}

/// Returns the result of a reversal that was not accepted. The reason is for staff.
pub(super) fn decline_reversal(error: &DarajaError) -> PaymentResult {
    match error {
        DarajaError::Lost(_) => PaymentResult::unknown(error.to_string()),
        DarajaError::Unavailable(_) | DarajaError::Rejected { .. } => {
            PaymentResult::declined(DeclineCode::Declined, format!("Nothing was refunded: {error}"))
        }
    }
}

/// Returns the result of a reversal that failed. The reason is for staff.
pub(super) fn decline_refund(result: &AsyncResult) -> PaymentResult {
    let code = if result.result_code == "1" { DeclineCode::InsufficientFunds } else { DeclineCode::Declined };
    let (number, description) = (to_single_line(&result.result_code, 20), to_single_line(&result.result_desc, 200));
    PaymentResult::declined(code, format!("M-Pesa declined the reversal: {description} (code {number})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decline_code(result: &PaymentResult) -> Option<DeclineCode> {
        match result {
            PaymentResult::Declined { code, .. } => Some(*code),
            _ => None,
        }
    }

    #[test]
    fn result_codes_are_classified() {
        for (code, expected) in [
            ("1", DeclineCode::InsufficientFunds),
            ("1032", DeclineCode::CanceledByBuyer),
            ("1037", DeclineCode::NoResponse),
            ("1019", DeclineCode::NoResponse),
            ("2001", DeclineCode::AuthenticationFailed),
            ("3", DeclineCode::InvalidDetails),
            ("2028", DeclineCode::Declined),
            ("77777", DeclineCode::Declined),
            ("", DeclineCode::Declined),
        ] {
            assert_eq!(decline_code(&decline_payment(code)), Some(expected), "{code}");
        }
    }

    #[test]
    fn payment_in_process_is_not_declined() {
        assert!(is_in_process("500.001.1001", "The transaction is being processed"));
        assert!(is_in_process("4999", ""));
        assert!(is_in_process("4999", "The transaction is still under processing"));
        assert!(!is_in_process("0", "The service request is being processed"));
        assert!(!is_in_process("1032", "Request cancelled by user"));
        assert!(!is_in_process("500.001.1001", "Wrong credentials"));
    }

    #[test]
    fn failed_push_is_declined_unless_its_response_was_lost() {
        let rejected = |message: &str| {
            decline_code(&decline_push(&DarajaError::Rejected { code: "400.002.02".into(), message: message.into() }))
        };
        assert_eq!(rejected("Bad Request - Invalid PhoneNumber"), Some(DeclineCode::InvalidDetails));
        assert_eq!(rejected("Bad Request - Invalid Amount"), Some(DeclineCode::InvalidDetails));
        assert_eq!(rejected("Merchant does not exist"), Some(DeclineCode::Declined));
        assert_eq!(decline_code(&decline_push(&DarajaError::Unavailable("busy".into()))), Some(DeclineCode::Declined));
        let lost = decline_push(&DarajaError::Lost("timeout".into()));
        assert!(matches!(lost, PaymentResult::Unknown { .. }), "{lost:?}");
    }
}
