//! Clients that are slow, silent or too many, and a server that stops.

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    shop::{Backend, Shop, Workplace},
    stories,
};

stories![
    slow_head_closes_the_connection,
    slow_body_is_answered_408,
    idle_connection_is_closed,
    connections_beyond_the_limit_are_answered_health_checks,
    stopping_server_answers_what_was_sent_before_and_meanwhile,
];

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: shop\r\n\r\n";

async fn send(address: impl tokio::net::ToSocketAddrs, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// Everything until the other side closes.
async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // One that is reset is closed as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// The answer to a health check, on a connection that stays open.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut all = String::new();
    let mut part = [0; 4096];
    while !all.ends_with("}}") {
        let count = stream.read(&mut part).await.expect("an answer");
        assert!(count > 0, "closed after {all}");
        all.push_str(std::str::from_utf8(&part[..count]).expect("text"));
    }
    all
}

fn post(body: &str) -> String {
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len())
}

async fn slow_head_closes_the_connection(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__HEADER_TIMEOUT", "1")]).await;
    for beginning in ["", "P", "POST /graphql HTTP/1.1\r\nhost: shop\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = send(shop.address, beginning).await;
        let answer = read_to_close(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(read_answer(&mut send(shop.address, LIVE).await).await.starts_with("HTTP/1.1 200 "));
}

async fn slow_body_is_answered_408(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__BODY_TIMEOUT", "1")]).await;
    let request = post(&json!({ "query": "{ shop { name } }" }).to_string());
    let mut stream = send(shop.address, &request[..request.len() - 3]).await;
    let answer = read_to_close(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"TIMEOUT\""), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("x-request-id: "), "{answer}");
}

async fn idle_connection_is_closed(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__IDLE_TIMEOUT", "1")]).await;
    let mut stream = send(shop.address, LIVE).await;
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    // Also with the beginning of another request.
    stream.write_all(b"GET /health").await.expect("sent");
    assert_eq!(read_to_close(&mut stream).await, "");
}

async fn connections_beyond_the_limit_are_answered_health_checks(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__MAX_CONNECTIONS", "2")]).await;
    let mut first = send(shop.address, LIVE).await;
    let mut second = send(shop.address, LIVE).await;
    for stream in [&mut first, &mut second] {
        assert!(!read_answer(stream).await.contains("connection: close"));
    }
    let ask = post(&json!({ "query": "{ shop { name } }" }).to_string());
    let refused = read_to_close(&mut send(shop.address, &ask).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: "), "{refused}");
    assert!(refused.contains("UNAVAILABLE") && refused.contains("connection: close"), "{refused}");
    let live = read_to_close(&mut send(shop.address, LIVE).await).await;
    assert!(live.starts_with("HTTP/1.1 200 ") && live.contains("connection: close"), "{live}");
    // A place that becomes free is given to the next one.
    drop(first);
    let mut tries = 0;
    while read_answer(&mut send(shop.address, LIVE).await).await.contains("connection: close") {
        tries += 1;
        assert!(tries < 1_000, "no place becomes free");
    }
    // Those that were there before were never disturbed.
    second.write_all(LIVE.as_bytes()).await.expect("sent");
    assert!(read_answer(&mut second).await.starts_with("HTTP/1.1 200 "));
}

async fn stopping_server_answers_what_was_sent_before_and_meanwhile(_: Backend) {
    let place = Workplace::new(&[("SAVANNAH_SERVER__SHUTDOWN_DELAY", "2")]);
    let shop = place.open(&[]).await;
    let ask = post(&json!({ "query": "{ product(slug: \"mug\") { name } }" }).to_string());
    let mut early = join_all((0..40).map(|_| send(&shop.address, &ask))).await;
    shop.signal("TERM");
    shop.says("stopping").await;
    let ready = "GET /health/ready HTTP/1.1\r\nhost: shop\r\n\r\n";
    let ready = read_to_close(&mut send(&shop.address, ready).await).await;
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("connection: close"), "{ready}");
    let late = read_to_close(&mut send(&shop.address, &ask).await).await;
    assert!(late.starts_with("HTTP/1.1 200 ") && late.contains("connection: close"), "{late}");
    for stream in &mut early {
        let answer = read_to_close(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Savannah Mug"), "{answer}");
    }
    assert_eq!(shop.end().await.code, Some(0));
}
