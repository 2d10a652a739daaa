//! OpenID Connect login: the steps before and after the browser redirect.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{
    context::{RequestContext, request_context},
    guard::Public,
    session::{SessionPayload, Tokens, merge_guest_cart, session_idle_timeout},
    throttle,
};
use crate::{
    base::Result,
    identity::{
        oidc_login,
        one_time_token::{self, OneTimeTokenPurpose},
        session,
    },
};

/// OpenID Connect provider, such as Keycloak or Google.
#[derive(Debug, SimpleObject)]
pub struct LoginProvider {
    /// Configured name, also the method of the sessions it opens.
    name: String,
    /// Path that starts the login in a browser. Append `?redirect=` with an allowed URL and `&challenge=` with the
    /// base64url SHA-256 digest of a random verifier (PKCE, S256). The browser is redirected to the URL with a `code`
    /// for `loginComplete`.
    login_path: String,
}

/// OpenID Connect queries.
#[derive(Debug, Default)]
pub struct LoginQuery;

#[Object]
impl LoginQuery {
    /// Configured OpenID Connect providers.
    async fn login_providers(&self, ctx: &Context<'_>) -> Vec<LoginProvider> {
        let to_provider =
            |name: &String| LoginProvider { name: name.clone(), login_path: format!("/auth/{name}/login") };
        request_context(ctx)
            .app_state
            .external_token_verifier
            .providers
            .login_providers()
            .map(|provider| to_provider(&provider.name))
            .collect()
    }
}

/// OpenID Connect mutations.
#[derive(Debug, Default)]
pub struct LoginMutation;

#[Object]
impl LoginMutation {
    /// Completes an OpenID Connect login: exchanges the one-time code (valid one minute) for tokens.
    #[graphql(guard = "Public")]
    async fn login_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One-time code from the redirect URL.")] code: String,
        #[graphql(desc = "PKCE code verifier that matches the `challenge` of the login.")] verifier: String,
        #[graphql(
            desc = "ID of the guest cart to merge, as by `cartMerge`; the login succeeds even if the merge fails."
        )]
        cart_id: Option<ID>,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(complete_login(request_context(ctx), &code, &verifier, cart_id).await)
    }
}

async fn complete_login(scope: &RequestContext, code: &str, verifier: &str, cart_id: Option<ID>) -> Result<Tokens> {
    if one_time_token::find_account_by_token(&scope.db, OneTimeTokenPurpose::Login, code, scope.db.now())
        .await?
        .is_none()
    {
        throttle::limit_unknown_tokens(scope).await?;
        return Err(one_time_token::invalid_token_error("code"));
    }
    let idle_timeout = session_idle_timeout(scope);
    let new_session = scope.db.write(async |tx| {
        let (account, provider) = oidc_login::redeem_login_code(tx, code, verifier).await?;
        session::create_session(tx, account, &scope.client_info, (&provider, idle_timeout)).await
    });
    let new_session = new_session.await?;
    merge_guest_cart(scope, new_session.account.id, cart_id).await;
    Tokens::issue(scope, new_session)
}
