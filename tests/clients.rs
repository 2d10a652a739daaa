//! GraphQL clients with normalized caches, which run the storefront's documents against the demo shop: see
//! `tests/clients`.

use std::fmt::Write as _;

use savannah::{identity::Role, import_export::import::DEMO_CATALOG_CSV};

use crate::{
    browser::{has_node_module, run_node_script},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![;
    needs(has_client_modules):
        apollo_client_keeps_its_cache_consistent,
        urql_keeps_its_cache_consistent,
        relay_keeps_its_store_consistent,
        apollo_client_sends_persisted_queries_and_trusted_documents,
        relay_sends_ids_of_persisted_documents;
    needs(has_subscription_modules):
        subscription_clients_get_every_change_once
];

/// Products of the category `paper`: more than a page of the storefront has, fewer than two.
const PAPER_PRODUCTS: usize = 40;

fn has_client_modules() -> bool {
    let modules = [
        "@apollo/client",
        "@apollo/persisted-query-lists",
        "@urql/exchange-graphcache",
        "relay-compiler",
        "@graphql-codegen/core",
        "typescript",
    ];
    modules.into_iter().all(has_node_module)
}

fn has_subscription_modules() -> bool {
    let modules = ["graphql-ws", "graphql-sse", "ws", "@apollo/client", "@urql/core", "rxjs"];
    modules.into_iter().all(has_node_module)
}

/// Runs `graphql-ws`, `graphql-sse`, Apollo Client's subscription link and urql's subscription exchange.
async fn subscription_clients_get_every_change_once(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.start_event_feed().await;
    let output = run_node_script("clients/subscriptions.mjs", vec![app.url("")]).await;
    for client in ["graphql-ws", "graphql-sse", "@apollo/client", "urql"] {
        assert!(output.contains(&format!("{client}: passed with")), "{output}");
    }
}

async fn apollo_client_keeps_its_cache_consistent(backend: Backend) {
    run_client(backend, "apollo").await;
}

async fn urql_keeps_its_cache_consistent(backend: Backend) {
    run_client(backend, "urql").await;
}

async fn relay_keeps_its_store_consistent(backend: Backend) {
    run_client(backend, "relay").await;
}

async fn apollo_client_sends_persisted_queries_and_trusted_documents(backend: Backend) {
    run_persisted_client(backend, "apollo-persisted").await;
}

async fn relay_sends_ids_of_persisted_documents(backend: Backend) {
    run_persisted_client(backend, "relay-persisted").await;
}

/// Runs the script of a client that publishes its documents; guests may send no others.
async fn run_persisted_client(backend: Backend, client: &str) {
    let settings = [("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", "staff")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    assert_eq!(app.import_products(DEMO_CATALOG_CSV).await.1, []);
    let admin = app.login(Role::Admin).await;
    run_script(&app, vec![client.to_owned(), app.url(""), admin]).await;
}

/// Runs the script of a client against the demo shop, with shipping methods and a category of several pages.
async fn run_client(backend: Backend, client: &str) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    run_script(&app, vec![client.to_owned(), app.url("")]).await;
}

async fn run_script(app: &TestApp, arguments: Vec<String>) {
    app.seed_shipping_and_tax().await;
    let mut csv = "Handle,Title,Category,Variant SKU,Variant Price,Variant Inventory Qty,Status\n".to_owned();
    for number in 1..=PAPER_PRODUCTS {
        writeln!(csv, "paper-{number},Paper {number},Paper,PAPER-{number},{number}0.00,100,active").expect("text");
    }
    assert_eq!(app.import_products(csv).await.1, []);
    let output = run_node_script("clients/run.mjs", arguments).await;
    assert!(output.contains("passed with"), "{output}");
}
