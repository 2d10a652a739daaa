//! Use cases of staff: register, change, delete and test endpoints, rotate secrets.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::LockType,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    WebhookEventType,
    attempt::decrypt_secrets,
    delivery::DeliverWebhooks,
    endpoint_validation::{validate_description, validate_event_types, validate_permissions, validate_url},
    entity::{WebhookEndpointStatus, webhook_delivery, webhook_endpoint, webhook_event, webhook_subscription},
    fan_out::{add_deliveries, allocate_event_id},
    payload::PayloadEnvelope,
    queries,
    secret::{SecretCipher, SigningSecret},
};
use crate::{
    base::{
        Error, GlobalId, Result,
        error::PublicErrorCode,
        global_id::NodeType,
        validation::{ExpectedVersion, Validator},
    },
    identity::{Caller, Permissions, api_key},
    infra::{AuditRecord, Config, Db, Tx, outbound_address::AddressGuard},
};

/// Maximum time for which a previous secret stays valid.
const MAX_SECRET_OVERLAP: TimeDelta = TimeDelta::days(30);

/// Dependencies of the use cases.
#[derive(Debug, Clone, Copy)]
pub struct WebhookContext<'a> {
    /// Database.
    pub db: &'a Db,
    /// Settings.
    pub config: &'a Config,
    /// Caller.
    pub caller: Caller,
}

/// An endpoint to register.
#[derive(Debug)]
pub struct NewEndpoint {
    /// URL.
    pub url: String,
    /// Description for staff.
    pub description: String,
    /// Names of event types.
    pub event_types: Vec<String>,
    /// Query of the payload, which the caller has checked; `None` for the default payload.
    pub payload_query: Option<String>,
    /// Permissions of the query.
    pub permissions: Permissions,
    /// Whether it gets events.
    pub is_active: bool,
}

/// Changes of an endpoint. Fields that are `None` stay as they are.
#[derive(Debug, Default)]
pub struct EndpointChanges {
    /// URL.
    pub url: Option<String>,
    /// Description for staff.
    pub description: Option<String>,
    /// Names of event types.
    pub event_types: Option<Vec<String>>,
    /// Query of the payload, which the caller has checked; `Some(None)` for the default payload.
    pub payload_query: Option<Option<String>>,
    /// Permissions of the query.
    pub permissions: Option<Permissions>,
    /// Whether it gets events.
    pub is_active: Option<bool>,
    /// Version that the caller expects.
    pub expected_version: Option<ExpectedVersion>,
}

/// An endpoint with a new secret, which is returned only once.
#[derive(Debug)]
pub struct EndpointWithSecret {
    /// Row of the endpoint.
    pub row: webhook_endpoint::Model,
    /// Secret.
    pub secret: SecretString,
}

impl WebhookContext<'_> {
    fn guard(&self) -> AddressGuard {
        AddressGuard::new(self.config.webhooks.allow_private_addresses)
    }
}

/// Registers an endpoint. `validator` contains the errors of the payload query.
///
/// # Errors
/// Returns all user errors, and `IllegalTransition` if there are too many endpoints or no encryption key.
pub async fn create_endpoint(
    context: WebhookContext<'_>,
    new: NewEndpoint,
    mut validator: Validator,
) -> Result<EndpointWithSecret> {
    let NewEndpoint { url, description, event_types, payload_query, permissions, is_active } = new;
    let url = validate_url(&mut validator, context.guard(), &url).await;
    let description = validate_description(&mut validator, &description);
    let event_types = validate_event_types(&mut validator, &event_types);
    validate_permissions(&mut validator, context.caller, permissions);
    validator.finish()?;
    let (signing_secret, encrypted) = SecretCipher::new(context.config)?.generate_secret()?;
    let row = context
        .db
        .write(async |tx| {
            // Locks the account, if there is one, so that concurrent registrations of it are counted.
            let account_id = api_key::resolve_creator_id(tx, context.caller).await?;
            let limit = context.config.webhooks.max_endpoints;
            if webhook_endpoint::Entity::find().count(tx).await? >= limit {
                let message = format!("there are already {limit} endpoints; delete one that is no longer needed");
                return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
            }
            let status = if is_active { WebhookEndpointStatus::Active } else { WebhookEndpointStatus::Inactive };
            let row = webhook_endpoint::ActiveModel {
                url: Set(url),
                description: Set(description),
                status: Set(status),
                payload_query: Set(payload_query),
                permissions: Set(permissions.to_string()),
                secret: Set(encrypted),
                account_id: Set(account_id),
                failure_count: Set(0),
                version: Set(1),
                created_at: Set(tx.now()),
                updated_at: Set(tx.now()),
                ..Default::default()
            };
            let row = row.insert(tx).await?;
            save_subscriptions(tx, row.id, &event_types).await?;
            let entity = (NodeType::WebhookEndpoint, row.id);
            let after = describe_endpoint(&row, &event_types);
            tx.record_audit(&[AuditRecord::created("webhook_endpoint.create", entity, &after)]).await?;
            Ok(row)
        })
        .await?;
    Ok(EndpointWithSecret { row, secret: signing_secret.to_text() })
}

