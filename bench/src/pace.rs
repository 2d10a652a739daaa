//! Clients that keep a pace or follow one request with the next, and what they saw.

use std::time::{Duration, Instant};

use serde_json::Value;

/// How long requests took.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds those of another client.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that so many of a hundred do not exceed, in milliseconds; the longest of all for 100.
    pub fn at(&mut self, part: usize) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len() * part / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Waits until a request is due, of those that follow each other at this distance; whether it is not yet too late for it.
pub fn wait(began: Instant, every: Duration, number: u32) -> bool {
    let due = every * number;
    std::thread::sleep(due.saturating_sub(began.elapsed()));
    began.elapsed() < due + every
}

/// What an answer says that is wrong: the codes of its errors, or its status.
pub fn codes(answer: &crate::Result<(u16, String)>) -> Vec<String> {
    let (status, body) = match answer {
        Ok((status, body)) => (*status, body),
        Err(_) => return vec!["no answer".to_owned()],
    };
    let Ok(body) = serde_json::from_str::<Value>(body) else { return vec![format!("status {status}")] };
    let text = |code: &Value| code.as_str().map(str::to_owned);
    let errors = body["errors"].as_array().into_iter().flatten();
    let mut codes: Vec<String> = errors.filter_map(|error| text(&error["extensions"]["code"])).collect();
    for payload in body["data"].as_object().into_iter().flat_map(|data| data.values()) {
        let problems = payload["userErrors"].as_array().into_iter().flatten();
        codes.extend(problems.filter_map(|problem| text(&problem["code"])));
    }
    if codes.is_empty() && status != 200 {
        codes.push(format!("status {status}"));
    }
    codes
}
