//! Notifications of customers: event types, channels, preferences, templates, sending and delivery results.

mod event_type;
mod template_data;
mod render;
pub mod entity;
pub mod preference;
mod account_message;
pub mod send;
mod enqueue;
pub mod sending_limits;
pub mod privacy;
pub mod identity_handlers;
pub mod order_handlers;
pub mod queries;

pub use enqueue::{NewNotification, NotificationRecipient, enqueue_notification, resend_notification};
pub use entity::{NotificationStatus, notification};
pub use event_type::{NotificationChannel, NotificationEventType};
pub use render::{RenderedEmail, TemplateContext, fill_url_template, render_email, render_sms};
pub use template_data::{
    FulfillmentTemplateData, LineTemplateData, OrderTemplateData, format_amount, sanitize_web_url,
};
