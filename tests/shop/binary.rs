//! The real binary in a folder of its own, with nothing of this environment but what a story gives it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than anything takes, on the slowest machine; a story that waits so long fails.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where a binary works, and the settings that go for all its runs.
pub struct Workplace {
    folder: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

/// What became of a run.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Workplace {
    pub fn new(vars: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("savannah-work").tempdir().expect("a folder");
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { folder, vars }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }

    fn start(&self, args: &[&str], vars: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savannah"));
        command.args(args);
        self.spawn(command, vars)
    }

    fn spawn(&self, mut command: Command, vars: &[(&str, &str)]) -> Running {
        let number = fs::read_dir(self.path()).expect("a folder").count();
        let [out, err] = ["out", "err"].map(|name| self.path().join(format!("{number}.{name}")));
        let file = |path: &PathBuf| Stdio::from(File::create(path).expect("a file"));
        let child = command
            .current_dir(self.path())
            .env_clear()
            .env("BIND_ADDR", "127.0.0.1:0")
            .envs(super::GENEROUS)
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .expect("the binary starts");
        Running { child, out, err, address: String::new() }
    }

    /// Opens the shop on a terminal, which `script` makes, and ends it: everything that was shown there.
    pub async fn serve_on_terminal(&self) -> String {
        let mut command = Command::new("script");
        command.args(["-qefc", "echo pid $$ && exec \"$SAVANNAH_BINARY\"", "/dev/null"]);
        let running = self.spawn(command, &[("SAVANNAH_BINARY", env!("CARGO_BIN_EXE_savannah"))]);
        let began = Instant::now();
        while !running.out().contains("/graphiql") {
            assert!(began.elapsed() < PATIENCE, "it does not open: {}", running.out());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let shown = running.out();
        let id = shown.split_whitespace().skip_while(|word| *word != "pid").nth(1).expect("an id");
        assert!(Command::new("kill").args(["-TERM", id]).status().expect("kill").success());
        running.end().await.out
    }

    /// Begins a command that goes on until it is asked to end.
    pub fn begin(&self, args: &[&str]) -> Running {
        self.start(args, &[])
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str], vars: &[(&str, &str)]) -> Ended {
        self.start(args, vars).end().await
    }

    /// Opens the shop and waits for it.
    pub async fn open(&self, vars: &[(&str, &str)]) -> Running {
        self.open_by(&[], vars).await
    }

    /// Opens the shop by a command, and waits for it.
    pub async fn open_by(&self, args: &[&str], vars: &[(&str, &str)]) -> Running {
        let mut running = self.start(args, vars);
        let began = Instant::now();
        loop {
            let said = running.out();
            if let Some((_, rest)) = said.split_once("http://").filter(|(_, rest)| rest.contains('\n')) {
                running.address = rest.split('/').next().expect("an address").to_owned();
                return running;
            }
            let ended = running.child.try_wait().expect("a state");
            assert!(ended.is_none(), "it ended: {ended:?} {}", running.err());
            assert!(began.elapsed() < PATIENCE, "it does not open: {}", running.err());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// A running binary; it ends with its story.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Running {
    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).expect("its words")
    }

    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).expect("its words")
    }

    /// The number that the system knows it by.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until it has said something on standard error.
    pub async fn says(&self, words: &str) {
        let began = Instant::now();
        while !self.err().contains(words) {
            assert!(began.elapsed() < PATIENCE, "it does not say {words}: {}", self.err());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Ended {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a state") {
                return Ended { code: status.code(), out: self.out(), err: self.err() };
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.err());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks its API.
    pub async fn ask(&self, query: &str) -> serde_json::Value {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", self.address));
        let answer = request.json(&serde_json::json!({ "query": query })).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
