//! A server that speaks the protocol of Amazon S3 (Python package `moto`), on this machine.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::net::TcpListener;

/// Longest start of a server on a slow machine.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const BUCKET: &str = "pictures";

/// Returns the program: `SAVANNAH_MOTO_SERVER`, or `moto_server` in the path.
fn moto_program() -> String {
    std::env::var("SAVANNAH_MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned())
}

/// Requirement of tests with a bucket.
pub fn has_moto_server() -> bool {
    let help = Command::new(moto_program()).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    help.is_ok_and(|status| status.success()) || super::report_missing("moto_server is not installed")
}

/// A server with one bucket, ended on drop.
pub struct MotoServer {
    child: Child,
    endpoint: String,
}

impl MotoServer {
    /// Starts a server on a free port, and creates the bucket.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = Command::new(moto_program())
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let server = Self { child, endpoint: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + START_TIMEOUT;
        let client = reqwest::Client::new();
        while !client
            .put(format!("{}/{BUCKET}", server.endpoint))
            .send()
            .await
            .is_ok_and(|response| response.status().is_success())
        {
            assert!(Instant::now() < deadline, "moto_server does not answer");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        server
    }

    /// Returns the settings of a shop that uses the bucket.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        vec![
            ("SAVANNAH_MEDIA__STORAGE", "s3"),
            ("SAVANNAH_MEDIA__BUCKET", BUCKET),
            ("SAVANNAH_MEDIA__ENDPOINT", &self.endpoint),
            ("SAVANNAH_MEDIA__ACCESS_KEY_ID", "test"),
            ("SAVANNAH_MEDIA__SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// Returns the number of objects in the bucket.
    pub async fn count_objects(&self) -> usize {
        let listing = reqwest::get(format!("{}/{BUCKET}?list-type=2", self.endpoint)).await.expect("a response");
        listing.text().await.expect("a list").matches("<Key>").count()
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
