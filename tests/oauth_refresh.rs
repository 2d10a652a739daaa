//! Refresh tokens of API clients: rotation, reuse, races, expiry, and kills of the server.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::{
        Caller, Permission, Permissions,
        api_key::{self, NewApiKey},
        oauth_grant,
    },
};
use serde_json::{Value, json};

use crate::{
    access_tokens::is_rejected,
    integration_tests,
    support::{
        Backend, CliSandbox, OauthClient, RunningProcess, TestApp, TestDatabase, assert_oauth_error, parse_datetime,
        query_scalar,
    },
};

integration_tests![
    refresh_rotates_the_token_and_may_narrow_the_scope,
    reused_refresh_token_revokes_its_grant,
    concurrent_refreshes_of_one_token_succeed_once,
    refresh_token_of_another_client_is_invalid,
    unused_refresh_tokens_expire_and_are_deleted,
    refreshable_grants_of_a_key_are_bounded,
    tokens_issued_before_a_kill_are_valid_after_the_restart,
];

const REFRESHABLE: &str = "grant_type=client_credentials&scope=offline_access";
const COUNT_GRANTS: &str = "SELECT count(*) FROM oauth_grant";
const COUNT_REVOCATIONS: &str = "SELECT count(*) FROM audit_log WHERE action = 'api_key.grant_revoke'";

fn refresh_form(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

async fn refresh_rotates_the_token_and_may_narrow_the_scope(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE", "ORDER_READ"]).await;
    let first = client.issue(&app, REFRESHABLE).await;
    let form = format!("{}&scope=order:read", refresh_form(first.refresh_token()));
    let narrow = client.issue(&app, &form).await;
    assert_eq!(narrow.scope, "order:read offline_access");
    assert_ne!(narrow.refresh, first.refresh);
    // The grant keeps its scope: only the access token was narrowed.
    let wide = client.refresh(&app, narrow.refresh_token()).await;
    assert_eq!(wide.scope, "catalog:write order:read offline_access");
    for token in [&first.access, &narrow.access, &wide.access] {
        assert!(!is_rejected(&app, token).await);
    }
    assert_eq!((app.query_scalar(COUNT_GRANTS).await, app.query_scalar(COUNT_REVOCATIONS).await), (1, 0));
    let stored = "SELECT count(*) FROM oauth_grant WHERE token_family LIKE '%.%' OR refresh_token_hash LIKE '%.%'";
    assert_eq!(app.query_scalar(stored).await, 0, "only hashes are stored");
}

async fn reused_refresh_token_revokes_its_grant(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let other = client.issue(&app, REFRESHABLE).await;
    let first = client.issue(&app, REFRESHABLE).await;
    let second = client.refresh(&app, first.refresh_token()).await;
    let third = client.refresh(&app, second.refresh_token()).await;
    assert!(!is_rejected(&app, &third.access).await);
    // An old token is recognized, however often the grant was refreshed since.
    let reused = client.post(&app, "/oauth/token", &refresh_form(first.refresh_token())).await;
    assert_oauth_error(&reused, 400, "invalid_grant");
    for token in [&first.access, &second.access, &third.access] {
        assert!(is_rejected(&app, token).await);
    }
    let newest = client.post(&app, "/oauth/token", &refresh_form(third.refresh_token())).await;
    assert_oauth_error(&newest, 400, "invalid_grant");
    assert_eq!((app.query_scalar(COUNT_GRANTS).await, app.query_scalar(COUNT_REVOCATIONS).await), (1, 1));
    assert!(!is_rejected(&app, &other.access).await);
    client.refresh(&app, other.refresh_token()).await;
}

async fn concurrent_refreshes_of_one_token_succeed_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let second_instance = app.start_second_instance(&[]).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    for _ in 0..5 {
        let tokens = client.issue(&app, REFRESHABLE).await;
        let form = refresh_form(tokens.refresh_token());
        let requests = [&app, &second_instance, &app, &second_instance];
        let responses =
            futures_util::future::join_all(requests.map(|app| client.post(app, "/oauth/token", &form))).await;
        let (won, lost): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
        assert_eq!(won.len(), 1, "{responses:?}");
        for response in lost {
            assert_oauth_error(response, 400, "invalid_grant");
        }
        // The token was used more than once, so the grant has ended.
        let newest = won[0].json()["refresh_token"].as_str().expect("a token").to_owned();
        assert_oauth_error(&client.post(&app, "/oauth/token", &refresh_form(&newest)).await, 400, "invalid_grant");
        assert_eq!(app.query_scalar(COUNT_GRANTS).await, 0);
    }
    assert_eq!(app.query_scalar(COUNT_REVOCATIONS).await, 5);
}

