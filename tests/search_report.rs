//! The report of searches: what is counted, what is not, and how long it is kept.

use savannah::{
    catalog::search::report::{self, SearchCounts},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, RESPONSE_CACHE_ON, TestApp, send_to_cache, simple_product},
};

integration_tests![
    most_frequent_searches_and_those_without_results_are_reported,
    first_pages_of_shoppers_are_counted_only,
    searches_answered_from_the_cache_are_counted,
    texts_that_may_be_personal_data_are_not_stored,
    number_of_counted_texts_is_bounded,
    counts_past_their_retention_are_deleted,
    report_is_for_staff_and_its_input_is_bounded,
];

const REPORT: &str = "query($from: Date!, $to: Date!, $first: Int! = 20, $withoutResults: Boolean! = false) {
    topSearches(from: $from, to: $to, first: $first, withoutResults: $withoutResults) {
    query searches searchesWithoutResults } }";
const SEARCH: &str = "query($filter: ProductFilter, $first: Int, $after: String, $last: Int) {
    products(filter: $filter, first: $first, after: $after, last: $last) { nodes { slug } pageInfo { endCursor } } }";

async fn start_small_shop(backend: Backend) -> (TestApp, String) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("mug", "Red Mug", 10), simple_product("cup", "Red Cup", 10)]).await;
    let admin = app.login(Role::Admin).await;
    (app, admin)
}

/// Sends a query to this instance, whose counts are stored; returns the data.
async fn send(app: &TestApp, token: Option<&str>, query: &str, variables: Value) -> Value {
    let request = app.build_post(query, &variables);
    let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    let (response, _) = send_to_cache(request).await;
    let body = response.json();
    assert!(body.get("errors").is_none(), "{body}");
    body["data"].clone()
}

async fn search(app: &TestApp, text: &str) {
    send(app, None, SEARCH, json!({ "filter": { "search": text } })).await;
}

async fn store(app: &TestApp) {
    app.http_app.state.search_counts.store(&app.db).await.expect("stored counts");
}

async fn load_report(app: &TestApp, admin: &str, without_results: bool) -> Value {
    let variables = json!({ "from": "2026-11-01", "to": "2026-11-30", "withoutResults": without_results });
    app.query_as(admin, REPORT, variables).await.data_at("/topSearches").clone()
}

fn row(query: &str, searches: i64, without_results: i64) -> Value {
    json!({ "query": query, "searches": searches, "searchesWithoutResults": without_results })
}

async fn most_frequent_searches_and_those_without_results_are_reported(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    for text in ["Mug", "MUG!", "red mug", " mug ", "zebra", "Zebra", "giraffe", "?!"] {
        search(&app, text).await;
    }
    assert_eq!(load_report(&app, &admin, false).await, json!([]), "not stored yet");
    store(&app).await;
    // A second instance adds to the same rows.
    let other = app.start_second_instance(&[]).await;
    search(&other, "giraffe").await;
    search(&other, "giraffe").await;
    store(&other).await;
    let expected = json!([row("giraffe", 3, 3), row("mug", 3, 0), row("zebra", 2, 2), row("red mug", 1, 0)]);
    assert_eq!(load_report(&app, &admin, false).await, expected);
    assert_eq!(load_report(&app, &admin, true).await, json!([row("giraffe", 3, 3), row("zebra", 2, 2)]));
    let one = json!({ "from": "2026-11-01", "to": "2026-11-01", "first": 1 });
    assert_eq!(app.query_as(&admin, REPORT, one).await.data_at("/topSearches"), &json!([row("giraffe", 3, 3)]));
    let earlier = json!({ "from": "2026-10-01", "to": "2026-10-31" });
    assert_eq!(app.query_as(&admin, REPORT, earlier).await.data_at("/topSearches"), &json!([]));
    // Nothing is counted twice.
    store(&app).await;
    assert_eq!(load_report(&app, &admin, false).await, expected);
}

async fn first_pages_of_shoppers_are_counted_only(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    let customer = app.login(Role::Customer).await;
    let filter = json!({ "search": "red" });
    let first = send(&app, Some(&customer), SEARCH, json!({ "filter": filter, "first": 1 })).await;
    let cursor = &first["products"]["pageInfo"]["endCursor"];
    send(&app, None, SEARCH, json!({ "filter": filter, "first": 1, "after": cursor })).await;
    send(&app, None, SEARCH, json!({ "filter": filter, "last": 1 })).await;
    send(&app, None, SEARCH, json!({ "filter": filter, "first": 0 })).await;
    send(&app, None, SEARCH, json!({ "filter": { "inStock": true } })).await;
    send(&app, None, "{ searchSuggest(query: \"red\") { products { slug } } }", json!({})).await;
    send(&app, None, "{ products(filter: { search: \"red\" }) { totalCount } }", json!({})).await;
    send(&app, Some(&admin), SEARCH, json!({ "filter": filter })).await;
    // Found nothing because of another condition.
    let condition = json!({ "search": "mug", "price": { "max": "1" } });
    send(&app, None, SEARCH, json!({ "filter": condition })).await;
    store(&app).await;
    assert_eq!(load_report(&app, &admin, false).await, json!([row("mug", 1, 0), row("red", 1, 0)]));
}

