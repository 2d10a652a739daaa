//! Messages to customers: what is told of which occasion, in whose language, by which way, and what became of it.

mod occasion;
mod words;
mod render;
mod entity;
pub mod preference;
pub mod send;
mod queue;
pub mod limit;
pub mod erase;
pub mod identity;
pub mod order;
pub mod list;

pub use entity::message;
pub use occasion::{Channel, Occasion};
pub use queue::{Notice, Recipient, resend, tell};
pub use render::{Facts, Written, letter, note};
pub use words::{LineWords, OrderWords, ParcelWords, amount, web};
