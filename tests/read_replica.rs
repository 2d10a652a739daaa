//! Reads from a streaming replica: what may be old, what may not, and what happens without the replica.
//!
//! While the replay is paused, a change shows where a read goes: the replica has the old value.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use savannah::{identity::Role, infra::telemetry::names};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, GraphqlResponse, HttpResponse, MANAGEMENT_ON, RESPONSE_CACHE_ON, ReplicaServers, Scrape,
        TestApp, has_postgres_binaries, has_shared_redis, send_to_cache, shared_redis_url,
    },
};

integration_tests![
    ; needs(has_postgres_binaries):
    reads_use_the_replica_and_guests_see_their_carts,
    writer_sees_own_writes_while_the_replay_is_paused,
    replica_behind_its_limit_is_not_used,
    stopped_and_frozen_replica_fails_no_request_and_is_used_again,
    cached_values_are_never_older_than_a_known_write,
    rows_of_the_replica_are_not_combined_with_a_newer_category_tree,
    unusable_replica_does_not_prevent_the_start,
    metrics_report_whether_the_replica_is_used,
    ; needs(has_binaries_and_redis):
    writer_sees_own_writes_on_another_instance,
];

/// Longer than anything takes, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// So that a paused replica is used.
const ANY_LAG: (&str, &str) = ("SAVANNAH_DATABASE__REPLICA_MAX_LAG", "1h");
const MUG: &str = "{ product(slug: \"mug\") { id name } }";
const LISTING: &str = "{ products(first: 50, sort: { field: NAME }) { nodes { name } } }";
const FACETS: &str = "{ products(first: 0) { facets { vendors(first: 100) { value } } } }";
const UPDATE: &str = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
    product { name } userErrors { code message } } }";

fn has_binaries_and_redis() -> bool {
    has_postgres_binaries() && has_shared_redis()
}

async fn name_of_mug(app: &TestApp) -> String {
    app.query(MUG).await.data_at("/product/name").as_str().expect("a name").to_owned()
}

async fn name_of_mug_as(app: &TestApp, token: &str) -> String {
    app.query_as(token, MUG, json!({})).await.data_at("/product/name").as_str().expect("a name").to_owned()
}

/// Changes the name in the primary without an event.
async fn mark_primary(app: &TestApp, name: &str) {
    let changed = app.execute_sql(&format!("UPDATE product SET name = '{name}' WHERE slug = 'mug'")).await;
    assert_eq!(changed.expect("a change"), 1);
}

/// Changes the mug by a mutation; returns the position in the response.
async fn update_mug(app: &TestApp, token: &str, input: Value) -> String {
    let id = app.query_as(token, MUG, json!({})).await.data_at("/product/id").clone();
    let body = json!({ "query": UPDATE, "variables": { "id": id, "input": input } });
    let request = app.build_request(Method::POST, "/graphql").bearer_auth(token).json(&body);
    let response = HttpResponse::send(request).await;
    assert_eq!(response.json()["data"]["productUpdate"]["userErrors"], json!([]), "{response:?}");
    response.header("savannah-write-position").expect("a position").to_owned()
}

async fn replica_part(app: &TestApp) -> Value {
    let response = HttpResponse::send(app.build_request(Method::GET, "/health")).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["data"]["parts"]["replica"].clone()
}

