//! API keys for machine clients.

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};

use super::{account::Account, role};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    graphql::{context::request_context, guard::RequirePermission, payload::payload},
    identity::{
        Permission, Permissions,
        api_key::{self, CreatedApiKey, NewApiKey},
        entity::api_key as row,
    },
};

/// API key of a machine client, sent as `Authorization: Bearer sav_…`.
#[derive(Debug)]
pub struct ApiKey {
    row: row::Model,
    /// Secret, present only right after creation.
    secret: Option<String>,
}

impl From<row::Model> for ApiKey {
    fn from(row: row::Model) -> Self {
        Self { row, secret: None }
    }
}

impl From<CreatedApiKey> for ApiKey {
    fn from(created: CreatedApiKey) -> Self {
        Self { row: created.row, secret: Some(created.secret) }
    }
}

/// API key of a machine client, sent as `Authorization: Bearer sav_…`.
#[Object]
impl ApiKey {
    /// Global ID. It is also the client id of the key as a client of OAuth 2.0, whose client secret is the key.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::ApiKey, self.row.id).encode().into()
    }

    /// Display name that describes the purpose.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Secret key, returned once by `apiKeyCreate`; null otherwise. Only its digest is stored.
    async fn key(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Last four characters of the key, for identification.
    async fn last_four(&self) -> &str {
        &self.row.last_four
    }

    /// Permissions granted to the key.
    async fn permissions(&self) -> Vec<role::AccountPermission> {
        Permissions::parse(&self.row.permissions).iter().map(Into::into).collect()
    }

    /// Account that created the key; null if an API key created it or the caller may not see the account.
    async fn created_by(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        match self.row.created_by {
            Some(account_id) => Account::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// Expiry time; null if the key does not expire.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// Time of last use, to the minute; null if never used.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.row.last_used_at
    }

    /// Revocation time; null if not revoked.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.row.revoked_at
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }
}

/// Input for a new API key.
#[derive(Debug, InputObject)]
pub struct ApiKeyCreateInput {
    /// Display name that describes the purpose, from 1 to 100 characters.
    name: String,
    /// Permissions of the key; at least one, and only permissions that the caller has.
    permissions: Vec<role::AccountPermission>,
    /// Expiry time; null if the key does not expire.
    expires_at: Option<DateTime<Utc>>,
}

payload!(
    /// Payload of the API key mutations.
    ApiKeyPayload {
        /// API key after the mutation; null if nothing was changed.
        api_key: ApiKey
    }
);

/// API key queries.
#[derive(Debug, Default)]
pub struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// API keys that are not revoked, newest first; at most 100.
    #[graphql(guard = "RequirePermission(Permission::ApiKeyWrite)")]
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Option<Vec<ApiKey>>> {
        let context = request_context(ctx);
        let keys = api_key::list_active_api_keys(&context.db).await?;
        context.charge_list_values(ctx, keys.len())?;
        Ok(Some(keys.into_iter().map(Into::into).collect()))
    }
}

/// API key mutations.
#[derive(Debug, Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Creates an API key; the secret is returned once.
    #[graphql(guard = "RequirePermission(Permission::ApiKeyWrite)")]
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "API key to create.")] input: ApiKeyCreateInput,
    ) -> Result<Option<ApiKeyPayload>> {
        let context = request_context(ctx);
        let ApiKeyCreateInput { name, permissions, expires_at } = input;
        let permissions: Vec<Permission> = permissions.into_iter().map(Into::into).collect();
        let new_key = NewApiKey { name, permissions: Permissions::from_list(&permissions), expires_at };
        ApiKeyPayload::from_result(api_key::create_api_key(&context.db, context.caller, new_key).await)
    }

    /// Revokes an API key with immediate effect.
    #[graphql(guard = "RequirePermission(Permission::ApiKeyWrite)")]
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the API key.")] id: ID,
    ) -> Result<Option<ApiKeyPayload>> {
        let context = request_context(ctx);
        let revoked = async {
            let key_id = GlobalId::decode_as(&id, NodeType::ApiKey, "id")?;
            let revoked = api_key::revoke_api_key(&context.db, key_id).await?;
            context.app_state.authenticator.end_api_key(key_id);
            Ok(revoked)
        };
        ApiKeyPayload::from_result(revoked.await)
    }
}
