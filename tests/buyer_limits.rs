//! What buyers whom nobody knows can cause: stock they keep, messages in the shop's name, and texts in these.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    letters::messages,
    messages::letters,
    orders::{id, order, pairs},
    paying::{now, stands},
    shop::{Backend, Shop, address, moment},
    stories,
};

stories![
    unconfirmed_guest_order_expires_and_reopens_its_cart,
    confirmed_guest_order_does_not_expire,
    guest_order_above_the_unit_limits_is_rejected,
    payment_method_that_is_not_allowed_is_rejected,
    expiry_reaches_orders_beyond_one_batch_and_past_failures,
    second_email_of_a_kind_to_an_address_is_postponed,
    guest_sms_outside_of_served_countries_is_skipped,
    guest_sms_above_the_daily_limit_is_skipped,
    names_with_links_are_rejected_and_guests_not_greeted,
    stored_messages_hold_no_token,
    guest_erasure_leaves_no_personal_data,
    expired_messages_and_audit_rows_are_deleted,
];

/// Everything that is kept of orders, carts, messages and what was done with them, as text.
async fn rows(shop: &Shop) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["customer_order", "order_entry", "message", "cart", "job", "outbox", "audit", "idempotency"] {
        let statement = Statement::from_string(shop.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(shop.db.owner()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all
}

/// A day and a bit after the shop opened.
const NEXT_DAY: &str = "2026-11-02T09:00:01Z";

async fn unconfirmed_guest_order_expires_and_reopens_its_cart(backend: Backend) {
    let shop = Shop::open(backend).await;
    // The schedules begin now.
    shop.settle().await;
    let mug = shop.good("mug", 100, Some(2)).await;
    let cart = shop.cart(None, &[(&mug, 2)]).await;
    let made = order(&shop.check_out(None, "k", &cart, json!({})).await, "checkoutComplete");
    assert_eq!((stands(&made), &made["expiresAt"]), (("PENDING", "PENDING"), &json!("2026-11-02T09:00:00+00:00")));
    assert_eq!(made["payments"][0]["status"], "PENDING");
    // A customer with a verified address, and staff, are trusted: their payment by hand is promised.
    let customer = shop.sign_in(Role::Customer).await;
    shop.good("bowl", 100, Some(1)).await;
    let bowl = shop.variant_id("BOWL").await;
    let kept = order(&shop.order(Some(&customer), "k", &[(&bowl, 1)], json!({})).await, "orderCreate");
    assert_eq!((stands(&kept), &kept["expiresAt"]), (("PENDING", "AUTHORISED"), &Value::Null));
    shop.clock.set(moment(NEXT_DAY));
    shop.settle().await;
    let seen = now(&shop, &made).await;
    assert_eq!(stands(&seen), ("CANCELLED", "VOIDED"), "{seen}");
    let last = seen["history"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!(last["note"], "the shop did not confirm the order in time");
    assert_eq!(shop.see_cart(None, &cart).await["state"], "OPEN");
    assert_eq!(stands(&now(&shop, &kept).await), ("PENDING", "AUTHORISED"));
    order(&shop.check_out(None, "k2", &cart, json!({})).await, "checkoutComplete");
    shop.add_up().await;
}

async fn confirmed_guest_order_does_not_expire(backend: Backend) {
    let shop = Shop::open(backend).await;
    // The schedules begin now.
    shop.settle().await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let first = order(&shop.order(None, "a", &[(&mug, 2)], json!({})).await, "orderCreate");
    let second = order(&shop.order(None, "b", &[(&mug, 2)], json!({})).await, "orderCreate");
    let confirmed = order(&shop.step(&staff, "orderConfirm", id(&first), None).await, "orderConfirm");
    assert_eq!((stands(&confirmed), &confirmed["expiresAt"]), (("CONFIRMED", "AUTHORISED"), &Value::Null));
    // Money over the counter confirms as well.
    let paid = order(&shop.step(&staff, "orderCapture", id(&second), None).await, "orderCapture");
    assert_eq!(stands(&paid), ("CONFIRMED", "PAID"));
    shop.clock.set(moment(NEXT_DAY));
    shop.settle().await;
    assert_eq!(stands(&now(&shop, &first).await), ("CONFIRMED", "AUTHORISED"));
    assert_eq!(stands(&now(&shop, &second).await), ("CONFIRMED", "PAID"));
    assert_eq!(shop.number("SELECT COUNT(*) FROM stock_hold WHERE expires_at IS NULL").await, 2);
    shop.add_up().await;
}

async fn guest_order_above_the_unit_limits_is_rejected(backend: Backend) {
    let settings =
        [("SAVANNAH_CHECKOUT__UNVERIFIED_LINE_UNITS", "3"), ("SAVANNAH_CHECKOUT__UNVERIFIED_ORDER_UNITS", "5")];
    let shop = Shop::open_with(backend, &settings).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(50)).await, shop.good("bowl", 100, Some(50)).await);
    let tried = async |token: Option<&str>, items: &[(&str, i64)]| {
        let key = format!("{}", shop.number("SELECT count(*) FROM idempotency").await);
        shop.order(token, &key, items, json!({})).await.problems("orderCreate")
    };
    assert_eq!(tried(None, &[(&mug, 4)]).await, pairs(&[("VALIDATION_ERROR", "input.items.0.quantity")]));
    assert_eq!(tried(None, &[(&mug, 3), (&bowl, 3)]).await, pairs(&[("VALIDATION_ERROR", "input.items")]));
    assert_eq!(tried(None, &[(&mug, 3), (&bowl, 2)]).await, []);
    let customer = shop.sign_in(Role::Customer).await;
    assert_eq!(tried(Some(&customer), &[(&mug, 9)]).await, []);
    shop.sql("UPDATE account SET email_verified_at = NULL").await.expect("an account");
    assert_eq!(tried(Some(&customer), &[(&mug, 9)]).await, pairs(&[("VALIDATION_ERROR", "input.items.0.quantity")]));
}

async fn payment_method_that_is_not_allowed_is_rejected(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "bank")]).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let answer = shop.order(None, "k", &[(&mug, 1)], json!({})).await;
    assert_eq!(answer.problems("orderCreate"), pairs(&[("VALIDATION_ERROR", "input.paymentMethod")]));
    assert_eq!(shop.number("SELECT count(*) FROM customer_order").await, 0);
}

