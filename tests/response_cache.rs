//! Response cache: hits, validators, encodings, and what is never cached.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp, query_path, send_to_cache},
    trusted_documents::{publish_valid, retire},
};

integration_tests![
    public_query_is_answered_from_the_cache,
    entity_tag_revalidates_a_response,
    compressed_forms_have_the_same_content,
    private_and_failed_responses_are_not_cached,
    memory_is_bounded_for_endless_variables,
    response_larger_than_the_limit_is_not_cached,
    cached_response_expires,
    equal_concurrent_queries_are_executed_once,
    query_is_answered_after_the_executing_client_disconnects,
    sale_end_limits_the_lifetime,
    response_of_many_products_depends_on_the_whole_catalog,
    published_operation_is_cached_until_a_version_changes,
    request_for_its_cost_is_not_answered_from_the_cache,
];

const LISTING: &str = "{ products(first: 24) { nodes { id name slug price inStock category { name } } } }";
const PRODUCT: &str = "query($slug: String) { product(slug: $slug) { name price } }";

async fn first_slug(app: &TestApp) -> String {
    let response = app.query("{ products(first: 1, sort: { field: NAME }) { nodes { slug } } }").await;
    response.data_at("/products/nodes/0/slug").as_str().expect("a slug").to_owned()
}

async fn public_query_is_answered_from_the_cache(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let (first, is_hit) = send_to_cache(app.build_get(LISTING)).await;
    assert!(!is_hit);
    assert_eq!(first.header("cache-status"), Some("savannah; fwd=miss; stored"));
    let (second, is_hit) = send_to_cache(app.build_get(LISTING)).await;
    assert!(is_hit, "{second:?}");
    assert_eq!(second.text, first.text);
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(
        second.header("cache-control"),
        Some("public, max-age=0, s-maxage=5, stale-while-revalidate=10"),
        "{second:?}"
    );
    assert_eq!(second.header("age"), Some("0"));
    let vary = second.header("vary").expect("vary");
    assert!(["accept", "accept-encoding", "authorization"].iter().all(|name| vary.contains(name)), "{vary}");
    let surrogate_key = second.header("surrogate-key").expect("tags");
    assert!(surrogate_key.starts_with("catalog categories category:"), "{surrogate_key}");
    assert!(surrogate_key.split(' ').filter(|tag| tag.starts_with("product:")).count() >= 10, "{surrogate_key}");
    assert_eq!(second.header("cache-tag"), Some(surrogate_key.replace(' ', ",").as_str()));
    assert_eq!(second.header("server-timing"), None);
    // The same operation by POST, of which HTTP caches keep nothing.
    let (posted, is_hit) = send_to_cache(app.build_post(LISTING, &json!({}))).await;
    assert!(is_hit);
    assert_eq!((posted.text.as_str(), posted.header("cache-control")), (first.text.as_str(), Some("no-store")));
    // Other media types have the same body.
    let (json, is_hit) = send_to_cache(app.build_get(LISTING).header("accept", "application/json")).await;
    assert!(is_hit && json.text == first.text);
    assert_eq!(json.header("content-type"), Some("application/json; charset=utf-8"));
    // The order of variables has no effect.
    let query = "query($first: Int, $sort: ProductSort) { products(first: $first, sort: $sort) { nodes { name } } }";
    let body = |variables: &str| {
        let body = format!("{{\"query\":{},\"variables\":{variables}}}", json!(query));
        app.build_request(Method::POST, "/graphql").header("content-type", "application/json").body(body)
    };
    assert!(!send_to_cache(body("{\"first\": 2, \"sort\": {\"field\": \"NAME\"}}")).await.1);
    assert!(send_to_cache(body("{\"sort\": {\"field\": \"NAME\"}, \"first\": 2}")).await.1);
    assert!(!send_to_cache(body("{\"sort\": {\"field\": \"NAME\"}, \"first\": 3}")).await.1);
    // A request that must not be answered is not, although its response is cached.
    let body = json!({ "query": LISTING, "variables": {} }).to_string();
    let text = app.build_request(Method::POST, "/graphql").header("content-type", "text/plain").body(body);
    assert_eq!(HttpResponse::send(text).await.status, 415);
    assert_eq!(HttpResponse::send(app.build_get(LISTING).header("accept", "text/html")).await.status, 406);
    assert_eq!(HttpResponse::send(app.build_get(LISTING).bearer_auth("x")).await.status, 401);
}

