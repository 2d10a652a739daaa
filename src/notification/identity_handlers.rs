//! Event handlers of emails with a one-time token.

use super::{NewNotification, NotificationEventType, NotificationRecipient, enqueue_notification};
use crate::{
    base::Result,
    identity::{account, entity::OneTimeTokenPurpose, one_time_token::AccountEmailRequested},
    infra::{Tx, outbox::DeliveredEvent},
};

/// Enqueues the email of a requested token. The token is generated when the email is sent, and is not stored in the
/// notification.
pub async fn enqueue_token_email(tx: &Tx, delivered: &DeliveredEvent<AccountEmailRequested>) -> Result<()> {
    let event_type = match delivered.event.purpose {
        OneTimeTokenPurpose::VerifyEmail => NotificationEventType::VerifyEmail,
        OneTimeTokenPurpose::ResetPassword => NotificationEventType::ResetPassword,
        // Not sent by email: it is passed through the browser.
        OneTimeTokenPurpose::Login => return Ok(()),
    };
    let Some(owner) = account::find_active_account(tx, delivered.event.account).await? else { return Ok(()) };
    let recipient =
        NotificationRecipient { account_id: Some(owner.id), email: owner.email, phone: None, language: owner.language };
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order: None }).await
}
