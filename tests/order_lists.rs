//! Who sees which orders, and how staff find them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    shop::{Backend, Shop, moment},
    stories,
};

stories![nobody_sees_anothers_order, staff_find_orders, a_list_of_orders_costs_what_one_costs,];

async fn nobody_sees_anothers_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let (mine, other) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let made = order(&shop.order(Some(&mine), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let by_id = "query($id: ID!) { order(id: $id) { id } node(id: $id) { id } orders { nodes { id } } }";
    let seen = shop.ask_as(&mine, by_id, json!({ "id": made["id"] })).await;
    assert_eq!((&seen.at("/order/id"), &seen.at("/node/id")), (&&made["id"], &&made["id"]));
    let seen = shop.ask_as(&other, by_id, json!({ "id": made["id"] })).await;
    assert_eq!(seen.at(""), &json!({ "order": null, "node": null, "orders": { "nodes": [] } }));
    let query = "query($n: String, $t: String) { order(number: $n, token: $t) { id } }";
    for token in [Value::Null, json!(""), json!("guess")] {
        let seen = shop.ask_with(query, json!({ "n": made["number"], "t": token })).await;
        assert_eq!(seen.at("/order"), &Value::Null);
    }
    let told = shop.step(&other, "orderCancel", id(&made), None).await;
    assert_eq!(told.problems("orderCancel"), pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(shop.ask("{ orders { nodes { id } } }").await.code(), "UNAUTHENTICATED");
}

async fn staff_find_orders(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(50)).await, shop.good("bowl", 30, Some(50)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let token = shop.sign_in(Role::Customer).await;
    let mut numbers = Vec::new();
    for (at, (who, variant)) in [(None, &mug), (Some(&token), &bowl), (None, &bowl)].into_iter().enumerate() {
        shop.clock.set(moment(&format!("2026-11-01T09:0{}:00Z", at + 1)));
        let said = json!({ "email": format!("Buyer{at}@example.com"), "phone": format!("071234567{at}") });
        let made = shop.order(who.map(String::as_str), &format!("k{at}"), &[(variant, 1)], said).await;
        numbers.push(order(&made, "orderCreate")["number"].as_str().expect("a number").to_owned());
    }
    let found = async |filter: Value| {
        let query = "query($filter: OrderFilter) { orders(filter: $filter) { totalCount nodes { number } } }";
        let seen = shop.ask_as(&staff, query, json!({ "filter": filter })).await;
        let places =
            seen.texts("/orders/nodes", "number").into_iter().map(|one| numbers.iter().position(|n| *n == one));
        let places: Vec<usize> = places.map(|place| place.expect("one of these")).collect();
        assert_eq!(seen.at("/orders/totalCount"), places.len());
        places
    };
    assert_eq!(found(json!({})).await, [2, 1, 0]);
    assert_eq!(found(json!({ "sku": "bowl" })).await, [2, 1]);
    assert_eq!(found(json!({ "search": "buyer1@" })).await, [1]);
    assert_eq!(found(json!({ "search": "0712 345672" })).await, [2]);
    assert_eq!(found(json!({ "search": "wanjiku" })).await, [2, 1, 0]);
    assert_eq!(found(json!({ "search": &numbers[0][..4] })).await, [0]);
    assert_eq!(found(json!({ "number": numbers[1].to_lowercase().replace('-', "") })).await, [1]);
    assert_eq!(found(json!({ "total": { "min": "31" } })).await, [0]);
    assert_eq!(
        found(json!({ "placedAt": { "from": "2026-11-01T09:02:00Z", "to": "2026-11-01T09:03:00Z" } })).await,
        [1]
    );
    assert_eq!(found(json!({ "status": ["CONFIRMED"], "paymentStatus": ["AUTHORISED"] })).await, [0_usize; 0]);
    // Guests' payments by hand wait for staff, the customer's is authorized.
    assert_eq!(found(json!({ "fulfilmentStatus": ["UNFULFILLED"], "paymentStatus": ["PENDING"] })).await, [2, 0]);
    assert_eq!(found(json!({ "paymentStatus": ["AUTHORISED"] })).await, [1]);
    // Pages, both ways and both orders.
    let page = async |args: &str| {
        let query =
            format!("{{ orders({args}) {{ nodes {{ number }} pageInfo {{ endCursor startCursor hasNextPage }} }} }}");
        shop.ask_as(&staff, &query, json!({})).await
    };
    let first = page("first: 2, sort: { field: TOTAL }").await;
    assert_eq!(first.texts("/orders/nodes", "number"), [numbers[0].clone(), numbers[2].clone()]);
    let cursor = first.at("/orders/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(&format!("first: 2, sort: {{ field: TOTAL }}, after: \"{cursor}\"")).await;
    assert_eq!(second.texts("/orders/nodes", "number"), [numbers[1].clone()]);
    page(&format!("first: 2, after: \"{cursor}\"")).await.blames("after");
    let last = page("last: 2, sort: { reverse: true }").await;
    assert_eq!(last.texts("/orders/nodes", "number"), [numbers[1].clone(), numbers[2].clone()]);
}

async fn a_list_of_orders_costs_what_one_costs(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(50)).await, shop.good("bowl", 30, Some(50)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let query = "{ orders { nodes { number lines { sku variant { sku } } payments { amount } refunds { amount }
        fulfilments { lines { quantity } } history { kind person { email } } customer { email } } } }";
    let mut costs = Vec::new();
    for at in 0..12 {
        let made =
            order(&shop.order(None, &format!("k{at}"), &[(&mug, 1), (&bowl, 1)], json!({})).await, "orderCreate");
        order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
        let parcel = Some(("OrderFulfilInput!", json!({ "idempotencyKey": "p" })));
        order(&shop.step(&staff, "orderFulfil", id(&made), parcel).await, "orderFulfil");
        let seen = shop.ask_as(&staff, query, json!({})).await;
        assert_eq!(seen.at("/orders/nodes").as_array().map(Vec::len), Some(at + 1));
        costs.push(seen.statements);
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    // Buying costs the same for one line and for many.
    let one = shop.order(None, "one", &[(&mug, 1)], json!({})).await;
    let all = [(mug.as_str(), 1), (bowl.as_str(), 1)];
    let two = shop.order(None, "two", &all, json!({})).await;
    assert_eq!(one.statements, two.statements);
    shop.add_up().await;
}
