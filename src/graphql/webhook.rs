//! Outbound webhooks: endpoints, deliveries, payload queries.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod delivery;
pub mod endpoint;
pub mod mutations;
mod payload_query;
mod preview;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use self::{
    delivery::{WebhookDeliveryConnection, WebhookDeliveryStatusEnum},
    endpoint::{WebhookEndpointConnection, WebhookEndpointStatusEnum},
};
use crate::{
    base::{Error, Result, global_id::NodeType, pagination::PageRequest},
    graphql::{
        context::request_context, guard::RequirePermission, input::parse_optional_id,
        pagination::compute_connection_cost,
    },
    identity::Permission,
    webhook::{
        WebhookEventType,
        payload_example::example_body,
        queries::{WebhookDeliveryFilter, WebhookEndpointFilter},
    },
};

pub use payload_query::{create_payload_renderer, create_worker_payload_renderer};

/// Event type of webhooks.
#[derive(Debug, SimpleObject)]
#[graphql(name = "WebhookEventType")]
pub struct WebhookEventTypeObject {
    /// Name, such as `order.placed`.
    name: String,
    /// Example of the default payload.
    example: String,
}

/// Filter for webhook endpoints. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "WebhookEndpointFilter")]
pub struct WebhookEndpointFilterInput {
    /// Status.
    status: Option<WebhookEndpointStatusEnum>,
}

/// Filter for webhook deliveries. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "WebhookDeliveryFilter")]
pub struct WebhookDeliveryFilterInput {
    /// ID of the endpoint.
    endpoint_id: Option<ID>,
    /// Status.
    status: Option<WebhookDeliveryStatusEnum>,
    /// Name of the event type.
    event_type: Option<String>,
    /// Earliest creation time, inclusive.
    created_from: Option<DateTime<Utc>>,
    /// Latest creation time, exclusive.
    created_until: Option<DateTime<Utc>>,
}

impl WebhookDeliveryFilterInput {
    fn into_filter(self) -> Result<WebhookDeliveryFilter> {
        let Self { endpoint_id, status, event_type, created_from, created_until } = self;
        let find_type = |name: String| {
            let event_type = (name == WebhookEventType::Test.name()).then_some(WebhookEventType::Test);
            event_type
                .or_else(|| WebhookEventType::from_name(&name))
                .ok_or_else(|| Error::bad_input("filter.eventType", "this is not an event type"))
        };
        Ok(WebhookDeliveryFilter {
            endpoint_id: parse_optional_id(endpoint_id, NodeType::WebhookEndpoint, "filter.endpointId")?,
            status: status.map(Into::into),
            event_type: event_type.map(find_type).transpose()?,
            created_from,
            created_until,
        })
    }
}

/// Queries of webhooks.
#[derive(Debug, Default)]
pub struct WebhookQuery;

#[Object]
impl WebhookQuery {
    /// Webhook endpoints, newest first, paginated. One endpoint: `node`.
    #[graphql(
        guard = "RequirePermission(Permission::WebhookWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn webhook_endpoints(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<WebhookEndpointFilterInput>,
    ) -> Result<Option<WebhookEndpointConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let WebhookEndpointFilterInput { status } = filter.unwrap_or_default();
        let filter = WebhookEndpointFilter { status: status.map(Into::into) };
        Ok(Some(WebhookEndpointConnection::new(filter, page_request)))
    }

    /// Deliveries of events to webhook endpoints, newest first, paginated.
    #[graphql(
        guard = "RequirePermission(Permission::WebhookWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn webhook_deliveries(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<WebhookDeliveryFilterInput>,
    ) -> Result<Option<WebhookDeliveryConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let filter = filter.unwrap_or_default().into_filter()?;
        Ok(Some(WebhookDeliveryConnection::new(filter, page_request)))
    }

    /// Event types that webhook endpoints can subscribe to.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_event_types(&self, ctx: &Context<'_>) -> Result<Option<Vec<WebhookEventTypeObject>>> {
        let event_types = WebhookEventType::SUBSCRIBABLE;
        request_context(ctx).charge_list_values(ctx, event_types.len())?;
        let describe = |event_type: WebhookEventType| {
            Ok(WebhookEventTypeObject { name: event_type.name(), example: example_body(event_type)? })
        };
        event_types.into_iter().map(describe).collect::<Result<Vec<_>>>().map(Some)
    }
}
