//! Audit log: every change is recorded with its actor and can be queried.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, parse_datetime},
};

integration_tests![
    audit_log_pages_in_both_directions,
    audit_log_filters_by_actor_entity_action_and_time,
    audit_log_with_invalid_filter_names_the_field
];

const AUDIT_LOG: &str = "query($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilter) {
    auditLog(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        nodes { id action entityId actorId createdAt } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// Creates a category and returns its ID.
async fn create_category(app: &TestApp, token: &str, name: &str) -> Value {
    let make = "mutation($name: String!) { categoryCreate(input: { name: $name }) { category { id } userErrors { message } } }";
    app.query_as(token, make, json!({ "name": name })).await.data_at("/categoryCreate/category/id").clone()
}

fn entry_ids(response: &GraphqlResponse) -> Vec<String> {
    response.strings_at("/auditLog/nodes", "id")
}

async fn audit_log_pages_in_both_directions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    for name in ["a", "b", "c", "d", "e"] {
        create_category(&app, &admin, name).await;
    }
    let query_log = async |variables: Value| app.query_as(&admin, AUDIT_LOG, variables).await;
    let all = query_log(json!({ "first": 100 })).await;
    let newest_first = entry_ids(&all);
    assert_eq!(newest_first.len(), 6, "five categories and the admin's account");
    assert_eq!(all.strings_at("/auditLog/nodes", "action")[5], "account.create");
    let (mut forwards, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = query_log(json!({ "first": 4, "after": cursor })).await;
        forwards.extend(entry_ids(&page));
        cursor = page.data_at("/auditLog/pageInfo/endCursor").clone();
        if page.data_at("/auditLog/pageInfo/hasNextPage") == false {
            break;
        }
    }
    assert_eq!(forwards, newest_first);
    let (mut backwards, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = query_log(json!({ "last": 4, "before": cursor })).await;
        backwards.splice(0..0, entry_ids(&page));
        cursor = page.data_at("/auditLog/pageInfo/startCursor").clone();
        if page.data_at("/auditLog/pageInfo/hasPreviousPage") == false {
            break;
        }
    }
    assert_eq!(backwards, newest_first);
}

async fn audit_log_filters_by_actor_entity_action_and_time(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, staff) = (app.login(Role::Admin).await, app.login(Role::Staff).await);
    let lamps = create_category(&app, &admin, "Lamps").await;
    app.clock.set(parse_datetime("2026-11-01T09:05:00Z"));
    let chairs = create_category(&app, &staff, "Chairs").await;
    let rename =
        "mutation($id: ID!) { categoryUpdate(id: $id, input: { name: \"Seats\" }) { userErrors { code field } } }";
    assert_eq!(app.query_as(&staff, rename, json!({ "id": lamps })).await.user_errors("categoryUpdate"), []);
    let me = app.query_as(&staff, "{ me { id } }", json!({})).await.data_at("/me/id").clone();
    let find_entries = async |filter: Value| {
        let response = app.query_as(&admin, AUDIT_LOG, json!({ "first": 20, "filter": filter })).await;
        let nodes = response.data_at("/auditLog/nodes").as_array().expect("a list").clone();
        nodes
            .iter()
            .map(|node| (node["action"].as_str().expect("text").to_owned(), node["entityId"].clone()))
            .collect::<Vec<_>>()
    };
    let created_entry = |entity_id: &Value| ("category.create".to_owned(), entity_id.clone());
    let renamed = ("category.update".to_owned(), lamps.clone());
    assert_eq!(find_entries(json!({ "actorId": me })).await, [renamed.clone(), created_entry(&chairs)]);
    assert_eq!(find_entries(json!({ "entityId": lamps })).await, [renamed.clone(), created_entry(&lamps)]);
    assert_eq!(
        find_entries(json!({ "action": "category.create" })).await,
        [created_entry(&chairs), created_entry(&lamps)]
    );
    assert_eq!(
        find_entries(json!({ "createdAt": { "from": "2026-11-01T09:05:00Z" }, "action": "category.create" })).await,
        [created_entry(&chairs)]
    );
    assert_eq!(
        find_entries(json!({ "createdAt": { "to": "2026-11-01T09:05:00Z" }, "action": "category.create" })).await,
        [created_entry(&lamps)]
    );
    assert_eq!(find_entries(json!({ "actorId": me, "entityId": lamps, "action": "category.create" })).await, []);
}

async fn audit_log_with_invalid_filter_names_the_field(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let query_log = async |variables: Value| app.query_as(&admin, AUDIT_LOG, variables).await;
    query_log(json!({ "filter": { "actorId": "nonsense" } })).await.assert_error_field("filter.actorId");
    query_log(json!({ "filter": { "entityId": "nonsense" } })).await.assert_error_field("filter.entityId");
    query_log(json!({ "first": 101 })).await.assert_error_field("first");
    query_log(json!({ "first": 1, "after": "nonsense" })).await.assert_error_field("after");
    let staff = app.login(Role::Staff).await;
    assert_eq!(app.query_as(&staff, AUDIT_LOG, json!({})).await.error_code(), "FORBIDDEN");
    assert_eq!(app.query(AUDIT_LOG).await.error_code(), "UNAUTHENTICATED");
}
