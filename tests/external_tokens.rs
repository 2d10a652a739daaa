//! Access tokens of an OpenID provider: valid, invalid, and signed with new keys.

use chrono::TimeDelta;
use savannah::{
    identity::{Caller, Role, error::AuthError},
    infra::{QueryBudget, RequestOrigin},
};
use serde_json::json;

use crate::{
    browser::has_node_module,
    integration_tests,
    support::{Backend, FakeOidcProvider, TestApp},
};

integration_tests![;
    needs(has_oidc_provider): token_of_a_trusted_issuer_authenticates_with_its_role,
    known_token_is_verified_without_statement_or_request,
    invalid_external_tokens_are_rejected,
    token_of_a_disabled_account_is_rejected,
    rotated_provider_keys_are_fetched_once,
    token_with_unavailable_provider_is_503,
    second_subject_of_an_issuer_does_not_join_an_account,
    email_verified_as_text_counts_only_when_true,
    email_changed_at_the_provider_updates_accounts_without_a_password
];

fn has_oidc_provider() -> bool {
    has_node_module("oidc-provider")
}

/// Returns the caller of a token and the number of statements.
async fn verify_token(app: &TestApp, token: &str) -> (Result<Caller, AuthError>, u64) {
    let (db, query_stats) = app.db.for_request(RequestOrigin::default(), QueryBudget::UNLIMITED);
    let outcome = app.http_app.state.external_token_verifier.verify(&db, token).await;
    (outcome.map(|verified| verified.caller), query_stats.statement_count())
}

async fn token_role(app: &TestApp, token: &str) -> Option<Role> {
    match verify_token(app, token).await.0 {
        Ok(Caller::User { role, session_id: None, .. }) => Some(role),
        Err(AuthError::InvalidToken(_)) => None,
        other => panic!("neither an account nor rejected: {other:?}"),
    }
}

async fn query_status(app: &TestApp, token: &str) -> u16 {
    let request = app.build_request(reqwest::Method::POST, "/graphql").bearer_auth(token);
    let response = request.json(&json!({ "query": "{ shop { name } }" })).send().await.expect("an answer");
    response.status().as_u16()
}

async fn token_of_a_trusted_issuer_authenticates_with_its_role(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    for (name, expected_role) in [("amani", Role::Admin), ("juma", Role::Staff), ("wanjiru", Role::Customer)] {
        let token = provider.issue_access_token(name).await;
        assert_eq!(token_role(&app, &token).await, Some(expected_role), "{name}");
        assert_eq!(query_status(&app, &token).await, 200);
    }
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM account WHERE role = 'customer'").await,
        3,
        "the role is the token's"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM account_identity").await, 3);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'account.link'").await, 3);
    // Tokens issued by the server itself are not external tokens.
    let shop_token = app.login(Role::Staff).await;
    assert_eq!((token_role(&app, &shop_token).await, query_status(&app, &shop_token).await), (None, 200));
}

