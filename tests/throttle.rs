//! Limits of what anybody may do: counted for all instances, by network address and by whom messages would go to.

use savannah::{
    identity::Role,
    infra::{
        config::Limit,
        throttle::{self, Throttle, ThrottleSubject},
    },
};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, moment},
    stories,
};

stories![
    concurrent_actions_of_many_instances_share_one_limit,
    refused_action_writes_nothing,
    high_limit_is_counted_in_portions_and_never_exceeded,
    orders_are_limited_by_address,
    orders_are_limited_by_recipient_wherever_it_was_given,
    request_places_one_order,
    callers_with_a_permission_are_not_limited,
    cart_changes_are_limited_by_address,
    registrations_are_limited_by_address,
    unknown_tokens_are_limited_and_known_ones_are_not,
    ended_windows_are_pruned,
    strangers_do_not_lock_an_owner_out,
    failures_from_anywhere_slow_an_address_that_has_failed,
    known_device_is_not_limited_by_its_network,
    reset_letters_to_one_account_are_two_minutes_apart,
];

const LOGIN: &str = "mutation($email: String!, $password: String!, $device: String) {
    login(input: { email: $email, password: $password, deviceToken: $device }) { userErrors { code } } }";
const CART: &str = "mutation { cartCreate { cart { id } userErrors { code } } }";

fn subject(name: &str, count: u32, seconds: u64) -> ThrottleSubject {
    ThrottleSubject::new("test", name, Limit { count, window: std::time::Duration::from_secs(seconds) })
}

/// Whether an action was within its limits.
async fn taken(throttle: &Throttle, shop: &Shop, subjects: &[ThrottleSubject]) -> bool {
    match throttle.take(&shop.db, subjects).await {
        Ok(()) => true,
        Err(savannah::base::Error::RateLimited { .. }) => false,
        Err(why) => panic!("{}", why.log()),
    }
}

async fn counters(shop: &Shop) -> i64 {
    shop.number("SELECT count(*) FROM throttle").await
}

async fn concurrent_actions_of_many_instances_share_one_limit(backend: Backend) {
    let shop = Shop::open(backend).await;
    let instances: Vec<Throttle> = (0..4).map(|_| Throttle::default()).collect();
    let one = [subject("shared", 7, 60), subject("roomy", 1000, 60)];
    let actions = (0..40).map(|n| taken(&instances[n % 4], &shop, &one));
    let allowed = futures_util::future::join_all(actions).await.into_iter().filter(|taken| *taken).count();
    assert_eq!(allowed, 7);
    shop.clock.set(moment("2026-11-01T09:00:59Z"));
    assert!(!taken(&instances[0], &shop, &one).await);
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    assert!(taken(&instances[0], &shop, &one).await, "the window has ended");
}