async fn expiry_reaches_orders_beyond_one_batch_and_past_failures(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(500)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    // 250 orders that cannot end, as they have no payment, stand before one that can.
    let copies = "INSERT INTO customer_order (number, token, email, name_key, language, status, payment_status, \
        fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, version, expires_at, placed_at, \
        created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
        SELECT 'NUMBER-' || i, 'an-unguessable-token-of-' || i, email, name_key, language, status, payment_status, \
        fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, version, placed_at, placed_at, \
        created_at, updated_at FROM customer_order, n";
    shop.sql(copies).await.expect("orders");
    shop.clock.set(moment(NEXT_DAY));
    let ended = savannah::payment::end::expire_all(&shop.db, None).await;
    assert_eq!(ended.unwrap_or_else(|why| panic!("{}", why.log())), 1);
    assert_eq!(now(&shop, &made).await["status"], "CANCELLED");
}

async fn second_email_of_a_kind_to_an_address_is_postponed(backend: Backend) {
    let settings =
        [("SAVANNAH_NOTIFICATION__EMAIL_INTERVAL", "120"), ("SAVANNAH_NOTIFICATION__EMAIL_DELAY_LIMIT", "240")];
    let shop = Shop::open_with(backend, &settings).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let states = async || {
        let mut seen = messages(&shop, ", filter: { event: ORDER_PLACED }").await;
        seen.sort_by_key(|one| one["id"].to_string());
        seen.iter().map(|one| one["state"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    for key in ["a", "b", "c", "d"] {
        order(&shop.order(None, key, &[(&mug, 1)], json!({ "email": "Wanjiku@example.com" })).await, "orderCreate");
    }
    order(&shop.order(None, "e", &[(&mug, 1)], json!({ "email": "amani@example.com" })).await, "orderCreate");
    shop.work().await;
    let count = |states: &[String], one: &str| states.iter().filter(|state| *state == one).count();
    let first = states().await;
    assert_eq!((count(&first, "SENT"), count(&first, "QUEUED")), (2, 2), "{first:?}");
    assert_eq!(count(&first, "SKIPPED"), 1, "past the longest delay it is skipped, for staff to see");
    let waiting = messages(&shop, ", filter: { state: QUEUED }").await;
    assert!(waiting.iter().all(|one| one["why"].as_str().is_some_and(|why| why.starts_with("postponed"))));
    shop.clock.set(moment("2026-11-01T09:02:00Z"));
    shop.work().await;
    assert_eq!(count(&states().await, "SENT"), 3);
    shop.clock.set(moment("2026-11-01T09:04:00Z"));
    shop.work().await;
    assert_eq!((count(&states().await, "SENT"), letters(&shop).len()), (4, 4));
    // Staff send the one that was skipped all the same.
    let staff = shop.sign_in(Role::Admin).await;
    let skipped = messages(&shop, ", filter: { state: SKIPPED }").await;
    let resend = "mutation($id: ID!) { messageResend(id: $id) { message { state } userErrors { code } } }";
    let again = shop.ask_as(&staff, resend, json!({ "id": skipped[0]["id"] })).await;
    assert_eq!(again.at("/messageResend/message/state"), "QUEUED");
    shop.work().await;
    assert_eq!(letters(&shop).len(), 5);
}

async fn guest_sms_outside_of_served_countries_is_skipped(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let buy = async |key: &str, phone: &str, token: Option<&str>| {
        order(&shop.order(token, key, &[(&mug, 1)], json!({ "phone": phone })).await, "orderCreate");
        shop.work().await;
        let seen = messages(&shop, ", filter: { channel: SMS }").await;
        seen[0].clone()
    };
    // Without a way of shipping the shop serves its own country; with one, where that goes.
    assert_eq!(buy("a", "+254712345678", None).await["state"], "SENT");
    let far = buy("b", "+447400123456", None).await;
    assert_eq!(far["state"], "SKIPPED", "{far}");
    assert!(far["why"].as_str().is_some_and(|why| why.contains("United Kingdom")), "{far}");
    let customer = shop.sign_in(Role::Customer).await;
    assert_eq!(buy("c", "+447400123457", Some(&customer)).await["state"], "SENT", "a known customer travels");
    shop.fit_out().await;
    shop.sql("UPDATE shipping_method SET countries = 'GB'").await.expect("methods");
    let way = shop.number("SELECT MIN(id) FROM shipping_method").await;
    let way = savannah::base::GlobalId::new(savannah::base::id::Kind::ShippingMethod, way).encode();
    let mut place = address();
    place["address"]["countryCode"] = json!("GB");
    let said = json!({ "phone": "+447400123456", "shippingMethodId": way, "shippingAddress": place });
    order(&shop.order(None, "d", &[(&mug, 1)], said).await, "orderCreate");
    shop.work().await;
    assert_eq!(messages(&shop, ", filter: { channel: SMS }").await[0]["state"], "SENT");
    shop.add_up().await;
}

async fn guest_sms_above_the_daily_limit_is_skipped(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "2")]).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let usage = async || {
        let query = "{ guestSmsUsage { sentToday dailyLimit } }";
        shop.ask_as(&staff, query, json!({})).await.at("/guestSmsUsage").clone()
    };
    for key in ["a", "b", "c"] {
        order(&shop.order(None, key, &[(&mug, 1)], json!({ "phone": "0712 345678" })).await, "orderCreate");
    }
    shop.work().await;
    let seen = messages(&shop, ", filter: { channel: SMS }").await;
    let skipped: Vec<_> = seen.iter().filter(|one| one["state"] == "SKIPPED").collect();
    assert_eq!((seen.len(), skipped.len()), (3, 1), "{seen:?}");
    assert!(skipped[0]["why"].as_str().is_some_and(|why| why.contains("guest_daily_limit")), "{seen:?}");
    assert_eq!(usage().await, json!({ "sentToday": 2, "dailyLimit": 2 }));
    shop.clock.set(moment("2026-11-02T00:00:00Z"));
    let staff = shop.sign_in(Role::Staff).await;
    let today = shop.ask_as(&staff, "{ guestSmsUsage { sentToday } }", json!({})).await;
    assert_eq!(today.at("/guestSmsUsage/sentToday"), 0);
}

