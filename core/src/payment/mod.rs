//! Payments: methods, providers, the append-only transaction ledger, refunds, received webhooks, and the jobs that call
//! providers.

pub mod webhook;
pub mod provider;
pub mod entity;
pub mod events;
pub mod manual;
pub mod mpesa;
pub mod stripe;
pub mod test_provider;
pub mod method;
pub mod registry;
pub mod queries;
pub mod transactions;
pub mod refunds;
pub mod received_webhooks;
pub mod jobs;

pub use entity::{DeclineCode, Payment, PaymentState, RefundStatus, TransactionType, select_current_payment};
pub use method::{PayableOrder, PaymentMethod, PaymentMethodKind};
pub use provider::{PaymentAction, PaymentProvider, PaymentRequest, PaymentResult};
pub use refunds::{NewRefund, RefundLine, RefundRow};
pub use registry::PaymentProviders;
