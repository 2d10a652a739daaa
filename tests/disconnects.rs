//! Clients that disconnect in the middle of a mutation: it completes or leaves nothing, and no transaction stays open.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    integration_tests,
    outages::assert_no_open_transaction,
    support::{Backend, TestApp, cart_line_quantities, line_inputs, shipping_address},
};

integration_tests![
    checkout_of_client_that_disconnects_completes_or_leaves_nothing,
    cart_lines_of_client_that_disconnects_are_added_together_or_not_at_all,
    retried_cart_lines_of_client_that_disconnects_are_added_once,
    registration_of_client_that_disconnects_completes_or_leaves_nothing,
    login_of_client_that_disconnects_completes_or_leaves_nothing,
];

/// Number of clients, and how many run concurrently.
const CLIENTS: usize = 96;
const AT_ONCE: usize = 12;

const CHECKOUT: &str = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
    order { number } userErrors { code message } } }";
const ADD: &str = "mutation($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) {
    cart { version } userErrors { code } } }";
const REGISTER: &str = "mutation($input: CustomerRegisterInput!) { customerRegister(input: $input) {
    tokens { refreshToken } userErrors { code } } }";
const LOGIN: &str =
    "mutation($input: LoginInput!) { login(input: $input) { tokens { refreshToken } userErrors { code } } }";

/// Starts a server; on SQLite all clients wait for one writer.
async fn open_shop(backend: Backend) -> TestApp {
    let settings = [
        ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "1m"),
        ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "1000000/1h"),
        // Logins whose clients have disconnected count as failed until their password was verified.
        ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT", "1000000/1h"),
        ("SAVANNAH_IDENTITY__MAX_QUEUED_PASSWORDS", "10000"),
        // Passwords of other tests are verified at the same time.
        ("SAVANNAH_SERVER__REQUEST_TIMEOUT", "5m"),
    ];
    TestApp::start_with_settings(backend, &settings).await
}

/// Sends each request and disconnects after a delay, from immediately to after the response.
pub async fn send_and_disconnect(shop: &TestApp, bodies: &[Value], longest: Duration) {
    send_with_header_and_disconnect(shop, bodies, longest, |_| String::new()).await;
}

/// Sends each request with a header, which ends with a line break, and disconnects.
async fn send_with_header_and_disconnect(
    shop: &TestApp,
    bodies: &[Value],
    longest: Duration,
    header: impl Fn(usize) -> String,
) {
    let header = &header;
    let longest = u64::try_from(longest.as_micros()).expect("a number");
    join_all((0..AT_ONCE).map(async |first| {
        for client in (first..bodies.len()).step_by(AT_ONCE) {
            let body = bodies[client].to_string();
            let head = format!(
                "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n{}content-length:",
                header(client)
            );
            let mut stream = TcpStream::connect(shop.address).await.expect("a connection");
            stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.expect("sent");
            let share = u64::try_from(client * 37 % bodies.len()).expect("a number");
            tokio::time::sleep(Duration::from_micros(longest * share / bodies.len() as u64)).await;
        }
    }))
    .await;
}

fn body(query: &str, variables: &Value) -> Value {
    json!({ "query": query, "variables": variables })
}

async fn ask(shop: &TestApp, body: &Value) -> Value {
    let answer: Value = shop.post_graphql(body.clone()).await.json().await.expect("JSON");
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].clone()
}

/// Asserts that a query has no rows. It is one statement, so it is valid at any time.
async fn assert_none(shop: &TestApp, from: &str) {
    assert_eq!(shop.query_scalar(&format!("SELECT count(*) FROM {from}")).await, 0, "{from}");
}

