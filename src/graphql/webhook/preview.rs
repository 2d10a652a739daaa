//! Preview of a webhook: body and headers, without sending them.

use async_graphql::SimpleObject;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::payload_query::create_payload_renderer;
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    graphql::{context::RequestContext, scalars::clamp_to_i32},
    identity::Permissions,
    webhook::{
        PayloadRequest, WebhookEventType,
        endpoint::{WebhookContext, valid_secrets},
        entity::webhook_endpoint,
        payload::{PayloadEnvelope, message_id},
        payload_example::example_body,
        signature::SignedMessage,
    },
};

/// Key of the event in a preview: of none that was or will be sent.
const PREVIEW_EVENT_ID: i64 = 0;

/// Request that would be sent to a webhook endpoint.
#[derive(Debug, SimpleObject)]
pub struct WebhookPreview {
    /// Body.
    body: String,
    /// Size of the body in bytes; the limit is 20000.
    body_bytes: i32,
    /// Headers, with a valid signature.
    headers: Vec<WebhookHeader>,
}

/// Header of a webhook request.
#[derive(Debug, SimpleObject)]
pub struct WebhookHeader {
    /// Name.
    name: String,
    /// Value.
    value: String,
}

/// Makes the request that an endpoint would get for an event about an object: with its payload query, or the example of
/// the default payload.
pub(super) async fn create_preview(
    context: &RequestContext,
    webhook_context: WebhookContext<'_>,
    row: &webhook_endpoint::Model,
    event_type: WebhookEventType,
    subject_id: Option<String>,
) -> Result<WebhookPreview> {
    let body = match &row.payload_query {
        Some(query) => {
            let subject_id = subject_id
                .ok_or_else(|| Error::bad_input("input.subjectId", "the payload query needs the id of an object"))?;
            let request = PayloadRequest {
                query: query.clone(),
                subject_ids: vec![subject_id],
                event_type,
                permissions: Permissions::parse(&row.permissions),
                account_id: row.account_id,
            };
            let data: Value = create_payload_renderer(&context.app_state).render(request).await.map_err(|message| {
                Error::user(PublicErrorCode::BadUserInput, "id", format!("the payload query failed: {message}"))
            })?;
            let envelope = PayloadEnvelope {
                event_id: PREVIEW_EVENT_ID,
                event_type,
                occurred_at: context.db.now(),
                aggregate: "preview".to_owned(),
                sequence: None,
            };
            envelope.to_body(&data).map_err(|error| error.at_field("id"))?
        }
        None => example_body(event_type)?,
    };
    let id = message_id(PREVIEW_EVENT_ID);
    let message = SignedMessage { id: &id, sent_at: context.db.now(), body: &body };
    let headers = message.to_headers(&valid_secrets(webhook_context, row)?)?;
    let to_header = |(name, value): (&HeaderName, &HeaderValue)| WebhookHeader {
        name: name.as_str().to_owned(),
        value: value.to_str().unwrap_or_default().to_owned(),
    };
    let body_bytes = clamp_to_i32(i64::try_from(body.len()).unwrap_or(i64::MAX));
    Ok(WebhookPreview { headers: headers.iter().map(to_header).collect(), body, body_bytes })
}
