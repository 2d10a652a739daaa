//! Orders: state machine, placement, transitions, fulfillments, history and queries.

pub mod state_machine;
pub mod number;
pub mod refund_share;
pub mod entity;
pub mod events;
pub mod history;
pub mod queries;
pub mod media_use;
pub mod place;
pub mod transition;
pub mod fulfillment;
pub mod order_filter;
pub mod privacy;
pub mod link_request;

pub use entity::{OrderLineRow, OrderRow};
pub use events::{OrderLinkRequested, OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, OrderUpdated};
pub use fulfillment::LineQuantity;
pub use state_machine::{FulfillmentStatus, PaymentStatus, Status};