async fn refused_action_writes_nothing(backend: Backend) {
    let shop = Shop::open(backend).await;
    let full = subject("full", 1, 60);
    assert!(taken(&Throttle::default(), &shop, std::slice::from_ref(&full)).await);
    for n in 0..5 {
        // Each is another instance, which remembers nothing.
        let made_up = subject(&format!("made up {n}"), 10, 60);
        assert!(!taken(&Throttle::default(), &shop, &[full.clone(), made_up]).await);
    }
    assert_eq!(counters(&shop).await, 1);
    assert_eq!(shop.number("SELECT max(count) FROM throttle").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM throttle WHERE subject LIKE '%full%'").await, 0, "digests only");
}

async fn high_limit_is_counted_in_portions_and_never_exceeded(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (one, other) = (Throttle::default(), Throttle::default());
    let roomy = [subject("roomy", 200, 60)];
    assert!(taken(&one, &shop, &roomy).await);
    assert_eq!(shop.number("SELECT max(count) FROM throttle").await, 4, "a portion");
    let mut allowed = 1;
    for n in 0..300 {
        allowed += u32::from(taken(if n % 3 == 0 { &one } else { &other }, &shop, &roomy).await);
    }
    assert!((190..=200).contains(&allowed), "{allowed}");
}

/// An order that cannot be placed for want of a variant, and is counted all the same.
async fn order(shop: &Shop, token: Option<&str>, said: Value) -> Answer {
    shop.order(token, "key", &[("nothing", 1)], said).await
}

/// Fails unless it was refused for its number, with the seconds to wait.
fn limited(answer: &Answer) {
    assert_eq!(answer.code(), "RATE_LIMITED", "{}", answer.body);
    let seconds = answer.error()["extensions"]["retryAfter"].as_u64();
    assert!(seconds.is_some_and(|seconds| (1..=3600).contains(&seconds)), "{}", answer.body);
}

/// Whatever came of it, it was not limited.
fn passed(answer: &Answer) {
    assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
}

async fn orders_are_limited_by_address(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__ORDERS_PER_ADDRESS", "2/1h")]).await;
    passed(&order(&shop, None, json!({ "email": "a@example.com" })).await);
    passed(&order(&shop, None, json!({ "email": "b@example.com" })).await);
    limited(&order(&shop, None, json!({ "email": "c@example.com" })).await);
    let customer = shop.sign_in(Role::Customer).await;
    limited(&order(&shop, Some(&customer), json!({ "email": "d@example.com" })).await);
}

async fn orders_are_limited_by_recipient_wherever_it_was_given(backend: Backend) {
    const CART: &str = "mutation($input: CartContactInput!, $id: ID!) { cartContactSet(id: $id, input: $input) {
        cart { id } userErrors { code } } }";
    const CHECKOUT: &str = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
        order { number } userErrors { code } } }";
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT", "1/1h")]).await;
    passed(&order(&shop, None, json!({ "email": "victim@example.com" })).await);
    limited(&order(&shop, None, json!({ "email": " Victim@Example.com" })).await);
    passed(&order(&shop, None, json!({ "phone": "0712 345678", "email": "a@example.com" })).await);
    limited(&order(&shop, None, json!({ "phone": "+254712345678", "email": "b@example.com" })).await);
    let there = json!({ "line1": "x", "city": "x", "countryCode": "KE", "phone": "+254 712 345 678" });
    let there = json!({ "shippingAddress": { "address": there }, "email": "d@example.com" });
    limited(&order(&shop, None, there).await);
    // What the cart says counts like what the order says.
    let made = shop.ask(self::CART).await;
    let id = made.at("/cartCreate/cart/id");
    let contact = json!({ "id": id, "input": { "phone": "0712345678" } });
    assert_eq!(shop.ask_with(CART, contact).await.problems("cartContactSet"), []);
    let input = json!({ "cartId": id, "idempotencyKey": "k", "expectedTotal": "1.00", "email": "c@example.com" });
    limited(&shop.ask_with(CHECKOUT, json!({ "input": input })).await);
}

async fn request_places_one_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let order = |name: &str| {
        format!("{name}: orderCreate(input: {{ items: [], idempotencyKey: \"{name}\" }}) {{ userErrors {{ code }} }}")
    };
    let query = format!("mutation {{ {} {} }}", order("a"), order("b"));
    let answer = shop.ask(&query).await;
    assert_eq!(answer.code(), "QUERY_TOO_COMPLEX", "{}", answer.body);
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(1), "the first was carried out");
    let staff = shop.sign_in(Role::Staff).await;
    passed(&shop.ask_as(&staff, &query, json!({})).await);
}

async fn callers_with_a_permission_are_not_limited(backend: Backend) {
    let settings =
        [("SAVANNAH_THROTTLE__ORDERS_PER_ADDRESS", "1/1h"), ("SAVANNAH_THROTTLE__CART_CHANGES_PER_ADDRESS", "1/1h")];
    let shop = Shop::open_with(backend, &settings).await;
    let staff = shop.sign_in(Role::Staff).await;
    for _ in 0..3 {
        passed(&order(&shop, Some(&staff), json!({ "email": "a@example.com" })).await);
        passed(&shop.ask_as(&staff, CART, json!({})).await);
    }
    assert_eq!(counters(&shop).await, 0);
}

