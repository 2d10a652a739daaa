//! Checkout: turns a cart or a list of variants into a placed order with its payment.

pub mod request;
pub mod prepare;
pub mod complete;

pub use complete::{CheckoutResult, complete_checkout};
pub use request::{CheckoutContext, CheckoutRequest, OrderSource};
