//! Mutations of webhook endpoints and deliveries.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    delivery::{WebhookDelivery, WebhookDeliveryStatusEnum},
    endpoint::WebhookEndpoint,
    payload_query::check_payload_query,
    preview::{WebhookPreview, create_preview},
};
use crate::{
    base::{Error, GlobalId, Result, Validator, global_id::NodeType, validation::ExpectedVersion},
    graphql::{
        context::{RequestContext, request_context},
        guard::RequirePermission,
        identity::role::AccountPermission,
        payload::payload,
        row_loader::RowKey,
        scalars::clamp_to_i32,
    },
    identity::{Permission, Permissions},
    webhook::{
        WebhookEventType,
        endpoint::{self, EndpointChanges, NewEndpoint, WebhookContext},
        entity::webhook_endpoint,
        queries::RedeliverySelection,
        redelivery,
    },
};

/// Hours for which a previous secret stays valid by default.
const DEFAULT_SECRET_OVERLAP_HOURS: i32 = 24;

/// Webhook endpoint to register.
#[derive(Debug, InputObject)]
pub struct WebhookEndpointCreateInput {
    /// URL to which events are sent: `https://`, with a public address.
    url: String,
    /// Description for staff, at most 200 characters.
    description: Option<String>,
    /// Names of event types, such as `order.placed`; `webhookEventTypes` lists them.
    event_types: Vec<String>,
    /// GraphQL query that makes the field `data` of the payload, with the variables `$id: ID!` (the object of the event),
    /// `$ids: [ID!]!` and `$eventType: String!`; null for the default payload.
    payload_query: Option<String>,
    /// Permissions of the payload query, only ones that the caller has; none if omitted.
    permissions: Option<Vec<AccountPermission>>,
    /// Whether it gets events.
    #[graphql(default = true)]
    is_active: bool,
}

/// Changes of a webhook endpoint. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct WebhookEndpointUpdateInput {
    /// URL to which events are sent: `https://`, with a public address.
    url: Option<String>,
    /// Description for staff, at most 200 characters.
    description: Option<String>,
    /// Names of event types; they replace the existing ones.
    event_types: Option<Vec<String>>,
    /// GraphQL query that makes the field `data` of the payload; null for the default payload.
    payload_query: MaybeUndefined<String>,
    /// Permissions of the payload query, only ones that the caller has.
    permissions: Option<Vec<AccountPermission>>,
    /// Whether it gets events. True also activates an endpoint that was paused or has ended.
    is_active: Option<bool>,
    /// Version that the caller has read; another one is an error. Omitted: not checked.
    expected_version: Option<i32>,
}

/// Rotation of the secret of a webhook endpoint.
#[derive(Debug, InputObject)]
pub struct WebhookEndpointSecretRotateInput {
    /// Hours for which the previous secret stays valid (0-720, default 24). Until then requests are signed with both.
    previous_secret_hours: Option<i32>,
}

/// Preview of a webhook request.
#[derive(Debug, InputObject)]
pub struct WebhookEndpointPreviewInput {
    /// Name of the event type.
    event_type: String,
    /// ID of the object that the event is about; required if the endpoint has a payload query.
    subject_id: Option<ID>,
}

/// Deliveries to repeat.
#[derive(Debug, InputObject)]
pub struct WebhookDeliveriesRetryInput {
    /// ID of the endpoint.
    endpoint_id: ID,
    /// Status: `FAILED` or `DELIVERED`; both if omitted.
    status: Option<WebhookDeliveryStatusEnum>,
    /// Earliest creation time, inclusive.
    created_from: DateTime<Utc>,
    /// Latest creation time, exclusive.
    created_until: DateTime<Utc>,
}

payload!(
    /// Payload of the mutations of webhook endpoints.
    WebhookEndpointPayload {
        /// Endpoint after the mutation; null if nothing was changed.
        webhook_endpoint: WebhookEndpoint
    }
);

payload!(
    /// Payload of `webhookEndpointDelete`.
    WebhookEndpointDeletePayload {
        /// ID of the deleted endpoint; null if nothing was changed.
        deleted_id: ID
    }
);