async fn cart_changes_are_limited_by_address(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__CART_CHANGES_PER_ADDRESS", "3/10m")]).await;
    let made = shop.ask(CART).await;
    let id = made.at("/cartCreate/cart/id");
    for note in ["a", "b"] {
        let note = json!({ "id": id, "note": note });
        passed(
            &shop
                .ask_with(
                    "mutation($id: ID!, $note: String) { cartNoteSet(id: $id, note: $note) { cart { id } } }",
                    note,
                )
                .await,
        );
    }
    let calls = [
        "cartCreate",
        "cartClear(id: \"x\")",
        "cartLinesAdd(id: \"x\", lines: [])",
        "cartLinesUpdate(id: \"x\", lines: [])",
        "cartLinesRemove(id: \"x\", variantIds: [])",
        "cartNoteSet(id: \"x\")",
        "cartContactSet(id: \"x\", input: {})",
        "cartAddressSet(id: \"x\", input: {})",
        "cartShippingMethodSet(id: \"x\")",
    ];
    for call in calls {
        limited(&shop.ask(&format!("mutation {{ {call} {{ cart {{ id }} }} }}")).await);
    }
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 1);
}

async fn registrations_are_limited_by_address(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__REGISTRATIONS_PER_ADDRESS", "2/1h")]).await;
    let register = |n: i32| {
        let input = format!("{{ email: \"a{n}@example.com\", password: \"correct horse\" }}");
        let query = format!("mutation {{ customerRegister(input: {input}) {{ userErrors {{ code }} }} }}");
        let shop = &shop;
        async move { shop.ask(&query).await }
    };
    passed(&register(1).await);
    passed(&register(2).await);
    limited(&register(3).await);
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 2);
}

async fn unknown_tokens_are_limited_and_known_ones_are_not(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__UNKNOWN_TOKENS_PER_ADDRESS", "4/15m")]).await;
    let token = registered(&shop).await;
    let calls = [
        ("tokenRefresh(refreshToken: \"x.y\")", "UNAUTHENTICATED"),
        ("passwordReset(token: \"x\", newPassword: \"correct horse\")", "VALIDATION_ERROR"),
        ("emailVerify(token: \"x\")", "VALIDATION_ERROR"),
        ("loginComplete(code: \"x\", verifier: \"y\")", "VALIDATION_ERROR"),
    ];
    let ask = async |call: &str| shop.ask(&format!("mutation {{ {call} {{ userErrors {{ code }} }} }}")).await;
    for (call, code) in calls {
        assert!(ask(call).await.body.to_string().contains(code), "{call}");
    }
    for (call, _) in calls {
        limited(&ask(call).await);
    }
    passed(&ask(&format!("tokenRefresh(refreshToken: \"{token}\")")).await);
    assert_eq!(counters(&shop).await, 3, "one for the tokens, two of the registration");
}

async fn ended_windows_are_pruned(backend: Backend) {
    let shop = Shop::open(backend).await;
    let throttle = Throttle::default();
    taken(&throttle, &shop, &[subject("short", 3, 60), subject("long", 3, 61)]).await;
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    assert_eq!(throttle::prune(&shop.db).await.expect("pruned"), 1);
    assert_eq!(counters(&shop).await, 1);
}

/// A customer with a password; a refresh token.
async fn registered(shop: &Shop) -> String {
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        tokens { refreshToken } userErrors { code } } }";
    let made = shop.ask(register).await;
    made.at("/customerRegister/tokens/refreshToken").as_str().expect("a token").to_owned()
}

/// Signs in from an address that the one proxy before the shop saw.
async fn login_from(shop: &Shop, address: &str, password: &str, device: Option<&str>) -> Value {
    let variables = json!({ "email": "amani@example.com", "password": password, "device": device });
    let request = shop.request(reqwest::Method::POST, "/graphql").header("x-forwarded-for", address);
    let answer = request.json(&json!({ "query": LOGIN, "variables": variables })).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    match body["errors"][0]["extensions"]["code"].as_str() {
        Some(code) => json!(code),
        None => body["data"]["login"]["userErrors"][0]["code"].clone(),
    }
}

const PROXY: (&str, &str) = ("SAVANNAH_SERVER__PROXIES", "1");

