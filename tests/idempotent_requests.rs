//! The header `Idempotency-Key`: retries of a mutation are executed once and receive the stored response.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use savannah::{
    identity::Role,
    infra::{
        Actor, IdempotentRequest, RequestClaim,
        idempotent_request::{self, MAX_STORED_RESPONSE_BYTES},
    },
};
use serde_json::{Value, json};

use crate::{
    customers::CREATE_ADDRESS,
    integration_tests,
    support::{Backend, HttpResponse, TestApp, cart_line_quantities, line_inputs},
};

integration_tests![
    retried_mutation_is_executed_once,
    key_of_another_request_is_rejected,
    concurrent_retries_are_executed_once,
    key_is_forgotten_after_its_retention,
    keys_are_scoped_by_caller,
    invalid_keys_are_rejected_by_mutations_only,
    mutation_that_failed_as_a_whole_is_executed_again,
    request_of_a_killed_process_is_executed_after_its_lease,
    expired_claim_does_not_store_its_response,
    stored_response_cannot_be_read_from_the_database,
    response_with_tokens_is_replayed_until_they_expire,
    number_of_keys_of_a_caller_is_limited,
    stored_responses_of_a_deleted_account_are_erased,
    large_response_is_replayed_as_an_error,
    invalid_idempotent_request_rows_are_rejected_by_the_database,
];

const KEY: &str = "3f2b1c9a-7d4e-4f60-8a1b-2c3d4e5f6071";
const OTHER_KEY: &str = "b7c6d5e4-1a2b-4c3d-9e8f-706152433425";
const CREATE_CART: &str = "mutation { cartCreate { cart { id } userErrors { code } } }";
const ADD_LINES: &str = "mutation($id: ID!, $lines: [LineInput!]!) {
    cartLinesAdd(id: $id, lines: $lines) { cart { id version } userErrors { code } } }";
const LOGIN: &str = "mutation { login(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
    tokens { accessToken refreshToken } userErrors { code } } }";
const REGISTER: &str =
    "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
    tokens { accessToken refreshToken } userErrors { code } } }";

/// A mutation with an idempotency key.
struct Retry<'a> {
    app: &'a TestApp,
    token: Option<&'a str>,
    key: &'a str,
}

impl<'a> Retry<'a> {
    fn of_guest(app: &'a TestApp, key: &'a str) -> Self {
        Self { app, token: None, key }
    }

    async fn send(&self, query: &str, variables: Value) -> HttpResponse {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.app.build_request(Method::POST, "/graphql").json(&body);
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        HttpResponse::send(request.header("idempotency-key", self.key)).await
    }

    async fn create_cart(&self) -> HttpResponse {
        self.send(CREATE_CART, json!({})).await
    }
}

fn is_replayed(response: &HttpResponse) -> bool {
    response.header("idempotent-replayed") == Some("true")
}

async fn count_requests(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM idempotent_request").await
}

async fn count_carts(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM cart").await
}

/// The content that a request of [`CREATE_CART`] is identified by.
fn create_cart_content() -> Vec<u8> {
    serde_json::to_vec(&(CREATE_CART, None::<String>, json!({}))).expect("JSON")
}

/// Claims the request of [`CREATE_CART`] of a guest, as another process does.
async fn claim_cart_creation(app: &TestApp) -> RequestClaim {
    let request = IdempotentRequest::new(Actor::Anonymous, KEY, &create_cart_content()).expect("a key");
    request.claim(&app.db).await.expect("a claim")
}