async fn refresh_token_of_another_client_is_invalid(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, REFRESHABLE).await;
    let family = tokens.refresh_token().split('.').next().expect("a family");
    let forms = [tokens.refresh_token(), &format!("{family}.x"), family].map(refresh_form);
    for form in &forms {
        assert_oauth_error(&other_client.post(&app, "/oauth/token", form).await, 400, "invalid_grant");
    }
    for token in ["x", "x.y", "a.b.c", "%00.%00", &tokens.access, &client.secret] {
        assert_oauth_error(&client.post(&app, "/oauth/token", &refresh_form(token)).await, 400, "invalid_grant");
    }
    client.refresh(&app, tokens.refresh_token()).await;
    assert_eq!(app.query_scalar(COUNT_REVOCATIONS).await, 0, "others cannot end the grant");
}

async fn unused_refresh_tokens_expire_and_are_deleted(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_IDENTITY__SESSION_IDLE_TIMEOUT", "1h")]).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let unused = client.issue(&app, REFRESHABLE).await;
    let first = client.issue(&app, REFRESHABLE).await;
    app.clock.set(parse_datetime("2026-11-01T09:59:59Z"));
    let second = client.refresh(&app, first.refresh_token()).await;
    app.clock.set(parse_datetime("2026-11-01T10:00:00Z"));
    let expired = client.post(&app, "/oauth/token", &refresh_form(unused.refresh_token())).await;
    assert_oauth_error(&expired, 400, "invalid_grant");
    assert_eq!(app.query_scalar(COUNT_GRANTS).await, 2);
    app.clock.set(parse_datetime("2026-11-01T10:00:01Z"));
    oauth_grant::delete_expired_grants(&app.db).await.expect("deleted grants");
    assert_eq!(app.query_scalar(COUNT_GRANTS).await, 1);
    client.refresh(&app, second.refresh_token()).await;
}

async fn refreshable_grants_of_a_key_are_bounded(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let access_only = client.issue(&app, "grant_type=client_credentials").await;
    let mut grants = Vec::new();
    for second in 0..oauth_grant::MAX_REFRESHABLE_GRANTS {
        app.clock.set(parse_datetime("2026-11-01T09:00:00Z") + TimeDelta::seconds(i64::try_from(second).expect("few")));
        grants.push(client.issue(&app, REFRESHABLE).await);
    }
    let used = client.refresh(&app, grants[0].refresh_token()).await;
    app.clock.set(parse_datetime("2026-11-01T09:05:00Z"));
    client.issue(&app, REFRESHABLE).await;
    let refreshable = "SELECT count(*) FROM oauth_grant WHERE token_family IS NOT NULL";
    assert_eq!(app.query_scalar(refreshable).await, i64::try_from(oauth_grant::MAX_REFRESHABLE_GRANTS).expect("few"));
    let least_used = client.post(&app, "/oauth/token", &refresh_form(grants[1].refresh_token())).await;
    assert_oauth_error(&least_used, 400, "invalid_grant");
    for grant in [&used, &grants[2]] {
        client.refresh(&app, grant.refresh_token()).await;
    }
    assert!(!is_rejected(&app, &access_only.access).await);
}

/// Longer than a server takes to answer on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
const KILLS: usize = 3;
const TOKENS_BEFORE_KILL: usize = 12;
const CLIENTS: usize = 4;

