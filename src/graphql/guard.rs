//! Who may ask for a field. Ownership is not decided here but in the query: what is not yours is not there.

use async_graphql::{Context, Guard};

use super::context::scope;
use crate::identity::Permission;

/// Whoever has a permission.
#[derive(Debug, Clone, Copy)]
pub struct Can(pub Permission);

impl Guard for Can {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        Ok(scope(ctx).caller.may(self.0)?)
    }
}

/// Whoever has signed in as a person.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn;

impl Guard for SignedIn {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        scope(ctx).caller.account()?;
        Ok(())
    }
}

/// Everybody: said where a mutation is meant to be open, so that none is open by oversight.
#[derive(Debug, Clone, Copy)]
pub struct Anybody;

impl Guard for Anybody {
    async fn check(&self, _: &Context<'_>) -> async_graphql::Result<()> {
        Ok(())
    }
}
