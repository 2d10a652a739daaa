//! Payments: providers, authorization, capture, refund, cancellation, and the append-only transaction ledger.

pub mod provider;
pub mod manual;
pub mod entity;
pub mod transactions;
pub mod payment_result;
pub mod refund;
pub mod cancellation;
pub mod capture;

pub use entity::{Payment, PaymentState};
pub use provider::{PaymentProvider, PaymentProviders, PaymentRequest, PaymentResult};
