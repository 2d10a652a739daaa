//! Webhooks received from payment providers, for staff.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, Enum, ID, InputObject, Object};
use chrono::{DateTime, Utc};

use super::{
    context::request_context,
    guard::RequirePermission,
    pagination::{compute_connection_cost, connection, edge, paged_list},
    payload::payload,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    identity::Permission,
    payment::{
        entity::ReceivedWebhookStatus,
        queries::{self, ReceivedWebhookFilter},
        received_webhooks::{ReceivedWebhookRow, replay_received_webhook},
    },
};

/// Status of a received webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ReceivedWebhookStatus", name = "ReceivedWebhookStatus")]
pub enum ReceivedWebhookStatusEnum {
    /// Stored, not processed yet.
    Received,
    /// Processed.
    Processed,
    /// Nothing in the shop corresponds to it.
    Ignored,
}

/// Webhook received from a payment provider.
#[derive(Debug)]
pub struct ReceivedWebhook(ReceivedWebhookRow);

impl From<ReceivedWebhookRow> for ReceivedWebhook {
    fn from(row: ReceivedWebhookRow) -> Self {
        Self(row)
    }
}

/// Webhook received from a payment provider.
#[Object]
impl ReceivedWebhook {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::ReceivedWebhook, self.0.id).encode().into()
    }

    /// Payment provider.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// ID of the event at the provider.
    async fn event_id(&self) -> &str {
        &self.0.event_id
    }

    /// Type of the event at the provider.
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// Body as received. Contains personal data.
    async fn body(&self) -> &str {
        &self.0.body
    }

    /// Status.
    async fn status(&self) -> ReceivedWebhookStatusEnum {
        self.0.status.into()
    }

    /// Why it was ignored; null otherwise.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Time of receipt.
    async fn received_at(&self) -> DateTime<Utc> {
        self.0.received_at
    }

    /// Time of processing; null if it is not processed yet.
    async fn processed_at(&self) -> Option<DateTime<Utc>> {
        self.0.processed_at
    }
}

/// Filter for received webhooks. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "ReceivedWebhookFilter")]
pub struct ReceivedWebhookFilterInput {
    /// Payment provider.
    provider: Option<String>,
    /// Status.
    status: Option<ReceivedWebhookStatusEnum>,
}

edge!(
    /// Received webhook with its cursor.
    ReceivedWebhookEdge { cursor = "Cursor of the webhook.", node: ReceivedWebhook = "Received webhook." }
);

connection!(
    /// Page of received webhooks, newest first.
    ReceivedWebhookConnection(ReceivedWebhookFilter) {
        nodes: Vec<ReceivedWebhook> = "Webhooks of the page.",
        edges: Vec<ReceivedWebhookEdge> = "Webhooks of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of webhooks that match the filter, across all pages.",
    }
);

paged_list!(
    ReceivedWebhookFilter,
    ReceivedWebhookRow,
    |filter, db, request| queries::list_received_webhooks(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| queries::count_received_webhooks(db, filter)
);

payload!(
    /// Payload of `receivedWebhookReplay`.
    ReceivedWebhookPayload {
        /// Webhook after the mutation; null if nothing was changed.
        received_webhook: ReceivedWebhook
    }
);

/// Queries of received webhooks.
#[derive(Debug, Default)]
pub struct ReceivedWebhookQuery;

#[Object]
impl ReceivedWebhookQuery {
    /// Webhooks received from payment providers, newest first, paginated.
    #[graphql(
        guard = "RequirePermission(Permission::OrderWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn received_webhooks(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<ReceivedWebhookFilterInput>,
    ) -> Result<Option<ReceivedWebhookConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let ReceivedWebhookFilterInput { provider, status } = filter.unwrap_or_default();
        let filter = ReceivedWebhookFilter { provider, status: status.map(ReceivedWebhookStatus::from) };
        Ok(Some(ReceivedWebhookConnection::new(filter, page_request)))
    }
}

/// Mutations of received webhooks.
#[derive(Debug, Default)]
pub struct ReceivedWebhookMutation;

#[Object]
impl ReceivedWebhookMutation {
    /// Applies a stored webhook again. What it reports counts once, however often it is applied.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn received_webhook_replay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the webhook.")] id: ID,
    ) -> Result<Option<ReceivedWebhookPayload>> {
        let replayed = async {
            let webhook_id = GlobalId::decode_as(&id, NodeType::ReceivedWebhook, "id")?;
            let db = &request_context(ctx).db;
            db.write_with_retry(async |tx| replay_received_webhook(tx, webhook_id).await).await
        };
        ReceivedWebhookPayload::from_result(replayed.await)
    }
}
