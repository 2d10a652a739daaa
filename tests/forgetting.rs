//! What is left of somebody who goes, and what is told to somebody who asks.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    customers::{add_address, home, id_of},
    orders::{id, order},
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    of_who_goes_no_name_is_left,
    a_password_is_asked_again_and_may_not_be_guessed,
    staff_forget_a_customer_for_them,
    everything_is_told_but_secrets,
    orders_stay_without_a_name,
    orders_are_told_to_whoever_made_them,
];

const REGISTER: &str =
    "mutation { customerRegister(input: { email: \"wanjiku.kamau@example.com\", password: \"correct horse\",
    firstName: \"Wanjiku\", lastName: \"Kamau\" }) { tokens { accessToken refreshToken } userErrors { code } } }";
const DELETE: &str = "mutation($password: String) { customerDelete(password: $password) {
    deletedCustomerId userErrors { code field } } }";

async fn register(shop: &Shop) -> (String, String) {
    let made = shop.ask(REGISTER).await;
    let word = |name: &str| made.at(&format!("/customerRegister/tokens/{name}")).as_str().expect("a token").to_owned();
    let (token, refresh) = (word("accessToken"), word("refreshToken"));
    add_address(shop, &token, home()).await;
    let gone = add_address(shop, &token, home()).await;
    let remove = format!("mutation {{ addressDelete(id: \"{gone}\") {{ deletedAddressId }} }}");
    shop.ask_as(&token, &remove, json!({})).await.at("/addressDelete/deletedAddressId");
    let update = "mutation { customerUpdate(input: { phone: \"0712 345678\" }) { customer { phone } } }";
    assert_eq!(shop.ask_as(&token, update, json!({})).await.at("/customerUpdate/customer/phone"), "+254712345678");
    (token, refresh)
}

async fn delete(shop: &Shop, token: &str, password: Option<&str>) -> Answer {
    shop.ask_as(token, DELETE, json!({ "password": password })).await
}

