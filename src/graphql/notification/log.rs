//! Notifications to customers, for staff.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    graphql::{
        context::request_context,
        customer::Customer,
        guard::RequirePermission,
        input::parse_optional_id,
        order::Order,
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
        scalars::{LanguageScalar, NotificationEvent},
    },
    identity::Permission,
    notification::{self, notification::Model, queries, send, sending_limits},
};

/// Notification channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::NotificationChannel", name = "NotificationChannel")]
pub enum NotificationChannelEnum {
    /// Email.
    Email,
    /// SMS.
    Sms,
}

/// Status of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::NotificationStatus", name = "NotificationStatus")]
pub enum NotificationStatusEnum {
    /// Waiting to be sent or retried.
    Queued,
    /// Accepted by the mail server or the SMS gateway.
    Sent,
    /// Failed permanently; not retried.
    Failed,
    /// Not sent: the recipient opted out or was erased, or the channel is disabled.
    Skipped,
}

/// Notification to a customer: one event on one channel.
#[derive(Debug, Clone)]
pub struct NotificationObject(Model);

impl From<Model> for NotificationObject {
    fn from(row: Model) -> Self {
        Self(row)
    }
}

/// Notification to a customer: one event on one channel.
#[Object(name = "Notification")]
impl NotificationObject {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Notification, self.0.id).encode().into()
    }

    /// Event that triggered the notification.
    async fn event(&self) -> NotificationEvent {
        self.0.event_type.into()
    }

    /// Channel of the notification.
    async fn channel(&self) -> NotificationChannelEnum {
        self.0.channel.into()
    }

    /// Email address or phone number of the recipient; null after its erasure.
    async fn recipient(&self) -> Option<&str> {
        self.0.recipient.as_deref()
    }

    /// Customer who receives the notification; null for a guest and for callers who may not see customers.
    async fn customer(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.0.account_id {
            Some(account_id) => Customer::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// ID of the related order; null if there is none.
    async fn order_id(&self) -> Option<ID> {
        self.0.order_id.map(|order_key| GlobalId::new(NodeType::Order, order_key).encode().into())
    }

    /// Related order; null if there is none and for callers who may not see orders.
    async fn order(&self, ctx: &Context<'_>) -> Result<Option<Order>> {
        match self.0.order_id {
            Some(order_id) => Order::find(request_context(ctx), order_id).await,
            None => Ok(None),
        }
    }

    /// Language of the notification.
    async fn language(&self, ctx: &Context<'_>) -> LanguageScalar {
        LanguageScalar(self.0.language.unwrap_or(request_context(ctx).app_state.config.shop.language))
    }

    /// Subject line; null for an SMS and after the recipient's erasure.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        send::render_message_subject(&request_context(ctx).app_state.config, &self.0)
    }

    /// Notification status.
    async fn status(&self) -> NotificationStatusEnum {
        self.0.status.into()
    }

    /// Reason of the last delivery failure; null if there was none.
    async fn failure_reason(&self) -> Option<&str> {
        self.0.failure_reason.as_deref()
    }

    /// Number of attempts since it was last enqueued.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// External ID: the `Message-ID` of an email or the ID of the SMS gateway; null until sent.
    async fn provider_id(&self) -> Option<&str> {
        self.0.provider_id.as_deref()
    }

    /// Earliest time of delivery: an email is postponed if the address has just received another of its kind. Null
    /// until scheduled.
    async fn due_at(&self) -> Option<DateTime<Utc>> {
        self.0.send_at
    }

    /// Time of the last delivery; null until sent.
    async fn sent_at(&self) -> Option<DateTime<Utc>> {
        self.0.sent_at
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Filter for notifications. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct NotificationFilter {
    /// Notification status.
    status: Option<NotificationStatusEnum>,
    /// Channel.
    channel: Option<NotificationChannelEnum>,
    /// Event that triggered the notification.
    event: Option<NotificationEvent>,
    /// ID of the related order.
    order_id: Option<ID>,
    /// ID of the customer.
    customer_id: Option<ID>,
    /// Exact email address (case-insensitive) or phone number (E.164), such as `+254712345678`.
    recipient: Option<String>,
}

impl NotificationFilter {
    fn into_notification_filter(self) -> Result<queries::NotificationListFilter> {
        let Self { status, channel, event, order_id, customer_id, recipient } = self;
        let filter = queries::NotificationListFilter {
            status: status.map(Into::into),
            channel: channel.map(Into::into),
            event_type: event.map(Into::into),
            order_id: parse_optional_id(order_id, NodeType::Order, "filter.orderId")?,
            account_id: parse_optional_id(customer_id, NodeType::Customer, "filter.customerId")?,
            recipient,
        };
        filter.validate()
    }
}

edge!(
    /// Notification with its cursor.
    NotificationEdge { cursor = "Cursor of the notification.", node: NotificationObject = "Notification." }
);

connection!(
    /// Page of notifications with list-level fields.
    NotificationConnection(queries::NotificationListFilter) {
        nodes: Vec<NotificationObject> = "Notifications of the page.",
        edges: Vec<NotificationEdge> = "Notifications of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of notifications that match the filter, across all pages.",
    }
);

paged_list!(
    queries::NotificationListFilter,
    Model,
    |filter, db, request| queries::list_notifications(db, filter, request),
    |_, row| queries::encode_notification_cursor(row),
    |filter, db| queries::count_notifications(db, filter)
);

payload!(
    /// Payload of `notificationResend`.
    NotificationPayload {
        /// Notification after the mutation; null if it is not resent.
        notification: NotificationObject
    }
);

/// Today's usage (UTC) of the daily SMS limit for guests and customers without a verified email address.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct GuestSmsUsage {
    /// Number of SMS sent.
    sent_today: i64,
    /// Daily limit: the setting `sms.guest_daily_limit`.
    daily_limit: u32,
}

/// Notification queries.
#[derive(Debug, Default)]
pub struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// Usage of the daily SMS limit for guests. Staff only.
    #[graphql(guard = "RequirePermission(Permission::NotificationWrite)")]
    async fn guest_sms_usage(&self, ctx: &Context<'_>) -> Result<Option<GuestSmsUsage>> {
        let context = request_context(ctx);
        let sent_today = sending_limits::count_guest_sms_today(&context.db).await?;
        Ok(Some(GuestSmsUsage { sent_today, daily_limit: context.app_state.config.sms.guest_daily_limit }))
    }

    /// Notifications to customers, newest first, paginated. Staff only.
    #[graphql(
        guard = "RequirePermission(Permission::NotificationWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn notifications(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<NotificationFilter>,
    ) -> Result<Option<NotificationConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        Ok(Some(NotificationConnection::new(filter.unwrap_or_default().into_notification_filter()?, page_request)))
    }
}

/// Notification mutations.
#[derive(Debug, Default)]
pub struct NotificationLogMutation;

#[Object]
impl NotificationLogMutation {
    /// Resends a failed, skipped or undelivered notification with the same content and fresh tokens.
    #[graphql(guard = "RequirePermission(Permission::NotificationWrite)")]
    async fn notification_resend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the notification.")] id: ID,
    ) -> Result<Option<NotificationPayload>> {
        let context = request_context(ctx);
        let resent = async {
            let message_id = GlobalId::decode_as(&id, NodeType::Notification, "id")?;
            notification::resend_notification(&context.db, message_id).await
        };
        NotificationPayload::from_result(resent.await)
    }
}
