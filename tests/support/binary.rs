//! The real binary in its own directory, with an environment controlled by the test.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Backend, TestDatabase};

/// Longer than any operation on a slow machine; a test that waits longer fails.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_mins(1);
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Working directory and environment shared by all runs of the binary.
pub struct CliSandbox {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// Result of a finished process.
#[derive(Debug)]
pub struct ExitedProcess {
    pub exit_code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CliSandbox {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("savannah-work").tempdir().expect("a directory");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { directory, variables }
    }

    /// Creates a sandbox with an empty database, which its first command creates.
    pub async fn with_empty_database(backend: Backend, variables: &[(&str, &str)]) -> (Self, TestDatabase) {
        let database = TestDatabase::create_empty(backend).await;
        (Self::new(&[&[("DATABASE_URL", database.url())], variables].concat()), database)
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write_file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }

    fn start_process(&self, args: &[&str], variables: &[(&str, &str)]) -> RunningProcess {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savannah"));
        command.args(args);
        self.spawn_process(command, variables)
    }

    fn spawn_process(&self, mut command: Command, variables: &[(&str, &str)]) -> RunningProcess {
        let number = fs::read_dir(self.path()).expect("a directory").count();
        let [out, err] = ["out", "err"].map(|name| self.path().join(format!("{number}.{name}")));
        let file = |path: &PathBuf| Stdio::from(File::create(path).expect("a file"));
        let child = command
            .current_dir(self.path())
            .env_clear()
            .env("BIND_ADDR", "127.0.0.1:0")
            .envs(super::GENEROUS_LIMITS)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .expect("the binary starts");
        RunningProcess { child, stdout_path: out, stderr_path: err, address: String::new() }
    }

    /// Starts the server on a terminal, made by `script`, and stops it. Returns its output.
    pub async fn serve_on_terminal(&self) -> String {
        let mut command = Command::new("script");
        command.args(["-qefc", "echo pid $$ && exec \"$SAVANNAH_BINARY\"", "/dev/null"]);
        let running = self.spawn_process(command, &[("SAVANNAH_BINARY", env!("CARGO_BIN_EXE_savannah"))]);
        let started_at = Instant::now();
        while !running.stdout().contains("/graphiql") {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "server does not start: {}", running.stdout());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let output = running.stdout();
        let id = output.split_whitespace().skip_while(|token| *token != "pid").nth(1).expect("an id");
        assert!(Command::new("kill").args(["-TERM", id]).status().expect("kill").success());
        running.wait_for_exit().await.stdout
    }

    /// Starts a command that runs until it is stopped.
    pub fn start_command(&self, args: &[&str]) -> RunningProcess {
        self.start_process(args, &[])
    }

    /// Starts a command that runs until it is stopped, with additional variables.
    pub fn start_command_with(&self, args: &[&str], variables: &[(&str, &str)]) -> RunningProcess {
        self.start_process(args, variables)
    }

    /// Runs a command and waits for its exit.
    pub async fn run_command(&self, args: &[&str], variables: &[(&str, &str)]) -> ExitedProcess {
        self.start_process(args, variables).wait_for_exit().await
    }

    /// Runs a command that cannot write files of more than this number of blocks of 512 bytes, as on a full disk.
    pub async fn run_with_file_limit(&self, args: &[&str], blocks: u32) -> ExitedProcess {
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$SAVANNAH_BINARY\" \"$@\"", &blocks.to_string()])
            .args(args);
        self.spawn_process(command, &[("SAVANNAH_BINARY", env!("CARGO_BIN_EXE_savannah"))]).wait_for_exit().await
    }

    /// Starts the server and waits until it listens.
    pub async fn start_server(&self, variables: &[(&str, &str)]) -> RunningProcess {
        self.start_server_with_args(&[], variables).await
    }

    /// Starts the server with these arguments and waits until it listens.
    pub async fn start_server_with_args(&self, args: &[&str], variables: &[(&str, &str)]) -> RunningProcess {
        let mut running = self.start_process(args, variables);
        let started_at = Instant::now();
        loop {
            let output = running.stdout();
            if let Some((_, rest)) = output.split_once("://").filter(|(_, rest)| rest.contains('\n')) {
                running.address = rest.split('/').next().expect("an address").to_owned();
                return running;
            }
            let exited = running.child.try_wait().expect("a process state");
            assert!(exited.is_none(), "process exited: {exited:?} {}", running.stderr());
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "server does not start: {}", running.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// A running process; killed on drop.
pub struct RunningProcess {
    child: Child,
    stdout_path: PathBuf,
    stderr_path: PathBuf,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl RunningProcess {
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout_path).expect("process output")
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr_path).expect("process output")
    }

    /// Returns the process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `KILL`.
    pub fn send_signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until standard error contains this text.
    pub async fn wait_for_log(&self, text: &str) {
        let started_at = Instant::now();
        while !self.stderr().contains(text) {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "no {text} in the log: {}", self.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits for the exit of the process.
    pub async fn wait_for_exit(mut self) -> ExitedProcess {
        let started_at = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a process state") {
                return ExitedProcess { exit_code: status.code(), stdout: self.stdout(), stderr: self.stderr() };
            }
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "process does not exit: {}", self.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Sends a GraphQL query to the server.
    pub async fn query(&self, query: &str) -> serde_json::Value {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", self.address));
        let response = request.json(&serde_json::json!({ "query": query })).send().await.expect("a response");
        response.json().await.expect("JSON")
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
