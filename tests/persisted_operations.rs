//! Automatic persisted queries: a document is registered under its digest and requested without its text.

use reqwest::Method;
use savannah::{identity::Role, operations::document_id::sha256_hex};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    operation_requests::path_with_parameters,
    support::{Backend, FakeRedisMode, FakeRedisServer, HttpResponse, TestApp, has_shared_redis, shared_redis_url},
};

integration_tests![
    registered_document_is_executed_by_its_digest,
    unknown_digest_is_answered_as_clients_expect,
    digest_of_another_document_is_rejected,
    invalid_document_is_not_registered,
    invalid_persisted_query_extensions_are_rejected,
    disabled_persisted_queries_ask_for_the_document,
    cache_of_registered_documents_is_bounded,
    registered_mutation_is_not_executed_by_get,
    registered_documents_need_the_right_to_send_free_form_documents,
    misbehaving_redis_means_that_a_digest_is_unknown
    ; needs(has_shared_redis):
    registered_document_is_known_to_other_instances_through_redis
];

const QUERY: &str = "query Shop { shop { name } }";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

fn extension(digest: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": digest } })
}

async fn post(app: &TestApp, body: &Value) -> HttpResponse {
    let request = app.build_request(Method::POST, "/graphql").header("accept", GRAPHQL_RESPONSE);
    HttpResponse::send(request.json(body)).await
}

async fn get(app: &TestApp, parameters: &[(&str, &str)]) -> HttpResponse {
    let request = app.build_request(Method::GET, &path_with_parameters("/graphql", parameters));
    HttpResponse::send(request.header("accept", GRAPHQL_RESPONSE)).await
}

async fn register(app: &TestApp, query: &str) -> HttpResponse {
    post(app, &json!({ "query": query, "extensions": extension(&sha256_hex(query)) })).await
}

