//! Subscriptions: the fields of the subscription root, what they follow, and the cursors of their events.
//!
//! A subscription is executed once when it starts, which checks access and yields the [`Topic`]s it follows, and again
//! for each event of them, as a query would be: with the same limits, and with access checked again.

pub mod cursor;
mod events;
mod phase;
mod root;
mod topic;

pub use phase::{EventPhase, StartedSubscription};
pub use root::SubscriptionRoot;
pub use topic::Topic;
