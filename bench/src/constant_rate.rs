//! Sends requests at a constant rate, so that the latencies of two servers can be compared regardless of their throughput.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    Result, http,
    latency::{Latencies, wait_until_due},
};

/// The clients, each of which sends a request in every interval.
const CLIENT_COUNT: u32 = 4;
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the number of requests that all clients send in a second.
fn requests_per_second() -> u32 {
    CLIENT_COUNT * 1000 / u32::try_from(REQUEST_INTERVAL.as_millis()).unwrap_or(1)
}

/// Sends requests with the bodies that `next_body` returns; returns their latencies.
pub fn send_requests(
    address: SocketAddr,
    duration: Duration,
    next_body: impl Fn() -> String + Sync,
) -> Result<Latencies> {
    let run_client = |client: u32| -> Result<Latencies> {
        // The clients take turns within the interval.
        std::thread::sleep(REQUEST_INTERVAL * client / CLIENT_COUNT);
        let (started, mut latencies) = (Instant::now(), Latencies::default());
        for sequence in 0.. {
            wait_until_due(started, REQUEST_INTERVAL, sequence);
            if started.elapsed() >= duration {
                break;
            }
            let body = next_body();
            let sent_at = Instant::now();
            let (status, response) = http::post_graphql(address, &body)?;
            if status != 200 {
                return Err(format!("status {status}: {response}"));
            }
            latencies.add(sent_at.elapsed());
        }
        Ok(latencies)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENT_COUNT).map(|client| scope.spawn(move || run_client(client))).collect();
        let mut all = Latencies::default();
        for client in clients {
            all.merge(client.join().map_err(|_| "a client ended early".to_owned())??);
        }
        Ok(all)
    })
}

/// Prints a table of latencies at the constant rate, and the ratio of the last row's 99th percentile to the first row's.
pub fn print_table(title: &str, [(first_name, first), (last_name, last)]: [(&str, &mut Latencies); 2]) {
    println!("{} requests per second; {title}:\n", requests_per_second());
    println!("| | requests | p50 ms | p99 ms |");
    println!("|---|--:|--:|--:|");
    for (name, latencies) in [(first_name, &mut *first), (last_name, &mut *last)] {
        let (p50, p99) = (latencies.percentile_ms(50), latencies.percentile_ms(99));
        println!("| {name} | {} | {p50:.2} | {p99:.2} |", latencies.count());
    }
    println!("\np99 {last_name} / {first_name}: {:.2}", last.percentile_ms(99) / first.percentile_ms(99));
}