async fn registered_document_is_executed_by_its_digest(backend: Backend) {
    let app = TestApp::start(backend).await;
    let digest = sha256_hex(QUERY);
    let expected = json!({ "data": { "shop": { "name": "Savannah" } } });
    let registered = register(&app, QUERY).await;
    assert_eq!((registered.status, registered.json()), (200, expected.clone()));
    let by_post = post(&app, &json!({ "extensions": extension(&digest) })).await;
    assert_eq!((by_post.status, by_post.json()), (200, expected.clone()));
    // Apollo Client may send digests in upper case or an empty text.
    let by_post = post(&app, &json!({ "query": "", "extensions": extension(&digest.to_uppercase()) })).await;
    assert_eq!((by_post.status, by_post.json()), (200, expected.clone()));
    let by_get = get(&app, &[("extensions", &extension(&digest).to_string()), ("operationName", "Shop")]).await;
    assert_eq!((by_get.status, by_get.json()), (200, expected.clone()));

    // Registered by GET, with variables.
    let with_variables = "query ($slug: String) { product(slug: $slug) { name } }";
    let digest = sha256_hex(with_variables);
    let variables = json!({ "slug": "none" }).to_string();
    let parameters = [("extensions", extension(&digest).to_string()), ("variables", variables)];
    let mut parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(get(&app, &parameters).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    parameters.push(("query", with_variables));
    assert_eq!(get(&app, &parameters).await.json(), json!({ "data": { "product": null } }));
    parameters.pop();
    assert_eq!(get(&app, &parameters).await.json(), json!({ "data": { "product": null } }));
}

async fn unknown_digest_is_answered_as_clients_expect(backend: Backend) {
    let app = TestApp::start(backend).await;
    let body = json!({ "extensions": extension(&sha256_hex("{ unknown }")) });
    let response = post(&app, &body).await;
    assert_eq!(response.status, 400);
    assert_eq!(response.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(response.error_message(), "PersistedQueryNotFound");
    assert!(response.json().get("data").is_none());
    let request = app.build_request(Method::POST, "/graphql").header("accept", "application/json").json(&body);
    let response = HttpResponse::send(request).await;
    assert_eq!((response.status, response.error_code().as_str()), (200, "PERSISTED_QUERY_NOT_FOUND"));
}

async fn digest_of_another_document_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let digest = sha256_hex("{ shop { currency } }");
    let response = post(&app, &json!({ "query": QUERY, "extensions": extension(&digest) })).await;
    assert_eq!((response.status, response.error_code().as_str()), (400, "PERSISTED_QUERY_HASH_MISMATCH"));
    let response = post(&app, &json!({ "extensions": extension(&digest) })).await;
    assert_eq!(response.error_code(), "PERSISTED_QUERY_NOT_FOUND");
}

async fn invalid_document_is_not_registered(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_DOCUMENT_BYTES", "1000")]).await;
    let too_long = format!("{{ shop {{ name }} }} # {}", "x".repeat(1000));
    for (query, code) in
        [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"), (&too_long, "QUERY_TOO_COMPLEX")]
    {
        assert_eq!(register(&app, query).await.error_code(), code);
        let response = post(&app, &json!({ "extensions": extension(&sha256_hex(query)) })).await;
        assert_eq!(response.error_code(), "PERSISTED_QUERY_NOT_FOUND", "{query}");
    }
}

async fn invalid_persisted_query_extensions_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let digest = sha256_hex(QUERY);
    let extensions = [
        json!({ "persistedQuery": 1 }),
        json!({ "persistedQuery": {} }),
        json!({ "persistedQuery": { "version": 1 } }),
        json!({ "persistedQuery": { "version": 2, "sha256Hash": digest } }),
        json!({ "persistedQuery": { "version": "1", "sha256Hash": digest } }),
        json!({ "persistedQuery": { "version": 1, "sha256Hash": 7 } }),
        json!({ "persistedQuery": { "version": 1, "sha256Hash": "" } }),
        json!({ "persistedQuery": { "version": 1, "sha256Hash": "a".repeat(63) } }),
        json!({ "persistedQuery": { "version": 1, "sha256Hash": "g".repeat(64) } }),
        json!({ "persistedQuery": { "version": 1, "sha256Hash": "a".repeat(100_000) } }),
        json!([]),
        json!("x"),
    ];
    for extensions in extensions {
        for body in [json!({ "extensions": extensions }), json!({ "query": QUERY, "extensions": extensions })] {
            let response = post(&app, &body).await;
            assert_eq!((response.status, response.error_code().as_str()), (400, "BAD_REQUEST"), "{extensions}");
        }
    }
    // Other extensions are ignored.
    let response = post(&app, &json!({ "query": QUERY, "extensions": { "persistedQuery": null, "other": 1 } })).await;
    assert_eq!(response.status, 200);
}

async fn disabled_persisted_queries_ask_for_the_document(backend: Backend) {
    let settings = [("SAVANNAH_GRAPHQL__AUTOMATIC_PERSISTED_QUERIES", "false")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    assert_eq!(register(&app, QUERY).await.status, 200);
    let response = post(&app, &json!({ "extensions": extension(&sha256_hex(QUERY)) })).await;
    assert_eq!((response.status, response.error_code().as_str()), (400, "PERSISTED_QUERY_NOT_SUPPORTED"));
}

async fn cache_of_registered_documents_is_bounded(backend: Backend) {
    let settings = [("SAVANNAH_GRAPHQL__PERSISTED_QUERY_CACHE_SIZE", "10000")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let queries: Vec<String> =
        (0..100).map(|number| format!("{{ shop {{ name }} }} # {number} {}", "x".repeat(1000))).collect();
    for query in &queries {
        assert_eq!(register(&app, query).await.status, 200);
    }
    let mut found_count = 0;
    for query in &queries {
        let response = post(&app, &json!({ "extensions": extension(&sha256_hex(query)) })).await;
        found_count += i32::from(response.status == 200);
    }
    // Eight texts of about 1,200 bytes fit; evicted entries are removed with a delay.
    assert!((1..50).contains(&found_count), "{found_count}");
}

async fn registered_mutation_is_not_executed_by_get(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mutation = "mutation { cartCreate { cart { id } } }";
    assert_eq!(register(&app, mutation).await.status, 200);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
    let extension = extension(&sha256_hex(mutation)).to_string();
    let response = get(&app, &[("extensions", &extension)]).await;
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, POST")));
    let response = get(&app, &[("extensions", &extension), ("query", mutation)]).await;
    assert_eq!(response.status, 405);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
}

async fn registered_documents_need_the_right_to_send_free_form_documents(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", "staff")]).await;
    let admin = app.login(Role::Admin).await;
    let body = json!({ "query": QUERY, "extensions": extension(&sha256_hex(QUERY)) });
    let request = app.build_request(Method::POST, "/graphql").bearer_auth(&admin).json(&body);
    assert_eq!(HttpResponse::send(request).await.status, 200);
    let response = register(&app, QUERY).await;
    assert_eq!((response.status, response.error_code().as_str()), (403, "FREE_FORM_DOCUMENT_FORBIDDEN"));
    // Registered by staff, but not published: of no use to other callers.
    let body = json!({ "extensions": extension(&sha256_hex(QUERY)) });
    assert_eq!(post(&app, &body).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    let request = app.build_request(Method::POST, "/graphql").bearer_auth(&admin).json(&body);
    assert_eq!(HttpResponse::send(request).await.status, 200);
}

/// Settings of an instance with Redis, whose commands must succeed on a slow machine.
fn redis_settings(url: &str) -> [(&str, &str); 2] {
    [("REDIS_URL", url), ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "10000")]
}

async fn registered_document_is_known_to_other_instances_through_redis(backend: Backend) {
    let url = shared_redis_url().expect("a Redis server");
    let first = TestApp::start_with_settings(backend, &redis_settings(&url)).await;
    let second = first.start_second_instance(&redis_settings(&url)).await;
    let without_redis = first.start_second_instance(&[]).await;
    let by_digest = json!({ "extensions": extension(&sha256_hex(QUERY)) });
    assert_eq!(post(&second, &by_digest).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(register(&first, QUERY).await.status, 200);
    assert_eq!(post(&second, &by_digest).await.json(), json!({ "data": { "shop": { "name": "Savannah" } } }));
    assert_eq!(post(&without_redis, &by_digest).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    // A value that is not the text of the digest is no text.
    let other = "query Other { shop { currency } }";
    let digest = sha256_hex(other);
    let by_digest = json!({ "extensions": extension(&digest) });
    let lifetime = std::time::Duration::from_mins(1);
    let too_long = format!("{other} # {}", "x".repeat(100_000));
    for value in
        [&b""[..], b"\xff\xfe", QUERY.as_bytes(), b"mutation { logout { userErrors { code } } }", too_long.as_bytes()]
    {
        let redis = &first.http_app.state.redis;
        redis.set(&format!("persisted-query:{digest}"), value, lifetime).await.expect("a stored value");
        assert_eq!(post(&second, &by_digest).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    }
}

async fn misbehaving_redis_means_that_a_digest_is_unknown(backend: Backend) {
    for mode in [FakeRedisMode::Hang, FakeRedisMode::Nonsense, FakeRedisMode::WrongType, FakeRedisMode::Disconnect] {
        let redis = FakeRedisServer::start(mode).await;
        let settings = [("REDIS_URL", redis.url.as_str()), ("SAVANNAH_REDIS__TIMEOUT_MILLIS", "50")];
        let app = TestApp::start_with_settings(backend, &settings).await;
        let by_digest = json!({ "extensions": extension(&sha256_hex(QUERY)) });
        assert_eq!(post(&app, &by_digest).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(register(&app, QUERY).await.status, 200);
        assert_eq!(post(&app, &by_digest).await.status, 200, "the instance itself knows it");
    }
}