async fn searches_answered_from_the_cache_are_counted(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[RESPONSE_CACHE_ON]).await;
    app.save_products(&[simple_product("mug", "Red Mug", 10)]).await;
    let admin = app.login(Role::Admin).await;
    let query = "{ products(filter: { search: \"mug\" }) { nodes { slug } } }";
    for is_hit in [false, true, true] {
        assert_eq!(send_to_cache(app.build_get(query)).await.1, is_hit);
    }
    let nothing = "{ products(filter: { search: \"zebra\" }) { nodes { slug } } }";
    for is_hit in [false, true] {
        assert_eq!(send_to_cache(app.build_post(nothing, &json!({}))).await.1, is_hit);
    }
    store(&app).await;
    assert_eq!(load_report(&app, &admin, false).await, json!([row("mug", 3, 0), row("zebra", 2, 2)]));
}

async fn texts_that_may_be_personal_data_are_not_stored(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    for text in [
        "jane.doe@example.com",
        "jane @ example com",
        "+254 712 345 678",
        "0712-345-678",
        "order 2026-0001234",
        "٠٧١٢٣٤٥٦٧٨",
        "4111 1111 1111 1111",
    ] {
        search(&app, text).await;
    }
    search(&app, "iphone 15 256").await;
    search(&app, &"long".repeat(40)).await;
    store(&app).await;
    let rows = load_report(&app, &admin, false).await;
    // A long word is truncated as in the index.
    assert_eq!(rows, json!([row("iphone 15 256", 1, 1), row(&"long".repeat(10), 1, 1)]));
    search(&app, &"abcdefgh ".repeat(20)).await;
    store(&app).await;
    let longest = "SELECT MAX(length(query)) FROM daily_search_count";
    assert!(app.query_scalar(longest).await <= 100);
    // Nothing but the text, the day and the numbers.
    assert_eq!(app.query_scalar("SELECT count(*) FROM daily_search_count WHERE search_count = 1").await, 3);
}

async fn number_of_counted_texts_is_bounded(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    let day = app.db.now().date_naive();
    let counts = SearchCounts::default();
    for number in 0..2_500 {
        counts.count(day, &format!("text {number}"), true);
    }
    counts.count(day, "text 0", true);
    counts.store(&app.db).await.expect("stored counts");
    assert_eq!(app.query_scalar("SELECT count(*) FROM daily_search_count").await, 2_000);
    assert_eq!(load_report(&app, &admin, false).await[0], row("text 0", 2, 0));
    for batch in 1..=6 {
        for number in 0..2_000 {
            counts.count(day, &format!("text {batch} {number}"), true);
        }
        counts.store(&app.db).await.expect("stored counts");
    }
    let row_count = app.query_scalar("SELECT count(*) FROM daily_search_count").await;
    assert!((10_000..12_000).contains(&row_count), "{row_count}");
    // Texts that are stored already are still counted.
    counts.count(day, "text 0", false);
    counts.count(day, "another text", true);
    counts.store(&app.db).await.expect("stored counts");
    assert_eq!(load_report(&app, &admin, false).await[0], row("text 0", 3, 1));
    assert_eq!(app.query_scalar("SELECT count(*) FROM daily_search_count").await, row_count);
}

async fn counts_past_their_retention_are_deleted(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    search(&app, "mug").await;
    store(&app).await;
    let day = std::time::Duration::from_hours(24);
    report::delete_expired_counts(&app.db, day * 30).await.expect("a deletion");
    assert_eq!(load_report(&app, &admin, false).await, json!([row("mug", 1, 0)]));
    app.clock.set(app.db.now() + day * 32);
    report::delete_expired_counts(&app.db, day * 30).await.expect("a deletion");
    assert_eq!(app.query_scalar("SELECT count(*) FROM daily_search_count").await, 0);
}

async fn report_is_for_staff_and_its_input_is_bounded(backend: Backend) {
    let (app, admin) = start_small_shop(backend).await;
    let customer = app.login(Role::Customer).await;
    let november = json!({ "from": "2026-11-01", "to": "2026-11-30" });
    assert_eq!(app.query_as(&customer, REPORT, november.clone()).await.error_code(), "FORBIDDEN");
    assert_eq!(app.query_with_variables(REPORT, november).await.error_code(), "UNAUTHENTICATED");
    for (from, to, first, field) in [
        ("2026-11-31", "2026-12-01", 20, "from"),
        ("2026-11-02", "2026-11-01", 20, "to"),
        ("2026-01-01", "2026-12-31", 20, "to"),
        ("2026-11-01", "2026-11-01", 101, "first"),
        ("2026-11-01", "2026-11-01", -1, "first"),
    ] {
        let variables = json!({ "from": from, "to": to, "first": first });
        app.query_as(&admin, REPORT, variables).await.assert_error_field(field);
    }
}
