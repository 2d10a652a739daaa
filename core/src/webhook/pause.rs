//! Emails to staff about an endpoint that was paused or has ended.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use super::entity::webhook_endpoint;
use crate::{
    base::Result,
    identity::{Permission, Role, entity::account},
    infra::{
        DeliveryError, JobContext, Tx,
        email::EmailMessage,
        jobs::{BackgroundJob, JobOutcome},
        outbox::{DeliveredEvent, Event},
    },
};

/// Maximum number of members of staff who get an email.
const MAX_RECIPIENTS: u64 = 50;

/// Event emitted when an endpoint was paused because it kept failing, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpointStopped {
    /// Id of the endpoint.
    pub endpoint: i64,
}

impl Event for WebhookEndpointStopped {
    const KIND: &'static str = "WebhookEndpointStopped";

    fn aggregate(&self) -> String {
        format!("webhook_endpoint:{}", self.endpoint)
    }
}

/// Sends an email about a stopped endpoint to a member of staff.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendPauseEmail {
    /// The event that reports the stop; each has its emails.
    pub event_id: i64,
    /// The endpoint.
    pub endpoint_id: i64,
    /// The recipient.
    pub account_id: i64,
}

impl BackgroundJob for SendPauseEmail {
    const KIND: &'static str = "SendWebhookPauseEmail";
    const QUEUE: &'static str = "notifications";
}

/// Enqueues an email to everyone who may activate the endpoint again.
pub async fn enqueue_pause_emails(tx: &Tx, delivered: &DeliveredEvent<WebhookEndpointStopped>) -> Result<()> {
    let roles = [Role::Admin, Role::Staff].into_iter();
    let roles = roles.filter(|role| role.permissions().has(Permission::WebhookWrite));
    let account_ids: Vec<i64> = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Role.is_in(roles))
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::DeletedAt.is_null())
        .filter(account::Column::Email.is_not_null())
        .order_by_asc(account::Column::Id)
        .limit(MAX_RECIPIENTS)
        .into_tuple()
        .all(tx)
        .await?;
    for account_id in account_ids {
        let job = SendPauseEmail { event_id: delivered.id, endpoint_id: delivered.event.endpoint, account_id };
        tx.enqueue_job(job).await?;
    }
    Ok(())
}

/// Sends the email.
pub async fn send_pause_email(context: &JobContext, job: SendPauseEmail) -> JobOutcome {
    match load_email(context, &job).await {
        Ok(Some(email)) => match context.email_sender.send_email(&email).await {
            Ok(_) | Err(DeliveryError::Disabled) => JobOutcome::Done,
            Err(DeliveryError::Transient(reason)) => JobOutcome::Retry(reason),
            Err(DeliveryError::Permanent(reason)) => JobOutcome::Fail(reason),
        },
        Ok(None) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Returns the email; `None` if the recipient or the endpoint does not exist any more.
async fn load_email(context: &JobContext, job: &SendPauseEmail) -> Result<Option<EmailMessage>> {
    let SendPauseEmail { event_id, endpoint_id, account_id } = job;
    let recipient = account::Entity::find_by_id(*account_id).one(&context.db).await?;
    let Some(to) = recipient.filter(|row| row.disabled_at.is_none()).and_then(|row| row.email) else { return Ok(None) };
    let Some(endpoint) = webhook_endpoint::Entity::find_by_id(*endpoint_id).one(&context.db).await? else {
        return Ok(None);
    };
    let shop_name = &context.config.shop.name;
    let reason = endpoint.status_reason.unwrap_or_else(|| "it is active again".to_owned());
    let paragraphs = [
        format!("{shop_name} no longer sends webhooks to this endpoint:"),
        if endpoint.description.is_empty() {
            endpoint.url
        } else {
            format!("{} ({})", endpoint.url, endpoint.description)
        },
        format!("Reason: {reason}."),
        "Correct it and activate it again with the mutation webhookEndpointUpdate; events that it has missed can be \
         sent again with webhookDeliveriesRetry."
            .to_owned(),
    ];
    let escape = |text: &String| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Some(EmailMessage {
        id: format!("webhook-{event_id}-{account_id}"),
        to,
        subject: format!("{shop_name}: a webhook endpoint was stopped"),
        text: paragraphs.join("\n\n"),
        html: format!("<p>{}</p>", paragraphs.iter().map(escape).collect::<Vec<_>>().join("</p><p>")),
        date: context.db.now(),
    }))
}
