//! The audit log: every change, by whom, found again.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, moment},
    stories,
};

stories![the_log_is_paged_both_ways, the_log_is_asked_who_what_and_when, a_filter_that_cannot_be_is_named];

const LOG: &str = "query($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilter) {
    auditLog(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        nodes { id action thingId actorId createdAt } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// A category of a name, made by somebody; its id.
async fn category(shop: &Shop, token: &str, name: &str) -> Value {
    let make = "mutation($name: String!) { categoryCreate(input: { name: $name }) { category { id } userErrors { message } } }";
    shop.ask_as(token, make, json!({ "name": name })).await.at("/categoryCreate/category/id").clone()
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.texts("/auditLog/nodes", "id")
}

async fn the_log_is_paged_both_ways(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    for name in ["a", "b", "c", "d", "e"] {
        category(&shop, &admin, name).await;
    }
    let ask = async |variables: Value| shop.ask_as(&admin, LOG, variables).await;
    let all = ask(json!({ "first": 100 })).await;
    let newest_first = ids(&all);
    assert_eq!(newest_first.len(), 6, "five categories and the admin's account");
    assert_eq!(all.texts("/auditLog/nodes", "action")[5], "account.create");
    let (mut forwards, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = ask(json!({ "first": 4, "after": cursor })).await;
        forwards.extend(ids(&page));
        cursor = page.at("/auditLog/pageInfo/endCursor").clone();
        if page.at("/auditLog/pageInfo/hasNextPage") == false {
            break;
        }
    }
    assert_eq!(forwards, newest_first);
    let (mut backwards, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = ask(json!({ "last": 4, "before": cursor })).await;
        backwards.splice(0..0, ids(&page));
        cursor = page.at("/auditLog/pageInfo/startCursor").clone();
        if page.at("/auditLog/pageInfo/hasPreviousPage") == false {
            break;
        }
    }
    assert_eq!(backwards, newest_first);
}

async fn the_log_is_asked_who_what_and_when(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (admin, staff) = (shop.sign_in(Role::Admin).await, shop.sign_in(Role::Staff).await);
    let lamps = category(&shop, &admin, "Lamps").await;
    shop.clock.set(moment("2026-11-01T09:05:00Z"));
    let chairs = category(&shop, &staff, "Chairs").await;
    let rename =
        "mutation($id: ID!) { categoryUpdate(id: $id, input: { name: \"Seats\" }) { userErrors { code field } } }";
    assert_eq!(shop.ask_as(&staff, rename, json!({ "id": lamps })).await.problems("categoryUpdate"), []);
    let me = shop.ask_as(&staff, "{ me { id } }", json!({})).await.at("/me/id").clone();
    let found = async |filter: Value| {
        let answer = shop.ask_as(&admin, LOG, json!({ "first": 20, "filter": filter })).await;
        let nodes = answer.at("/auditLog/nodes").as_array().expect("a list").clone();
        nodes
            .iter()
            .map(|one| (one["action"].as_str().expect("text").to_owned(), one["thingId"].clone()))
            .collect::<Vec<_>>()
    };
    let made = |thing: &Value| ("category.create".to_owned(), thing.clone());
    let renamed = ("category.update".to_owned(), lamps.clone());
    assert_eq!(found(json!({ "actorId": me })).await, [renamed.clone(), made(&chairs)]);
    assert_eq!(found(json!({ "thingId": lamps })).await, [renamed.clone(), made(&lamps)]);
    assert_eq!(found(json!({ "action": "category.create" })).await, [made(&chairs), made(&lamps)]);
    assert_eq!(found(json!({ "since": "2026-11-01T09:05:00Z", "action": "category.create" })).await, [made(&chairs)]);
    assert_eq!(found(json!({ "until": "2026-11-01T09:05:00Z", "action": "category.create" })).await, [made(&lamps)]);
    assert_eq!(found(json!({ "actorId": me, "thingId": lamps, "action": "category.create" })).await, []);
}

async fn a_filter_that_cannot_be_is_named(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let ask = async |variables: Value| shop.ask_as(&admin, LOG, variables).await;
    ask(json!({ "filter": { "actorId": "nonsense" } })).await.blames("filter.actorId");
    ask(json!({ "filter": { "thingId": "nonsense" } })).await.blames("filter.thingId");
    ask(json!({ "first": 101 })).await.blames("first");
    ask(json!({ "first": 1, "after": "nonsense" })).await.blames("after");
    let staff = shop.sign_in(Role::Staff).await;
    assert_eq!(shop.ask_as(&staff, LOG, json!({})).await.code(), "FORBIDDEN");
    assert_eq!(shop.ask(LOG).await.code(), "UNAUTHENTICATED");
}
