//! Payments: providers, the append-only transaction ledger, refunds, and the jobs that call providers.

pub mod entity;
pub mod events;
pub mod queries;
pub mod provider;
pub mod manual;
pub mod registry;
pub mod transactions;
pub mod refunds;
pub mod jobs;

pub use entity::{Payment, PaymentState, RefundStatus, TransactionType};
pub use provider::{PaymentProvider, PaymentRequest, PaymentResult};
pub use refunds::{NewRefund, RefundLine, RefundRow};
pub use registry::PaymentProviders;
