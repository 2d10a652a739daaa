//! Latencies, pacing and error codes of benchmark clients.

use std::time::{Duration, Instant};

use serde_json::Value;

/// Request latencies.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds a latency.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds the latencies of another client.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the number of latencies.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns a percentile in milliseconds; 100 is the maximum.
    pub fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Waits until the request with this sequence number is due. Returns `false` if the next one is due already.
pub fn wait_until_due(started: Instant, interval: Duration, sequence: u32) -> bool {
    let due = interval * sequence;
    std::thread::sleep(due.saturating_sub(started.elapsed()));
    started.elapsed() < due + interval
}

/// Returns the error codes of a response, or its status if it failed without any.
pub fn collect_error_codes(response: &crate::Result<(u16, String)>) -> Vec<String> {
    let (status, body) = match response {
        Ok((status, body)) => (*status, body),
        Err(_) => return vec!["no answer".to_owned()],
    };
    let Ok(body) = serde_json::from_str::<Value>(body) else { return vec![format!("status {status}")] };
    let to_text = |code: &Value| code.as_str().map(str::to_owned);
    let errors = body["errors"].as_array().into_iter().flatten();
    let mut codes: Vec<String> = errors.filter_map(|error| to_text(&error["extensions"]["code"])).collect();
    for payload in body["data"].as_object().into_iter().flat_map(|data| data.values()) {
        let user_errors = payload["userErrors"].as_array().into_iter().flatten();
        codes.extend(user_errors.filter_map(|user_error| to_text(&user_error["code"])));
    }
    if codes.is_empty() && status != 200 {
        codes.push(format!("status {status}"));
    }
    codes
}
