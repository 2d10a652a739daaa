//! The server binary: bootstraps an empty database, keeps existing data, and shuts down gracefully.

use migration::{Migrator, MigratorTrait};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, RunningProcess, TestDatabase},
};

integration_tests![
    serve_on_empty_database_starts_with_demo_catalog,
    serve_on_signal_finishes_requests_and_exits,
    serve_after_kill_starts_again,
    serve_uses_no_transparent_huge_pages,
    internal_error_is_logged_once,
    migrate_applies_and_reverts_migrations,
    serve_in_production_requires_migrate_first,
    every_command_prints_help_with_an_example,
    schema_command_prints_checks_and_writes_the_schema,
];

/// Creates a sandbox folder and an empty database.
async fn create_sandbox(backend: Backend, variables: &[(&str, &str)]) -> (CliSandbox, TestDatabase) {
    let database = TestDatabase::create_empty(backend).await;
    let url = [("DATABASE_URL", database.url())];
    // On SQLite the default URL is used.
    let url = if backend == Backend::Postgres { &url[..] } else { &[] };
    (CliSandbox::new(&[url, variables].concat()), database)
}

async fn count_products(server: &RunningProcess) -> i64 {
    let response = server.query("{ products { totalCount } }").await;
    response["data"]["products"]["totalCount"].as_i64().unwrap_or_else(|| panic!("no count in {response}"))
}

async fn serve_on_empty_database_starts_with_demo_catalog(backend: Backend) {
    let (sandbox, database) = create_sandbox(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    let products = count_products(&server).await;
    assert!(products > 20, "{products} products");
    assert!(server.stderr().contains("demo catalog"), "{}", server.stderr());
    let page = reqwest::get(format!("http://{}/graphiql", server.address)).await.expect("a page");
    let expected = if savannah::http::graphiql::is_embedded() { 200 } else { 503 };
    assert_eq!(page.status().as_u16(), expected);
    assert!(server.stdout().contains(&format!("http://{}/graphiql", server.address)), "{}", server.stdout());
    let archive_sql = "UPDATE product SET status = 'archived' WHERE slug = 'mug'";
    execute_sql(&sandbox, backend, database.url(), archive_sql).await;
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));

    // A second start keeps the existing data.
    let server = sandbox.start_server(&[]).await;
    assert_eq!(count_products(&server).await, products - 1);
    assert!(!server.stderr().contains("demo catalog"), "{}", server.stderr());
    for line in server.stderr().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// Linux reports in the status of a process whether it may use them.
