//! The server processes under test, and their CPU time and memory.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Result, http, scenario::ScenarioSet};

/// The kernel reports CPU time in clock ticks of 10 ms.
const MICROS_PER_TICK: f64 = 10_000.0;
/// The throttle settings that are disabled, except in the attack scenario.
const THROTTLE_SETTINGS: [&str; 3] = [
    "SAVANNAH_THROTTLE__ORDERS_PER_IP",
    "SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT",
    "SAVANNAH_THROTTLE__CART_CHANGES_PER_IP",
];
/// The settings that switch the caches off: the scenarios measure executions.
const CACHES_OFF: [(&str, &str); 2] = [("SAVANNAH_CACHE__RESPONSES", "false"), ("SAVANNAH_CACHE__DATA_BYTES", "0")];
/// The startup timeout.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A server process, killed on drop.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The listen address.
    pub address: SocketAddr,
    /// The time from the start to the first complete response.
    pub startup_time: Duration,
}

impl Server {
    /// Starts Savannah in production mode.
    pub fn start_savannah(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        Self::start(api_server_command(program, url, address, "warn"), address)
    }

    /// Starts Savannah in production mode with its caches, which the other scenarios switch off.
    pub fn start_with_caches(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        let mut command = api_server_command(program, url, address, "warn");
        for (setting, _) in CACHES_OFF {
            command.env_remove(setting);
        }
        Self::start(command, address)
    }

    /// Starts the server that answers with the listing from memory.
    pub fn start_memory_server(url: &str) -> Result<Self> {
        Self::start_own_server("from-memory", url)
    }

    /// Starts Savannah with its default throttle limits.
    pub fn start_with_throttle(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        let mut command = api_server_command(program, url, address, "error");
        for setting in THROTTLE_SETTINGS {
            command.env_remove(setting);
        }
        Self::start(command, address)
    }

    /// Starts Savannah with a worker. Emails and SMS are written to the temporary directory.
    pub fn start_with_worker(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        Self::start(worker_server_command(program, url, address), address)
    }

    /// Starts Savannah with a worker, and pictures in a folder.
    pub fn start_with_media(program: &Path, url: &str, folder: &Path) -> Result<Self> {
        let address = find_free_address()?;
        let mut command = worker_server_command(program, url, address);
        command.env("SAVANNAH_MEDIA__FOLDER", folder).env("SAVANNAH_RATE_LIMIT__ENABLED", "false");
        Self::start(command, address)
    }

    /// Starts Savannah for many live connections of one client.
    pub fn start_for_subscribers(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        let mut command = api_server_command(program, url, address, "warn");
        for setting in ["MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_NETWORK"] {
            command.env(format!("SAVANNAH_SUBSCRIPTIONS__{setting}"), "100000");
        }
        Self::start(command, address)
    }

    /// Starts Savannah with query plans in its log, which the caller reads from standard error.
    pub fn start_with_plan_log(program: &Path, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        let mut command = api_server_command(program, url, address, "warn,sqlx::postgres::notice=trace");
        command.env("SAVANNAH_LOG__FORMAT", "json").stderr(Stdio::piped());
        Self::start(command, address)
    }

    /// Starts the hand-written server.
    pub fn start_baseline(url: &str) -> Result<Self> {
        Self::start_own_server("comparator", url)
    }

    /// Starts a server of this program.
    fn start_own_server(name: &str, url: &str) -> Result<Self> {
        let address = find_free_address()?;
        let executable =
            std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
        let mut command = Command::new(executable);
        command.args([name, "--port", &address.port().to_string()]).env("DATABASE_URL", url);
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let request_body = ScenarioSet::readiness_body();
        let started = Instant::now();
        let name = PathBuf::from(command.get_program()).display().to_string();
        let child =
            command.stdin(Stdio::null()).spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
        let mut server = Self { child, address, startup_time: Duration::ZERO };
        loop {
            let response = http::post_graphql(address, &request_body);
            if matches!(&response, Ok((200, body)) if is_complete_response(body)) {
                server.startup_time = started.elapsed();
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{name} ended instead of serving: {status}"));
            }
            if started.elapsed() > START_TIMEOUT {
                let last_response = response.map_or_else(|error| error, |(status, body)| format!("{status} {body}"));
                return Err(format!("{name} does not answer the listing; the last word was: {last_response}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes the standard error of the process, if it is piped.
    pub fn take_stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Returns the CPU time used so far, in microseconds.
    pub fn cpu_micros(&self) -> Option<f64> {
        process_cpu_micros(self.child.id(), "")
    }

    /// Returns the memory usage.
    pub fn memory_usage(&self) -> Option<MemoryUsage> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kilobytes / 1024.0)
        };
        Some(MemoryUsage { resident_mb: line("VmRSS:")?, peak_mb: line("VmHWM:")? })
    }
}

/// The memory usage of a process, in megabytes.
#[derive(Debug, Clone, Copy)]
pub struct MemoryUsage {
    /// The current resident memory.
    pub resident_mb: f64,
    /// The peak resident memory.
    pub peak_mb: f64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors are ignored: the process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a command for Savannah in the temporary directory, so that no local `savannah.toml` applies.
pub fn savannah_command(program: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(std::env::temp_dir()).env("DATABASE_URL", url);
    // All requests come from one address and order for one recipient.
    for setting in THROTTLE_SETTINGS {
        command.env(setting, "1000000000/1h");
    }
    command.envs(CACHES_OFF);
    command
}

fn worker_server_command(program: &Path, url: &str, address: SocketAddr) -> Command {
    let mut command = savannah_command(program, url);
    command.args(["serve", "--no-demo"]).env("BIND_ADDR", address.to_string()).env("RUST_LOG", "warn");
    command.stdout(Stdio::null());
    command
}

fn api_server_command(program: &Path, url: &str, address: SocketAddr, log: &str) -> Command {
    let mut command = savannah_command(program, url);
    command
        .args(["serve", "--no-worker"])
        .env("BIND_ADDR", address.to_string())
        .env("SAVANNAH_SHOP__MODE", "production")
        .env("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery")
        // All requests come from one address.
        .env("SAVANNAH_RATE_LIMIT__ENABLED", "false")
        .env("RUST_LOG", log)
        .stdout(Stdio::null());
    command
}

/// Returns whether a response has data and no errors.
pub fn is_complete_response(body: &str) -> bool {
    serde_json::from_str(body)
        .is_ok_and(|response: Value| response["data"].is_object() && response.get("errors").is_none())
}

/// Returns an address of the loopback interface that nothing listens on.
pub fn find_free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(|error| format!("no port is free: {error}"))
}

/// Returns the CPU time of a local process in microseconds, if its name has the given prefix.
pub fn process_cpu_micros(id: u32, name: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (prefix, rest) = stat.rsplit_once(") ")?;
    let (_, comm) = prefix.split_once('(')?;
    // `rest` begins with the state, the third field; `utime` and `stime` are the 14th and 15th.
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    comm.starts_with(name).then_some((ticks()? + ticks()?) * MICROS_PER_TICK)
}

/// Returns the processor model of this machine.
pub fn read_processor_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':'])).to_owned()
}
