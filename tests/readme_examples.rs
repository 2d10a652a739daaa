//! Executes the GraphQL examples of the README in order, with the authentication that their sections describe.

use std::{path::Path, process::Stdio};

use savannah::{identity::Role, import_export::import::DEMO_CATALOG_CSV};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::{
    browser::{find_node_modules, has_node_module},
    integration_tests,
    support::{ALLOW_PRIVATE_ADDRESSES, Backend, TestApp, set_clock_to_system_time},
};

integration_tests![
    readme_examples_run_in_order;
    needs(has_webhook_library): readme_receiver_verifies_a_webhook
];

/// The methods of a shop in development.
const METHODS: (&str, &str) = ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "test, cash_on_delivery");

const README: &str = include_str!("../README.md");

/// The caller of the operations of a code block.
#[derive(Clone, Copy)]
enum ExampleCaller {
    Guest,
    Customer,
    Admin,
}

/// The sections of the README that have GraphQL code blocks, with the caller of each block.
const SECTIONS: [(&str, &[ExampleCaller]); 5] = [
    ("Example queries", &[ExampleCaller::Guest]),
    ("Checkout", &[ExampleCaller::Guest, ExampleCaller::Admin]),
    ("Payments", &[ExampleCaller::Guest]),
    ("Authentication", &[ExampleCaller::Customer, ExampleCaller::Admin, ExampleCaller::Admin]),
    ("Webhooks", &[ExampleCaller::Admin]),
];

/// Returns the GraphQL code blocks of a text.
fn graphql_blocks(text: &str) -> Vec<&str> {
    text.split("```graphql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Returns the text below a heading of the second level.
fn find_section(heading: &str) -> &'static str {
    let sections = README.split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).find(|(name, _)| *name == heading).expect(heading).1
}

/// Returns the operations of a code block with their names.
fn named_operations(block: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut starts: Vec<usize> = ["query ", "mutation "]
        .iter()
        .flat_map(|keyword| {
            block.match_indices(keyword).filter(|(offset, _)| *offset == 0 || block[..*offset].ends_with('\n'))
        })
        .map(|(offset, _)| offset)
        .collect();
    starts.sort_unstable();
    let ends_at = starts.clone().into_iter().skip(1).chain([block.len()]);
    starts.into_iter().zip(ends_at).map(|(start, end)| {
        let text = &block[start..end];
        let name = text.split_whitespace().nth(1).expect("a name");
        (name.split('(').next().expect("a name"), text)
    })
}