async fn known_token_is_verified_without_statement_or_request(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let (first, second) = (provider.issue_access_token("juma").await, provider.issue_access_token("juma").await);
    let (first_result, statements) = verify_token(&app, &first).await;
    assert!(statements > 0);
    for token in [&first, &second, &first] {
        let (repeated, statements) = verify_token(&app, token).await;
        assert_eq!((repeated.expect("a caller"), statements), (first_result.clone().expect("a caller"), 0));
    }
    assert_eq!(provider.count_key_requests().await, 1);
    // Concurrent first tokens of one identity create one account.
    let token = provider.issue_access_token("amani").await;
    let all = futures_util::future::join_all((0..8).map(|_| verify_token(&app, &token))).await;
    let callers: Vec<_> = all.into_iter().map(|(outcome, _)| outcome.expect("a caller")).collect();
    assert!(callers.iter().all(|caller| *caller == callers[0]), "{callers:?}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 2);
}

async fn invalid_external_tokens_are_rejected(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let valid_token = provider.issue_access_token("amani").await;
    assert_eq!(query_status(&app, &valid_token).await, 200);
    let now = app.clock.now().timestamp();
    let (empty_object, long) = (json!({}), "x".repeat(15_000));
    let invalid_tokens = [
        provider.forge_token(empty_object.clone(), empty_object.clone(), "stranger").await,
        provider.forge_token(json!({ "alg": "none" }), empty_object.clone(), "nobody").await,
        provider.forge_token(empty_object.clone(), empty_object.clone(), "nobody").await,
        provider.forge_token(json!({ "alg": "HS256" }), empty_object.clone(), "public key").await,
        provider.forge_token(json!({ "alg": "PS256" }), empty_object.clone(), "issuer").await,
        provider.forge_token(json!({ "kid": "unknown" }), empty_object.clone(), "issuer").await,
        provider.forge_token(json!({ "jku": "https://evil.example/keys" }), empty_object.clone(), "issuer").await,
        provider.forge_token(json!({ "jwk": { "kty": "oct", "k": "AA" } }), empty_object.clone(), "issuer").await,
        provider.forge_token(json!({ "x5u": "https://evil.example/cert" }), empty_object.clone(), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "aud": "another" }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "exp": now - 60 }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "nbf": now + 600 }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "iss": "https://evil.example" }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "typ": "Refresh" }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "sub": "" }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "sub": "null\u{0}byte" }), "issuer").await,
        provider.forge_token(empty_object.clone(), json!({ "long": long }), "issuer").await,
        format!("{}x", &valid_token[..valid_token.len() - 1]),
        valid_token.rsplit_once('.').expect("three parts").0.to_owned(),
    ];
    for (number, token) in invalid_tokens.iter().enumerate() {
        assert_eq!(token_role(&app, token).await, None, "number {number}: {token:.200}");
        assert_eq!(query_status(&app, token).await, 401, "number {number}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 1, "only the valid token creates an account");
    // Each token is invalid only because of its listed defect: without it, the same token is valid.
    let forged_valid_token = provider.forge_token(empty_object.clone(), empty_object, "issuer").await;
    assert_eq!(token_role(&app, &forged_valid_token).await, Some(Role::Customer));
}

async fn token_of_a_disabled_account_is_rejected(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let token = provider.issue_access_token("juma").await;
    assert_eq!(query_status(&app, &token).await, 200);
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    app.clock.set(app.clock.now() + TimeDelta::seconds(6));
    assert_eq!(query_status(&app, &token).await, 401);
    assert_eq!(query_status(&app, &token).await, 401);
    app.execute_sql("UPDATE account SET disabled_at = NULL").await.expect("a change");
    assert_eq!(query_status(&app, &token).await, 200);
}

async fn rotated_provider_keys_are_fetched_once(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let old = provider.issue_access_token("juma").await;
    assert_eq!(token_role(&app, &old).await, Some(Role::Staff));
    provider.rotate_keys().await;
    let new = provider.issue_access_token("juma").await;
    let mut unknown_key_tokens = Vec::new();
    for number in 0..5 {
        unknown_key_tokens
            .push(provider.forge_token(json!({ "kid": format!("made up {number}") }), json!({}), "stranger").await);
    }
    // The keys were fetched a moment ago: they are not fetched again.
    for token in unknown_key_tokens.iter().chain([&new]) {
        assert_eq!(token_role(&app, token).await, None);
    }
    assert_eq!(provider.count_key_requests().await, 1);
    // Later they are fetched once for all concurrent requests.
    app.clock.set(app.clock.now() + TimeDelta::seconds(11));
    let at_once = futures_util::future::join_all([&new; 8].map(|token| token_role(&app, token))).await;
    assert_eq!(at_once, [Some(Role::Staff); 8]);
    for token in &unknown_key_tokens {
        assert_eq!(token_role(&app, token).await, None);
    }
    assert_eq!(token_role(&app, &old).await, None, "its key is gone");
    assert_eq!(provider.count_key_requests().await, 2);
}

async fn token_with_unavailable_provider_is_503(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let token = provider.issue_access_token("juma").await;
    let issuer = provider.issuer.clone();
    drop(provider);
    assert!(matches!(verify_token(&app, &token).await.0, Err(AuthError::ProviderUnavailable(_))));
    assert_eq!(query_status(&app, &token).await, 503);
    let shop_token = app.login(Role::Customer).await;
    assert_eq!(query_status(&app, &shop_token).await, 200, "the others go on");
    let provider = FakeOidcProvider::start(Some(&issuer)).await;
    app.clock.set(app.clock.now() + TimeDelta::seconds(11));
    let token = provider.issue_access_token("juma").await;
    assert_eq!(query_status(&app, &token).await, 200);
    // With cached keys tokens are valid while the provider is down.
    drop(provider);
    app.clock.set(app.clock.now() + TimeDelta::minutes(11));
    assert_eq!(query_status(&app, &token).await, 200);
}

/// Issues a token of the provider for an identity.
async fn forge_token_for(
    provider: &FakeOidcProvider,
    subject: &str,
    email: &str,
    verified: serde_json::Value,
) -> String {
    let claims = json!({ "sub": subject, "email": email, "email_verified": verified });
    provider.forge_token(json!({}), claims, "issuer").await
}

async fn second_subject_of_an_issuer_does_not_join_an_account(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let first_token = forge_token_for(&provider, "leaver", "sales@example.com", json!(true)).await;
    assert_eq!(query_status(&app, &first_token).await, 200);
    // The email address at the provider is assigned to another identity.
    let second_token = forge_token_for(&provider, "joiner", "sales@example.com", json!(true)).await;
    assert_eq!(query_status(&app, &second_token).await, 401);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account_identity").await, 1);
    // Both concurrently, for an account linked to neither.
    let reassign_sql = "UPDATE account SET email = 'desk@example.com', email_normalized = 'desk@example.com'";
    app.execute_sql("DELETE FROM account_identity").await.expect("a change");
    app.execute_sql(reassign_sql).await.expect("a change");
    let first_concurrent = forge_token_for(&provider, "one", "desk@example.com", json!(true)).await;
    let second_concurrent = forge_token_for(&provider, "two", "desk@example.com", json!(true)).await;
    let both = tokio::join!(query_status(&app, &first_concurrent), query_status(&app, &second_concurrent));
    assert!(both == (200, 401) || both == (401, 200), "{both:?}");
}

async fn email_verified_as_text_counts_only_when_true(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let claims = [json!("true"), json!(true), json!("false"), json!("TRUE"), json!("yes"), json!(1), json!(null)];
    for (number, verified) in claims.into_iter().enumerate() {
        let (subject, email) = (format!("subject{number}"), format!("person{number}@example.com"));
        assert_eq!(query_status(&app, &forge_token_for(&provider, &subject, &email, verified).await).await, 200);
    }
    let verified = "SELECT count(*) FROM account WHERE email_verified_at IS NOT NULL";
    assert_eq!(app.query_scalar(verified).await, 2);
    let first = "SELECT count(*) FROM account WHERE email IN ('person0@example.com', 'person1@example.com')";
    assert_eq!(app.query_scalar(first).await, 2);
}

async fn email_changed_at_the_provider_updates_accounts_without_a_password(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let email = async |subject: &str, email: &str, verified: bool| {
        assert_eq!(query_status(&app, &forge_token_for(&provider, subject, email, json!(verified)).await).await, 200);
        let query = format!("SELECT account_id FROM account_identity WHERE subject = '{subject}'");
        let account = app.query_scalar(&query).await;
        let loaded_account = savannah::identity::account::find_active_account(&app.db, account)
            .await
            .expect("an answer")
            .expect("an account");
        loaded_account.email.unwrap_or_default()
    };
    assert_eq!(email("lena", "sales@example.com", true).await, "sales@example.com");
    assert_eq!(email("lena", "unverified@example.org", false).await, "sales@example.com");
    assert_eq!(email("lena", "lena@example.org", true).await, "lena@example.org");
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'account.change_email'").await, 1);
    // Another account's address is not taken over, and the old address is free.
    assert_eq!(email("joiner", "sales@example.com", true).await, "sales@example.com");
    assert_eq!(email("joiner", "lena@example.org", true).await, "sales@example.com");
    // The provider does not change the email address of an account with a password.
    app.execute_sql("UPDATE account SET password_hash = '$argon2id$' WHERE email = 'lena@example.org'")
        .await
        .expect("a change");
    assert_eq!(email("lena", "lena@example.net", true).await, "lena@example.org");
}
