//! OpenID Connect login: the steps before and after the browser redirect.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::session::{SessionPayload, finish_login};
use crate::{
    base::Result,
    graphql::{
        context::{RequestContext, request_context},
        guard::Public,
    },
    identity::login,
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

/// Lists the configured OpenID Connect providers.
#[must_use]
pub fn list_login_providers(context: &RequestContext) -> Vec<LoginProvider> {
    let to_provider = |name: &String| LoginProvider { name: name.clone(), login_path: format!("/auth/{name}/login") };
    let providers = &context.app_state.external_token_verifier.providers;
    providers.login_providers().map(|provider| to_provider(&provider.name)).collect()
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
    ) -> Result<Option<SessionPayload>> {
        let context = request_context(ctx);
        let login = login::complete_oidc_login(&context.identity(), &code, &verifier).await;
        finish_login(context, login, cart_id).await
    }
}
