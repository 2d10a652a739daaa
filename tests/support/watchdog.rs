//! Watchdog: a test that does not end fails the run with its name, instead of using up the time of the whole gate. The
//! slowest tests are printed at the end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Maximum duration of a test: several times that of the slowest on a busy machine.
const MAX_TEST_DURATION: Duration = Duration::from_mins(10);
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How many of the slowest tests are printed.
const SLOWEST_COUNT: usize = 10;

/// Start times of the running tests by name.
static RUNNING_TESTS: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// Durations of the tests that have ended, by name.
static ENDED_TESTS: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// A running test, registered until it is dropped.
pub struct RunningTest(String);

impl RunningTest {
    pub fn register(name: String) -> Self {
        RUNNING_TESTS.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Instant::now());
        Self(name)
    }
}

impl Drop for RunningTest {
    fn drop(&mut self) {
        let started_at = RUNNING_TESTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        let duration = started_at.map(|started_at| started_at.elapsed()).unwrap_or_default();
        ENDED_TESTS.lock().unwrap_or_else(PoisonError::into_inner).push((duration, std::mem::take(&mut self.0)));
    }
}

/// Prints the slowest tests.
pub fn print_slowest_tests() {
    let mut ended_tests = ENDED_TESTS.lock().unwrap_or_else(PoisonError::into_inner);
    ended_tests.sort_unstable_by(|a, b| b.cmp(a));
    let describe = |(duration, name): &(Duration, String)| format!("{name} {:.1} s", duration.as_secs_f64());
    let slowest: Vec<String> = ended_tests.iter().take(SLOWEST_COUNT).map(describe).collect();
    println!("slowest: {}", slowest.join(", "));
}

/// Starts the watchdog. A thread of its own, because the runtime may be what is blocked.
pub fn watch_running_tests() {
    std::thread::spawn(|| {
        loop {
            std::thread::park_timeout(CHECK_INTERVAL);
            let running_tests = RUNNING_TESTS.lock().unwrap_or_else(PoisonError::into_inner);
            let overdue = running_tests.iter().filter(|(_, started_at)| started_at.elapsed() > MAX_TEST_DURATION);
            let overdue: Vec<&str> = overdue.map(|(name, _)| name.as_str()).collect();
            if !overdue.is_empty() {
                eprintln!("FAILED: not ended after {} s: {}", MAX_TEST_DURATION.as_secs(), overdue.join(", "));
                std::process::exit(101);
            }
        }
    });
}
