//! Idle subscribers: their memory in the server, and the time until one change has reached all of them.
//!
//! All clients follow one cart over WebSocket connections of their own, and a change of its note is measured.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    Result,
    args::Options,
    database, http,
    process::{MemoryUsage, Server},
};

/// Clients that connect at the same time.
const CONCURRENT_CONNECTS: usize = 100;
/// Time for a delivery to all clients.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(1);
/// Opcodes of frames.
const TEXT_FRAME: u8 = 1;
const PING_FRAME: u8 = 9;
const PONG_FRAME: u8 = 10;

/// Measures the subscribers and prints a report.
pub fn run_subscriber_scenario(options: &Options, server: &Path, subscriber_count: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("tokio cannot start: {error}"))?;
    let database = runtime.block_on(database::prepare_database(options, server, options.products))?;
    let server = Server::start_for_subscribers(server, &database.url)?;
    runtime.block_on(measure_subscribers(options, &server, subscriber_count))
}

async fn measure_subscribers(options: &Options, server: &Server, subscriber_count: usize) -> Result<()> {
    let cart = create_cart(server.address)?;
    let before = read_memory(server)?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let started = Instant::now();
    let mut clients = Vec::with_capacity(subscriber_count);
    while clients.len() < subscriber_count {
        let mut connecting = JoinSet::new();
        for _ in 0..CONCURRENT_CONNECTS.min(subscriber_count - clients.len()) {
            connecting.spawn(connect_client(server.address, cart.clone()));
        }
        while let Some(connected) = connecting.join_next().await {
            clients.push(connected.map_err(|error| format!("a client failed: {error}"))??);
        }
    }
    let connect_time = started.elapsed();
    let mut receiving = JoinSet::new();
    for client in clients {
        receiving.spawn(receive_events(client, sender.clone()));
    }
    // Pings and allocations of the connection phase settle.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = read_memory(server)?;
    println!("{subscriber_count} subscribers connected in {:.1} s", connect_time.as_secs_f64());
    println!(
        "resident memory: {:.1} MB before, {:.1} MB with idle subscribers ({:.1} kB each)",
        before.resident_mb,
        idle.resident_mb,
        (idle.resident_mb - before.resident_mb) * 1024.0 / count_to_f64(subscriber_count)
    );
    for round in 1..=options.rounds {
        let times = measure_delivery(server.address, &cart, round, subscriber_count, &mut receiver).await?;
        let percentile = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
        println!(
            "change {round} reached all after {:.0} ms (half of them after {:.0} ms)",
            percentile(100),
            percentile(50)
        );
    }
    let after = read_memory(server)?;
    println!("resident memory after the changes: {:.1} MB, peak {:.1} MB", after.resident_mb, after.peak_mb);
    if cfg!(debug_assertions) {
        println!("this build is not optimized: figures of a release build are lower");
    }
    Ok(())
}

fn count_to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn read_memory(server: &Server) -> Result<MemoryUsage> {
    server.memory_usage().ok_or_else(|| "the memory of the server cannot be read".to_owned())
}

/// Changes the cart and returns the sorted times until each client had the change.
async fn measure_delivery(
    address: SocketAddr,
    cart: &str,
    round: u32,
    subscriber_count: usize,
    receiver: &mut mpsc::UnboundedReceiver<Instant>,
) -> Result<Vec<Duration>> {
    let started = Instant::now();
    let query = "mutation($id: ID!, $note: String) { cartNoteUpdate(id: $id, note: $note) { userErrors { code } } }";
    let variables = json!({ "id": cart, "note": format!("note {round} of {}", std::process::id()) });
    let body = json!({ "query": query, "variables": variables }).to_string();
    let changing = tokio::task::spawn_blocking(move || http::post_graphql(address, &body));
    let collecting = async {
        let mut times = Vec::with_capacity(subscriber_count);
        while times.len() < subscriber_count {
            let received_at = receiver.recv().await.ok_or("the clients have ended")?;
            times.push(received_at.saturating_duration_since(started));
        }
        Ok::<_, String>(times)
    };
    let times = tokio::time::timeout(DELIVERY_TIMEOUT, collecting).await;
    let (_, response) = changing.await.map_err(|error| format!("the change failed: {error}"))??;
    let mut times = times.map_err(|_| format!("not every client has the change: {response}"))??;
    times.sort_unstable();
    Ok(times)
}

fn create_cart(address: SocketAddr) -> Result<String> {
    let products = query(address, "{ products(first: 1) { nodes { variants { id } } } }", &json!({}))?;
    let lines = json!([{ "variantId": products["products"]["nodes"][0]["variants"][0]["id"], "quantity": 1 }]);
    let create = "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } } }";
    let created = query(address, create, &json!({ "input": { "lines": lines } }))?;
    let id = created["cartCreate"]["cart"]["id"].as_str();
    id.map(str::to_owned).ok_or_else(|| format!("no cart was created: {created}"))
}

fn query(address: SocketAddr, query: &str, variables: &Value) -> Result<Value> {
    let (_, body) = http::post_graphql(address, &json!({ "query": query, "variables": variables }).to_string())?;
    let response: Value = serde_json::from_str(&body).map_err(|error| format!("{body}: {error}"))?;
    Ok(response["data"].clone())
}

/// Connects a client and starts its subscription.
async fn connect_client(address: SocketAddr, cart: String) -> Result<TcpStream> {
    let io_error = |error: std::io::Error| format!("a client could not connect: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(io_error)?;
    let handshake = format!(
        "GET /graphql HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).await.map_err(io_error)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.map_err(io_error)?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(format!("the handshake was refused: {}", String::from_utf8_lossy(&head)));
    }
    send_frame(&mut stream, TEXT_FRAME, br#"{"type":"connection_init"}"#).await.map_err(io_error)?;
    let (_, acknowledged) = read_frame(&mut stream).await.map_err(io_error)?;
    if !acknowledged.windows(14).any(|part| part == b"connection_ack") {
        return Err(format!("not acknowledged: {}", String::from_utf8_lossy(&acknowledged)));
    }
    let subscription = "subscription($id: ID!) { cartUpdated(id: $id) { cart { note itemCount } cursor } }";
    let payload = json!({ "query": subscription, "variables": { "id": cart } });
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload }).to_string();
    send_frame(&mut stream, TEXT_FRAME, subscribe.as_bytes()).await.map_err(io_error)?;
    Ok(stream)
}

/// Reports the time of each event until the connection ends.
async fn receive_events(mut stream: TcpStream, sender: mpsc::UnboundedSender<Instant>) {
    while let Ok((opcode, payload)) = read_frame(&mut stream).await {
        if opcode == PING_FRAME {
            // A lost connection ends the next read.
            let _ = send_frame(&mut stream, PONG_FRAME, &payload).await;
        } else if opcode != TEXT_FRAME || sender.send(Instant::now()).is_err() {
            return;
        }
    }
}

/// Sends a frame, masked with zeros.
async fn send_frame(stream: &mut TcpStream, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0xfe);
            frame.extend(length.to_be_bytes());
        }
        _ => return Err(std::io::ErrorKind::InvalidInput.into()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    stream.write_all(&frame).await
}

/// Reads a frame: its opcode and payload.
async fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let opcode = stream.read_u8().await? & 0x0f;
    let length = match stream.read_u8().await? & 0x7f {
        126 => stream.read_u16().await?.into(),
        127 => return Err(std::io::ErrorKind::InvalidData.into()),
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok((opcode, payload))
}
