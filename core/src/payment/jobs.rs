//! Jobs that call a provider until its result is known.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::infra::jobs::BackgroundJob;

/// Delay before a job repeats a provider call, in case its result was lost.
pub const PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::seconds(30);

/// The maximum number of attempts of a provider call: it is retried for about three days, so that an outage of the
/// provider leaves no payment half done.
const PROVIDER_CALL_ATTEMPTS: Option<u32> = Some(1_000);
/// The maximum delay between attempts: calls continue soon after an outage.
const PROVIDER_CALL_MAX_DELAY: Option<Duration> = Some(Duration::from_mins(5));

/// Job that authorizes a payment at its provider and applies the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for AuthorizePayment {
    const KIND: &'static str = "payment.authorize";
    const QUEUE: &'static str = "payment";
    const MAX_ATTEMPTS: Option<u32> = PROVIDER_CALL_ATTEMPTS;
    const MAX_RETRY_DELAY: Option<Duration> = PROVIDER_CALL_MAX_DELAY;
}

/// Job that captures a payment at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for CapturePayment {
    const KIND: &'static str = "payment.capture";
    const QUEUE: &'static str = "payment";
    const MAX_ATTEMPTS: Option<u32> = PROVIDER_CALL_ATTEMPTS;
    const MAX_RETRY_DELAY: Option<Duration> = PROVIDER_CALL_MAX_DELAY;
}

/// Job that voids an authorized payment at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for VoidPayment {
    const KIND: &'static str = "payment.void";
    const QUEUE: &'static str = "payment";
    const MAX_ATTEMPTS: Option<u32> = PROVIDER_CALL_ATTEMPTS;
    const MAX_RETRY_DELAY: Option<Duration> = PROVIDER_CALL_MAX_DELAY;
}

/// Job that executes a refund at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {
    /// Id of the refund.
    pub refund: i64,
}

impl BackgroundJob for RefundPayment {
    const KIND: &'static str = "payment.refund";
    const QUEUE: &'static str = "payment";
    const MAX_ATTEMPTS: Option<u32> = PROVIDER_CALL_ATTEMPTS;
    const MAX_RETRY_DELAY: Option<Duration> = PROVIDER_CALL_MAX_DELAY;
}

/// Job that applies a received webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyWebhook {
    /// Id of the received webhook.
    pub webhook: i64,
}

impl BackgroundJob for ApplyWebhook {
    const KIND: &'static str = "payment.apply_webhook";
    const QUEUE: &'static str = "payment";
    const MAX_ATTEMPTS: Option<u32> = PROVIDER_CALL_ATTEMPTS;
    const MAX_RETRY_DELAY: Option<Duration> = PROVIDER_CALL_MAX_DELAY;
}

/// Job that asks the providers about payments and refunds whose result is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilePayments {}

impl BackgroundJob for ReconcilePayments {
    const KIND: &'static str = "payment.reconciliation";
    // A queue of its own: it lasts longer than other jobs.
    const QUEUE: &'static str = "payment_reconciliation";
}
