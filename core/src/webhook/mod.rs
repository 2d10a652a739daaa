//! Outbound webhooks: endpoints that staff register, the events that are sent to them, signed by the Standard Webhooks
//! specification, and the log of their deliveries.

pub mod entity;
pub mod event_type;
pub mod secret;
pub mod signature;
pub mod payload;
pub mod payload_example;
mod source;
mod event_data;
mod fan_out;
pub mod queries;
mod attempt;
mod attempt_log;
pub mod delivery;
pub mod endpoint;
mod endpoint_validation;
pub mod redelivery;
pub mod maintenance;
mod pause;

pub use delivery::{PayloadRenderer, PayloadRequest, WebhookSender};
pub use event_type::WebhookEventType;
pub use fan_out::fan_out_event;
pub use pause::{SendPauseEmail, enqueue_pause_emails, send_pause_email};
