//! Manual payment provider: cash on delivery, payment at the counter, bank transfers checked by staff. Authorizes at
//! once; captures when staff confirm receipt.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::provider::{PaymentProvider, PaymentRequest, PaymentResult};

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
        ready(PaymentResult::Authorized { reference: request.idempotency_key }).boxed()
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        ready(PaymentResult::Succeeded { reference: request.idempotency_key }).boxed()
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        ready(PaymentResult::Succeeded { reference: request.idempotency_key }).boxed()
    }

    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        ready(PaymentResult::Succeeded { reference: request.idempotency_key }).boxed()
    }
}
