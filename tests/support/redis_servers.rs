//! Redis servers: the shared one, own processes, and fakes that misbehave.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Longest start of a server on a slow machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns the URL of the shared Redis server, if configured.
pub fn shared_redis_url() -> Option<String> {
    std::env::var("TEST_REDIS_URL").ok().filter(|url| !url.is_empty())
}

/// Requirement of tests with the shared Redis server.
pub fn has_shared_redis() -> bool {
    shared_redis_url().is_some() || super::report_missing("TEST_REDIS_URL is not set")
}

/// Requirement of tests that start a Redis server.
pub fn has_redis_server_binary() -> bool {
    let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success()) || super::report_missing("redis-server is not installed")
}

/// Requirement of tests that start a Redis server with TLS.
pub fn has_redis_server_and_openssl() -> bool {
    let version = Command::new("openssl").arg("version").stdout(Stdio::null()).status();
    let has_openssl = version.is_ok_and(|status| status.success()) || super::report_missing("openssl is not installed");
    has_openssl && has_redis_server_binary()
}

/// A certificate for `127.0.0.1` that no authority has issued, and its key.
pub struct ServerCertificate {
    pub certificate: PathBuf,
    key: PathBuf,
}

impl ServerCertificate {
    /// Creates a certificate in a directory.
    pub fn create_in(directory: &Path) -> Self {
        let [certificate, key] = ["server.pem", "server.key"].map(|name| directory.join(name));
        let created = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=redis", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(created.expect("openssl").success());
        Self { certificate, key }
    }
}

async fn find_free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A Redis server of the test's own, ended on drop.
pub struct RedisProcess {
    child: Child,
    pub port: u16,
}

impl RedisProcess {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        Self::start_on(find_free_port().await).await
    }

    /// Starts a server on this port and waits until it accepts connections.
    pub async fn start_on(port: u16) -> Self {
        Self::start_with_args(port, &["--port", &port.to_string()]).await
    }

    /// Starts a server on a free port that accepts only encrypted connections.
    pub async fn start_encrypted(certificate: &ServerCertificate) -> Self {
        let port = find_free_port().await;
        let [certificate, key] = [&certificate.certificate, &certificate.key].map(|file| file.to_str().expect("UTF-8"));
        let files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"];
        let ports = ["--port", "0", "--tls-port", &port.to_string()];
        Self::start_with_args(port, &[&ports[..], &files].concat()).await
    }

    async fn start_with_args(port: u16, args: &[&str]) -> Self {
        let child = Command::new("redis-server")
            .args(args)
            .args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        let server = Self { child, port };
        let started_at = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(started_at.elapsed() < START_TIMEOUT, "redis-server does not start");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops the server's execution, with its connections open, or continues it.
    pub fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Behavior of a fake server toward each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeRedisMode {
    /// Accepts connections and never responds.
    Hang,
    /// Responds to everything with bytes that are not of the protocol.
    Nonsense,
    /// Responds to every command with an integer.
    WrongType,
    /// Closes each connection after the first bytes.
    Disconnect,
}

/// A server that misbehaves, ended on drop.
pub struct FakeRedisServer {
    pub url: String,
    task: JoinHandle<()>,
}

impl FakeRedisServer {
    pub async fn start(mode: FakeRedisMode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(misbehave(stream, mode));
            }
        });
        Self { url, task }
    }
}

impl Drop for FakeRedisServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn misbehave(mut stream: TcpStream, mode: FakeRedisMode) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let command_count = String::from_utf8_lossy(&buffer[..length]).matches('*').count();
        let response = match mode {
            FakeRedisMode::Hang => String::new(),
            FakeRedisMode::Nonsense => "HTTP/1.1 400 Bad Request\r\n\r\n$99999999999\r\n*-7\r\n".to_owned(),
            FakeRedisMode::WrongType => ":42\r\n".repeat(command_count),
            FakeRedisMode::Disconnect => return,
        };
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}