async fn names_with_links_are_rejected_and_guests_not_greeted(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    for (field, text) in [
        ("firstName", "URGENT: verify at http://evil.example/login"),
        ("lastName", "www.evil.example"),
        ("company", "evil.example/login"),
        ("line1", "https://evil.example"),
        ("city", "evil。example／x"),
    ] {
        let mut place = address();
        place["address"][field] = json!(text);
        let answer = shop.order(None, field, &[(&mug, 1)], json!({ "shippingAddress": place })).await;
        let path = format!("input.shippingAddress.{field}");
        assert_eq!(answer.problems("orderCreate"), pairs(&[("VALIDATION_ERROR", path.as_str())]), "{text}");
    }
    let register = "mutation { customerRegister(input: { email: \"a@example.com\", password: \"correct horse\",
        firstName: \"see http://evil.example\" }) { userErrors { code field } } }";
    let refused = shop.ask(register).await;
    assert_eq!(refused.problems("customerRegister")[0].1, "input.firstName");
    // Default variants have no name of their own in messages, and guests are not greeted by what they typed.
    order(&shop.order(None, "k", &[(&mug, 1)], json!({ "note": "see http://evil.example/x" })).await, "orderCreate");
    shop.work().await;
    let sent = letters(&shop);
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].contains("Hello") && !sent[0].contains("Default") && !sent[0].contains("evil"), "{}", sent[0]);
    assert!(sent[0].contains("Delivery address") && sent[0].contains("Moi Avenue 1"), "{}", sent[0]);
}