/// Changes an endpoint. Activating one clears its failures and sends what waits. `validator` contains the errors of the
/// payload query.
///
/// # Errors
/// Returns all user errors: `NotFound`, `VersionConflict`, and `Forbidden` if the endpoint has permissions that the
/// caller does not have.
pub async fn update_endpoint(
    context: WebhookContext<'_>,
    endpoint_id: i64,
    changes: EndpointChanges,
    mut validator: Validator,
) -> Result<webhook_endpoint::Model> {
    let EndpointChanges { url, description, event_types, payload_query, permissions, is_active, expected_version } =
        changes;
    let url = match url {
        Some(url) => Some(validate_url(&mut validator, context.guard(), &url).await),
        None => None,
    };
    let description = description.map(|description| validate_description(&mut validator, &description));
    let event_types = event_types.map(|names| validate_event_types(&mut validator, &names));
    if let Some(permissions) = permissions {
        validate_permissions(&mut validator, context.caller, permissions);
    }
    context
        .db
        .write(async |tx| {
            let existing = lock_endpoint(tx, context.caller, endpoint_id).await?;
            validator.check_version(expected_version.as_ref(), existing.version);
            std::mem::take(&mut validator).finish()?;
            let old_types = load_event_types(tx, endpoint_id).await?;
            let before = describe_endpoint(&existing, &old_types);
            let account_id = api_key::resolve_creator_id(tx, context.caller).await?;
            let version = existing.version;
            let mut row = existing.into_active_model();
            if let Some(url) = url {
                row.url = Set(url);
            }
            if let Some(description) = description {
                row.description = Set(description);
            }
            if let Some(payload_query) = payload_query {
                row.payload_query = Set(payload_query);
            }
            if let Some(permissions) = permissions {
                row.permissions = Set(permissions.to_string());
            }
            match is_active {
                Some(true) => {
                    row.status = Set(WebhookEndpointStatus::Active);
                    row.status_reason = Set(None);
                    row.failure_count = Set(0);
                    row.failing_since = Set(None);
                    row.resume_at = Set(None);
                }
                Some(false) => {
                    row.status = Set(WebhookEndpointStatus::Inactive);
                    row.status_reason = Set(None);
                }
                None => {}
            }
            row.account_id = Set(account_id);
            row.version = Set(version + 1);
            row.updated_at = Set(tx.now());
            let row = row.update(tx).await?;
            if is_active == Some(true) {
                queries::unblock_deliveries(tx, endpoint_id).await?;
            }
            let new_types = event_types.unwrap_or_else(|| old_types.clone());
            if new_types != old_types {
                save_subscriptions(tx, endpoint_id, &new_types).await?;
            }
            let after = describe_endpoint(&row, &new_types);
            let entity = (NodeType::WebhookEndpoint, endpoint_id);
            let record = AuditRecord::updated("webhook_endpoint.update", entity, &before, &after);
            tx.record_audit(&record.into_iter().collect::<Vec<_>>()).await?;
            if row.status == WebhookEndpointStatus::Active {
                tx.enqueue_or_advance_jobs(&[DeliverWebhooks { endpoint_id }], tx.now()).await?;
            }
            Ok(row)
        })
        .await
}

/// Deletes an endpoint with its deliveries.
///
/// # Errors
/// Returns `NotFound`, or `Forbidden` if the endpoint has permissions that the caller does not have.
pub async fn delete_endpoint(context: WebhookContext<'_>, endpoint_id: i64) -> Result<webhook_endpoint::Model> {
    context
        .db
        .write(async |tx| {
            let row = lock_endpoint(tx, context.caller, endpoint_id).await?;
            let before = describe_endpoint(&row, &load_event_types(tx, endpoint_id).await?);
            row.clone().delete(tx).await?;
            let entity = (NodeType::WebhookEndpoint, endpoint_id);
            let record = AuditRecord { action: "webhook_endpoint.delete", entity, before: Some(before), after: None };
            tx.record_audit(&[record]).await?;
            Ok(row)
        })
        .await
}

/// Replaces the secret. The previous one stays valid for a time, in which requests are signed with both; one that was
/// valid before it is removed.
///
/// # Errors
/// Returns `NotFound`, `BadUserInput` if the time is too long, `Forbidden` as for changes.
pub async fn rotate_secret(
    context: WebhookContext<'_>,
    endpoint_id: i64,
    overlap: TimeDelta,
) -> Result<EndpointWithSecret> {
    if overlap < TimeDelta::zero() || overlap > MAX_SECRET_OVERLAP {
        let message = format!("the previous secret can stay valid for 0 to {} hours", MAX_SECRET_OVERLAP.num_hours());
        return Err(Error::bad_input("input.previousSecretHours", message));
    }
    let (signing_secret, encrypted) = SecretCipher::new(context.config)?.generate_secret()?;
    let row = context
        .db
        .write(async |tx| {
            let existing = lock_endpoint(tx, context.caller, endpoint_id).await?;
            let (previous, version) = (existing.secret.clone(), existing.version);
            let expires_at: Option<DateTime<Utc>> = (overlap > TimeDelta::zero()).then(|| tx.now() + overlap);
            let mut row = existing.into_active_model();
            row.secret = Set(encrypted.clone());
            row.previous_secret = Set(expires_at.map(|_| previous));
            row.previous_secret_expires_at = Set(expires_at);
            row.version = Set(version + 1);
            row.updated_at = Set(tx.now());
            let row = row.update(tx).await?;
            let after = json!({ "previousSecretExpiresAt": expires_at });
            let entity = (NodeType::WebhookEndpoint, endpoint_id);
            let action = "webhook_endpoint.rotate_secret";
            tx.record_audit(&[AuditRecord { action, entity, before: None, after: Some(after) }]).await?;
            Ok(row)
        })
        .await?;
    Ok(EndpointWithSecret { row, secret: signing_secret.to_text() })
}

