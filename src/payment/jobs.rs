//! Jobs that call a provider until its result is known.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::infra::jobs::BackgroundJob;

/// Delay before a job repeats a provider call, in case its result was lost.
pub const PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::seconds(30);

/// Job that authorizes a payment at its provider and applies the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for AuthorizePayment {
    const KIND: &'static str = "payment.authorize";
    const QUEUE: &'static str = "payment";
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
}