async fn checkout_of_client_that_disconnects_completes_or_leaves_nothing(backend: Backend) {
    let shop = open_shop(backend).await;
    let good = shop.create_product("mug", 10, Some(1_000)).await;
    let mut bodies = Vec::new();
    for number in 0..CLIENTS {
        let cart = shop.create_cart(None, &[(&good, 2)]).await;
        let total = shop.query_cart(None, &cart).await["cost"]["total"]["amount"].clone();
        let input = json!({ "cartId": cart, "paymentMethodId": "cash_on_delivery", "idempotencyKey": format!("key-{number}"), "expectedTotal": total,
            "email": format!("buyer{number}@example.com"), "shippingAddress": shipping_address() });
        bodies.push(body(CHECKOUT, &json!({ "input": input })));
    }
    send_and_disconnect(&shop, &bodies, Duration::from_millis(200)).await;
    shop.assert_invariants().await;
    assert_none(&shop, "idempotency_key AS i WHERE NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.id = i.resource_id)")
        .await;
    assert_none(
        &shop,
        "orders AS o WHERE (SELECT count(*) FROM order_line AS l WHERE l.order_id = o.id) <> 1 \
         OR (SELECT count(*) FROM payment AS p WHERE p.order_id = o.id) <> 1",
    )
    .await;
    assert_no_open_transaction(&shop).await;
    // Each buyer retries and receives the one order of the key.
    let mut numbers = std::collections::BTreeSet::new();
    for body in &bodies {
        let answer = ask(&shop, body).await;
        let number = &answer["checkoutComplete"]["order"]["number"];
        numbers.insert(number.as_str().unwrap_or_else(|| panic!("no order in {answer}")).to_owned());
    }
    let orders = i64::try_from(CLIENTS).expect("a number");
    assert_eq!(numbers.len(), CLIENTS);
    assert_eq!(shop.query_scalar("SELECT count(*) FROM orders").await, orders);
    assert_eq!(shop.query_scalar("SELECT sum(reserved) FROM inventory_level").await, 2 * orders);
    shop.assert_invariants().await;
    shop.run_pending_jobs().await;
}

async fn cart_lines_of_client_that_disconnects_are_added_together_or_not_at_all(backend: Backend) {
    let shop = open_shop(backend).await;
    let goods = [shop.create_product("mug", 10, Some(1_000)).await, shop.create_product("cup", 10, Some(1_000)).await];
    let lines = line_inputs(&[(&goods[0], 1), (&goods[1], 2)]);
    let mut bodies = Vec::new();
    for _ in 0..CLIENTS {
        let cart = shop.create_cart(None, &[]).await;
        bodies.push(body(ADD, &json!({ "id": cart, "lines": lines })));
    }
    let torn = "cart AS c WHERE (SELECT COALESCE(SUM(l.quantity), 0) FROM cart_line AS l WHERE l.cart_id = c.id) \
        <> 3 * (c.version - 1) OR (SELECT count(*) FROM cart_line AS l WHERE l.cart_id = c.id) NOT IN (0, 2)";
    send_and_disconnect(&shop, &bodies, Duration::from_millis(50)).await;
    assert_none(&shop, torn).await;
    assert_no_open_transaction(&shop).await;
    // The carts are not locked.
    for body in &bodies {
        let version = ask(&shop, body).await["cartLinesAdd"]["cart"]["version"].as_i64();
        assert!(version.is_some_and(|version| (2..=3).contains(&version)), "{version:?}");
    }
    assert_none(&shop, torn).await;
}

/// Incomplete accounts and sessions.
const HALF_ACCOUNTS: &str = "account AS a WHERE NOT EXISTS (SELECT 1 FROM session AS s WHERE s.account_id = a.id) \
    OR 1 <> (SELECT count(*) FROM outbox_event AS b WHERE b.event_type = 'CustomerRegistered' AND b.aggregate = 'customer:' || a.id)";
const HALF_SESSIONS: &str =
    "session AS s WHERE 1 <> (SELECT count(*) FROM refresh_token AS r WHERE r.session_id = s.id)";