async fn readme_examples_run_in_order(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES, METHODS]).await;
    assert_eq!(app.import_products(DEMO_CATALOG_CSV).await.1, []);
    app.seed_shipping_and_tax().await;
    let admin = app.login(Role::Admin).await;
    let mut customer = admin.clone();
    // Variables that a reader copies from the responses.
    let mut variables = json!({ "url": "http://127.0.0.1:9/" });
    let captured_variables = [
        ("variantId", "/product/variants/0/id"),
        ("cartId", "/cartCreate/cart/id"),
        ("shippingMethodId", "/cartCreate/cart/availableShippingOptions/0/shippingMethodId"),
        ("total", "/cartShippingMethodUpdate/cart/cost/total/amount"),
        ("orderId", "/checkoutComplete/order/id"),
        ("testOrderId", "/orderCreate/order/id"),
        ("testOrderNumber", "/orderCreate/order/number"),
        ("testOrderToken", "/orderCreate/order/token"),
        ("categoryId", "/categoryCreate/category/id"),
        ("refreshToken", "/login/tokens/refreshToken"),
        ("refreshToken", "/tokenRefresh/tokens/refreshToken"),
        ("endpointId", "/webhookEndpointCreate/webhookEndpoint/id"),
    ];
    let mut blocks = Vec::new();
    for (heading, callers) in SECTIONS {
        let section_blocks = graphql_blocks(find_section(heading));
        assert_eq!(section_blocks.len(), callers.len(), "code blocks of {heading}");
        blocks.extend(section_blocks.into_iter().zip(callers));
    }
    assert_eq!(blocks.len(), graphql_blocks(README).len(), "every code block is in a listed section");
    let mut operation_names = Vec::new();
    for (block, caller) in blocks {
        for (name, text) in named_operations(block) {
            let token = match caller {
                ExampleCaller::Guest => None,
                ExampleCaller::Customer => Some(customer.as_str()),
                ExampleCaller::Admin => Some(admin.as_str()),
            };
            let response = app.query_maybe_as(token, text, variables.clone()).await;
            assert!(response.body.get("errors").is_none(), "{name}: {}", response.body);
            assert!(!response.body.to_string().contains("\"userErrors\":[{"), "{name}: {}", response.body);
            for mutation in ["login", "tokenRefresh"] {
                if let Some(tokens) = response.body["data"][mutation].get("tokens") {
                    customer = String::from(tokens["accessToken"].as_str().expect("a token"));
                }
            }
            for (variable, pointer) in captured_variables {
                if let Some(value) = response.body["data"].pointer(pointer) {
                    variables[variable] = value.clone();
                }
            }
            operation_names.push(name);
        }
    }
    let expected_names = [
        "FeaturedProducts",
        "ProductPage",
        "CategoryTree",
        "Search",
        "SearchBox",
        "CreateCart",
        "SelectShippingMethod",
        "PlaceOrder",
        "ConfirmOrder",
        "FulfillOrder",
        "CapturePayment",
        "DeliverOrder",
        "PaymentMethods",
        "PlaceTestOrder",
        "PayAgain",
        "TestOrder",
        "Register",
        "Login",
        "Refresh",
        "Me",
        "Logout",
        "CreateCategory",
        "CreateProduct",
        "CreateSynonyms",
        "SearchBySynonym",
        "AuditLog",
        "CreateApiKey",
        "RegisterEndpoint",
        "SendTestEvent",
    ];
    assert_eq!(operation_names, expected_names);
    let lamp = app.query("{ product(sku: \"LAMP-1\") { name salePrice stockQuantity category { name } } }").await;
    assert_eq!(lamp.data_at("/product/category/name"), "Lamps");
    assert_eq!(
        (lamp.data_at("/product/salePrice"), lamp.data_at("/product/stockQuantity")),
        (&json!("3900.00"), &json!(12))
    );
    let order = app.query_as(
        &admin,
        "query($id: ID) { order(id: $id) { status paymentStatus } }",
        json!({ "id": variables["orderId"] }),
    );
    assert_eq!(order.await.data_at("/order"), &json!({ "status": "DELIVERED", "paymentStatus": "PAID" }));
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

fn has_webhook_library() -> bool {
    has_node_module("standardwebhooks")
}

/// Runs the receiver of the README, registers it and sends it a test event.
async fn readme_receiver_verifies_a_webhook(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    set_clock_to_system_time(&app);
    let admin = app.login(Role::Admin).await;
    let section = find_section("Webhooks");
    let script = section.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("receiver.mjs"), script).expect("a script");
    std::os::unix::fs::symlink(find_node_modules(), directory.path().join("node_modules")).expect("a link");
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let operations: Vec<_> = named_operations(graphql_blocks(section)[0]).collect();
    let variables = json!({ "url": format!("http://127.0.0.1:{port}/") });
    let registered = app.query_as(&admin, operations[0].1, variables).await;
    let endpoint = registered.data_at("/webhookEndpointCreate/webhookEndpoint");
    let secret = endpoint["secret"].as_str().expect("a secret");
    let (process, mut lines) = start_receiver(directory.path(), port, secret);
    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("listening"));
    let sent = app.query_as(&admin, operations[1].1, json!({ "endpointId": endpoint["id"] })).await;
    assert_eq!(sent.data_at("/webhookEndpointTest/userErrors"), &Value::Array(Vec::new()));
    app.run_pending_jobs().await;
    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("webhook.test evt_1"));
    drop(process);
}

/// Starts the receiver of a directory; it is killed when the returned process is dropped.
fn start_receiver(directory: &Path, port: u16, secret: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut node = tokio::process::Command::new("node");
    node.arg("receiver.mjs").current_dir(directory).env("PORT", port.to_string()).env("WEBHOOK_SECRET", secret);
    let mut child = node.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("node");
    let output = BufReader::new(child.stdout.take().expect("an output")).lines();
    (child, output)
}