async fn entity_tag_revalidates_a_response(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let (first, _) = send_to_cache(app.build_get(LISTING)).await;
    let entity_tag = first.header("etag").expect("an entity tag").to_owned();
    assert!(entity_tag.starts_with('"') && entity_tag.len() > 30, "{entity_tag}");
    for value in [entity_tag.clone(), format!("W/{entity_tag}"), format!("\"x\", {entity_tag}"), "*".to_owned()] {
        let not_modified = HttpResponse::send(app.build_get(LISTING).header("if-none-match", &value)).await;
        assert_eq!((not_modified.status, not_modified.text.as_str()), (304, ""), "{value}");
        assert_eq!(not_modified.header("etag"), Some(entity_tag.as_str()));
        assert_eq!(not_modified.header("cache-control"), first.header("cache-control"));
        assert!(not_modified.header("vary").is_some() && not_modified.header("age").is_some(), "{not_modified:?}");
    }
    let head = app.build_request(Method::HEAD, &query_path(LISTING));
    assert_eq!(HttpResponse::send(head.header("if-none-match", &entity_tag)).await.status, 304);
    // Not of another representation, an older state, or a POST.
    let json = app.build_get(LISTING).header("accept", "application/json").header("if-none-match", &entity_tag);
    assert_eq!(HttpResponse::send(json).await.status, 200);
    let post = app.build_post(LISTING, &json!({})).header("if-none-match", &entity_tag);
    assert_eq!(HttpResponse::send(post).await.status, 200);
    let admin = app.login(Role::Admin).await;
    let slug = first_slug(&app).await;
    let id = app.query_with_variables("query($s: String) { product(slug: $s) { id } }", json!({ "s": slug })).await;
    let update = "mutation($id: ID!) { productUpdate(id: $id, input: { name: \"Renamed\" }) { userErrors { code } } }";
    app.query_as(&admin, update, json!({ "id": id.data_at("/product/id") })).await.data_at("/productUpdate");
    let changed = HttpResponse::send(app.build_get(LISTING).header("if-none-match", &entity_tag)).await;
    assert_eq!(changed.status, 200);
    assert!(changed.text.contains("Renamed"), "{changed:?}");
    assert_ne!(changed.header("etag"), Some(entity_tag.as_str()));
}

async fn compressed_forms_have_the_same_content(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let (identity, _) = send_to_cache(app.build_get(LISTING).header("accept-encoding", "identity")).await;
    assert!(identity.text.len() > 1024);
    let client = reqwest::Client::builder().no_gzip().build().expect("a client");
    let mut entity_tags = vec![identity.header("etag").expect("an entity tag").to_owned()];
    for (accepted, encoding) in [("gzip", "gzip"), ("br, gzip", "br"), ("gzip", "gzip"), ("br", "br")] {
        let request = client.get(app.url(&query_path(LISTING))).header("accept-encoding", accepted);
        let response = request.send().await.expect("a response");
        assert_eq!(response.headers()["content-encoding"], encoding);
        assert_eq!(response.headers()["cache-status"], "savannah; hit");
        entity_tags.push(response.headers()["etag"].to_str().expect("text").to_owned());
        let compressed = response.bytes().await.expect("a body");
        assert!(compressed.len() < identity.text.len() / 2, "{accepted}: {}", compressed.len());
        let mut text = Vec::new();
        match encoding {
            "gzip" => {
                let mut decoder = flate2::read::GzDecoder::new(&*compressed);
                std::io::Read::read_to_end(&mut decoder, &mut text).expect("gzip");
            }
            _ => brotli::BrotliDecompress(&mut &*compressed, &mut text).expect("brotli"),
        }
        assert_eq!(String::from_utf8(text).expect("UTF-8"), identity.text, "{accepted}");
    }
    assert_eq!(entity_tags[1], entity_tags[3]);
    assert_eq!(entity_tags[2], entity_tags[4]);
    entity_tags.sort();
    entity_tags.dedup();
    assert_eq!(entity_tags.len(), 3, "{entity_tags:?}");
    let short = client.get(app.url(&query_path("{ shop { name } }")));
    let short = short.header("accept-encoding", "gzip").send().await.expect("a response");
    assert!(!short.headers().contains_key("content-encoding"));
}