async fn retried_mutation_is_executed_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let cart = app.create_cart(None, &[]).await;
    let variables = json!({ "id": cart, "lines": line_inputs(&[(&mug, 2)]) });
    let guest = Retry::of_guest(&app, KEY);
    let first = guest.send(ADD_LINES, variables.clone()).await;
    assert_eq!((first.status, is_replayed(&first)), (200, false), "{first:?}");
    for _ in 0..3 {
        let retry = guest.send(ADD_LINES, variables.clone()).await;
        assert_eq!((retry.status, is_replayed(&retry), &retry.text), (200, true, &first.text));
        assert_eq!(retry.header("content-type"), first.header("content-type"));
    }
    assert_eq!(cart_line_quantities(&app.query_cart(None, &cart).await), [("MUG".to_owned(), 2)]);
    // Another key is another request. A quoted key is the same as one without quotes.
    let quoted = format!("\"{OTHER_KEY}\"");
    for key in [OTHER_KEY, &quoted] {
        Retry::of_guest(&app, key).send(ADD_LINES, variables.clone()).await;
    }
    assert_eq!(cart_line_quantities(&app.query_cart(None, &cart).await), [("MUG".to_owned(), 4)]);

    let token = app.login(Role::Customer).await;
    let customer = Retry { app: &app, token: Some(&token), key: KEY };
    let address = json!({ "input": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1",
        "city": "Nairobi", "countryCode": "KE" } });
    let first = customer.send(CREATE_ADDRESS, address.clone()).await;
    assert!(first.json()["data"]["addressCreate"]["address"]["id"].is_string(), "{first:?}");
    assert_eq!(customer.send(CREATE_ADDRESS, address).await.text, first.text);
    assert_eq!(app.query_scalar("SELECT count(*) FROM address").await, 1);
    app.assert_invariants().await;
}

async fn key_of_another_request_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let cart = app.create_cart(None, &[]).await;
    let add = |quantity: i64| json!({ "id": cart, "lines": line_inputs(&[(&mug, quantity)]) });
    let guest = Retry::of_guest(&app, KEY);
    guest.send(ADD_LINES, add(1)).await;
    for (query, variables) in [(ADD_LINES, add(2)), (CREATE_CART, json!({}))] {
        let rejected = guest.send(query, variables).await;
        assert_eq!((rejected.status, rejected.error_code().as_str()), (422, "IDEMPOTENCY_MISMATCH"), "{rejected:?}");
        assert!(rejected.json().get("data").is_none(), "{rejected:?}");
    }
    // Clients that accept only `application/json` receive 200, as for every request that is not executed.
    let body = json!({ "query": CREATE_CART });
    let request = app.build_request(Method::POST, "/graphql").json(&body).header("accept", "application/json");
    let rejected = HttpResponse::send(request.header("idempotency-key", KEY)).await;
    assert_eq!((rejected.status, rejected.error_code().as_str()), (200, "IDEMPOTENCY_MISMATCH"));
    assert_eq!(cart_line_quantities(&app.query_cart(None, &cart).await), [("MUG".to_owned(), 1)]);
}

async fn concurrent_retries_are_executed_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let cart = app.create_cart(None, &[]).await;
    let variables = json!({ "id": cart, "lines": line_inputs(&[(&mug, 1)]) });
    let guest = Retry::of_guest(&app, KEY);
    let responses = join_all((0..12).map(|_| guest.send(ADD_LINES, variables.clone()))).await;
    let executed = responses.iter().filter(|response| response.status == 200 && !is_replayed(response));
    assert_eq!(executed.count(), 1, "{responses:?}");
    for response in responses.iter().filter(|response| response.status != 200) {
        assert_eq!((response.status, response.error_code().as_str()), (409, "IDEMPOTENCY_CONFLICT"), "{response:?}");
        assert_eq!(response.json()["errors"][0]["extensions"]["retryAfter"], 1);
    }
    assert!(is_replayed(&guest.send(ADD_LINES, variables).await));
    assert_eq!(cart_line_quantities(&app.query_cart(None, &cart).await), [("MUG".to_owned(), 1)]);
}

async fn key_is_forgotten_after_its_retention(backend: Backend) {
    let app = TestApp::start(backend).await;
    let guest = Retry::of_guest(&app, KEY);
    let first = guest.create_cart().await;
    app.clock.set(app.clock.now() + TimeDelta::hours(24) - TimeDelta::seconds(1));
    idempotent_request::delete_expired_requests(&app.db).await.expect("pruned");
    assert_eq!(guest.create_cart().await.text, first.text);
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    let later = guest.create_cart().await;
    assert!(!is_replayed(&later) && later.text != first.text, "{later:?}");
    assert_eq!((count_carts(&app).await, count_requests(&app).await), (2, 1));
    app.clock.set(app.clock.now() + TimeDelta::hours(24));
    idempotent_request::delete_expired_requests(&app.db).await.expect("pruned");
    assert_eq!(count_requests(&app).await, 0);
}