async fn retried_cart_lines_of_client_that_disconnects_are_added_once(backend: Backend) {
    let shop = open_shop(backend).await;
    let good = shop.create_product("mug", 10, Some(1_000)).await;
    let (mut carts, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        let cart = shop.create_cart(None, &[]).await;
        bodies.push(body(ADD, &json!({ "id": cart, "lines": line_inputs(&[(&good, 1)]) })));
        carts.push(cart);
    }
    let key = |client: usize| format!("3f2b1c9a-7d4e-4f60-8a1b-{client:012}");
    let longest = Duration::from_millis(200);
    let header = |client| format!("idempotency-key: {}\r\n", key(client));
    send_with_header_and_disconnect(&shop, &bodies, longest, header).await;
    // Each client retries until no request with its key is being executed.
    for (client, body) in bodies.iter().enumerate() {
        loop {
            let request = shop.build_request(reqwest::Method::POST, "/graphql").json(body);
            let response = request.header("idempotency-key", key(client)).send().await.expect("a response");
            if response.status() == 200 {
                break;
            }
            assert_eq!(response.status(), 409, "{response:?}");
        }
    }
    for cart in &carts {
        let lines = cart_line_quantities(&shop.query_cart(None, cart).await);
        assert_eq!(lines, [("MUG".to_owned(), 1)]);
    }
    assert_eq!(shop.query_scalar("SELECT count(*) FROM idempotent_request WHERE response IS NULL").await, 0);
    assert_no_open_transaction(&shop).await;
}

async fn registration_of_client_that_disconnects_completes_or_leaves_nothing(backend: Backend) {
    let shop = open_shop(backend).await;
    let input = |number: usize| json!({ "email": format!("buyer{number}@example.com"), "password": "correct horse" });
    let bodies: Vec<_> = (0..CLIENTS).map(|number| body(REGISTER, &json!({ "input": input(number) }))).collect();
    send_and_disconnect(&shop, &bodies, Duration::from_millis(300)).await;
    assert_none(&shop, HALF_ACCOUNTS).await;
    assert_none(&shop, HALF_SESSIONS).await;
    assert_no_open_transaction(&shop).await;
    // A retry finds the account or creates it; the password is the same in both cases.
    for (number, again) in bodies.iter().enumerate() {
        let answer = ask(&shop, again).await;
        let errors = answer["customerRegister"]["userErrors"].as_array().expect("a list");
        assert!(errors.is_empty() || errors[0]["code"] == "ALREADY_EXISTS", "{answer}");
        let login = ask(&shop, &body(LOGIN, &json!({ "input": input(number) }))).await;
        assert!(login["login"]["tokens"]["refreshToken"].is_string(), "{login}");
    }
    assert_eq!(shop.query_scalar("SELECT count(*) FROM account").await, i64::try_from(CLIENTS).expect("a number"));
    assert_none(&shop, HALF_ACCOUNTS).await;
    assert_none(&shop, HALF_SESSIONS).await;
    shop.drain_jobs().await;
}

async fn login_of_client_that_disconnects_completes_or_leaves_nothing(backend: Backend) {
    let shop = open_shop(backend).await;
    let input = json!({ "email": "amani@example.com", "password": "correct horse" });
    ask(&shop, &body(REGISTER, &json!({ "input": input }))).await;
    let login = body(LOGIN, &json!({ "input": input }));
    send_and_disconnect(&shop, &vec![login.clone(); CLIENTS], Duration::from_millis(300)).await;
    assert_none(&shop, HALF_SESSIONS).await;
    assert_no_open_transaction(&shop).await;
    let answer = ask(&shop, &login).await;
    assert!(answer["login"]["tokens"]["refreshToken"].is_string(), "{answer}");
    assert_none(&shop, HALF_SESSIONS).await;
    let sessions = shop.query_scalar("SELECT count(*) FROM session").await;
    assert!((2..=i64::try_from(CLIENTS).expect("a number") + 2).contains(&sessions), "{sessions} sessions");
}
