//! First start: by several processes at once, killed midway, and with private files.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    integration_tests,
    support::{Backend, CliSandbox},
};

integration_tests![
    concurrent_first_starts_all_succeed,
    migration_killed_midway_can_be_repeated,
    start_killed_midway_is_completed_by_the_next,
    data_files_are_readable_by_their_owner_only,
    messages_in_the_outbox_are_readable_by_their_owner_only,
];

const COUNT_PRODUCTS: &str = "{ products { totalCount } }";

async fn concurrent_first_starts_all_succeed(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let servers = join_all((0..4).map(|_| sandbox.start_server(&[]))).await;
    let mut counts = Vec::new();
    for server in &servers {
        let response = server.query(COUNT_PRODUCTS).await;
        counts.push(response["data"]["products"]["totalCount"].as_i64().expect("a count"));
    }
    assert!(counts[0] > 20 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    for server in servers {
        server.send_signal("TERM");
        assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    }
}

async fn migration_killed_midway_can_be_repeated(backend: Backend) {
    for round in 0..8 {
        let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
        for kill in 0..3 {
            let running = sandbox.start_command(&["migrate"]);
            tokio::time::sleep(Duration::from_millis(10 + round * 17 + kill * 11)).await;
            // It is killed, unless it has ended.
            drop(running);
        }
        let exited = sandbox.run_command(&["migrate"], &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
        assert!(!exited.stderr.contains("already exists"), "{exited:?}");
    }
}

async fn start_killed_midway_is_completed_by_the_next(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    for round in 0..6 {
        let running = sandbox.start_command(&["serve"]);
        tokio::time::sleep(Duration::from_millis(60 + round * 60)).await;
        drop(running);
    }
    let server = sandbox.start_server(&[]).await;
    let create_cart_query =
        "mutation { cartCreate { cart { availableShippingOptions { name } } userErrors { code } } }";
    let response = server.query(create_cart_query).await;
    let methods = response["data"]["cartCreate"]["cart"]["availableShippingOptions"].as_array();
    assert!(methods.is_some_and(|methods| !methods.is_empty()), "{response}");
    let response = server.query(COUNT_PRODUCTS).await;
    assert!(response["data"]["products"]["totalCount"].as_i64().is_some_and(|count| count > 20), "{response}");
}

async fn data_files_are_readable_by_their_owner_only(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    let directory = sandbox.path().join("data");
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(&directory).expect("files").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(server);
}

/// The permissions of a file or folder.
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display())).permissions().mode() & 0o777
}

async fn messages_in_the_outbox_are_readable_by_their_owner_only(backend: Backend) {
    let (place, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let shop = place.start_server(&[]).await;
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        userErrors { code } } }";
    let made = shop.query(register).await;
    assert_eq!(made["data"]["customerRegister"]["userErrors"], serde_json::json!([]), "{made}");
    let variant = shop.query("{ product(slug: \"mug\") { variants { id } } }").await;
    let variant = variant["data"]["product"]["variants"][0]["id"].as_str().expect("a variant").to_owned();
    let cart = "mutation { cartCreate { cart { availableShippingOptions { shippingMethodId } } } }";
    let cart = shop.query(cart).await;
    let method = cart["data"]["cartCreate"]["cart"]["availableShippingOptions"][0]["shippingMethodId"].clone();
    let order = format!(
        "mutation {{ orderCreate(input: {{ lines: [{{ variantId: \"{variant}\", quantity: 1 }}], paymentMethodId: \"cash_on_delivery\", idempotencyKey: \"key\",
        shippingMethodId: {method},
        phone: \"0712 345678\", shippingAddress: {{ address: {{ lastName: \"Kamau\", line1: \"Moi Avenue 1\", city: \"Nairobi\",
        countryCode: \"KE\" }} }} }}) {{ order {{ number }} userErrors {{ code message }} }} }}"
    );
    let made = shop.query(&order).await;
    assert!(made["data"]["orderCreate"]["order"]["number"].is_string(), "{made}");
    // An email and a text message.
    let folder = place.path().join("dev/outbox");
    let began = std::time::Instant::now();
    let files = loop {
        let all =
            std::fs::read_dir(&folder).map(|all| all.map(|file| file.expect("a file").path()).collect::<Vec<_>>());
        let all = all.unwrap_or_default();
        let has = |ending: &str| all.iter().any(|file| file.extension().is_some_and(|of| of == ending));
        if has("eml") && has("txt") {
            break all;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "no messages: {}", shop.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((mode(&place.path().join("dev")), mode(&folder)), (0o700, 0o700));
    for file in files.iter().filter(|file| file.exists()) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}