async fn keys_are_scoped_by_caller(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (first, second) = (app.login(Role::Customer).await, app.login(Role::Staff).await);
    let mut responses = Vec::new();
    for token in [None, Some(first.as_str()), Some(second.as_str())] {
        let response = Retry { app: &app, token, key: KEY }.create_cart().await;
        assert!(!is_replayed(&response), "{response:?}");
        responses.push(response.text);
    }
    // A guest with another key receives another cart.
    responses.push(Retry::of_guest(&app, OTHER_KEY).create_cart().await.text);
    responses.sort();
    responses.dedup();
    assert_eq!((responses.len(), count_carts(&app).await, count_requests(&app).await), (4, 4, 4));
}

async fn invalid_keys_are_rejected_by_mutations_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let too_long = "0123456789abcdef".repeat(16);
    for key in ["", "1", "   ", "00000000-0000-0000-0000-000000000000", "0123456789 abcdef 0123456789", &too_long] {
        let guest = Retry::of_guest(&app, key);
        let rejected = guest.create_cart().await;
        assert_eq!((rejected.status, rejected.error_code().as_str()), (400, "BAD_USER_INPUT"), "{key}: {rejected:?}");
        assert!(rejected.error_message().contains("Idempotency-Key"), "{rejected:?}");
        let query = guest.send("{ shop { name } }", json!({})).await;
        assert_eq!(query.json()["data"]["shop"]["name"], "Savannah", "{key}");
    }
    let body = json!({ "query": CREATE_CART });
    let request = app.build_request(Method::POST, "/graphql").json(&body);
    let twice = request.header("idempotency-key", KEY).header("idempotency-key", OTHER_KEY);
    assert_eq!(HttpResponse::send(twice).await.error_code(), "BAD_USER_INPUT");
    let not_ascii =
        app.build_request(Method::POST, "/graphql").json(&body).header("idempotency-key", "ключ".as_bytes());
    assert_eq!(HttpResponse::send(not_ascii).await.error_code(), "BAD_USER_INPUT");
    assert_eq!((count_carts(&app).await, count_requests(&app).await), (0, 0));
}