/// Sends a form to a server that may be killed; `None` without a complete response.
async fn request_tokens(address: &str, (id, secret): (&str, &str), form: &str) -> Option<Value> {
    let request = reqwest::Client::new().post(format!("http://{address}/oauth/token")).basic_auth(id, Some(secret));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    let response = request.timeout(PATIENCE).send().await.ok()?;
    let status = response.status();
    let body: Value = response.json().await.ok()?;
    assert!(status.is_success(), "{body}");
    Some(body)
}

async fn query_status(server: &RunningProcess, token: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("http://{}/graphql", server.address)).bearer_auth(token);
    let request = request.json(&json!({ "query": "{ shop { name } }" }));
    request.send().await.expect("a response").status().as_u16()
}

/// A server is killed while clients get and refresh tokens. Each token that they received is valid afterwards.
async fn tokens_issued_before_a_kill_are_valid_after_the_restart(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    let db = database.connect().await;
    let permissions = Permissions::from_list(&[Permission::CatalogWrite]);
    let creator = Caller::ApiKey { api_key_id: 1, permissions };
    let new = NewApiKey { name: "Client".into(), permissions, expires_at: None };
    let key = api_key::create_api_key(&db, creator, new).await.expect("a key");
    let id = GlobalId::new(NodeType::ApiKey, key.row.id).encode();
    let credentials = (id.as_str(), key.secret.as_str());
    let mut received: Vec<Value> = Vec::new();
    for _ in 0..KILLS {
        let server = sandbox.start_server_with_args(&["serve", "--no-demo", "--no-worker"], &[]).await;
        let address = server.address.clone();
        let (sender, mut tokens) = tokio::sync::mpsc::unbounded_channel();
        let clients = (0..CLIENTS).map(|_| {
            let (address, sender) = (address.clone(), sender.clone());
            async move {
                // Each client refreshes its token once, and begins again.
                while let Some(issued) = request_tokens(&address, credentials, REFRESHABLE).await {
                    let form = refresh_form(issued["refresh_token"].as_str().expect("a token"));
                    let refreshed = request_tokens(&address, credentials, &form).await;
                    let is_killed = refreshed.is_none();
                    if sender.send((issued, refreshed)).is_err() || is_killed {
                        return;
                    }
                }
            }
        });
        let clients = futures_util::future::join_all(clients.collect::<Vec<_>>());
        drop(sender);
        let kill = async {
            let mut batch = Vec::new();
            let started_at = Instant::now();
            while batch.len() < TOKENS_BEFORE_KILL {
                let token = tokio::time::timeout(PATIENCE, tokens.recv()).await.expect("a token").expect("a client");
                batch.push(token);
                assert!(started_at.elapsed() < PATIENCE, "tokens are issued too slowly");
            }
            server.send_signal("KILL");
            batch
        };
        let (mut batch, _) = tokio::join!(kill, clients);
        while let Ok(token) = tokens.try_recv() {
            batch.push(token);
        }
        drop(server);
        let restarted = sandbox.start_server_with_args(&["serve", "--no-demo", "--no-worker"], &[]).await;
        for (issued, refreshed) in batch {
            // A refresh whose response was lost was executed or not: its token is not presented again.
            let access = issued["access_token"].as_str().expect("a token");
            assert_eq!(query_status(&restarted, access).await, 200, "an issued token is lost");
            if let Some(refreshed) = refreshed {
                received.push(refreshed);
            }
        }
        let newest = received.last().expect("refreshed tokens");
        let form = refresh_form(newest["refresh_token"].as_str().expect("a token"));
        let again = request_tokens(&restarted.address, credentials, &form).await.expect("a response");
        received.pop();
        received.push(again);
        for token in &received {
            let access = token["access_token"].as_str().expect("a token");
            assert_eq!(query_status(&restarted, access).await, 200, "a refreshed token is lost");
        }
    }
    let unique: BTreeSet<_> = received.iter().map(|token| token["refresh_token"].to_string()).collect();
    assert_eq!(unique.len(), received.len());
    let grants = query_scalar(&db, COUNT_GRANTS).await;
    assert!(grants >= i64::try_from(received.len()).expect("few").min(100), "{grants} grants");
    db.close().await;
}
