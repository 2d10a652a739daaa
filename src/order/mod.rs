//! Orders: what was bought, as it was then, and how it comes to its end. Each verb is a file.

pub mod lifecycle;
pub mod number;
pub mod refund_share;
pub mod entity;
pub mod event;
pub mod history;
pub mod find;
pub mod place;
pub mod advance;
pub mod fulfil;
pub mod cancel;
pub mod list;
pub mod keep;

pub use entity::{Line, Order};
pub use event::{OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged};
pub use lifecycle::{FulfilmentStatus, PaymentStatus, Status};