payload!(
    /// Payload of `webhookEndpointPreview`.
    WebhookEndpointPreviewPayload {
        /// Request that would be sent; null if it cannot be made.
        preview: WebhookPreview
    }
);

payload!(
    /// Payload of the mutations of a webhook delivery.
    WebhookDeliveryPayload {
        /// Delivery after the mutation; null if nothing was changed.
        webhook_delivery: WebhookDelivery
    }
);

payload!(
    /// Payload of `webhookDeliveriesRetry`.
    WebhookDeliveriesRetryPayload {
        /// Number of deliveries that are repeated; null if nothing was changed.
        delivery_count: i32
    }
);

/// Mutations of webhooks.
#[derive(Debug, Default)]
pub struct WebhookMutation;

fn webhook_context(context: &RequestContext) -> WebhookContext<'_> {
    WebhookContext { db: &context.db, config: &context.app_state.config, caller: context.caller }
}

fn collect_permissions(permissions: Vec<AccountPermission>) -> Permissions {
    Permissions::from_list(&permissions.into_iter().map(Permission::from).collect::<Vec<_>>())
}

fn decode_endpoint_id(id: &ID) -> Result<i64> {
    GlobalId::decode_as(id, NodeType::WebhookEndpoint, "id")
}

#[Object]
impl WebhookMutation {
    /// Registers a webhook endpoint; its secret is returned once.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Endpoint to register.")] input: WebhookEndpointCreateInput,
    ) -> Result<Option<WebhookEndpointPayload>> {
        let context = request_context(ctx);
        let WebhookEndpointCreateInput { url, description, event_types, payload_query, permissions, is_active } = input;
        let created = async {
            let mut validator = Validator::default();
            if let Some(query) = &payload_query {
                check_payload_query(&context.app_state.config, query, &mut validator).await?;
            }
            let new = NewEndpoint {
                url,
                description: description.unwrap_or_default(),
                event_types,
                payload_query,
                permissions: collect_permissions(permissions.unwrap_or_default()),
                is_active,
            };
            endpoint::create_endpoint(webhook_context(context), new, validator).await
        };
        WebhookEndpointPayload::from_result(created.await)
    }

    /// Changes a webhook endpoint.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the endpoint.")] id: ID,
        #[graphql(desc = "Changes.")] input: WebhookEndpointUpdateInput,
    ) -> Result<Option<WebhookEndpointPayload>> {
        let context = request_context(ctx);
        let WebhookEndpointUpdateInput {
            url,
            description,
            event_types,
            payload_query,
            permissions,
            is_active,
            expected_version,
        } = input;
        let updated = async {
            let endpoint_id = decode_endpoint_id(&id)?;
            let mut validator = Validator::default();
            if let MaybeUndefined::Value(query) = &payload_query {
                check_payload_query(&context.app_state.config, query, &mut validator).await?;
            }
            let changes = EndpointChanges {
                url,
                description,
                event_types,
                payload_query: match payload_query {
                    MaybeUndefined::Undefined => None,
                    MaybeUndefined::Null => Some(None),
                    MaybeUndefined::Value(query) => Some(Some(query)),
                },
                permissions: permissions.map(collect_permissions),
                is_active,
                expected_version: expected_version
                    .map(|version| ExpectedVersion { version, path: "input.expectedVersion".into() }),
            };
            endpoint::update_endpoint(webhook_context(context), endpoint_id, changes, validator).await
        };
        WebhookEndpointPayload::from_result(updated.await)
    }

    /// Deletes a webhook endpoint with the log of its deliveries.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the endpoint.")] id: ID,
    ) -> Result<Option<WebhookEndpointDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let endpoint_id = decode_endpoint_id(&id)?;
            endpoint::delete_endpoint(webhook_context(context), endpoint_id).await?;
            Ok(id)
        };
        WebhookEndpointDeletePayload::from_result(deleted.await)
    }

    /// Replaces the secret of a webhook endpoint; the new one is returned once. For a time the previous one stays valid.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_secret_rotate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the endpoint.")] id: ID,
        #[graphql(desc = "How long the previous secret stays valid.")] input: Option<WebhookEndpointSecretRotateInput>,
    ) -> Result<Option<WebhookEndpointPayload>> {
        let context = request_context(ctx);
        let hours = input.and_then(|input| input.previous_secret_hours).unwrap_or(DEFAULT_SECRET_OVERLAP_HOURS);
        let rotated = async {
            let endpoint_id = decode_endpoint_id(&id)?;
            let overlap = TimeDelta::hours(i64::from(hours));
            endpoint::rotate_secret(webhook_context(context), endpoint_id, overlap).await
        };
        WebhookEndpointPayload::from_result(rotated.await)
    }

    /// Sends an event of the type `webhook.test` to an active webhook endpoint.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_test(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the endpoint.")] id: ID,
    ) -> Result<Option<WebhookDeliveryPayload>> {
        let context = request_context(ctx);
        let sent = async {
            let endpoint_id = decode_endpoint_id(&id)?;
            endpoint::send_test_event(webhook_context(context), endpoint_id).await
        };
        WebhookDeliveryPayload::from_result(sent.await)
    }

    /// Makes the request that a webhook endpoint would get for an event, without sending it: with its payload query, or
    /// the example of the default payload.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_endpoint_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the endpoint.")] id: ID,
        #[graphql(desc = "Event to preview.")] input: WebhookEndpointPreviewInput,
    ) -> Result<Option<WebhookEndpointPreviewPayload>> {
        let context = request_context(ctx);
        let WebhookEndpointPreviewInput { event_type, subject_id } = input;
        let preview = async {
            let row = context.load(RowKey::<webhook_endpoint::Entity>::new(decode_endpoint_id(&id)?)).await?;
            let row = row.ok_or_else(|| Error::not_found("id", "webhook endpoint"))?;
            let event_type = WebhookEventType::from_name(&event_type)
                .ok_or_else(|| Error::bad_input("input.eventType", "this is not an event type"))?;
            if !context.caller.permissions().covers(Permissions::parse(&row.permissions)) {
                return Err(Error::bad_input("id", "the endpoint has permissions that you do not have"));
            }
            let subject_id = subject_id.map(|id| id.to_string());
            create_preview(context, webhook_context(context), &row, event_type, subject_id).await
        };
        WebhookEndpointPreviewPayload::from_result(preview.await)
    }

    /// Repeats a webhook delivery that was accepted or has failed. The event keeps its ID.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_delivery_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the delivery.")] id: ID,
    ) -> Result<Option<WebhookDeliveryPayload>> {
        let context = request_context(ctx);
        let repeated = async {
            let delivery_id = GlobalId::decode_as(&id, NodeType::WebhookDelivery, "id")?;
            redelivery::repeat_delivery(webhook_context(context), delivery_id).await
        };
        WebhookDeliveryPayload::from_result(repeated.await)
    }

    /// Repeats the webhook deliveries of a time range, the oldest first, at most 10000 at once.
    #[graphql(guard = "RequirePermission(Permission::WebhookWrite)")]
    async fn webhook_deliveries_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Deliveries to repeat.")] input: WebhookDeliveriesRetryInput,
    ) -> Result<Option<WebhookDeliveriesRetryPayload>> {
        let context = request_context(ctx);
        let WebhookDeliveriesRetryInput { endpoint_id, status, created_from, created_until } = input;
        let repeated = async {
            let endpoint_id = GlobalId::decode_as(&endpoint_id, NodeType::WebhookEndpoint, "input.endpointId")?;
            let selection =
                RedeliverySelection { endpoint_id, status: status.map(Into::into), created_from, created_until };
            let count = redelivery::repeat_deliveries(webhook_context(context), &selection).await?;
            Ok(clamp_to_i32(i64::try_from(count).unwrap_or(i64::MAX)))
        };
        WebhookDeliveriesRetryPayload::from_result(repeated.await)
    }
}
