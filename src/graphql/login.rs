//! Signing in by way of an OpenID provider: what the app does before and after the browser was there.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{
    context::{Scope, scope},
    guard::Anybody,
    session::{SessionPayload, Tokens, bring, lasts},
    throttle,
};
use crate::{
    base::Result,
    identity::{
        login,
        one_time::{self, Purpose},
        session,
    },
};

/// Somebody who knows people for the shop: Keycloak, Google, …
#[derive(Debug, SimpleObject)]
pub struct LoginProvider {
    /// What the shop calls it, and the method of sessions that begin there.
    name: String,
    /// The path at which a browser begins: add `?redirect=` and one of the addresses that the shop allows, and `&challenge=`
    /// and the SHA-256 of a random word in base64url (PKCE, S256). It comes back there with a `code` for `loginComplete`.
    login_path: String,
}

/// The providers' part of the query root.
#[derive(Debug, Default)]
pub struct LoginQuery;

#[Object]
impl LoginQuery {
    /// With whom one can sign in here besides a password, by their names. No statement.
    async fn login_providers(&self, ctx: &Context<'_>) -> Vec<LoginProvider> {
        let name = |name: &String| LoginProvider { name: name.clone(), login_path: format!("/auth/{name}/login") };
        scope(ctx).shared.outside.providers.browsing().map(|one| name(&one.name)).collect()
    }
}

/// The providers' part of the mutation root.
#[derive(Debug, Default)]
pub struct LoginMutation;

#[Object]
impl LoginMutation {
    /// End a sign-in by way of a provider: swap the code that the browser came back with for tokens. It holds once, and
    /// for a minute.
    #[graphql(guard = "Anybody")]
    async fn login_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `code` of the address that the browser came back to.")] code: String,
        #[graphql(desc = "The word whose SHA-256 the sign-in began with as its `challenge`.")] verifier: String,
        #[graphql(
            desc = "The id of the guest's cart that is to come along, as by `cartMerge`. One that cannot is left \
                          behind."
        )]
        cart_id: Option<ID>,
    ) -> Result<SessionPayload> {
        SessionPayload::settle(complete(scope(ctx), &code, &verifier, cart_id).await)
    }
}

async fn complete(scope: &Scope, code: &str, verifier: &str, cart: Option<ID>) -> Result<Tokens> {
    if one_time::find(&scope.db, Purpose::SignIn, code, scope.db.now()).await?.is_none() {
        throttle::limit_unknown_tokens(scope).await?;
        return Err(one_time::unknown("code"));
    }
    let lasts = lasts(scope);
    let opened = scope.db.write(async |tx| {
        let (account, provider) = login::complete(tx, code, verifier).await?;
        session::open(tx, account, &scope.device, (&provider, lasts)).await
    });
    let opened = opened.await?;
    bring(scope, opened.account.id, cart).await;
    Tokens::of(scope, opened)
}