async fn stored_messages_hold_no_token(backend: Backend) {
    let pattern = "https://s.example/o/{number}?t={token}";
    let shop = Shop::open_with(backend, &[("SAVANNAH_NOTIFICATION__ORDER_URL", pattern)]).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    shop.work().await;
    let token = made["token"].as_str().expect("a token");
    assert!(letters(&shop)[0].replace("=\r\n", "").replace("=\n", "").contains(token), "the letter links to the order");
    let rows = rows(&shop).await;
    let kept: Vec<_> = rows.iter().filter(|row| row.contains(token)).collect();
    assert_eq!(kept.len(), 1, "only the order itself holds its token: {kept:?}");
}

async fn guest_erasure_leaves_no_personal_data(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let said = json!({ "email": "njeri@example.com", "phone": "0712 345678", "note": "ring at Njeri's" });
    let ended = order(&shop.order(None, "a", &[(&mug, 1)], said.clone()).await, "orderCreate");
    let open = order(&shop.order(None, "b", &[(&mug, 1)], said).await, "orderCreate");
    let cart = shop.cart(None, &[(&mug, 1)]).await;
    let contact = "mutation($id: ID!) { cartContactSet(id: $id, input: { email: \"njeri@example.com\" }) { userErrors { code } } }";
    assert_eq!(shop.ask_with(contact, json!({ "id": cart })).await.problems("cartContactSet"), []);
    let admin = shop.sign_in(Role::Admin).await;
    order(&shop.step(&admin, "orderCancel", id(&ended), None).await, "orderCancel");
    shop.work().await;
    let erase = "mutation { guestErase(email: \"Njeri@example.com\") { erasure { erasedOrders openOrders }
        userErrors { code field } } }";
    let customer = shop.sign_in(Role::Customer).await;
    assert_eq!(shop.ask_as(&customer, erase, json!({})).await.code(), "FORBIDDEN");
    let done = shop.ask_as(&admin, erase, json!({})).await;
    assert_eq!(done.at("/guestErase/erasure"), &json!({ "erasedOrders": 1, "openOrders": 1 }));
    order(&shop.step(&admin, "orderCancel", id(&open), None).await, "orderCancel");
    shop.work().await;
    let done = shop.ask_as(&admin, erase, json!({})).await;
    assert_eq!(done.at("/guestErase/erasure"), &json!({ "erasedOrders": 1, "openOrders": 0 }));
    for row in rows(&shop).await {
        for trace in ["njeri", "Njeri", "712345678", "Wanjiku", "Moi Avenue"] {
            assert!(!row.contains(trace), "{trace} is left in {row}");
        }
    }
    assert_eq!(shop.number("SELECT COUNT(*) FROM audit WHERE action = 'order.erase'").await, 2);
    assert_eq!(shop.number("SELECT SUM(total) FROM customer_order").await, 20_000, "the books stay");
    shop.add_up().await;
}

async fn expired_messages_and_audit_rows_are_deleted(backend: Backend) {
    let settings = [("SAVANNAH_NOTIFICATION__KEEP_DAYS", "90"), ("SAVANNAH_JOBS__AUDIT_KEEP_DAYS", "120")];
    let shop = Shop::open_with(backend, &settings).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let admin = shop.sign_in(Role::Admin).await;
    let made = order(&shop.order(None, "a", &[(&mug, 1)], json!({ "phone": "0712 345678" })).await, "orderCreate");
    order(&shop.step(&admin, "orderCancel", id(&made), None).await, "orderCancel");
    let change = "mutation($id: ID!) { stockAdjust(input: { variantId: $id, delta: 1, reason: RECEIVED,
        idempotencyKey: \"s\" }) { userErrors { code } } }";
    assert_eq!(shop.ask_as(&admin, change, json!({ "id": mug })).await.problems("stockAdjust"), []);
    shop.work().await;
    let count = async |table: &str| shop.number(&format!("SELECT COUNT(*) FROM {table}")).await;
    assert!(count("message").await > 0 && count("audit").await > 0 && count("guest_sms_day").await == 1);
    for (day, messages, audits) in
        [("2027-01-29", true, true), ("2027-01-31", false, true), ("2027-03-03", false, false)]
    {
        shop.clock.set(moment(&format!("{day}T12:00:00Z")));
        shop.work().await;
        assert_eq!((count("message").await > 0, count("audit").await > 0), (messages, audits), "{day}");
    }
    assert_eq!((count("guest_sms_day").await, count("outbox").await, count("outbox_head").await), (0, 0, 0));
    // A thing whose events are gone begins anew.
    let more = change.replace("\"s\"", "\"t\"");
    let admin = shop.sign_in(Role::Admin).await;
    shop.ask_as(&admin, &more, json!({ "id": mug })).await.at("/stockAdjust");
    shop.settle().await;
}