async fn serve_uses_no_transparent_huge_pages(backend: Backend) {
    let (sandbox, _database) = create_sandbox(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    // Other systems and older kernels do not report it.
    assert!(state.is_none_or(|state| state.trim() == "0"), "{state:?}");
}

/// Executes SQL on the database of the running server.
async fn execute_sql(sandbox: &CliSandbox, backend: Backend, url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let file = format!("sqlite://{}", sandbox.path().join("data/savannah.db").display());
    let url = if backend == Backend::Sqlite { &file } else { url };
    let db = sea_orm::Database::connect(url).await.expect("a connection");
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    db.close().await.expect("closed");
}

async fn serve_on_signal_finishes_requests_and_exits(backend: Backend) {
    let (sandbox, _database) = create_sandbox(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    // The server sends `100 Continue` after the request head and waits for the body.
    let body = json!({ "query": "{ product(slug: \"mug\") { name } }" }).to_string();
    let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut continue_head = [0; 25];
    stream.read_exact(&mut continue_head).await.expect("100 Continue");
    assert_eq!(String::from_utf8_lossy(&continue_head), "HTTP/1.1 100 Continue\r\n\r\n");
    server.send_signal("TERM");
    // New connections are refused from now on.
    let mut attempts = 0;
    while TcpStream::connect(&server.address).await.is_ok() {
        attempts += 1;
        assert!(attempts < 10_000, "it still listens");
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).await.expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("an answer");
    assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("Savannah Mug"), "{response}");
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");

    // Requests in flight are aborted after the shutdown timeout.
    let server = sandbox.start_server(&[("SAVANNAH_SERVER__SHUTDOWN_TIMEOUT", "0s")]).await;
    let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.read_exact(&mut continue_head).await.expect("100 Continue");
    server.send_signal("INT");
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    assert!(exited.stderr.contains("did not finish in time"), "{exited:?}");
}

async fn serve_after_kill_starts_again(backend: Backend) {
    let (sandbox, _database) = create_sandbox(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    let products = count_products(&server).await;
    server.send_signal("KILL");
    assert_eq!(server.wait_for_exit().await.exit_code, None);
    // Also during the initial import: the demo catalog is either complete or imported again.
    let server = sandbox.start_server(&[]).await;
    assert_eq!(count_products(&server).await, products);
}

async fn internal_error_is_logged_once(backend: Backend) {
    let (sandbox, database) = create_sandbox(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    execute_sql(&sandbox, backend, database.url(), "ALTER TABLE product_tag RENAME TO gone").await;
    let request =
        reqwest::Client::new().post(format!("http://{}/graphql", server.address)).header("x-request-id", "mine");
    let query = json!({ "query": "{ products(first: 20) { nodes { slug tags } } }" });
    let response: Value = request.json(&query).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(response["errors"][0]["extensions"], json!({ "code": "INTERNAL", "requestId": "mine" }), "{response}");
    let lines: Vec<Value> = server.stderr().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let error_lines: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(error_lines.len(), 1, "{error_lines:?}");
    assert!(error_lines[0]["error"].as_str().is_some_and(|error| error.contains("product_tag")), "{error_lines:?}");
    assert!(error_lines[0].to_string().contains("\"request_id\":\"mine\""), "{error_lines:?}");
    // The other fields still work.
    assert_eq!(server.query("{ product(slug: \"mug\") { name } }").await["data"]["product"]["name"], "Savannah Mug");
}

async fn migrate_applies_and_reverts_migrations(backend: Backend) {
    let (sandbox, _database) = create_sandbox(backend, &[]).await;
    let all = Migrator::migrations().len();
    let migrate = async |args: &[&str], applied: usize| {
        let exited = sandbox.run_command(&[&["migrate"], args].concat(), &[]).await;
        let expected_output = format!("{applied} of {all} migrations are applied");
        assert!(exited.exit_code == Some(0) && exited.stdout.contains(&expected_output), "{exited:?}");
    };
    migrate(&[], all).await;
    migrate(&[], all).await;
    migrate(&["--down"], all - 1).await;
    migrate(&[], all).await;
    let server = sandbox.start_server(&[]).await;
    let products = count_products(&server).await;
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    migrate(&["--down", &all.to_string()], 0).await;
    migrate(&[], all).await;
    assert_eq!(count_products(&sandbox.start_server(&[]).await).await, products);
}

async fn serve_in_production_requires_migrate_first(backend: Backend) {
    let (sandbox, _database) = create_sandbox(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    if backend == Backend::Postgres {
        let exited = sandbox.run_command(&["serve"], &[]).await;
        assert_eq!(exited.exit_code, Some(1), "{exited:?}");
        let lacks =
            format!("the database lacks {} migrations: run `savannah migrate` first", Migrator::migrations().len());
        assert!(exited.stderr.contains(&lacks), "{exited:?}");
        assert_eq!(sandbox.run_command(&["migrate"], &[]).await.exit_code, Some(0));
    }
    let server = sandbox.start_server(&[]).await;
    assert_eq!(count_products(&server).await, 0, "no demo in front of shoppers");
}

async fn every_command_prints_help_with_an_example(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let commands: [&[&str]; 16] = [
        &[],
        &["serve"],
        &["migrate"],
        &["seed"],
        &["import"],
        &["import", "products"],
        &["import", "categories"],
        &["export"],
        &["export", "products"],
        &["user"],
        &["user", "create"],
        &["user", "list"],
        &["user", "role"],
        &["user", "disable"],
        &["user", "enable"],
        &["user", "export"],
    ];
    for command in commands.into_iter().chain([&["schema"][..]]) {
        let exited = sandbox.run_command(&[command, &["--help"]].concat(), &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{command:?}");
        let (_, example) = exited.stdout.split_once("Example:\n").unwrap_or_else(|| panic!("no example: {exited:?}"));
        assert!(example.contains(&[&["savannah"], command].concat().join(" ")), "{command:?}: {example}");
    }
    let exited = sandbox.run_command(&["--version"], &[]).await;
    assert_eq!((exited.exit_code, exited.stdout.trim()), (Some(0), concat!("savannah ", env!("CARGO_PKG_VERSION"))));
}

async fn schema_command_prints_checks_and_writes_the_schema(_: Backend) {
    // It reads no settings, so invalid ones do not matter.
    let sandbox = CliSandbox::new(&[("DATABASE_URL", "nonsense")]);
    let printed = sandbox.run_command(&["schema"], &[]).await;
    assert_eq!((printed.exit_code, printed.stdout.as_str()), (Some(0), include_str!("../schema.graphql")));
    sandbox.write_file("schema.graphql", &printed.stdout);
    assert_eq!(sandbox.run_command(&["schema", "--check", "schema.graphql"], &[]).await.exit_code, Some(0));
    sandbox.write_file("schema.graphql", &printed.stdout.replace("price: Decimal!", "price: Float!"));
    let exited = sandbox.run_command(&["schema", "--check", "schema.graphql"], &[]).await;
    assert_eq!(exited.exit_code, Some(1));
    assert_eq!(
        exited.stderr,
        "savannah: schema.graphql is not current: run `savannah schema --write schema.graphql`\n"
    );
    assert_eq!(sandbox.run_command(&["schema", "--write", "schema.graphql"], &[]).await.exit_code, Some(0));
    assert_eq!(sandbox.run_command(&["schema", "--check", "schema.graphql"], &[]).await.exit_code, Some(0));
    assert_eq!(sandbox.run_command(&["schema", "--check", "nothing.graphql"], &[]).await.exit_code, Some(1));
}