async fn mutation_that_failed_as_a_whole_is_executed_again(backend: Backend) {
    let settings = [("SAVANNAH_THROTTLE__CART_CHANGES_PER_IP", "1/1h")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    app.create_cart(None, &[]).await;
    let guest = Retry::of_guest(&app, KEY);
    let rejected = guest.create_cart().await;
    assert_eq!((rejected.status, rejected.error_code().as_str()), (200, "RATE_LIMITED"));
    assert_eq!(count_requests(&app).await, 0);
    app.clock.set(app.clock.now() + TimeDelta::hours(1));
    let retry = guest.create_cart().await;
    assert!(retry.json()["data"]["cartCreate"]["cart"]["id"].is_string() && !is_replayed(&retry), "{retry:?}");
    // Requests that are rejected before the execution, or for lack of a permission, are not stored either.
    for query in ["mutation { nothing }", "mutation($id: ID!) { apiKeyRevoke(id: $id) { userErrors { code } } }"] {
        for variables in [json!({}), json!({ "id": "x" })] {
            let rejected = Retry::of_guest(&app, OTHER_KEY).send(query, variables).await;
            assert!(!rejected.error_code().starts_with("IDEMPOTENCY"), "{rejected:?}");
        }
    }
    assert_eq!(count_requests(&app).await, 1);
    // User errors are stored: a corrected request is another one and needs another key.
    let customer = app.login(Role::Customer).await;
    let customer = Retry { app: &app, token: Some(&customer), key: KEY };
    let invalid = json!({ "input": { "line1": "", "city": "", "countryCode": "KE" } });
    let first = customer.send(CREATE_ADDRESS, invalid.clone()).await;
    assert_ne!(first.json()["data"]["addressCreate"]["userErrors"], json!([]), "{first:?}");
    assert!(is_replayed(&customer.send(CREATE_ADDRESS, invalid).await));
}

async fn request_of_a_killed_process_is_executed_after_its_lease(backend: Backend) {
    let app = TestApp::start(backend).await;
    let guest = Retry::of_guest(&app, KEY);
    assert!(matches!(claim_cart_creation(&app).await, RequestClaim::New(_)));
    app.clock.set(app.clock.now() + TimeDelta::seconds(59));
    let conflict = guest.create_cart().await;
    assert_eq!((conflict.status, conflict.error_code().as_str()), (409, "IDEMPOTENCY_CONFLICT"));
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    let executed = guest.create_cart().await;
    assert_eq!((executed.status, is_replayed(&executed)), (200, false), "{executed:?}");
    assert_eq!(guest.create_cart().await.text, executed.text);
    assert_eq!(count_carts(&app).await, 1);
}

async fn expired_claim_does_not_store_its_response(backend: Backend) {
    let app = TestApp::start(backend).await;
    let RequestClaim::New(late) = claim_cart_creation(&app).await else { panic!("not claimed") };
    app.clock.set(app.clock.now() + TimeDelta::seconds(45));
    late.renew(&app.db).await.expect("renewed");
    app.clock.set(app.clock.now() + TimeDelta::seconds(45));
    assert_eq!(Retry::of_guest(&app, KEY).create_cart().await.status, 409, "the lease was renewed");
    app.clock.set(app.clock.now() + TimeDelta::seconds(15));
    let executed = Retry::of_guest(&app, KEY).create_cart().await;
    late.complete(&app.db, b"{}".to_vec(), std::time::Duration::from_hours(1)).await.expect("ignored");
    late.release(&app.db).await.expect("ignored");
    let RequestClaim::Replay(stored) = claim_cart_creation(&app).await else { panic!("not stored") };
    assert_eq!(String::from_utf8(stored).expect("text"), executed.text);
}

async fn stored_response_cannot_be_read_from_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    let created = Retry::of_guest(&app, KEY).create_cart().await;
    let cart = created.json()["data"]["cartCreate"]["cart"]["id"].as_str().expect("an id").to_owned();
    let to_text = if backend == Backend::Postgres { "encode(response, 'escape')" } else { "CAST(response AS TEXT)" };
    for secret in [KEY, cart.as_str(), "cartCreate"] {
        let columns = format!("key_hash || caller || request_hash || claim_token || {to_text}");
        let sql = format!("SELECT count(*) FROM idempotent_request WHERE {columns} LIKE '%{secret}%'");
        assert_eq!(app.query_scalar(&sql).await, 0, "{secret}");
    }
    // A request of the same key with a modified row is not answered with another response.
    app.execute_sql(
        "UPDATE idempotent_request SET request_hash = replace(request_hash, substr(request_hash, 1, 1), '!')",
    )
    .await
    .expect("changed");
    assert_eq!(Retry::of_guest(&app, KEY).create_cart().await.error_code(), "IDEMPOTENCY_MISMATCH");
}

async fn response_with_tokens_is_replayed_until_they_expire(backend: Backend) {
    let app = TestApp::start(backend).await;
    let registered = Retry::of_guest(&app, OTHER_KEY).send(REGISTER, json!({})).await;
    let retried = Retry::of_guest(&app, OTHER_KEY).send(REGISTER, json!({})).await;
    assert!(is_replayed(&retried) && retried.text == registered.text, "{retried:?}");
    let guest = Retry::of_guest(&app, KEY);
    let first = guest.send(LOGIN, json!({})).await;
    assert!(first.json()["data"]["login"]["tokens"]["accessToken"].is_string(), "{first:?}");
    app.clock.set(app.clock.now() + TimeDelta::minutes(10) - TimeDelta::seconds(1));
    assert_eq!(guest.send(LOGIN, json!({})).await.text, first.text);
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    let later = guest.send(LOGIN, json!({})).await;
    assert!(!is_replayed(&later) && later.text != first.text, "{later:?}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM session").await, 3);
}

