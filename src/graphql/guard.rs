//! Field guards. Ownership is not checked here but in the queries, which treat rows of others as missing.

use async_graphql::{Context, Guard};

use super::context::request_context;
use crate::identity::Permission;

/// Requires a permission.
#[derive(Debug, Clone, Copy)]
pub struct RequirePermission(pub Permission);

impl Guard for RequirePermission {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        Ok(request_context(ctx).caller.require_permission(self.0)?)
    }
}

/// Requires any permission: staff, or an API key.
#[derive(Debug, Clone, Copy)]
pub struct RequireStaff;

impl Guard for RequireStaff {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        request_context(ctx).caller.require_any_permission()?;
        Ok(())
    }
}

/// Requires a logged-in account.
#[derive(Debug, Clone, Copy)]
pub struct RequireLogin;

impl Guard for RequireLogin {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        request_context(ctx).caller.require_account_id()?;
        Ok(())
    }
}

/// Allows every caller. Public mutations declare it explicitly, so that none is public by omission.
#[derive(Debug, Clone, Copy)]
pub struct Public;

impl Guard for Public {
    async fn check(&self, _: &Context<'_>) -> async_graphql::Result<()> {
        Ok(())
    }
}
