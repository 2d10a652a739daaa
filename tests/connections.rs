//! Slow, idle and too many connections, and server shutdown.

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, TestApp},
};

integration_tests![
    slow_head_closes_the_connection,
    slow_body_is_rejected_with_408,
    idle_connection_is_closed,
    connections_over_the_limit_get_only_health_responses,
    stopping_server_answers_accepted_requests,
];

const LIVENESS_REQUEST: &str = "GET /health/live HTTP/1.1\r\nhost: shop\r\n\r\n";

async fn connect_and_send(address: impl tokio::net::ToSocketAddrs, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// Reads until the peer closes the connection.
async fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset connection counts as closed.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads the response to a health check on a keep-alive connection.
async fn read_health_response(stream: &mut TcpStream) -> String {
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !all.ends_with("}}") {
        let count = stream.read(&mut buffer).await.expect("an answer");
        assert!(count > 0, "closed after {all}");
        all.push_str(std::str::from_utf8(&buffer[..count]).expect("text"));
    }
    all
}

fn format_post_request(body: &str) -> String {
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len())
}

async fn slow_head_closes_the_connection(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__HEADER_TIMEOUT", "1s")]).await;
    for request_prefix in ["", "P", "POST /graphql HTTP/1.1\r\nhost: shop\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = connect_and_send(app.address, request_prefix).await;
        let response = read_until_closed(&mut stream).await;
        assert!(!response.contains("200 OK"), "{response}");
    }
    assert!(
        read_health_response(&mut connect_and_send(app.address, LIVENESS_REQUEST).await)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

async fn slow_body_is_rejected_with_408(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__BODY_TIMEOUT", "1s")]).await;
    let request = format_post_request(&json!({ "query": "{ shop { name } }" }).to_string());
    let mut stream = connect_and_send(app.address, &request[..request.len() - 3]).await;
    let response = read_until_closed(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 408 ") && response.contains("\"TIMEOUT\""), "{response}");
    assert!(response.contains("connection: close") && response.contains("x-request-id: "), "{response}");
}

async fn idle_connection_is_closed(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__IDLE_TIMEOUT", "1s")]).await;
    let mut stream = connect_and_send(app.address, LIVENESS_REQUEST).await;
    assert!(read_health_response(&mut stream).await.starts_with("HTTP/1.1 200 "));
    // Also with a partial next request.
    stream.write_all(b"GET /health").await.expect("sent");
    assert_eq!(read_until_closed(&mut stream).await, "");
}

async fn connections_over_the_limit_get_only_health_responses(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__MAX_CONNECTIONS", "2")]).await;
    let mut first = connect_and_send(app.address, LIVENESS_REQUEST).await;
    let mut second = connect_and_send(app.address, LIVENESS_REQUEST).await;
    for stream in [&mut first, &mut second] {
        assert!(!read_health_response(stream).await.contains("connection: close"));
    }
    let request = format_post_request(&json!({ "query": "{ shop { name } }" }).to_string());
    let rejected = read_until_closed(&mut connect_and_send(app.address, &request).await).await;
    assert!(rejected.starts_with("HTTP/1.1 503 ") && rejected.contains("retry-after: "), "{rejected}");
    assert!(rejected.contains("UNAVAILABLE") && rejected.contains("connection: close"), "{rejected}");
    let response = read_until_closed(&mut connect_and_send(app.address, LIVENESS_REQUEST).await).await;
    assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("connection: close"), "{response}");
    // A released connection slot goes to the next client.
    drop(first);
    let mut attempts = 0;
    while read_health_response(&mut connect_and_send(app.address, LIVENESS_REQUEST).await)
        .await
        .contains("connection: close")
    {
        attempts += 1;
        assert!(attempts < 1_000, "no place becomes free");
    }
    // Existing connections are unaffected.
    second.write_all(LIVENESS_REQUEST.as_bytes()).await.expect("sent");
    assert!(read_health_response(&mut second).await.starts_with("HTTP/1.1 200 "));
}

async fn stopping_server_answers_accepted_requests(_: Backend) {
    let sandbox = CliSandbox::new(&[("SAVANNAH_SERVER__SHUTDOWN_DELAY", "2s")]);
    let server = sandbox.start_server(&[]).await;
    let request = format_post_request(&json!({ "query": "{ product(slug: \"mug\") { name } }" }).to_string());
    let mut early_streams = join_all((0..40).map(|_| connect_and_send(&server.address, &request))).await;
    server.send_signal("TERM");
    server.wait_for_log("stopping").await;
    let ready = "GET /health/ready HTTP/1.1\r\nhost: shop\r\n\r\n";
    let ready = read_until_closed(&mut connect_and_send(&server.address, ready).await).await;
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("connection: close"), "{ready}");
    let late_response = read_until_closed(&mut connect_and_send(&server.address, &request).await).await;
    assert!(
        late_response.starts_with("HTTP/1.1 200 ") && late_response.contains("connection: close"),
        "{late_response}"
    );
    for stream in &mut early_streams {
        let response = read_until_closed(stream).await;
        assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("Savannah Mug"), "{response}");
    }
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
}
