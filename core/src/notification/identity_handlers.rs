//! Event handlers of messages about accounts. Tokens and codes are generated when the message is sent, and are not
//! stored in the notification.

use super::{NewNotification, NotificationEventType, NotificationRecipient, enqueue_notification};
use crate::{
    base::Result,
    identity::{
        account,
        email_change::{self, ChangedAddress, EmailChangeRequested, EmailChanged},
        entity::{LoginCodeChannel, OneTimeTokenPurpose, account as account_row},
        login_code::{self, LoginCodeRequested},
        one_time_token::AccountEmailRequested,
    },
    infra::{Tx, outbox::DeliveredEvent},
};

/// Enqueues the email of a requested token.
pub async fn enqueue_token_email(tx: &Tx, delivered: &DeliveredEvent<AccountEmailRequested>) -> Result<()> {
    let event_type = match delivered.event.purpose {
        OneTimeTokenPurpose::VerifyEmail => NotificationEventType::VerifyEmail,
        OneTimeTokenPurpose::ResetPassword => NotificationEventType::ResetPassword,
        // The token of a change has an event of its own, that of a login is passed through the browser.
        OneTimeTokenPurpose::ChangeEmail | OneTimeTokenPurpose::Login => return Ok(()),
    };
    let Some(owner) = account::find_active_account(tx, delivered.event.account).await? else { return Ok(()) };
    let recipient = build_recipient(&owner, owner.email.clone(), None);
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order: None }).await
}

/// Enqueues the email that confirms a new address; a notice instead if another account has the address.
pub async fn notify_email_change_requested(tx: &Tx, delivered: &DeliveredEvent<EmailChangeRequested>) -> Result<()> {
    let Some(change) = email_change::find_email_change(tx, delivered.event.email_change).await? else { return Ok(()) };
    let Some(requester) = account::find_active_account(tx, change.account_id).await? else { return Ok(()) };
    let (event_type, recipient) = match account::find_account_by_email(tx, &change.new_email).await? {
        Some(owner) if owner.id == requester.id => return Ok(()),
        Some(owner) => (NotificationEventType::EmailInUse, build_recipient(&owner, owner.email.clone(), None)),
        None => (NotificationEventType::ChangeEmail, build_recipient(&requester, Some(change.new_email), None)),
    };
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order: None }).await
}

/// Enqueues the notice of a changed address, to the old or the new address.
pub async fn notify_email_changed(tx: &Tx, delivered: &DeliveredEvent<EmailChanged>) -> Result<()> {
    let Some(change) = email_change::find_email_change(tx, delivered.event.email_change).await? else { return Ok(()) };
    let Some(owner) = account::find_active_account(tx, change.account_id).await? else { return Ok(()) };
    let email = match delivered.event.address {
        ChangedAddress::Old => change.old_email,
        ChangedAddress::New => Some(change.new_email),
    };
    let recipient = build_recipient(&owner, email, None);
    let event_type = NotificationEventType::EmailChanged;
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order: None }).await
}

/// Enqueues the message of a requested code.
pub async fn enqueue_login_code(tx: &Tx, delivered: &DeliveredEvent<LoginCodeRequested>) -> Result<()> {
    let Some(request) = login_code::assign_event(tx, delivered.event.login_code, delivered.id).await? else {
        return Ok(());
    };
    let Some(account_id) = request.account_id else { return Ok(()) };
    let Some(owner) = account::find_active_account(tx, account_id).await? else { return Ok(()) };
    let recipient = match request.channel {
        LoginCodeChannel::Email => build_recipient(&owner, request.recipient, None),
        LoginCodeChannel::Sms => build_recipient(&owner, None, request.recipient),
    };
    let event_type = NotificationEventType::LoginCode;
    enqueue_notification(tx, NewNotification { event_id: delivered.id, event_type, recipient, order: None }).await
}

fn build_recipient(owner: &account_row::Model, email: Option<String>, phone: Option<String>) -> NotificationRecipient {
    NotificationRecipient { account_id: Some(owner.id), email, phone, language: owner.language }
}
