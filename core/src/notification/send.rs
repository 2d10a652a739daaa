//! Delivery of enqueued notifications: retried until sent, failed or skipped.

use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, LockType},
};
use serde::{Deserialize, Serialize};

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus, OrderTemplateData, TemplateContext,
    account_message::{self, AccountMessage},
    notification::{self, Column, Entity},
    render, render_email, render_sms,
    sending_limits::{self, Admission},
};
use crate::{
    base::{Error, Result},
    identity::login_code::GeneratedLoginCode,
    infra::{
        Config, DeliveryError, JobContext, Tx,
        email::EmailMessage,
        jobs::{BackgroundJob, JobOutcome},
        sms::SmsMessage,
    },
    order::{OrderRow, queries},
};

/// Maximum number of delivery attempts of a notification.
pub const MAX_SEND_ATTEMPTS: u32 = 8;

/// Statuses of notifications that are sent: a failed one is sent again when its job is retried.
const UNSENT_STATUSES: [NotificationStatus; 2] = [NotificationStatus::Queued, NotificationStatus::Failed];

/// Job that sends a notification.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendNotification {
    /// Id of the notification.
    pub notification_id: i64,
}

impl BackgroundJob for SendNotification {
    const KIND: &'static str = "notification.send";
    // A queue of its own: a hanging service does not delay other jobs.
    const QUEUE: &'static str = "notifications";
    const MAX_ATTEMPTS: Option<u32> = Some(MAX_SEND_ATTEMPTS);
}

/// Sends a notification, unless it was sent before.
///
/// After a crash between sending and storing the result it is sent again. The message id is the same for each attempt,
/// so that mailboxes can deduplicate.
pub async fn send_notification(context: &JobContext, job: SendNotification) -> JobOutcome {
    match attempt_delivery(context, job.notification_id).await {
        Ok(outcome) => outcome,
        Err(error) => Err(error).into(),
    }
}

async fn attempt_delivery(context: &JobContext, notification_id: i64) -> Result<JobOutcome> {
    let login_code = account_message::generate_login_code(&context.db, notification_id).await?;
    let prepared =
        context.db.write(async |tx| prepare_message(tx, &context.config, notification_id, login_code).await).await?;
    let Some((row, prepared)) = prepared else {
        return Ok(JobOutcome::Done);
    };
    let outcome = match prepared {
        PreparedMessage::Email(email) => context.email_sender.send_email(&email).await,
        PreparedMessage::Sms(sms) => context.sms_sender.send_sms(&sms).await,
        PreparedMessage::Skipped(reason) => {
            return record_delivery_result(
                context,
                &row,
                (NotificationStatus::Skipped, Some(reason), None),
                JobOutcome::Done,
            )
            .await;
        }
    };
    match outcome {
        Ok(id) => {
            record_delivery_result(context, &row, (NotificationStatus::Sent, None, Some(id)), JobOutcome::Done).await
        }
        Err(DeliveryError::Disabled) => {
            let reason = format!("this shop sends nothing by {}", row.channel.to_value());
            record_delivery_result(context, &row, (NotificationStatus::Skipped, Some(reason), None), JobOutcome::Done)
                .await
        }
        Err(DeliveryError::Permanent(reason)) => {
            record_delivery_result(
                context,
                &row,
                (NotificationStatus::Failed, Some(reason.clone()), None),
                JobOutcome::Fail(reason),
            )
            .await
        }
        Err(DeliveryError::Transient(reason))
            if row.attempts >= i32::try_from(MAX_SEND_ATTEMPTS).unwrap_or(i32::MAX) =>
        {
            let reason = format!("tried {} times; the last time: {reason}", row.attempts);
            record_delivery_result(
                context,
                &row,
                (NotificationStatus::Failed, Some(reason.clone()), None),
                JobOutcome::Fail(reason),
            )
            .await
        }
        Err(DeliveryError::Transient(reason)) => {
            record_delivery_result(
                context,
                &row,
                (NotificationStatus::Queued, Some(reason.clone()), None),
                JobOutcome::Retry(reason),
            )
            .await
        }
    }
}

/// A message ready for delivery.
enum PreparedMessage {
    Email(EmailMessage),
    Sms(SmsMessage),
    Skipped(String),
}

/// Increments the attempt count and renders the message. Returns `None` if there is nothing to send now.
async fn prepare_message(
    tx: &Tx,
    config: &Config,
    notification_id: i64,
    login_code: Option<GeneratedLoginCode>,
) -> Result<Option<(notification::Model, PreparedMessage)>> {
    if !check_admission(tx, config, notification_id).await? {
        return Ok(None);
    }
    let updated = Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::Id.eq(notification_id))
        .filter(Column::Status.is_in(UNSENT_STATUSES))
        .exec_with_returning(tx)
        .await?;
    let Some(row) = updated.into_iter().next() else { return Ok(None) };
    let prepared = render_message(tx, config, &row, login_code).await?;
    Ok(Some((row, prepared)))
}

