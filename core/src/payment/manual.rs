//! Manual payment provider: cash on delivery, payment at the counter, bank transfers checked by staff. Authorizes at
//! once; captures when staff confirm receipt.

use futures_util::future::BoxFuture;

use super::provider::{PaymentProvider, PaymentRequest, PaymentResult, immediate_result};

/// Name of the provider.
pub const MANUAL_PROVIDER_NAME: &str = "manual";

/// Provider of manual payments.
#[derive(Debug, Clone, Copy)]
pub struct ManualPaymentProvider;

impl PaymentProvider for ManualPaymentProvider {
    fn name(&self) -> &'static str {
        MANUAL_PROVIDER_NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Authorized { reference: request.idempotency_key, amount: None })
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Succeeded { reference: request.idempotency_key, amount: None })
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Succeeded { reference: request.idempotency_key, amount: None })
    }

    fn void(&self, _request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Voided)
    }

    fn query_payment(&self, _request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::NotFound)
    }

    fn query_refund(&self, _request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::NotFound)
    }
}
