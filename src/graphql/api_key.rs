//! API keys: what machines sign in with.

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};

use super::{context::scope, customer::Customer, guard::Can, payload::payload, role};
use crate::{
    base::{GlobalId, Result, id::Kind},
    identity::{
        Permission, Permissions,
        api_key::{self, NewApiKey},
        entity::api_key as row,
    },
};

/// What a machine signs in with, as `Authorization: Bearer sav_…`.
#[derive(Debug)]
pub struct ApiKey {
    row: row::Model,
    /// What it opens with, where it has just been made.
    word: Option<String>,
}

impl From<row::Model> for ApiKey {
    fn from(row: row::Model) -> Self {
        Self { row, word: None }
    }
}

impl From<(row::Model, String)> for ApiKey {
    fn from((row, word): (row::Model, String)) -> Self {
        Self { row, word: Some(word) }
    }
}

/// What a machine signs in with, as `Authorization: Bearer sav_…`.
#[Object]
impl ApiKey {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::ApiKey, self.row.id).encode().into()
    }

    /// What it is for, for people.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The key itself: shown by `apiKeyCreate`, this once; null ever after. The shop does not keep it.
    async fn key(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// Its last four characters, to tell it from others.
    async fn hint(&self) -> &str {
        &self.row.hint
    }

    /// What it may do.
    async fn permissions(&self) -> Vec<role::Permission> {
        Permissions::read(&self.row.permissions).iter().map(Into::into).collect()
    }

    /// Who made it; null when a machine did, or the caller may not see them. One statement for any number.
    async fn made_by(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.row.made_by {
            Some(account) => Customer::find(scope(ctx), account).await,
            None => Ok(None),
        }
    }

    /// When it ends; null when it does not.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// When it was last used, to the minute; null when it never was.
    async fn used_at(&self) -> Option<DateTime<Utc>> {
        self.row.used_at
    }

    /// When it was revoked; null while it was not.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.row.revoked_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }
}

/// A key that is to be made.
#[derive(Debug, InputObject)]
pub struct ApiKeyCreateInput {
    /// What it is for, from 1 to 100 characters.
    name: String,
    /// What it may do: at least one, and no more than you may.
    permissions: Vec<role::Permission>,
    /// When it ends; null when it does not.
    expires_at: Option<DateTime<Utc>>,
}

payload!(
    /// What came of making or revoking a key.
    ApiKeyPayload {
        /// The key; null when nothing was changed.
        api_key: ApiKey
    }
);

/// The keys' part of the query root.
#[derive(Debug, Default)]
pub struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// The keys that were not revoked, the newest first; at most 100. One statement.
    #[graphql(guard = "Can(Permission::ApiKeyWrite)")]
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<ApiKey>> {
        let scope = scope(ctx);
        let keys = api_key::list(&scope.db).await?;
        scope.spend(ctx, keys.len())?;
        Ok(keys.into_iter().map(Into::into).collect())
    }
}

/// The keys' part of the mutation root.
#[derive(Debug, Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Make a key for a machine. It is shown once.
    #[graphql(guard = "Can(Permission::ApiKeyWrite)")]
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: ApiKeyCreateInput,
    ) -> Result<ApiKeyPayload> {
        let scope = scope(ctx);
        let ApiKeyCreateInput { name, permissions, expires_at } = input;
        let permissions: Vec<Permission> = permissions.into_iter().map(Into::into).collect();
        let new = NewApiKey { name, permissions: Permissions::of(&permissions), expires_at };
        ApiKeyPayload::settle(scope.db.write(async |tx| api_key::create(tx, scope.caller, new).await).await)
    }

    /// Revoke a key: it opens nothing from now on.
    #[graphql(guard = "Can(Permission::ApiKeyWrite)")]
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key's id.")] id: ID,
    ) -> Result<ApiKeyPayload> {
        let scope = scope(ctx);
        let revoked = async {
            let key = GlobalId::key(&id, Kind::ApiKey, "id")?;
            scope.db.write(async |tx| api_key::revoke(tx, key).await).await
        };
        ApiKeyPayload::settle(revoked.await)
    }
}