/// Everything that is kept about people, as text.
async fn kept(shop: &Shop) -> String {
    let mut all = Vec::new();
    for table in ["account", "account_identity", "address", "session", "one_time_token", "audit", "outbox", "api_key"] {
        let statement = Statement::from_string(shop.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(shop.db.owner()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all.join("\n")
}

async fn of_who_goes_no_name_is_left(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (token, refresh) = register(&shop).await;
    let before = kept(&shop).await;
    let traces = ["wanjiku", "Wanjiku", "Kamau", "kamau", "712345678", "Moi Avenue", "argon2", "127.0.0.1"];
    for trace in traces {
        assert!(before.contains(trace), "the story shows nothing of {trace}");
    }
    let gone = delete(&shop, &token, Some("correct horse")).await;
    assert!(gone.at("/customerDelete/deletedCustomerId").is_string());
    let after = kept(&shop).await;
    for trace in traces {
        assert!(!after.contains(trace), "{trace} is left in {after}");
    }
    // The row stays for what points at it, and so does what was done.
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE deleted_at IS NOT NULL").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'customer.delete'").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM outbox WHERE kind = 'CustomerDeleted'").await, 1);
    // Nothing opens any more, and the address is free for another beginning.
    assert_eq!(shop.ask_as(&token, "{ me { id } }", json!({})).await.code(), "UNAUTHENTICATED");
    let next = "mutation($token: String!) { tokenRefresh(refreshToken: $token) { userErrors { code } } }";
    assert_eq!(shop.ask_with(next, json!({ "token": refresh })).await.code(), "UNAUTHENTICATED");
    assert!(shop.ask(REGISTER).await.at("/customerRegister/tokens/accessToken").is_string());
}

async fn a_password_is_asked_again_and_may_not_be_guessed(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__FAILED_LOGINS", "3/15m")]).await;
    let (token, _) = register(&shop).await;
    for wrong in [None, Some("wrong horse"), Some("")] {
        let no = delete(&shop, &token, wrong).await;
        assert_eq!(no.problems("customerDelete"), [("INVALID_CREDENTIALS".into(), "password".into())]);
    }
    assert_eq!(delete(&shop, &token, Some("correct horse")).await.code(), "RATE_LIMITED");
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE deleted_at IS NOT NULL").await, 0);
}

async fn staff_forget_a_customer_for_them(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (token, _) = register(&shop).await;
    let id = id_of(&shop, &token).await;
    let admin = shop.sign_in(Role::Admin).await;
    let query = "mutation($id: ID) { customerDelete(id: $id) { deletedCustomerId userErrors { code field } } }";
    let gone = shop.ask_as(&admin, query, json!({ "id": id })).await;
    assert_eq!(gone.at("/customerDelete/deletedCustomerId"), &json!(id));
    let again = shop.ask_as(&admin, query, json!({ "id": id })).await;
    assert_eq!(again.problems("customerDelete").len(), 1);
    let seen =
        shop.ask_as(&admin, "query($id: ID!) { customer(id: $id) { id } node(id: $id) { id } }", json!({ "id": id }));
    assert_eq!(seen.await.at(""), &json!({ "customer": null, "node": null }));
}

async fn everything_is_told_but_secrets(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (token, _) = register(&shop).await;
    let other = shop.sign_in(Role::Customer).await;
    add_address(&shop, &other, json!({ "company": "Others", "line1": "x", "city": "x", "countryCode": "UG" })).await;
    let answer = shop.ask_as(&token, "{ customerExport }", json!({})).await;
    let all = answer.at("/customerExport");
    assert_eq!(all["customer"]["email"], "wanjiku.kamau@example.com");
    assert_eq!(all["customer"]["hasPassword"], true);
    assert_eq!((&all["addresses"][0]["line1"], &all["addresses"][1]), (&json!("Moi Avenue 1"), &Value::Null));
    assert_eq!(all["sessions"][0]["method"], "password");
    let actions: Vec<_> = all["changes"].as_array().expect("a list").iter().map(|one| &one["action"]).collect();
    assert!(actions.contains(&&json!("customer.update")) && actions.contains(&&json!("address.create")), "{actions:?}");
    let phone = all["changes"].as_array().expect("a list").iter().find(|one| one["action"] == "customer.update");
    assert_eq!(phone.expect("the change")["after"]["phone"], "+254712345678");
    assert!(all["deeds"].as_array().is_some_and(|deeds| !deeds.is_empty()));
    for secret in ["argon2", "Others", "digest"] {
        assert!(!all.to_string().contains(secret), "{secret} in {all}");
    }
    assert_eq!(shop.ask("{ customerExport }").await.code(), "UNAUTHENTICATED");
}

async fn orders_stay_without_a_name(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(9)).await;
    let (token, _) = register(&shop).await;
    let staff = shop.sign_in(Role::Staff).await;
    let said = json!({ "email": "wanjiku.kamau@example.com", "phone": "0712 345678", "note": "for Wanjiku" });
    let buy = async |key: &str| order(&shop.order(Some(&token), key, &[(&mug, 1)], said.clone()).await, "orderCreate");
    let (ended, under_way, other) = (buy("a").await, buy("b").await, buy("c").await);
    let others = order(&shop.order(None, "d", &[(&mug, 1)], json!({})).await, "orderCreate");
    let reason = || Some(("OrderCancelInput", json!({ "reason": "Wanjiku changed her mind" })));
    order(&shop.step(&token, "orderCancel", id(&ended), reason()).await, "orderCancel");
    order(&shop.step(&staff, "orderCancel", id(&others), None).await, "orderCancel");
    order(&shop.step(&staff, "orderConfirm", id(&under_way), None).await, "orderConfirm");
    let kept = async |staff: &str, made: &Value| {
        let query = "query($id: ID) { order(id: $id) { number status total email phone note customer { id }
            lines { name quantity total } shippingAddress { firstName line1 city countryCode } history { note } } }";
        shop.ask_as(staff, query, json!({ "id": made["id"] })).await.at("/order").clone()
    };
    let before = [kept(&staff, &ended).await, kept(&staff, &under_way).await, kept(&staff, &others).await];
    assert!(before[..2].iter().all(|one| one.to_string().contains("Wanjiku")), "{before:?}");
    delete(&shop, &token, Some("correct horse")).await.at("/customerDelete/deletedCustomerId");
    let after = kept(&staff, &ended).await;
    assert!(!after.to_string().to_lowercase().contains("wanjiku"), "{after}");
    for what in ["number", "status", "total", "lines"] {
        assert_eq!(after[what], before[0][what], "{what}");
    }
    let nowhere = json!({ "firstName": "", "line1": "", "city": "", "countryCode": "KE" });
    assert_eq!((&after["shippingAddress"], &after["email"], &after["phone"]), (&nowhere, &Value::Null, &Value::Null));
    assert_eq!(kept(&staff, &others).await, before[2], "another's order");
    // What is under way is still brought, and forgotten when it has been.
    let seen = kept(&staff, &under_way).await;
    assert_eq!((&seen["shippingAddress"], &seen["email"]), (&before[1]["shippingAddress"], &before[1]["email"]));
    assert!(shop.sql("UPDATE customer_order SET email = 'again@example.com'").await.is_err(), "a name comes back");
    let parcel = Some(("OrderFulfilInput!", json!({ "idempotencyKey": "p" })));
    order(&shop.step(&staff, "orderFulfil", id(&under_way), parcel).await, "orderFulfil");
    order(&shop.step(&staff, "orderDeliver", id(&under_way), None).await, "orderDeliver");
    order(&shop.step(&staff, "orderCancel", id(&other), None).await, "orderCancel");
    // The schedules begin, and an hour later one of them is due.
    shop.work().await;
    shop.clock.set(shop.clock.now() + chrono::TimeDelta::hours(2));
    shop.work().await;
    let staff = shop.sign_in(Role::Staff).await;
    for made in [&under_way, &other] {
        let after = kept(&staff, made).await;
        assert_eq!((&after["shippingAddress"], &after["email"]), (&nowhere, &Value::Null));
    }
    assert_eq!(shop.number("SELECT count(*) FROM customer_order WHERE forgotten_at IS NOT NULL").await, 3);
    assert_eq!(kept(&staff, &others).await, before[2], "another's order");
    shop.add_up().await;
    shop.settle().await;
}

