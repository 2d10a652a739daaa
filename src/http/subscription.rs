//! Live updates: subscriptions over WebSocket and server-sent events.
//!
//! One dispatcher per instance reads the event feed and finds the subscriptions that follow an event. Subscriptions
//! with the same operation, variables and caller are one group, which is executed once per event; the groups of an event
//! share their loads. Each connection has a bounded queue.

mod client;
mod close_reason;
mod dispatch;
mod hub;
mod message;
mod operation;
mod origin;
mod registry;
mod run;
mod sse;
mod start;
mod token_check;
pub mod transport;
mod websocket;

pub use dispatch::dispatch_events;
pub use hub::SubscriptionHub;
