//! Log of webhook deliveries.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object, SimpleObject, dataloader::Loader};
use chrono::{DateTime, Utc};

use super::endpoint::WebhookEndpoint;
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    graphql::{
        context::request_context,
        loader::{Loaders, batch_loader},
        pagination::{connection, edge, paged_list},
        row_loader::RowKey,
    },
    webhook::{
        entity::{WebhookDeliveryStatus, webhook_attempt, webhook_delivery, webhook_endpoint, webhook_event},
        payload::message_id,
        queries::{self, WebhookDeliveryFilter},
    },
};

batch_loader!(
    /// Loads the attempts of a delivery, without an access check.
    AttemptsOfDeliveryKey, Vec<webhook_attempt::Model>, |loaders, keys| queries::load_attempts(&loaders.db, keys)
);

/// Status of a webhook delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "WebhookDeliveryStatus", name = "WebhookDeliveryStatus")]
pub enum WebhookDeliveryStatusEnum {
    /// Waiting for its first or next attempt.
    Pending,
    /// Accepted by the endpoint.
    Delivered,
    /// Given up.
    Failed,
}

/// Delivery of an event to a webhook endpoint.
#[derive(Debug)]
pub struct WebhookDelivery(webhook_delivery::Model);

impl From<webhook_delivery::Model> for WebhookDelivery {
    fn from(row: webhook_delivery::Model) -> Self {
        Self(row)
    }
}

/// Attempt of a webhook delivery.
#[derive(Debug, SimpleObject)]
pub struct WebhookAttempt {
    /// Number of the attempt, from 1.
    attempt: i32,
    /// Time of the request.
    requested_at: DateTime<Utc>,
    /// Duration in milliseconds.
    duration_millis: i32,
    /// HTTP status of the response; null if there was none.
    response_status: Option<i32>,
    /// Beginning of the response; null if there was none.
    response_body: Option<String>,
    /// Why the event was not accepted; null if it was.
    error: Option<String>,
}

impl From<webhook_attempt::Model> for WebhookAttempt {
    fn from(row: webhook_attempt::Model) -> Self {
        let webhook_attempt::Model {
            id: _,
            delivery_id: _,
            attempt,
            requested_at,
            duration_ms,
            response_status,
            response_body,
            error,
        } = row;
        Self { attempt, requested_at, duration_millis: duration_ms, response_status, response_body, error }
    }
}

/// Delivery of an event to a webhook endpoint.
#[Object]
impl WebhookDelivery {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::WebhookDelivery, self.0.id).encode().into()
    }

    /// Endpoint.
    async fn endpoint(&self, ctx: &Context<'_>) -> Result<Option<WebhookEndpoint>> {
        let row = request_context(ctx).load(RowKey::<webhook_endpoint::Entity>::new(self.0.endpoint_id)).await?;
        Ok(row.map(Into::into))
    }

    /// ID of the event, as sent in the header `webhook-id`; the same for all endpoints and attempts.
    async fn event_id(&self) -> String {
        message_id(self.0.event_id)
    }

    /// Name of the event type, such as `order.placed`.
    async fn event_type(&self) -> String {
        self.0.event_type.name()
    }

    /// Status.
    async fn status(&self) -> WebhookDeliveryStatusEnum {
        self.0.status.into()
    }

    /// Body of the requests; null until the payload query has made it.
    async fn request_body(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        if let Some(body) = &self.0.body {
            return Ok(Some(body.clone()));
        }
        let context = request_context(ctx);
        let endpoint = context.load(RowKey::<webhook_endpoint::Entity>::new(self.0.endpoint_id)).await?;
        let event = context.load(RowKey::<webhook_event::Entity>::new(self.0.event_id)).await?;
        let is_default = endpoint.is_some_and(|endpoint| endpoint.payload_query.is_none());
        Ok(event
            .filter(|event| is_default || event.sequence.is_none() || self.0.response_status.is_some())
            .map(|event| event.body))
    }

    /// Number of attempts.
    async fn attempt_count(&self) -> i32 {
        self.0.attempts
    }

    /// Attempts, the first one first.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<WebhookAttempt>> {
        let context = request_context(ctx);
        let rows = context.load(AttemptsOfDeliveryKey(self.0.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// HTTP status of the last response; null if there was none.
    async fn response_status(&self) -> Option<i32> {
        self.0.response_status
    }

    /// Why the last attempt failed; null if it succeeded or there was none.
    async fn error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// Earliest time of the next attempt; null if none will be made. An earlier event of the same object, and a failing
    /// endpoint, delay it.
    async fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.0.next_attempt_at
    }

    /// Time at which the endpoint accepted the event; null if it has not.
    async fn delivered_at(&self) -> Option<DateTime<Utc>> {
        self.0.delivered_at
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

edge!(
    /// Webhook delivery with its cursor.
    WebhookDeliveryEdge { cursor = "Cursor of the delivery.", node: WebhookDelivery = "Delivery." }
);

connection!(
    /// Page of webhook deliveries, newest first.
    WebhookDeliveryConnection(WebhookDeliveryFilter) {
        nodes: Vec<WebhookDelivery> = "Deliveries of the page.",
        edges: Vec<WebhookDeliveryEdge> = "Deliveries of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of deliveries that match the filter, across all pages.",
    }
);

paged_list!(
    WebhookDeliveryFilter,
    webhook_delivery::Model,
    |filter, db, request| queries::list_deliveries(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| queries::count_deliveries(db, filter)
);