async fn private_and_failed_responses_are_not_cached(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let customer = app.login(Role::Customer).await;
    let failing = "query($id: ID) { product(id: $id) { name } }";
    for query in [
        "{ me { email } }",
        "{ shop { name } me { email } }",
        "{ shop { name version } }",
        "{ shippingOptions { name } }",
        "{ __schema { queryType { name } } }",
        "{ nothing }",
    ] {
        for _ in 0..2 {
            let http_response = HttpResponse::send(app.build_get(query)).await;
            assert_eq!(http_response.header("cache-control"), Some("no-store"), "{http_response:?}");
            assert_eq!(http_response.header("cache-status"), None, "{http_response:?}");
            assert_eq!(http_response.header("etag"), None, "{http_response:?}");
        }
    }
    for _ in 0..2 {
        let (failed, is_hit) = send_to_cache(app.build_post(failing, &json!({ "id": "nothing" }))).await;
        assert!(!is_hit && failed.header("cache-status").is_none(), "{failed:?}");
        assert_eq!(failed.error_code(), "BAD_USER_INPUT");
        // With a token, the same public query is executed and not stored.
        let with_token = HttpResponse::send(app.build_get(LISTING).bearer_auth(&customer)).await;
        assert_eq!(with_token.status, 200);
        assert_eq!(with_token.header("cache-control"), Some("no-store"), "{with_token:?}");
        let mutation = json!({ "query": "mutation { cartCreate { cart { id } } }" });
        let created = HttpResponse::send(app.build_request(Method::POST, "/graphql").json(&mutation)).await;
        assert_eq!(created.header("cache-control"), Some("no-store"), "{created:?}");
    }
    let carts = app.query_scalar("SELECT count(*) FROM cart").await;
    assert_eq!(carts, 2, "mutations are executed each time");
}

async fn memory_is_bounded_for_endless_variables(backend: Backend) {
    const LIMIT: u64 = 200_000;
    let limit = LIMIT.to_string();
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__RESPONSE_BYTES", limit.as_str())]).await;
    let cache = app.http_app.response_cache.as_ref().expect("a cache");
    for batch in 0..20 {
        let requests = (0..50)
            .map(|number| app.build_post(PRODUCT, &json!({ "slug": format!("nothing-{batch}-{number}") })).send());
        for response in join_all(requests).await {
            assert_eq!(response.expect("a response").status(), 200);
        }
        assert!(cache.weighted_size() <= LIMIT, "{} bytes", cache.weighted_size());
    }
    // 1000 responses of at least 512 bytes do not fit.
    assert!(cache.weighted_size() > LIMIT / 4);
}

async fn response_larger_than_the_limit_is_not_cached(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__MAX_ENTRY_BYTES", "2000")]).await;
    for _ in 0..2 {
        let (http_response, _) = send_to_cache(app.build_get(LISTING)).await;
        assert_eq!(http_response.header("cache-control"), Some("no-store"), "{http_response:?}");
        assert!(http_response.json()["data"]["products"]["nodes"][0]["name"].is_string());
    }
    assert!(!send_to_cache(app.build_get("{ shop { name } }")).await.1);
    assert!(send_to_cache(app.build_get("{ shop { name } }")).await.1);
}

async fn cached_response_expires(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__TTL", "1m")]).await;
    send_to_cache(app.build_get(LISTING)).await;
    let start = app.clock.now();
    app.clock.set(start + Duration::from_secs(59));
    let (http_response, is_hit) = send_to_cache(app.build_get(LISTING)).await;
    assert!(is_hit);
    assert_eq!(http_response.header("age"), Some("59"));
    app.clock.set(start + Duration::from_mins(1));
    let (http_response, is_hit) = send_to_cache(app.build_get(LISTING)).await;
    assert!(!is_hit);
    assert_eq!(http_response.header("age"), Some("0"));
}

async fn equal_concurrent_queries_are_executed_once(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let blocker = block_reads(&app, backend).await;
    let requests: Vec<_> = (0..24).map(|_| tokio::spawn(send_to_cache(app.build_get(LISTING)))).collect();
    if let Some(blocker) = blocker {
        wait_for_blocked_statement(&app).await;
        blocker.roll_back().await;
    }
    let responses = join_all(requests).await;
    let hits = responses.iter().filter(|response| response.as_ref().is_ok_and(|(_, is_hit)| *is_hit)).count();
    assert_eq!(hits, 23);
}

async fn query_is_answered_after_the_executing_client_disconnects(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let Some(blocker) = block_reads(&app, backend).await else { return };
    let first = tokio::spawn(app.build_get(LISTING).send());
    wait_for_blocked_statement(&app).await;
    let followers: Vec<_> = (0..4).map(|_| tokio::spawn(send_to_cache(app.build_get(LISTING)))).collect();
    first.abort();
    assert!(first.await.is_err(), "the client was dropped");
    blocker.roll_back().await;
    let responses = join_all(followers).await;
    let hits = responses.iter().filter(|response| response.as_ref().expect("a response").1).count();
    assert_eq!(hits, 3, "one of the others has executed the query");
}

