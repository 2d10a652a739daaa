//! A PostgreSQL server and a streaming replica of it, in a temporary directory.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use savannah::infra::{Db, QueryBudget, RequestOrigin};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::{TestApp, TestDatabase, report_missing};

/// Longer than a server starts, or a replica catches up, on a slow machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Settings of both servers. Nothing has to survive the machine.
const SERVER_SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=replica",
    "wal_keep_size=512MB",
    "shared_buffers=32MB",
    "wal_receiver_status_interval=1s",
];

/// The servers of all tests, one test at a time: tests stop the replica.
static SERVERS: Mutex<Option<ReplicaServers>> = Mutex::const_new(None);

/// Returns the directory of the server's programs, of the latest version.
fn find_binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let directories = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    directories.filter(|bin| ["initdb", "pg_basebackup", "postgres"].iter().all(|name| bin.join(name).exists())).max()
}

/// Requirement of tests with a replica.
pub fn has_postgres_binaries() -> bool {
    find_binaries().is_some() || report_missing("initdb, pg_basebackup and postgres are not in /usr/lib/postgresql")
}

/// Stops the servers, at the end of all tests.
pub fn stop_replica_servers() {
    drop(super::runtime().block_on(SERVERS.lock()).take());
}

/// A primary and its replica; stopped on drop.
pub struct ReplicaServers {
    binaries: PathBuf,
    primary: PostgresServer,
    replica: PostgresServer,
    database_count: u32,
    directory: tempfile::TempDir,
}

/// A running server; stopped on drop.
struct PostgresServer {
    process: Child,
    port: u16,
}

