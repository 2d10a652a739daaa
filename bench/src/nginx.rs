//! nginx with the configuration of the repository, as load balancer of several instances.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Result, process};

/// The configuration.
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nginx/nginx.conf");
/// The startup timeout.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running nginx, ended on drop with its directory.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    directory: PathBuf,
    /// The listen address.
    pub address: SocketAddr,
}

impl Nginx {
    /// Starts nginx in front of servers.
    pub fn start(servers: &[SocketAddr]) -> Result<Self> {
        let address = process::find_free_address()?;
        let directory = std::env::temp_dir().join(format!("savannah-bench-{}-nginx", address.port()));
        let file = directory.join("nginx.conf");
        let text = fs::read_to_string(CONFIGURATION).map_err(|error| format!("{CONFIGURATION}: {error}"))?;
        let text = adapt_configuration(&text, servers, address, &directory.display().to_string())?;
        let write = fs::create_dir_all(&directory).and_then(|()| fs::write(&file, text));
        write.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&directory).arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| format!("nginx cannot be started: {error}"))?;
        let nginx = Self { child, directory, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > START_TIMEOUT {
                return Err("nginx does not start".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A graceful end, so that the master process ends its workers. Errors are ignored: it may have ended already.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Replaces the addresses and directories of the configuration.
fn adapt_configuration(text: &str, servers: &[SocketAddr], address: SocketAddr, directory: &str) -> Result<String> {
    let (mut lines, mut has_servers) = (Vec::new(), false);
    for line in text.lines() {
        if let Some((indent, parameters)) = line.split_once("server shop-1:8000") {
            lines.extend(servers.iter().map(|server| format!("{indent}server {server}{parameters}")));
            has_servers = true;
        } else if !line.contains("server shop-") {
            lines.push(line.to_owned());
        }
    }
    if !has_servers {
        return Err(format!("{CONFIGURATION} has no servers"));
    }
    let temporary_paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/{name};\n"))
        .concat();
    let replacements = [
        ("listen 8080;", format!("listen {}:{};", Ipv4Addr::LOCALHOST, address.port())),
        ("/var/cache/nginx/shop", format!("{directory}/cache")),
        ("pid /tmp/nginx.pid;", format!("pid {directory}/nginx.pid;")),
        ("worker_processes auto;", "daemon off;\nworker_processes 1;".to_owned()),
        ("    access_log off;", format!("    access_log off;\n{temporary_paths}")),
    ];
    replacements.into_iter().try_fold(lines.join("\n"), |text, (original, replacement)| {
        if text.contains(original) {
            Ok(text.replace(original, &replacement))
        } else {
            Err(format!("{CONFIGURATION} does not contain `{original}`"))
        }
    })
}
