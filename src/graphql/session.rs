//! Signing in and out.

use async_graphql::{Context, Object};

use super::{context::scope, guard::SignedIn, payload::payload};
use crate::{
    base::Result,
    identity::{Caller, session},
};

payload!(
    /// What came of signing out.
    LogoutPayload {
        /// How many sessions were ended.
        sessions_ended: i64
    }
);

/// The sessions' part of the mutation root.
#[derive(Debug, Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Sign out: the session ends, and its tokens with it, within a second everywhere.
    #[graphql(guard = "SignedIn")]
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let scope = scope(ctx);
        let Caller::Person { account, session: Some(one), .. } = scope.caller else {
            return LogoutPayload::settle(Ok(0));
        };
        let ended = scope.db.write(async |tx| session::revoke(tx, account, Some(one)).await).await;
        LogoutPayload::settle(ended.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
    }
}
