//! Webhook endpoints.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object, dataloader::Loader};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    graphql::{
        context::request_context,
        identity::{account::Account, role::AccountPermission},
        loader::{Loaders, batch_loader},
        pagination::{connection, edge, paged_list},
    },
    identity::Permissions,
    webhook::{
        endpoint::EndpointWithSecret,
        entity::{WebhookEndpointStatus, webhook_endpoint, webhook_subscription},
        queries::{self, WebhookEndpointFilter},
    },
};

batch_loader!(
    /// Loads the event types of an endpoint, without an access check.
    SubscriptionsOfEndpointKey, Vec<webhook_subscription::Model>,
    |loaders, keys| queries::load_subscriptions(&loaders.db, keys)
);

/// Status of a webhook endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "WebhookEndpointStatus", name = "WebhookEndpointStatus")]
pub enum WebhookEndpointStatusEnum {
    /// Gets events.
    Active,
    /// Deactivated by staff: gets no new events; pending deliveries wait.
    Inactive,
    /// Paused because every attempt has failed for too long: events wait until it is activated.
    Paused,
    /// Has answered 410 (Gone): gets no new events.
    Ended,
}

/// Webhook endpoint: a URL to which events are sent.
#[derive(Debug)]
pub struct WebhookEndpoint {
    row: webhook_endpoint::Model,
    /// Secret, present only right after its creation.
    secret: Option<SecretString>,
}

impl From<webhook_endpoint::Model> for WebhookEndpoint {
    fn from(row: webhook_endpoint::Model) -> Self {
        Self { row, secret: None }
    }
}

impl From<EndpointWithSecret> for WebhookEndpoint {
    fn from(created: EndpointWithSecret) -> Self {
        Self { row: created.row, secret: Some(created.secret) }
    }
}

/// Webhook endpoint: a URL to which events are sent.
#[Object]
impl WebhookEndpoint {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::WebhookEndpoint, self.row.id).encode().into()
    }

    /// URL to which events are sent.
    async fn url(&self) -> &str {
        &self.row.url
    }

    /// Description for staff; may be empty.
    async fn description(&self) -> &str {
        &self.row.description
    }

    /// Names of its event types, such as `order.placed`.
    async fn event_types(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let rows = request_context(ctx).load(SubscriptionsOfEndpointKey(self.row.id)).await?.unwrap_or_default();
        Ok(rows.into_iter().map(|row| row.event_type.name()).collect())
    }

    /// Status.
    async fn status(&self) -> WebhookEndpointStatusEnum {
        self.row.status.into()
    }

    /// Why it was paused or has ended; null otherwise.
    async fn status_reason(&self) -> Option<&str> {
        self.row.status_reason.as_deref()
    }

    /// Secret that signs requests, returned once by `webhookEndpointCreate` and `webhookEndpointSecretRotate`; null
    /// otherwise.
    async fn secret(&self) -> Option<&str> {
        self.secret.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Time until which requests are also signed with the previous secret; null if there is none.
    async fn previous_secret_expires_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        let now = request_context(ctx).db.now();
        self.row.previous_secret_expires_at.filter(|expires_at| *expires_at > now)
    }

    /// GraphQL query that makes the field `data` of the payload; null for the default payload.
    async fn payload_query(&self) -> Option<&str> {
        self.row.payload_query.as_deref()
    }

    /// Permissions of the payload query, limited by those of the account.
    async fn permissions(&self) -> Vec<AccountPermission> {
        Permissions::parse(&self.row.permissions).iter().map(Into::into).collect()
    }

    /// Account that registered or last changed it; null if an API key without an account did so.
    async fn account(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        match self.row.account_id {
            Some(account_id) => Account::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// Number of consecutive failed attempts.
    async fn failure_count(&self) -> i32 {
        self.row.failure_count
    }

    /// Time of the first of the consecutive failed attempts; null if the last attempt succeeded.
    async fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.row.failing_since
    }

    /// Version, increased by each change of its settings; see `expectedVersion`.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Time of the last change of its settings.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}

edge!(
    /// Webhook endpoint with its cursor.
    WebhookEndpointEdge { cursor = "Cursor of the endpoint.", node: WebhookEndpoint = "Endpoint." }
);

connection!(
    /// Page of webhook endpoints, newest first.
    WebhookEndpointConnection(WebhookEndpointFilter) {
        nodes: Vec<WebhookEndpoint> = "Endpoints of the page.",
        edges: Vec<WebhookEndpointEdge> = "Endpoints of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of endpoints that match the filter, across all pages.",
    }
);

paged_list!(
    WebhookEndpointFilter,
    webhook_endpoint::Model,
    |filter, db, request| queries::list_endpoints(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| queries::count_endpoints(db, filter)
);