impl PostgresServer {
    /// Starts the server of a data directory and waits until it accepts connections.
    async fn start(binaries: &Path, data: &Path, port: u16) -> Self {
        let mut command = command_as_postgres(&binaries.join("postgres"));
        command.arg("-D").arg(data).args(["-p", &port.to_string()]);
        for setting in SERVER_SETTINGS {
            command.args(["-c", setting]);
        }
        let log = File::create(data.with_extension("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut server = Self { process: command.spawn().expect("postgres"), port };
        let started_at = Instant::now();
        while let Err(error) = server.connect("postgres").await {
            let exited = server.process.try_wait().expect("a process state");
            assert!(exited.is_none() && started_at.elapsed() < WAIT_TIMEOUT, "postgres does not start: {error}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        server
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    async fn connect(&self, database: &str) -> Result<DatabaseConnection, sea_orm::DbErr> {
        let mut options = ConnectOptions::new(self.url(database));
        options.max_connections(1).acquire_timeout(Duration::from_secs(1)).sqlx_logging(false);
        Database::connect(options).await
    }

    async fn execute(&self, sql: &str) {
        let connection = self.connect("postgres").await.expect("a connection");
        connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("the end of the connection");
    }

    /// Sends a signal to the server and the processes of its connections.
    fn send_signal(&self, name: &str) {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let ids = [id.to_string()].into_iter().chain(children.split_whitespace().map(str::to_owned));
        // A connection may have ended meanwhile.
        let _ = Command::new("kill").arg(format!("-{name}")).args(ids).stderr(Stdio::null()).status();
    }

    fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends the server at once, with its connections.
    fn kill(&mut self) {
        if self.is_running() {
            self.send_signal("CONT");
            let id = self.process.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &id]).stderr(Stdio::null()).status();
            let _ = self.process.wait();
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a command of the user `postgres` if this is root, which the server does not allow.
fn command_as_postgres(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().expect("id").stdout;
    if id.trim_ascii() != b"0" {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn find_free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}

impl ReplicaServers {
    /// Returns the servers, started by the first test, with a replica that replays; the test has them for itself.
    pub async fn lock() -> ServersGuard {
        let mut guard = SERVERS.lock().await;
        if guard.is_none() {
            *guard = Some(Self::start().await);
        }
        let mut servers = ServersGuard(guard);
        // The last test may have ended at any place.
        servers.start_replica().await;
        servers.resume_replay().await;
        servers
    }

    async fn start() -> Self {
        let binaries = find_binaries().expect("PostgreSQL");
        let directory = tempfile::Builder::new().prefix("savannah-replica").tempdir().expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).expect("permissions");
        let [primary_data, replica_data] = ["primary", "replica"].map(|name| directory.path().join(name));
        run(command_as_postgres(&binaries.join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&primary_data));
        let primary = PostgresServer::start(&binaries, &primary_data, find_free_port()).await;
        run(command_as_postgres(&binaries.join("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-c", "fast", "--no-sync", "-p"])
            .arg(primary.port.to_string())
            .arg("-D")
            .arg(&replica_data));
        let replica = PostgresServer::start(&binaries, &replica_data, find_free_port()).await;
        Self { binaries, primary, replica, database_count: 0, directory }
    }

    /// Starts a server on a new database, with the demo catalog, and waits until it reads from the replica.
    pub async fn start_app(&mut self, settings: &[(&str, &str)]) -> TestApp {
        self.database_count += 1;
        let name = format!("shop{}", self.database_count);
        self.primary.execute(&format!("CREATE DATABASE {name}")).await;
        let replica_url = self.replica.url(&name);
        let settings: Vec<_> =
            [("DATABASE_REPLICA_URL", replica_url.as_str())].iter().chain(settings).copied().collect();
        let database = TestDatabase::at(&self.primary.url(&name));
        let app = TestApp::start_on_database(database, TestApp::fixed_clock(), &settings, None).await;
        let (_, import_messages) = app.import_products(savannah::import_export::import::DEMO_CATALOG_CSV).await;
        assert_eq!(import_messages, []);
        app.wait_until_replica_is_read().await;
        app
    }

    /// Starts another server on the database of a server, and waits until it reads from the replica.
    pub async fn start_second_app(&self, app: &TestApp, settings: &[(&str, &str)]) -> TestApp {
        let replica_url = self.replica_url_of(app);
        let settings: Vec<_> =
            [("DATABASE_REPLICA_URL", replica_url.as_str())].iter().chain(settings).copied().collect();
        let second = app.start_second_instance(&settings).await;
        second.wait_until_replica_is_read().await;
        second
    }

    /// Returns the URL of the database of a server on the replica.
    pub fn replica_url_of(&self, app: &TestApp) -> String {
        let name = app.database_url().rsplit('/').next().and_then(|name| name.split('?').next()).expect("a name");
        self.replica.url(name)
    }

    /// Stops the replay: from now on the replica has the data of this moment.
    pub async fn pause_replay(&self) {
        self.replica.execute("SELECT pg_wal_replay_pause()").await;
        // The request takes effect with the next record.
        let paused = "DO $$ BEGIN FOR i IN 1..6000 LOOP \
            IF pg_get_wal_replay_pause_state() = 'paused' THEN RETURN; END IF; PERFORM pg_sleep(0.01); END LOOP; \
            RAISE EXCEPTION 'not paused'; END $$";
        self.replica.execute(paused).await;
    }

    /// Continues the replay.
    pub async fn resume_replay(&self) {
        self.replica.execute("SELECT pg_wal_replay_resume()").await;
    }

    /// Ends the replica and its connections at once.
    pub fn kill_replica(&mut self) {
        self.replica.kill();
    }

    /// Stops the execution of the replica with its connections open, or continues it.
    pub fn freeze_replica(&self, is_frozen: bool) {
        self.replica.send_signal(if is_frozen { "STOP" } else { "CONT" });
    }

    /// Starts the replica, unless it is running.
    pub async fn start_replica(&mut self) {
        if self.replica.is_running() {
            self.replica.send_signal("CONT");
        } else {
            let data = self.directory.path().join("replica");
            self.replica = PostgresServer::start(&self.binaries, &data, self.replica.port).await;
        }
    }
}

/// The servers, while a test has them for itself.
pub struct ServersGuard(MutexGuard<'static, Option<ReplicaServers>>);

impl std::ops::Deref for ServersGuard {
    type Target = ReplicaServers;

    fn deref(&self) -> &ReplicaServers {
        self.0.as_ref().expect("servers")
    }
}

impl std::ops::DerefMut for ServersGuard {
    fn deref_mut(&mut self) -> &mut ReplicaServers {
        self.0.as_mut().expect("servers")
    }
}

impl TestApp {
    /// Waits until requests read from a replica that has all that is committed now.
    pub async fn wait_until_replica_is_read(&self) {
        let position = self.db.read_write_position().await.expect("a replica");
        let started_at = Instant::now();
        while !reads_replica(&self.db, position) {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "the replica is not read: {:?}", self.db.replica_state());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Returns whether a request that must see a position would read from the replica.
fn reads_replica(db: &Db, position: savannah::infra::WalPosition) -> bool {
    let (view, _) = db.for_request(RequestOrigin::default(), QueryBudget::UNLIMITED);
    view.prefer_replica(position).reads_replica()
}
