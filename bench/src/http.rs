//! A blocking HTTP client for single requests: response checks, readiness and paced clients.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Result;

/// The request headers, also sent by `wrk`.
pub const HEADERS: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Accept", "application/graphql-response+json")];

/// Sends a GraphQL request and returns the status and body of the response.
pub fn post_graphql(address: SocketAddr, body: &str) -> Result<(u16, String)> {
    post_graphql_as(address, None, body)
}

/// Sends a GraphQL request with an optional access token.
pub fn post_graphql_as(address: SocketAddr, token: Option<&str>, body: &str) -> Result<(u16, String)> {
    let mut headers = HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    if let Some(token) = token {
        headers.extend(["Authorization: Bearer ", token, "\r\n"]);
    }
    send_request(address, &format!("POST /graphql HTTP/1.0\r\n{headers}Content-Length: {}\r\n", body.len()), body)
}

/// Sends a GET request.
pub fn get_path(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    send_request(address, &format!("GET {path} HTTP/1.0\r\n"), "")
}

/// Sends a file with a PUT request.
pub fn put_file(address: SocketAddr, path: &str, file: &[u8]) -> Result<(u16, String)> {
    send_request(address, &format!("PUT {path} HTTP/1.0\r\nContent-Length: {}\r\n", file.len()), file)
}

/// Uses HTTP/1.0, so that the response is not chunked and ends with the connection.
fn send_request(address: SocketAddr, head: &str, body: impl AsRef<[u8]>) -> Result<(u16, String)> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.set_nodelay(true)?;
        // A server may respond before it has read the whole body, so a write error is not final.
        let head = format!("{head}Host: {address}\r\n\r\n");
        let write_result = stream.write_all(&[head.as_bytes(), body.as_ref()].concat());
        let mut response = Vec::new();
        let read_result = stream.read_to_end(&mut response);
        if response.is_empty() {
            write_result?;
            read_result?;
        }
        Ok(String::from_utf8_lossy(&response).into_owned())
    };
    let response = exchange().map_err(|error| format!("no answer from {address}: {error}"))?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(|| format!("{address} does not speak HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| format!("{address} answers without a status"))?, body.to_owned()))
}