async fn number_of_keys_of_a_caller_is_limited(backend: Backend) {
    let settings =
        [("SAVANNAH_THROTTLE__IDEMPOTENCY_KEYS_PER_CALLER", "2/1d"), ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let create_cart = async |token: Option<&str>, address: &str, number: usize| {
        let body = json!({ "query": CREATE_CART });
        let mut request = app.build_request(Method::POST, "/graphql").json(&body).header("x-forwarded-for", address);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        HttpResponse::send(request.header("idempotency-key", format!("{KEY}{number}"))).await.status
    };
    let (customer, staff) = (app.login(Role::Customer).await, app.login(Role::Staff).await);
    let statuses = async |token: Option<&str>, address: &str| {
        let mut statuses = Vec::new();
        for number in 0..3 {
            statuses.push(create_cart(token, address, number).await);
        }
        statuses
    };
    assert_eq!(statuses(None, "192.0.2.1").await, [200, 200, 429]);
    assert_eq!(create_cart(None, "192.0.2.2", 4).await, 200, "another network");
    assert_eq!(statuses(Some(&customer), "192.0.2.1").await, [200, 200, 429]);
    assert_eq!(statuses(Some(&staff), "192.0.2.1").await, [200, 200, 200]);
}

async fn stored_responses_of_a_deleted_account_are_erased(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (erased, other) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    for token in [&erased, &other] {
        Retry { app: &app, token: Some(token), key: KEY }.create_cart().await;
    }
    assert_eq!(count_requests(&app).await, 2);
    let deletion = "mutation { customerDelete { deletedId userErrors { code } } }";
    let deleted = Retry { app: &app, token: Some(&erased), key: OTHER_KEY }.send(deletion, json!({})).await;
    assert!(deleted.json()["data"]["customerDelete"]["deletedId"].is_string(), "{deleted:?}");
    assert_eq!(count_requests(&app).await, 1);
}

async fn large_response_is_replayed_as_an_error(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    // Long aliases make the response large.
    let alias = "a".repeat(400);
    let fields = (0..100).map(|number| format!("{alias}{number}: id")).collect::<Vec<_>>().join(" ");
    let create_carts = |count: usize| {
        let cart = |number: usize| format!("cart{number}: cartCreate {{ cart {{ ...Ids }} userErrors {{ code }} }}");
        let carts = (0..count).map(cart).collect::<Vec<_>>().join(" ");
        format!("mutation {{ {carts} }} fragment Ids on Cart {{ {fields} }}")
    };
    let cases = [(None, 1, false), (None, 2, true), (Some(staff.as_str()), 2, false), (Some(staff.as_str()), 8, true)];
    for (number, (token, count, is_too_large)) in cases.into_iter().enumerate() {
        let key = format!("{KEY}{number}");
        let retry = Retry { app: &app, token, key: &key };
        let first = retry.send(&create_carts(count), json!({})).await;
        let limit = if token.is_some() { MAX_STORED_RESPONSE_BYTES } else { 64 * 1024 };
        assert_eq!(first.text.len() > limit, is_too_large, "{} bytes", first.text.len());
        let replayed = retry.send(&create_carts(count), json!({})).await;
        assert!(is_replayed(&replayed), "{replayed:?}");
        if is_too_large {
            assert_eq!(replayed.error_code(), "QUERY_TOO_COMPLEX");
        } else {
            assert_eq!(replayed.text, first.text);
        }
    }
    // Staff has one open cart.
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart WHERE account_id IS NULL").await, 3);
}

async fn invalid_idempotent_request_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    Retry::of_guest(&app, KEY).create_cart().await;
    for sql in [
        "INSERT INTO idempotent_request SELECT * FROM idempotent_request",
        "UPDATE idempotent_request SET key_hash = 'short'",
        "UPDATE idempotent_request SET request_hash = ''",
        "UPDATE idempotent_request SET caller = ''",
        "UPDATE idempotent_request SET claim_token = ''",
        "UPDATE idempotent_request SET response = ''",
        "UPDATE idempotent_request SET expires_at = created_at",
        "UPDATE idempotent_request SET expires_at = NULL",
    ] {
        assert!(app.execute_sql(sql).await.is_err(), "the database accepted: {sql}");
    }
}
