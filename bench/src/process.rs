//! The servers under test, and what the kernel knows about them.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Result, http, scenario::Questions};

/// The kernel counts the time of a process in hundredths of a second.
const TICK_MICROS: f64 = 10_000.0;
/// Limits that are lifted, except for who attacks.
const LIMITS: [&str; 3] = [
    "SAVANNAH_THROTTLE__ORDERS_PER_ADDRESS",
    "SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT",
    "SAVANNAH_THROTTLE__CART_CHANGES_PER_ADDRESS",
];
/// A server that has not answered by then will not.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first whole answer.
    pub started: Duration,
}

impl Server {
    /// Starts the shop as it runs in production.
    pub fn savannah(program: &Path, url: &str) -> Result<Self> {
        let address = free_address()?;
        Self::start(shop(program, url, address, "warn"), address)
    }

    /// Starts it with its own limits for whoever has no account.
    pub fn attacked(program: &Path, url: &str) -> Result<Self> {
        let address = free_address()?;
        let mut command = shop(program, url, address, "error");
        for limit in LIMITS {
            command.env_remove(limit);
        }
        Self::start(command, address)
    }

    /// Starts it with its worker. What it sends goes into the folder for temporary files.
    pub fn working(program: &Path, url: &str) -> Result<Self> {
        let address = free_address()?;
        let mut command = savannah(program, url);
        command.args(["serve", "--no-demo"]).env("BIND_ADDR", address.to_string()).env("RUST_LOG", "warn");
        command.stdout(Stdio::null());
        Self::start(command, address)
    }

    /// Starts it so that it writes down every plan, which the caller reads from its standard error.
    pub fn talkative(program: &Path, url: &str) -> Result<Self> {
        let address = free_address()?;
        let mut command = shop(program, url, address, "warn,sqlx::postgres::notice=trace");
        command.env("SAVANNAH_LOG__FORMAT", "json").stderr(Stdio::piped());
        Self::start(command, address)
    }

    /// Starts the hand-written one.
    pub fn comparator(url: &str) -> Result<Self> {
        let address = free_address()?;
        let me = std::env::current_exe().map_err(|why| format!("this program cannot find itself: {why}"))?;
        let mut command = Command::new(me);
        command.args(["comparator", "--port", &address.port().to_string()]).env("DATABASE_URL", url);
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let question = Questions::first();
        let began = Instant::now();
        let name = PathBuf::from(command.get_program()).display().to_string();
        let child = command.stdin(Stdio::null()).spawn().map_err(|why| format!("{name} cannot be started: {why}"))?;
        let mut server = Self { child, address, started: Duration::ZERO };
        loop {
            let answer = http::post(address, &question);
            if matches!(&answer, Ok((200, body)) if is_whole(body)) {
                server.started = began.elapsed();
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{name} ended instead of serving: {status}"));
            }
            if began.elapsed() > PATIENCE {
                let last = answer.map_or_else(|why| why, |(status, body)| format!("{status} {body}"));
                return Err(format!("{name} does not answer the listing; the last word was: {last}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it writes to standard error, if that is not shown.
    pub fn stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// The processor time it has used so far, in microseconds.
    pub fn cpu(&self) -> Option<f64> {
        cpu(self.child.id(), "")
    }

    /// Its memory.
    pub fn memory(&self) -> Option<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kilobytes / 1024.0)
        };
        Some(Memory { now: line("VmRSS:")?, most: line("VmHWM:")? })
    }
}

/// The memory of a process, in megabytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub now: f64,
    /// The most that ever was.
    pub most: f64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended already there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shop's program, out of reach of a `savannah.toml` that lies about.
pub fn savannah(program: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(std::env::temp_dir()).env("DATABASE_URL", url);
    // The load comes from one address and buys for one person.
    for limit in LIMITS {
        command.env(limit, "1000000000/1h");
    }
    command
}

fn shop(program: &Path, url: &str, address: SocketAddr, log: &str) -> Command {
    let mut command = savannah(program, url);
    command
        .args(["serve", "--no-worker"])
        .env("BIND_ADDR", address.to_string())
        .env("SAVANNAH_SHOP__MODE", "production")
        .env("RUST_LOG", log)
        .stdout(Stdio::null());
    command
}

/// Whether an answer has data and no errors.
pub fn is_whole(body: &str) -> bool {
    serde_json::from_str(body).is_ok_and(|answer: Value| answer["data"].is_object() && answer.get("errors").is_none())
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(|why| format!("no port is free: {why}"))
}

/// The processor time that a process on this machine has used, in microseconds, if its name begins so.
pub fn cpu(id: u32, name: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (begin, rest) = stat.rsplit_once(") ")?;
    let (_, comm) = begin.split_once('(')?;
    // Counted from the state, which is the third field: `utime` and `stime` are the 14th and 15th.
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    comm.starts_with(name).then_some((ticks()? + ticks()?) * TICK_MICROS)
}

/// What processor this is.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':'])).to_owned()
}
