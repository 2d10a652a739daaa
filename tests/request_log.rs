//! The line that is logged when a request ends, and the error file.

use std::sync::{Arc, Mutex};

use axum::{Router, http::Uri, routing::post};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, RESPONSE_CACHE_ON, RunningProcess},
};

integration_tests![
    request_line_has_all_fields,
    healthy_requests_are_sampled_and_others_are_not,
    response_from_memory_has_a_line,
    errors_are_written_to_the_error_file,
    errors_are_reported_with_their_request,
];

const ALL_REQUESTS: (&str, &str) = ("SAVANNAH_LOG__REQUEST_SAMPLE_RATE", "100%");

/// Returns the lines of completed requests to the API.
fn request_lines(server: &RunningProcess) -> Vec<Value> {
    let log = server.stderr();
    let lines = log.lines().filter(|line| line.contains("request completed"));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

async fn request_line_has_all_fields(backend: Backend) {
    let (sandbox, _database) =
        CliSandbox::with_empty_database(backend, &[ALL_REQUESTS, ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1")]).await;
    let server = sandbox.start_server(&[]).await;
    let agent = format!("Shop/{}", "9".repeat(300));
    let headers = [
        ("x-request-id", "mine-1"),
        ("x-forwarded-for", "192.0.2.1, 203.0.113.9"),
        ("user-agent", agent.as_str()),
        ("accept", "application/graphql-response+json"),
    ];
    let body = json!({ "query": "query Listing { products(first: 3) { nodes { name } } }" });
    assert_eq!(server.post(&body, &headers).await.status(), 200);
    server.wait_for_log("request completed").await;
    let lines = request_lines(&server);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["operation"], "Listing");
    assert_eq!((&line["media_type"], &line["status"]), (&json!("application/graphql-response+json"), &json!(200)));
    assert!(line["duration_millis"].is_u64() && line["cost"].as_u64().is_some_and(|cost| cost > 0), "{line}");
    assert!(line["statements"].as_u64().is_some_and(|count| (1..10).contains(&count)), "{line}");
    assert_eq!((&line["caller"], &line["address"]), (&json!("anonymous"), &json!("203.0.113.9")));
    assert_eq!(line["user_agent"].as_str().map(str::len), Some(200));
    assert_eq!(line["span"]["request_id"], "mine-1");
    assert_eq!((&line["span"]["method"], &line["span"]["path"]), (&json!("POST"), &json!("/graphql")));
}

async fn healthy_requests_are_sampled_and_others_are_not(backend: Backend) {
    let (sandbox, database) =
        CliSandbox::with_empty_database(backend, &[("SAVANNAH_LOG__REQUEST_SAMPLE_RATE", "10%")]).await;
    let server = sandbox.start_server(&[]).await;
    for _ in 0..30 {
        server.query("{ shop { name } }").await;
    }
    for _ in 0..2 {
        let accept = [("accept", "application/graphql-response+json")];
        assert_eq!(server.post(&json!({ "query": "query Wrong { wrong }" }), &accept).await.status(), 400);
    }
    let lines = request_lines(&server);
    let rejected = lines.iter().filter(|line| line["status"] == 400).count();
    assert_eq!((lines.len(), rejected), (3 + 2, 2), "{lines:?}");
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{lines:?}");

    // Errors of the server are warnings.
    let sql = "ALTER TABLE product_tag RENAME TO hidden";
    execute_sql(&sandbox, backend, database.url(), sql).await;
    server.query("query Broken { products(first: 20) { nodes { slug tags } } }").await;
    server.wait_for_log("\"operation\":\"Broken\"").await;
    let lines = request_lines(&server);
    let line = lines.last().expect("a line");
    assert_eq!((&line["level"], &line["status"]), (&json!("WARN"), &json!(200)));
}

async fn execute_sql(sandbox: &CliSandbox, backend: Backend, url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let file = format!("sqlite://{}", sandbox.path().join("data/savannah.db").display());
    let url = if backend == Backend::Sqlite { &file } else { url };
    let db = sea_orm::Database::connect(url).await.expect("a connection");
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    db.close().await.expect("closed");
}

async fn response_from_memory_has_a_line(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[ALL_REQUESTS, RESPONSE_CACHE_ON]).await;
    let server = sandbox.start_server(&[]).await;
    let body = json!({ "query": "query Listing { products(first: 3) { nodes { name } } }" });
    for number in 0..3 {
        let id = format!("mine-{number}");
        let response = server.post(&body, &[("x-request-id", &id), ("user-agent", "Shop/1")]).await;
        assert_eq!(response.headers()["x-request-id"], id.as_str());
    }
    server.wait_for_log("mine-2").await;
    let lines = request_lines(&server);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["span"]["request_id"], format!("mine-{number}"));
        assert_eq!((&line["operation"], &line["status"]), (&json!("Listing"), &json!(200)));
        assert_eq!((&line["address"], &line["user_agent"]), (&json!("127.0.0.1"), &json!("Shop/1")));
        assert_eq!(line["statements"].is_null(), number > 0, "{line}");
    }
}

async fn errors_are_written_to_the_error_file(backend: Backend) {
    let (sandbox, database) =
        CliSandbox::with_empty_database(backend, &[("SAVANNAH_LOG__ERROR_FILE", "logs/error.log")]).await;
    let server = sandbox.start_server(&[]).await;
    execute_sql(&sandbox, backend, database.url(), "ALTER TABLE product_tag RENAME TO hidden").await;
    let body = json!({ "query": "{ products(first: 20) { nodes { slug tags } } }" });
    server.post(&body, &[("x-request-id", "mine-1")]).await;
    server.wait_for_log("field resolution failed").await;
    let path = sandbox.path().join("logs/error.log");
    let text = std::fs::read_to_string(&path).expect("the file");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [line] = lines.as_slice() else { panic!("{text}") };
    assert_eq!((&line["level"], &line["span"]["request_id"]), (&json!("ERROR"), &json!("mine-1")));
    assert!(line["error"].as_str().is_some_and(|error| error.contains("product_tag")), "{line}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("metadata").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Standard error has it, too, and everything else.
    assert!(server.stderr().contains("product_tag") && server.stderr().contains("server listening"));
}

async fn errors_are_reported_with_their_request(backend: Backend) {
    let reports: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let received = Arc::clone(&reports);
    let receive = move |uri: Uri, body: String| {
        received.lock().expect("reports").push((uri.path().to_owned(), body));
        async { "{}" }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dsn = format!("http://publickey@{}/42", listener.local_addr().expect("an address"));
    let service = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(post(receive))).await });
    let (sandbox, database) =
        CliSandbox::with_empty_database(backend, &[("SAVANNAH_TELEMETRY__SENTRY_DSN", &dsn)]).await;
    let server = sandbox.start_server(&[]).await;
    execute_sql(&sandbox, backend, database.url(), "ALTER TABLE product_tag RENAME TO hidden").await;
    let body = json!({ "query": "{ products(first: 20) { nodes { slug tags } } }" });
    server.post(&body, &[("x-request-id", "mine-1"), ("user-agent", "Shop/1")]).await;
    server.post(&json!({ "query": "{ wrong }" }), &[]).await;
    server.send_signal("TERM");
    // The end of the process waits until everything was sent.
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    service.abort();
    let reports = reports.lock().expect("reports").clone();
    let [(path, report)] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(path, "/api/42/envelope/");
    assert!(report.contains("product_tag") && report.contains("mine-1"), "{report}");
    assert!(!report.contains("Shop/1") && !report.contains("127.0.0.1"), "{report}");
}
