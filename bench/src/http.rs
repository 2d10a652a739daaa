//! One question at a time, for checks and for the first answer of a start.

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
///
/// HTTP 1.0, so that the answer comes in one piece and ends with the connection.
pub fn post(address: SocketAddr, body: &str) -> Result<(u16, String)> {
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.set_nodelay(true)?;
        let headers = HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        let length = body.len();
        let head = format!("POST /graphql HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().map_err(|why| format!("no answer from {address}: {why}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{address} does not speak HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| format!("{address} answers without a status"))?, body.to_owned()))
}