async fn strangers_do_not_lock_an_owner_out(backend: Backend) {
    let shop = Shop::open_with(backend, &[PROXY, ("SAVANNAH_THROTTLE__FAILED_LOGINS", "3/15m")]).await;
    registered(&shop).await;
    for stranger in 1..=20 {
        for _ in 0..2 {
            login_from(&shop, &format!("192.0.2.{stranger}"), "wrong horse", None).await;
        }
    }
    for _ in 0..5 {
        assert_eq!(login_from(&shop, "198.51.100.1", "correct horse", None).await, Value::Null);
    }
    // One network of IPv6 is one stranger; a port says nothing.
    for n in 1..=3 {
        assert_eq!(
            login_from(&shop, &format!("[2001:db8:0:1::{n}]:55{n}"), "wrong horse", None).await,
            "INVALID_CREDENTIALS"
        );
        shop.clock.set(shop.clock.now() + chrono::TimeDelta::seconds(61));
    }
    assert_eq!(login_from(&shop, "2001:db8:0:1::9", "correct horse", None).await, "RATE_LIMITED");
    assert_eq!(login_from(&shop, "2001:db8:0:2::9", "correct horse", None).await, Value::Null);
}

async fn failures_from_anywhere_slow_an_address_that_has_failed(backend: Backend) {
    let settings = [PROXY, ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT", "3/1h")];
    let shop = Shop::open_with(backend, &settings).await;
    registered(&shop).await;
    for stranger in 1..=5 {
        let answer = login_from(&shop, &format!("192.0.2.{stranger}"), "wrong horse", None).await;
        assert_eq!(answer, "INVALID_CREDENTIALS");
    }
    // Five failures: two above the limit, so two seconds.
    let after = |seconds| shop.clock.set(moment("2026-11-01T09:00:00Z") + chrono::TimeDelta::seconds(seconds));
    after(1);
    assert_eq!(login_from(&shop, "192.0.2.1", "correct horse", None).await, "RATE_LIMITED");
    after(2);
    assert_eq!(login_from(&shop, "192.0.2.1", "wrong horse", None).await, "INVALID_CREDENTIALS");
    after(5);
    assert_eq!(login_from(&shop, "192.0.2.1", "correct horse", None).await, "RATE_LIMITED", "four seconds by now");
    after(6);
    assert_eq!(login_from(&shop, "192.0.2.1", "correct horse", None).await, Value::Null);
    assert_eq!(login_from(&shop, "192.0.2.1", "correct horse", None).await, Value::Null, "it starts anew");
}

async fn known_device_is_not_limited_by_its_network(backend: Backend) {
    let shop = Shop::open_with(backend, &[PROXY, ("SAVANNAH_THROTTLE__FAILED_LOGINS", "2/15m")]).await;
    let device = registered(&shop).await;
    let other = shop.sign_in(Role::Customer).await;
    for _ in 0..3 {
        login_from(&shop, "192.0.2.1", "wrong horse", None).await;
    }
    let from = async |password: &str, device: Option<&str>| login_from(&shop, "192.0.2.1", password, device).await;
    assert_eq!(from("correct horse", None).await, "RATE_LIMITED");
    assert_eq!(from("correct horse", Some(&other)).await, "RATE_LIMITED");
    assert_eq!(from("correct horse", Some(&device)).await, Value::Null);
    // Its own guesses are counted.
    for _ in 0..2 {
        assert_eq!(from("wrong horse", Some(&device)).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(from("correct horse", Some(&device)).await, "RATE_LIMITED");
}

async fn reset_letters_to_one_account_are_two_minutes_apart(backend: Backend) {
    const ASK: &str =
        "mutation { passwordResetRequest(email: \"amani@example.com\") { accepted userErrors { code } } }";
    let shop = Shop::open_with(backend, &[("SAVANNAH_THROTTLE__MAILS_PER_ACCOUNT", "1/2m")]).await;
    registered(&shop).await;
    let letters =
        "SELECT count(*) FROM outbox WHERE kind = 'MailAsked' AND CAST(payload AS TEXT) LIKE '%reset_password%'";
    for _ in 0..3 {
        assert_eq!(shop.ask(ASK).await.at("/passwordResetRequest/accepted"), true);
    }
    assert_eq!(shop.number(letters).await, 1);
    shop.clock.set(moment("2026-11-01T09:02:00Z"));
    assert_eq!(shop.ask(ASK).await.at("/passwordResetRequest/accepted"), true);
    assert_eq!(shop.number(letters).await, 2);
}