/// Sends a test event to an active endpoint. Returns its delivery.
///
/// # Errors
/// Returns `NotFound`, or `IllegalTransition` if the endpoint is not active.
pub async fn send_test_event(context: WebhookContext<'_>, endpoint_id: i64) -> Result<webhook_delivery::Model> {
    context
        .db
        .write(async |tx| {
            let endpoint = lock_endpoint(tx, context.caller, endpoint_id).await?;
            if endpoint.status != WebhookEndpointStatus::Active {
                return Err(Error::user(PublicErrorCode::IllegalTransition, "id", "the endpoint is not active"));
            }
            let event_id = allocate_event_id(tx).await?;
            let global_id = GlobalId::new(NodeType::WebhookEndpoint, endpoint_id).encode();
            let envelope = PayloadEnvelope {
                event_id,
                event_type: WebhookEventType::Test,
                occurred_at: tx.now(),
                aggregate: format!("webhook_endpoint:{endpoint_id}"),
                sequence: None,
            };
            let event = webhook_event::ActiveModel {
                id: Set(event_id),
                event_type: Set(WebhookEventType::Test),
                aggregate: Set(envelope.aggregate.clone()),
                subject_ids: Set(json!([global_id])),
                body: Set(envelope.to_body(&json!({ "endpoint": { "id": global_id } }))?),
                occurred_at: Set(tx.now()),
                created_at: Set(tx.now()),
                ..Default::default()
            };
            let event = event.insert(tx).await?;
            add_deliveries(tx, &event, &[endpoint_id]).await?;
            let row = webhook_delivery::Entity::find().filter(webhook_delivery::Column::EventId.eq(event.id)).one(tx);
            row.await?.ok_or_else(|| Error::internal("sending a test event", "the delivery does not exist"))
        })
        .await
}

/// Returns the secrets of an endpoint that are valid now, to sign a preview.
pub fn valid_secrets(context: WebhookContext<'_>, row: &webhook_endpoint::Model) -> Result<Vec<SigningSecret>> {
    decrypt_secrets(&SecretCipher::new(context.config)?, row, context.db.now())
}

/// Locks an endpoint for a change by the caller.
pub(super) async fn lock_endpoint(tx: &Tx, caller: Caller, endpoint_id: i64) -> Result<webhook_endpoint::Model> {
    let row = webhook_endpoint::Entity::find_by_id(endpoint_id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "webhook endpoint"))?;
    if !caller.permissions().covers(Permissions::parse(&row.permissions)) {
        let message = "the endpoint has permissions that you do not have";
        return Err(Error::user(PublicErrorCode::Forbidden, "id", message));
    }
    Ok(row)
}

/// Replaces the event types of an endpoint. Statements: 2.
async fn save_subscriptions(tx: &Tx, endpoint_id: i64, event_types: &[WebhookEventType]) -> Result<()> {
    let existing = webhook_subscription::Column::EndpointId.eq(endpoint_id);
    webhook_subscription::Entity::delete_many().filter(existing).exec(tx).await?;
    let to_row = |event_type: &WebhookEventType| webhook_subscription::ActiveModel {
        endpoint_id: Set(endpoint_id),
        event_type: Set(*event_type),
        created_at: Set(tx.now()),
    };
    tx.insert_rows(&event_types.iter().map(to_row).collect::<Vec<_>>()).await
}

/// Returns the event types of an endpoint, in a fixed order. Statements: 1.
async fn load_event_types(db: &impl ConnectionTrait, endpoint_id: i64) -> Result<Vec<WebhookEventType>> {
    let query = webhook_subscription::Entity::find()
        .filter(webhook_subscription::Column::EndpointId.eq(endpoint_id))
        .order_by_asc(webhook_subscription::Column::EventType);
    let mut event_types: Vec<_> = query.all(db).await?.into_iter().map(|row| row.event_type).collect();
    event_types.sort_unstable();
    Ok(event_types)
}

/// Describes an endpoint for the audit log, without secrets.
fn describe_endpoint(row: &webhook_endpoint::Model, event_types: &[WebhookEventType]) -> Value {
    json!({
        "url": row.url,
        "description": row.description,
        "status": row.status.to_value(),
        "payloadQuery": row.payload_query,
        "permissions": row.permissions,
        "eventTypes": event_types.iter().map(|event_type| event_type.name()).collect::<Vec<_>>(),
    })
}