/// Returns whether a notification may be sent now. A postponed one is enqueued for its time; a refused one is skipped.
async fn check_admission(tx: &Tx, config: &Config, notification_id: i64) -> Result<bool> {
    let locked = Entity::find_by_id(notification_id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let Some(row) = locked.filter(|row| row.status == NotificationStatus::Queued && row.send_at.is_none()) else {
        return Ok(true);
    };
    let admission = sending_limits::decide_admission(tx, config, &row).await?;
    let is_now = admission == Admission::Now;
    let mut changes = row.into_active_model();
    changes.updated_at = Set(tx.now());
    match admission {
        Admission::Now => changes.send_at = Set(Some(tx.now())),
        Admission::Postponed(send_at) => {
            changes.send_at = Set(Some(send_at));
            changes.failure_reason = Set(Some(format!(
                "postponed to {}: one of the same type was just sent to the address",
                send_at.to_rfc3339()
            )));
            tx.enqueue_job_at(SendNotification { notification_id }, send_at).await?;
        }
        Admission::Refused(reason) => {
            changes.status = Set(NotificationStatus::Skipped);
            changes.failure_reason = Set(Some(reason));
        }
    }
    changes.update(tx).await?;
    Ok(is_now)
}

async fn render_message(
    tx: &Tx,
    config: &Config,
    row: &notification::Model,
    login_code: Option<GeneratedLoginCode>,
) -> Result<PreparedMessage> {
    let Some(recipient) = row.recipient.clone() else {
        return Ok(PreparedMessage::Skipped("its recipient's data has been erased".into()));
    };
    let event_type = row.event_type;
    let id = format!("{}.{}", row.id, row.resend_count);
    let language = row.language.unwrap_or(config.shop.language);
    let data = parse_template_data(row)?;
    let mut context = build_template_context(config, data.as_ref());
    let (content, order);
    if event_type.is_about_order() {
        order = load_linked_order(tx, config, row).await?;
        if let Some(order) = &order {
            let values = [("number", order.number.as_str()), ("token", order.guest_access_token.as_str())];
            context.link = render::fill_url_template(&config.notification.order_url, &values);
            context.token = (event_type == NotificationEventType::OrderLink).then_some(&order.guest_access_token);
        }
    } else {
        content = match account_message::prepare_account_message(tx, config, row, login_code).await? {
            AccountMessage::Ready(content) => content,
            AccountMessage::Skipped(reason) => return Ok(PreparedMessage::Skipped(reason.into())),
        };
        context.link.clone_from(&content.link);
        context.token = content.token.as_deref();
        context.name = &content.name;
    }
    if row.channel == NotificationChannel::Sms {
        return Ok(PreparedMessage::Sms(SmsMessage {
            id,
            to: recipient,
            text: render_sms(event_type, language, &context)?,
        }));
    }
    let rendered = render_email(event_type, language, &context)?;
    let super::RenderedEmail { subject, text, html } = rendered;
    Ok(PreparedMessage::Email(EmailMessage { id, to: recipient, subject, text, html, date: row.created_at }))
}

/// Returns the order that a message contains the link or the token of.
async fn load_linked_order(tx: &Tx, config: &Config, row: &notification::Model) -> Result<Option<OrderRow>> {
    let is_linked = !config.notification.order_url.is_empty() || row.event_type == NotificationEventType::OrderLink;
    match row.order_id.filter(|_| is_linked) {
        Some(order_id) => queries::find_order_by_id(tx, order_id).await,
        None => Ok(None),
    }
}

fn parse_template_data(row: &notification::Model) -> Result<Option<OrderTemplateData>> {
    let data = row.template_data.clone().map(serde_json::from_value).transpose();
    data.map_err(|error| Error::internal("reading the data of a message", error))
}

fn build_template_context<'a>(config: &'a Config, data: Option<&'a OrderTemplateData>) -> TemplateContext<'a> {
    let name = data.map_or("", |data| data.name.as_str());
    TemplateContext { shop: &config.shop.name, name, order: data, link: None, token: None }
}

/// Renders the subject of a stored notification. Returns `None` for an SMS and for erased template data.
pub fn render_message_subject(config: &Config, row: &notification::Model) -> Result<Option<String>> {
    let event_type = row.event_type;
    let data = parse_template_data(row)?;
    if row.channel == NotificationChannel::Sms || (event_type.is_about_order() && data.is_none()) {
        return Ok(None);
    }
    let language = row.language.unwrap_or(config.shop.language);
    render::render_subject(event_type, language, &build_template_context(config, data.as_ref())).map(Some)
}

/// Stores the result of a delivery attempt, visible to staff.
async fn record_delivery_result(
    context: &JobContext,
    row: &notification::Model,
    (status, reason, id): (NotificationStatus, Option<String>, Option<String>),
    outcome: JobOutcome,
) -> Result<JobOutcome> {
    if let Some(reason) = reason.as_deref().filter(|_| status != NotificationStatus::Skipped) {
        tracing::warn!(
            notification = row.id,
            channel = row.channel.to_value(),
            attempt = row.attempts,
            status = status.to_value(),
            reason,
            "notification not sent"
        );
    }
    let reason = reason.map(|reason| reason.chars().take(400).collect::<String>());
    context
        .db
        .write(async |tx| {
            let mut update = Entity::update_many()
                .col_expr(Column::Status, Expr::value(status))
                .col_expr(Column::FailureReason, Expr::value(reason))
                .col_expr(Column::UpdatedAt, Expr::value(tx.now()));
            if let Some(id) = id {
                update = update
                    .col_expr(Column::ProviderId, Expr::value(id))
                    .col_expr(Column::SentAt, Expr::value(tx.now()));
            }
            // Keeps erased recipients erased, and a notification that another worker has sent as sent.
            update
                .filter(Column::Id.eq(row.id))
                .filter(Column::ResendCount.eq(row.resend_count))
                .filter(Column::Status.is_in(UNSENT_STATUSES))
                .filter(Column::Recipient.is_not_null())
                .exec(tx)
                .await?;
            Ok(())
        })
        .await?;
    Ok(outcome)
}