async fn wait_for_replica_status(app: &TestApp, status: &str) {
    let started_at = Instant::now();
    loop {
        let part = replica_part(app).await;
        if part["status"] == status {
            return;
        }
        assert!(started_at.elapsed() < PATIENCE, "not {status}: {part}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn reads_use_the_replica_and_guests_see_their_carts(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[ANY_LAG]).await;
    assert_eq!(replica_part(&app).await["status"], "healthy");
    assert!(replica_part(&app).await["lag_ms"].is_number());
    servers.pause_replay().await;
    mark_primary(&app, "Changed").await;
    assert_eq!(name_of_mug(&app).await, "Savannah Mug");

    let create = "mutation { cartCreate { cart { id } userErrors { code } } }";
    let response = HttpResponse::send(app.build_post(create, &json!({}))).await;
    let id = response.json()["data"]["cartCreate"]["cart"]["id"].clone();
    let found = app.query_with_variables("query($id: ID!) { cart(id: $id) { id } }", json!({ "id": id })).await;
    assert_eq!(found.data_at("/cart/id"), &id);

    // A request that has read a cart continues with the primary.
    let both = "query($id: ID!) { cart(id: $id) { id lines { id } } }";
    assert!(app.query_with_variables(both, json!({ "id": id })).await.data_at("/cart/lines").is_array());
    servers.resume_replay().await;
    app.wait_until_replica_is_read().await;
    assert_eq!(name_of_mug(&app).await, "Changed");
}

async fn writer_sees_own_writes_while_the_replay_is_paused(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[ANY_LAG]).await;
    let (writer, other) = (app.login(Role::Admin).await, app.login(Role::Admin).await);
    app.wait_until_replica_is_read().await;
    servers.pause_replay().await;
    let position = update_mug(&app, &writer, json!({ "name": "Written" })).await;
    assert_eq!(name_of_mug_as(&app, &writer).await, "Written");
    assert_eq!(name_of_mug_as(&app, &other).await, "Savannah Mug");
    assert_eq!(name_of_mug(&app).await, "Savannah Mug");

    // Another client that knows the position, or sends one that is not understood.
    for position in [position.as_str(), "x", "ffffffffffffffff"] {
        let request = app.build_post(MUG, &json!({})).header("Savannah-Write-Position", position);
        let response = GraphqlResponse::from_http_response(request.send().await.expect("a response")).await;
        assert_eq!(response.data_at("/product/name"), "Written", "{position}");
    }
    let request = app.build_post(MUG, &json!({})).header("Savannah-Write-Position", "0000000000000000");
    let response = GraphqlResponse::from_http_response(request.send().await.expect("a response")).await;
    assert_eq!(response.data_at("/product/name"), "Savannah Mug");

    // The account that logs in is not the caller of the login.
    let register =
        "mutation { customerRegister(input: { email: \"new@example.com\", password: \"correct horse 17\" }) {
        tokens { accessToken } userErrors { code message } } }";
    let registered = app.query(register).await;
    let token = registered.data_at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned();
    let me = app.query_as(&token, "{ me { email } }", json!({})).await;
    assert_eq!(me.data_at("/me/email"), "new@example.com");

    // After the replica has the write, the writer reads from it again.
    servers.resume_replay().await;
    app.wait_until_replica_is_read().await;
    servers.pause_replay().await;
    mark_primary(&app, "Marked").await;
    assert_eq!(name_of_mug_as(&app, &writer).await, "Written");
    servers.resume_replay().await;
}

async fn writer_sees_own_writes_on_another_instance(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let url = shared_redis_url().expect("a URL");
    let settings = [ANY_LAG, ("REDIS_URL", url.as_str()), ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000")];
    let first = servers.start_app(&settings).await;
    let (writer, other) = (first.login(Role::Admin).await, first.login(Role::Admin).await);
    let second = servers.start_second_app(&first, &settings).await;
    let nowhere = [ANY_LAG, ("REDIS_URL", "redis://127.0.0.1:1"), ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "50")];
    let without_redis = servers.start_second_app(&first, &nowhere).await;
    servers.pause_replay().await;
    update_mug(&first, &writer, json!({ "name": "Written" })).await;
    assert_eq!(name_of_mug_as(&second, &writer).await, "Written");
    assert_eq!(name_of_mug_as(&second, &other).await, "Savannah Mug");
    // What others have written cannot be known: callers with a token read from the primary.
    assert_eq!(name_of_mug_as(&without_redis, &writer).await, "Written");
    assert_eq!(name_of_mug(&without_redis).await, "Savannah Mug");
    servers.resume_replay().await;
}

