//! nginx with the configuration of the repository.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::report_missing;

/// Longest start on a slow machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Requirement of tests with nginx.
pub fn has_nginx() -> bool {
    let version = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success()) || report_missing("nginx is not installed")
}

/// A running nginx in front of servers, ended on drop.
pub struct NginxProcess {
    process: Child,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl NginxProcess {
    /// Starts nginx on a free port in front of servers, `127.0.0.1:PORT`.
    pub async fn start(servers: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a free port").port();
        let path = directory.path().display();
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx/nginx.conf"));
        let mut text = text.expect("the configuration");
        // The second server of the configuration is omitted; the first, with its parameters, stands for each.
        let second_line =
            text.lines().find(|line| line.contains("server shop-2:8000")).expect("two servers").to_owned();
        text = text.replace(&second_line, "");
        let first_line = text.lines().find(|line| line.contains("server shop-1:8000")).expect("two servers").to_owned();
        let lines: Vec<_> = servers.iter().map(|server| first_line.replace("shop-1:8000", server)).collect();
        text = text.replace(&first_line, &lines.join("\n"));
        for (original, replacement) in [
            ("listen 8080;", format!("listen 127.0.0.1:{port};")),
            ("/var/cache/nginx/shop", format!("{path}/cache")),
            ("pid /tmp/nginx.pid;", format!("pid {path}/nginx.pid;")),
            ("worker_processes auto;", "daemon off;\nworker_processes 2;".to_owned()),
            (
                "    access_log off;",
                ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .iter()
                    .fold("    access_log off;\n".to_owned(), |text, name| {
                        format!("{text}    {name}_temp_path {path}/{name};\n")
                    }),
            ),
        ] {
            assert!(text.contains(original), "{original} is not in the configuration");
            text = text.replace(original, &replacement);
        }
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, text).expect("a configuration");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
        let process = command.stdout(Stdio::null()).spawn().expect("nginx");
        let nginx = Self { process, port, _directory: directory };
        let started_at = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(started_at.elapsed() < START_LIMIT, "nginx does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        nginx
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for NginxProcess {
    fn drop(&mut self) {
        // A graceful end, so that the master process ends its workers.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
