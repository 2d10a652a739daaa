//! One request at a time: for checks, for the first answer of a start, and for clients that keep a pace.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Result;

/// What both servers are told about the question. `wrk` sends the same.
pub const HEADERS: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Accept", "application/graphql-response+json")];

/// Asks, and waits for the whole answer: its status and its body.
pub fn post(address: SocketAddr, body: &str) -> Result<(u16, String)> {
    post_as(address, None, body)
}

/// The same with an access token, where there is one.
pub fn post_as(address: SocketAddr, token: Option<&str>, body: &str) -> Result<(u16, String)> {
    let mut headers = HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    if let Some(token) = token {
        headers.extend(["Authorization: Bearer ", token, "\r\n"]);
    }
    send(address, &format!("POST /graphql HTTP/1.0\r\n{headers}Content-Length: {}\r\n", body.len()), body)
}

/// Reads a path.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    send(address, &format!("GET {path} HTTP/1.0\r\n"), "")
}

/// HTTP 1.0, so that the answer comes in one piece and ends with the connection.
fn send(address: SocketAddr, head: &str, body: &str) -> Result<(u16, String)> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.set_nodelay(true)?;
        // Whoever is refused before the end of the body may still be answered.
        let sent = stream.write_all(format!("{head}Host: {address}\r\n\r\n{body}").as_bytes());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            sent?;
            read?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = exchange().map_err(|why| format!("no answer from {address}: {why}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{address} does not speak HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| format!("{address} answers without a status"))?, body.to_owned()))
}