async fn replica_behind_its_limit_is_not_used(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[("SAVANNAH_DATABASE__REPLICA_MAX_LAG", "1s")]).await;
    servers.pause_replay().await;
    mark_primary(&app, "Changed").await;
    let started_at = Instant::now();
    while name_of_mug(&app).await != "Changed" {
        assert!(started_at.elapsed() < PATIENCE, "the replica is still read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(replica_part(&app).await["status"], "behind");
    servers.resume_replay().await;
    app.wait_until_replica_is_read().await;
    assert_eq!(replica_part(&app).await["status"], "healthy");
}

async fn stopped_and_frozen_replica_fails_no_request_and_is_used_again(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = Arc::new(servers.start_app(&[ANY_LAG]).await);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (app, stop, answered) = (Arc::clone(&app), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let response = app.query(LISTING).await;
                    assert!(response.body.get("errors").is_none(), "{}", response.body);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let more_answers = async || {
        let (started_at, target) = (Instant::now(), answered.load(Ordering::SeqCst) + 50);
        while answered.load(Ordering::SeqCst) < target {
            assert!(started_at.elapsed() < PATIENCE, "no answers: {}", answered.load(Ordering::SeqCst));
            assert!(clients.iter().all(|client| !client.is_finished()), "a request has failed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    more_answers().await;
    servers.kill_replica();
    more_answers().await;
    wait_for_replica_status(&app, "unavailable").await;
    servers.start_replica().await;
    app.wait_until_replica_is_read().await;
    more_answers().await;
    servers.freeze_replica(true);
    more_answers().await;
    wait_for_replica_status(&app, "unavailable").await;
    servers.freeze_replica(false);
    app.wait_until_replica_is_read().await;
    more_answers().await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no failed request");
    }
    // It is used again.
    servers.pause_replay().await;
    mark_primary(&app, "Changed").await;
    assert_eq!(name_of_mug(&app).await, "Savannah Mug");
    servers.resume_replay().await;
}

async fn cached_values_are_never_older_than_a_known_write(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let settings = [ANY_LAG, RESPONSE_CACHE_ON, ("SAVANNAH_CACHE__DATA_BYTES", "1000000")];
    let first = servers.start_app(&settings).await;
    let (writer, other) = (first.login(Role::Admin).await, first.login(Role::Admin).await);
    let second = servers.start_second_app(&first, &settings).await;
    for app in [&first, &second] {
        app.start_event_feed().await;
        app.wait_until_replica_is_read().await;
    }
    for round in 0..6 {
        // Both stages: the replica replays, and it does not.
        if round == 3 {
            servers.pause_replay().await;
        }
        let (name, vendor) = (format!("0 name {round}"), format!("Vendor {round}"));
        update_mug(&first, &writer, json!({ "name": name, "vendor": vendor })).await;
        for _ in 0..2 {
            let (listing, _) = send_to_cache(first.build_get(LISTING)).await;
            assert!(listing.text.contains(&name), "round {round}: {listing:?}");
        }
        // Not the writer, so that the position of the write does not matter, but the values are of the cache.
        let facets = first.query_as(&other, FACETS, json!({})).await;
        assert!(facets.body.to_string().contains(&vendor), "round {round}: {}", facets.body);
        let started_at = Instant::now();
        while !send_to_cache(second.build_get(LISTING)).await.0.text.contains(&name) {
            assert!(started_at.elapsed() < PATIENCE, "round {round}: the other instance");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let facets = second.query_as(&other, FACETS, json!({})).await;
        assert!(facets.body.to_string().contains(&vendor), "round {round}: {}", facets.body);
    }
    // The event of the last write may reach the instance that wrote it after the other one, and invalidates once more.
    let started_at = Instant::now();
    while !send_to_cache(first.build_get(LISTING)).await.1 {
        assert!(started_at.elapsed() < PATIENCE, "the listing is not in the cache");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A request with a position is not answered from the cache.
    let request = first.build_get(LISTING).header("Savannah-Write-Position", "0000000000000000");
    assert_eq!(send_to_cache(request).await.0.header("cache-status"), None);
    servers.resume_replay().await;
}

async fn rows_of_the_replica_are_not_combined_with_a_newer_category_tree(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[ANY_LAG]).await;
    let (writer, other) = (app.login(Role::Admin).await, app.login(Role::Admin).await);
    let query = "{ product(slug: \"mug\") { category { id name } } }";
    let category = app.query(query).await.data_at("/product/category").clone();
    app.wait_until_replica_is_read().await;
    servers.pause_replay().await;
    let create = "mutation { categoryCreate(input: { name: \"New\" }) { category { id } userErrors { code } } }";
    let new = app.query_as(&writer, create, json!({})).await.data_at("/categoryCreate/category/id").clone();
    let delete = "mutation($id: ID!, $to: ID) { categoryDelete(id: $id, moveProductsTo: $to) { deletedId userErrors { message } } }";
    let variables = json!({ "id": category["id"], "to": new });
    let deleted = app.query_as(&writer, delete, variables).await;
    assert_eq!(deleted.data_at("/categoryDelete/deletedId"), &category["id"]);
    let found = app.query_as(&other, query, json!({})).await;
    assert_eq!(found.data_at("/product/category/name"), "New");
    servers.resume_replay().await;
}

async fn unusable_replica_does_not_prevent_the_start(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[]).await;
    // The primary is no replica, and nothing listens on port 1.
    let itself = format!("{}&application_name=reader", app.database_url());
    for replica in [itself.as_str(), "postgres://shop@127.0.0.1:1/shop"] {
        let second = app.start_second_instance(&[("DATABASE_REPLICA_URL", replica)]).await;
        wait_for_replica_status(&second, "unavailable").await;
        assert_eq!(name_of_mug(&second).await, "Savannah Mug");
    }
}

async fn metrics_report_whether_the_replica_is_used(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let mut servers = ReplicaServers::lock().await;
    let app = servers.start_app(&[]).await;
    let replica_url = servers.replica_url_of(&app);
    let urls = [("DATABASE_URL", app.database_url()), ("DATABASE_REPLICA_URL", replica_url.as_str())];
    let sandbox = CliSandbox::new(&[&[MANAGEMENT_ON], &urls[..]].concat());
    let process = sandbox.start_server_with_args(&["serve", "--no-worker"], &[]).await;
    let is_used = |expected: u64| move |scrape: &Scrape| scrape.find_count(names::REPLICA_USED, &[]) == Some(expected);
    let scrape = process.scrape_until("the replica is used", is_used(1)).await;
    assert!(scrape.text.contains(&format!("\n{} ", names::REPLICA_LAG)), "{}", scrape.text);
    servers.kill_replica();
    process.scrape_until("the replica is not used", is_used(0)).await;
}
