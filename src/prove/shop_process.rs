//! Processes of this program on the scratch database.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::infra::config::DatabaseConfig;

/// Longer than a start on a slow machine takes.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Bytes of a log in an error message.
const MAX_LOG_EXCERPT: usize = 2000;

/// Settings of the processes: no limits that the load would reach, and no message leaves the machine.
const SETTINGS: [(&str, &str); 14] = [
    ("BIND_ADDR", "127.0.0.1:0"),
    // The shortest: jobs of killed workers are taken over soon.
    ("SAVANNAH_JOBS__LEASE_DURATION", "3s"),
    ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, test"),
    ("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "1000000"),
    ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30s"),
    ("SAVANNAH_THROTTLE__ORDERS_PER_IP", "1000000/1h"),
    ("SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT", "1000000/1h"),
    ("SAVANNAH_THROTTLE__CART_CHANGES_PER_IP", "1000000/1h"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_CUSTOMER", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_API_KEY", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_STAFF_ACCOUNT", "1000000000/1s"),
    ("SAVANNAH_NOTIFICATION__EMAIL_INTERVAL", "0s"),
    ("SAVANNAH_CACHE__RESPONSES", "false"),
];

/// Starts processes in a folder of their own, without the settings of the shop.
pub(super) struct ShopLauncher {
    program: PathBuf,
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
    process_count: u32,
}

impl ShopLauncher {
    /// Creates a launcher of `program` for a database.
    ///
    /// # Errors
    /// Returns a message if the folder cannot be created.
    pub(super) fn new(program: &Path, database: &DatabaseConfig) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("savannah-prove-").tempdir();
        let folder = folder.map_err(|error| format!("a temporary folder cannot be created: {error}"))?;
        // PostgreSQL's own variables may have the password or certificates.
        let inherited = std::env::vars_os()
            .filter(|(name, _)| name == "PATH" || name == "HOME" || name.to_string_lossy().starts_with("PG"));
        let mut variables: Vec<(OsString, OsString)> = inherited.collect();
        variables.extend(SETTINGS.map(|(name, value)| (name.into(), value.into())));
        variables.push(("DATABASE_URL".into(), database.url.expose_secret().into()));
        Ok(Self { program: program.to_owned(), folder, variables, process_count: 0 })
    }

    /// Writes a file into the folder of the processes.
    ///
    /// # Errors
    /// Returns a message if it cannot be written.
    pub(super) fn write_file(&self, name: &str, text: &str) -> Result<(), String> {
        std::fs::write(self.folder.path().join(name), text)
            .map_err(|error| format!("{name} cannot be written: {error}"))
    }

    fn spawn(&mut self, args: &[&str]) -> Result<ShopProcess, String> {
        self.process_count += 1;
        let log_path = |kind: &str| self.folder.path().join(format!("{}.{kind}", self.process_count));
        let (stdout_path, stderr_path) = (log_path("out"), log_path("err"));
        let failed = |error: std::io::Error| format!("{} cannot be started: {error}", self.program.display());
        let child = Command::new(&self.program)
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(&stdout_path).map_err(failed)?)
            .stderr(File::create(&stderr_path).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        Ok(ShopProcess { child, stdout_path, stderr_path, address: String::new() })
    }

    /// Runs a command to its end. Returns its output.
    ///
    /// # Errors
    /// Returns a message with its log if it fails.
    pub(super) async fn run_command(&mut self, args: &[&str]) -> Result<String, String> {
        let mut process = self.spawn(args)?;
        let status = process.wait().await?;
        if status.success() { process.read_output() } else { Err(process.describe_failure(args, status)) }
    }

    /// Starts a server with a worker, and waits until it listens.
    ///
    /// # Errors
    /// Returns a message with its log if it does not.
    pub(super) async fn start_server(&mut self) -> Result<ShopProcess, String> {
        let args = ["serve", "--no-demo"];
        let mut process = self.spawn(&args)?;
        let started_at = Instant::now();
        loop {
            let output = process.read_output()?;
            if let Some((_, rest)) = output.split_once("http://").filter(|(_, rest)| rest.contains('\n')) {
                process.address = rest.split('/').next().unwrap_or_default().to_owned();
                return Ok(process);
            }
            if let Some(status) = process.poll()? {
                return Err(process.describe_failure(&args, status));
            }
            if started_at.elapsed() > START_TIMEOUT {
                return Err("a server does not start in time".to_owned());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// A running process; killed when it is dropped.
pub(super) struct ShopProcess {
    child: Child,
    stdout_path: PathBuf,
    stderr_path: PathBuf,
    /// `127.0.0.1:PORT` of a server.
    pub(super) address: String,
}

impl ShopProcess {
    fn read_output(&self) -> Result<String, String> {
        std::fs::read_to_string(&self.stdout_path).map_err(|error| format!("an output cannot be read: {error}"))
    }

    fn poll(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| format!("a process cannot be awaited: {error}"))
    }

    async fn wait(&mut self) -> Result<ExitStatus, String> {
        loop {
            match self.poll()? {
                Some(status) => return Ok(status),
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Kills the process at once (SIGKILL).
    ///
    /// # Errors
    /// Returns a message if it had ended by itself.
    pub(super) async fn kill(mut self) -> Result<(), String> {
        if let Some(status) = self.poll()? {
            return Err(self.describe_failure(&["serve"], status));
        }
        self.child.kill().map_err(|error| format!("a process cannot be killed: {error}"))?;
        self.wait().await.map(|_| ())
    }

    /// Returns the errors that the process logged.
    pub(super) fn read_logged_errors(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.stderr_path).unwrap_or_default();
        let is_error = |line: &&str| line.contains("\"level\":\"ERROR\"") || line.contains("panicked");
        log.lines().filter(is_error).map(str::to_owned).collect()
    }

    fn describe_failure(&self, args: &[&str], status: ExitStatus) -> String {
        let log = std::fs::read_to_string(&self.stderr_path).unwrap_or_default();
        let start = log.len().saturating_sub(MAX_LOG_EXCERPT);
        let excerpt = log.char_indices().find(|(offset, _)| *offset >= start).map_or("", |(offset, _)| &log[offset..]);
        format!("`savannah {}` ended with {status}: {}", args.join(" "), excerpt.trim())
    }
}

impl Drop for ShopProcess {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