async fn sale_end_limits_the_lifetime(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__TTL", "1h")]).await;
    let query = "{ products(first: 1, filter: {}) { nodes { id variants { id } } } }";
    let listed = app.query(query).await;
    let product = listed.data_at("/products/nodes/0").clone();
    let admin = app.login(Role::Admin).await;
    let update = "mutation($id: ID!, $input: ProductVariantInput!) {
        productVariantUpdate(id: $id, input: $input) { variant { salePrice } userErrors { code field message } } }";
    let input = json!({ "price": "100.00", "salePrice": "50.00", "saleEndsAt": "2026-11-01T09:10:00Z" });
    let updated = app.query_as(&admin, update, json!({ "id": product["variants"][0]["id"], "input": input })).await;
    assert_eq!(updated.data_at("/productVariantUpdate/variant/salePrice"), "50.00");
    let details = "query($id: ID) { product(id: $id) { variants { salePrice } } }";
    let variables = json!({ "id": product["id"] });
    let sale_price =
        |http_response: &HttpResponse| http_response.json()["data"]["product"]["variants"][0]["salePrice"].clone();
    let (on_sale, _) = send_to_cache(app.build_post(details, &variables)).await;
    assert_eq!(sale_price(&on_sale), "50.00");
    assert!(send_to_cache(app.build_post(details, &variables)).await.1);
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:10:00Z"));
    let (after_sale, is_hit) = send_to_cache(app.build_post(details, &variables)).await;
    assert!(!is_hit);
    assert_eq!(sale_price(&after_sale), Value::Null);
}

async fn response_of_many_products_depends_on_the_whole_catalog(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__MAX_TAGS", "5")]).await;
    let (http_response, _) = send_to_cache(app.build_get(LISTING)).await;
    assert_eq!(http_response.header("surrogate-key"), Some("catalog categories stock"));
    assert!(send_to_cache(app.build_get(LISTING)).await.1);
}

/// Blocks reads of products until the transaction ends; PostgreSQL only.
async fn block_reads(app: &TestApp, backend: Backend) -> Option<TableLock> {
    if backend == Backend::Sqlite {
        return None;
    }
    Some(TableLock::acquire(app, "product").await)
}

/// Waits until a statement of another transaction waits for a lock.
async fn wait_for_blocked_statement(app: &TestApp) {
    let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = \
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    let started_at = std::time::Instant::now();
    while app.query_scalar(sql).await == 0 {
        assert!(started_at.elapsed() < Duration::from_secs(20), "no statement is blocked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Exclusive lock of a table, in a transaction.
struct TableLock(sea_orm::DatabaseTransaction);

impl TableLock {
    async fn acquire(app: &TestApp, table: &str) -> Self {
        use sea_orm::{ConnectionTrait, TransactionOptions, TransactionTrait};
        let connection = app.db.writer_connection();
        let tx = connection.begin_with_options(TransactionOptions::default()).await.expect("a transaction");
        tx.execute_unprepared(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await.expect("a lock");
        Self(tx)
    }

    async fn roll_back(self) {
        self.0.rollback().await.expect("a rollback");
    }
}

async fn published_operation_is_cached_until_a_version_changes(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let admin = app.login(Role::Admin).await;
    let version =
        publish_valid(&app, &admin, ("ios", "1.0"), &["query List { products(first: 2) { nodes { name } } }"]).await;
    let get = || send_to_cache(app.build_request(Method::GET, "/graphql/ios/List"));
    assert!(!get().await.1);
    let (first, is_hit) = get().await;
    assert!(is_hit && first.status == 200, "{first:?}");
    // A response from the cache is a use, too.
    app.http_app.trusted_documents.store_uses(&app.db).await.expect("stored uses");
    assert_eq!(app.query_scalar("SELECT use_count FROM trusted_document_use").await, 2);
    // The address of a newer version is another document.
    let newer = "query List { products(first: 1) { nodes { name } } }";
    publish_valid(&app, &admin, ("ios", "1.1"), &[newer]).await;
    app.run_clock_tick().await;
    let (second, _) = get().await;
    assert_eq!(second.json()["data"]["products"]["nodes"].as_array().map(Vec::len), Some(1), "{second:?}");
    let get_old = || send_to_cache(app.build_request(Method::GET, "/graphql/ios/List?version=1.0"));
    assert_eq!(get_old().await.0.text, first.text);
    assert_eq!(get_old().await.0.status, 200);
    assert_eq!(retire(&app, &admin, &version).await["userErrors"], json!([]));
    let (retired, is_hit) = get_old().await;
    assert!(!is_hit && retired.status == 410, "{retired:?}");
}

async fn request_for_its_cost_is_not_answered_from_the_cache(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let with_cost = || app.build_get(LISTING).header("savannah-cost", "1");
    assert!(!send_to_cache(with_cost()).await.1);
    assert!(!send_to_cache(app.build_get(LISTING)).await.1, "the response with the cost was not stored");
    assert!(send_to_cache(app.build_get(LISTING)).await.1);
    let (response, is_hit) = send_to_cache(with_cost()).await;
    assert!(!is_hit && response.json()["extensions"]["cost"]["requested"].is_u64(), "{response:?}");
}
