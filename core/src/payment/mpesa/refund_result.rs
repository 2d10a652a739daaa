//! Results of reversals.

use super::{
    callback::AsyncResult,
    result_code::{SUCCESS_CODE, decline_refund},
};
use crate::payment::{
    entity::DeclineCode,
    provider::{PaymentRequest, PaymentResult},
};

/// Returns the result that a callback reports of a refund: the reversal's own result, or the answer to a status
/// request. There is no synchronous query that could confirm it: the token of the URL, the id of the request and the
/// receipt number of the payment prove it.
pub(super) fn interpret_refund_result(result: &AsyncResult, request: &PaymentRequest) -> PaymentResult {
    let is_reference = |id: &str| request.refund_reference.as_deref() == Some(id);
    let succeeded = |result: &AsyncResult, id: &str| PaymentResult::Succeeded {
        reference: result.receipt().unwrap_or_else(|| format!("reversal:{id}")),
        amount: result.amount(),
    };
    let still_pending = PaymentResult::Pending { reference: request.refund_reference.clone(), action: None };
    if let Some(status) = result.parameter("TransactionStatus") {
        let id = result.parameter("OriginatorConversationID").unwrap_or_default();
        if !is_reference(&id) {
            return PaymentResult::unknown("the status is about another transaction");
        }
        return match status.to_lowercase().as_str() {
            "completed" => succeeded(result, &id),
            "failed" | "declined" | "cancelled" | "canceled" | "expired" => PaymentResult::declined(
                DeclineCode::Declined,
                format!("M-Pesa did not execute the reversal: {}", status.to_lowercase()),
            ),
            _ => still_pending,
        };
    }
    let id = &result.originator_conversation_id;
    if request.refund_reference.is_some() && !is_reference(id) {
        // A status request that failed, or timed out in M-Pesa's queue.
        return still_pending;
    }
    if result.result_code != SUCCESS_CODE {
        return decline_refund(result);
    }
    let original = result.parameter("OriginalTransactionID");
    if original.is_some() && original != request.capture_reference {
        return PaymentResult::unknown("the reversal is about another payment");
    }
    succeeded(result, id)
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use serde_json::{Value, json};

    use super::*;
    use crate::base::Money;

    fn interpret(reference: Option<&str>, result: &Value) -> PaymentResult {
        let request = PaymentRequest {
            idempotency_key: "refund-3".into(),
            payment_id: 7,
            refund_id: Some(3),
            reference: Some("ws_CO_1".into()),
            capture_reference: Some("NLJ7RT61SV".into()),
            refund_reference: reference.map(str::to_owned),
            order_number: "K7QX-3M9T".into(),
            amount: 100,
            currency: "KES".into(),
            phone: None,
            email: None,
            sent_at: None,
        };
        let body = json!({ "Result": result }).to_string();
        interpret_refund_result(&AsyncResult::parse(body.as_bytes()).expect("a result"), &request)
    }

    fn reversal_result(code: &Value, original: &str) -> Value {
        json!({ "ResultType": 0, "ResultCode": code, "ResultDesc": "x", "OriginatorConversationID": "own",
            "ConversationID": "AG_1", "TransactionID": "SKE52PAWR9", "ResultParameters": { "ResultParameter": [
            { "Key": "Amount", "Value": 1.00 }, { "Key": "OriginalTransactionID", "Value": original } ] } })
    }

    fn status_report(id: &str, status: &str) -> Value {
        json!({ "ResultType": 0, "ResultCode": 0, "ResultDesc": "x", "OriginatorConversationID": "status-request",
            "ConversationID": "AG_2", "TransactionID": "SKE0000000", "ResultParameters": { "ResultParameter": [
            { "Key": "OriginatorConversationID", "Value": id }, { "Key": "TransactionStatus", "Value": status },
            { "Key": "Amount", "Value": "1.00" }, { "Key": "ReceiptNo", "Value": "SKE52PAWR9" } ] } })
    }

    fn executed() -> PaymentResult {
        PaymentResult::Succeeded { reference: "SKE52PAWR9".into(), amount: Some(Money::new(100, Currency::KES)) }
    }

    #[test]
    fn reversal_counts_for_its_own_request_and_payment() {
        assert_eq!(interpret(Some("own"), &reversal_result(&json!(0), "NLJ7RT61SV")), executed());
        // The response to the request was lost.
        assert_eq!(interpret(None, &reversal_result(&json!("0"), "NLJ7RT61SV")), executed());
        let other_payment = interpret(Some("own"), &reversal_result(&json!(0), "OTHER"));
        assert!(matches!(other_payment, PaymentResult::Unknown { .. }), "{other_payment:?}");
        let other_request = interpret(Some("another"), &reversal_result(&json!(0), "NLJ7RT61SV"));
        assert!(matches!(other_request, PaymentResult::Pending { .. }), "{other_request:?}");
    }

    #[test]
    fn failed_reversal_is_declined() {
        for code in [json!("R000002"), json!(21), json!(1)] {
            let failed = interpret(Some("own"), &reversal_result(&code, "NLJ7RT61SV"));
            assert!(matches!(failed, PaymentResult::Declined { .. }), "{failed:?}");
        }
    }

    #[test]
    fn status_report_counts_for_the_requested_transaction() {
        assert_eq!(interpret(Some("own"), &status_report("own", "Completed")), executed());
        let failed = interpret(Some("own"), &status_report("own", "Failed"));
        assert!(matches!(failed, PaymentResult::Declined { .. }), "{failed:?}");
        let pending = interpret(Some("own"), &status_report("own", "Pending"));
        assert!(matches!(pending, PaymentResult::Pending { .. }), "{pending:?}");
        for reference in [None, Some("another")] {
            let other = interpret(reference, &status_report("own", "Completed"));
            assert!(matches!(other, PaymentResult::Unknown { .. }), "{other:?}");
        }
    }
}
