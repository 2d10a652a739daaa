//! Sales: use cases across cart, order, stock and payment.

pub mod context;
mod queries;
pub mod order_payment;
pub mod order_access;
pub mod refund;
pub mod void;
mod reinstate;
pub mod payment_result;
pub mod cancel;
pub mod authorize;
pub mod capture;
pub mod confirm;
pub mod expire;
pub mod fulfill;
pub mod order_limits;
pub mod checkout;
pub mod pay;
pub mod receive_webhook;
pub mod reconcile;

pub use cancel::{CancelOrderRequest, cancel_order};
pub use capture::capture_payment;
pub use checkout::{BuyerDetails, CheckoutRequest, CheckoutResult, OrderSource, complete_checkout, price_lines};
pub use confirm::confirm_order;
pub use context::SalesContext;
pub use fulfill::{FulfillmentRequest, fulfill_order};
pub use order_access::OrderAccess;
pub use order_limits::{OrderContacts, limit_orders};
pub use pay::{PayOrderRequest, pay_order};
pub use refund::{RefundRequest, refund_order, retry_refund};