async fn orders_are_told_to_whoever_made_them(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(9)).await;
    let (token, _) = register(&shop).await;
    let other = shop.sign_in(Role::Customer).await;
    let mine = order(&shop.order(Some(&token), "a", &[(&mug, 2)], json!({})).await, "orderCreate");
    let theirs = order(&shop.order(Some(&other), "b", &[(&mug, 1)], json!({})).await, "orderCreate");
    let told = shop.ask_as(&token, "{ customerExport }", json!({})).await.at("/customerExport/orders").clone();
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    let one = &told[0];
    assert_eq!((&one["number"], &one["status"], &one["total"]), (&mine["number"], &json!("pending"), &json!("200.00")));
    assert_eq!(one["lines"][0]["sku"], "MUG");
    assert_eq!((&one["lines"][0]["quantity"], &one["lines"][0]["total"]), (&json!(2), &json!("200.00")));
    assert_eq!(one["shippingAddress"]["line1"], "Moi Avenue 1");
    assert!(!told.to_string().contains(mine["token"].as_str().expect("a token")), "{told}");
    // They see their own, page by page; staff see them too, and nobody else does.
    let query = "{ me { orders(first: 1) { totalCount nodes { number } pageInfo { hasNextPage } } } }";
    let seen = shop.ask_as(&token, query, json!({})).await;
    assert_eq!(seen.at("/me/orders/nodes"), &json!([{ "number": mine["number"] }]));
    assert_eq!(seen.at("/me/orders/totalCount"), 1);
    let staff = shop.sign_in(Role::Staff).await;
    let query =
        "query($id: ID!) { customer(id: $id) { orders { nodes { number customer { orders { totalCount } } } } } }";
    let seen = shop.ask_as(&staff, query, json!({ "id": id_of(&shop, &other).await })).await;
    let expected = json!([{ "number": theirs["number"], "customer": { "orders": { "totalCount": 1 } } }]);
    assert_eq!(seen.at("/customer/orders/nodes"), &expected);
    // A message says which order it is about.
    shop.work().await;
    let query = "{ messages { nodes { order { number } } } }";
    let seen = shop.ask_as(&staff, query, json!({})).await;
    let about = seen.at("/messages/nodes").as_array().expect("messages").clone();
    assert!(about.contains(&json!({ "order": { "number": mine["number"] } })), "{about:?}");
    assert!(about.contains(&json!({ "order": { "number": theirs["number"] } })), "{about:?}");
}
