//! Backup of a PostgreSQL database by its own tools, `pg_dump` and `pg_restore`.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    process::{Child, Command, ExitStatus, Stdio},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use sea_orm::{ConnectionTrait, FromQueryResult};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    archive::{ArchiveReader, ArchiveWriter, MemberWriter, write_failed},
    manifest::MemberKind,
};
use crate::{
    base::Result,
    infra::{SqlBuilder, config::DatabaseConfig},
};

/// The name of the dump in the archive.
const MEMBER_NAME: &str = "database.dump";
/// The maximum length of a tool's messages in ours, in bytes.
const MAX_TOOL_MESSAGE: u64 = 2000;
/// How often an ending tool is asked for its exit code.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A program of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(super) enum PostgresTool {
    /// Writes a dump.
    Dump,
    /// Restores a dump.
    Restore,
}

impl PostgresTool {
    const fn program(self) -> &'static str {
        match self {
            Self::Dump => "pg_dump",
            Self::Restore => "pg_restore",
        }
    }

    /// Rejects a missing program, or one that is older than the server, which does not know the server's catalogs.
    ///
    /// # Errors
    /// Returns a message for the operator.
    pub(super) fn ensure_usable(self, server_major: u32) -> Result<(), String> {
        let program = self.program();
        let remedy = format!(
            "install the client programs of PostgreSQL {server_major} or later (on Debian: apt-get install postgresql-client)"
        );
        let output =
            Command::new(program).arg("--version").stdin(Stdio::null()).output().map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => format!("{program} is not in PATH: {remedy}"),
                    _ => format!("{program} cannot be started: {error}"),
                }
            })?;
        let text = String::from_utf8_lossy(&output.stdout);
        match parse_major_version(&text) {
            Some(major) if major >= server_major => Ok(()),
            Some(major) => {
                Err(format!("{program} is of PostgreSQL {major}, and the database of {server_major}: {remedy}"))
            }
            None => Err(format!("{program} --version answers {:?}: {remedy}", text.trim())),
        }
    }
}

/// Parses the major version of `pg_dump (PostgreSQL) 15.20 (Debian 15.20-0)`.
fn parse_major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What the dump is made from: a snapshot that another transaction keeps.
#[derive(Debug, FromQueryResult)]
pub(super) struct ExportedSnapshot {
    /// Identifies the snapshot, for `pg_dump --snapshot`.
    pub(super) id: String,
    /// The version of the server: `15.20`.
    pub(super) version: String,
    /// Version of the server as a number: 150020.
    version_number: i32,
}

impl ExportedSnapshot {
    /// Exports the snapshot of a transaction. Statements: 1.
    pub(super) async fn export(transaction: &impl ConnectionTrait) -> Result<Self> {
        let mut sql = SqlBuilder::new(transaction.get_database_backend());
        sql.push(
            "SELECT pg_export_snapshot() AS id, split_part(current_setting('server_version'), ' ', 1) AS version, \
             CAST(current_setting('server_version_num') AS INTEGER) AS version_number",
        );
        let row = Self::find_by_statement(sql.into_statement()).one(transaction).await?;
        row.ok_or_else(|| crate::base::Error::internal("exporting a snapshot", "the server returned no row"))
    }

    /// Returns the major version of the server.
    pub(super) fn major_version(&self) -> u32 {
        u32::try_from(self.version_number / 10_000).unwrap_or_default()
    }
}

/// Returns the number of tables, views and sequences that exist outside of the system's schemas. Statements: 1.
pub(super) async fn count_relations(db: &impl ConnectionTrait) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(
        "SELECT count(*) AS relations FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n \
         ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'",
    );
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "relations"))?)
}

/// Returns the connection parameters as environment variables of PostgreSQL's programs: arguments are visible to all
/// users of a machine.
///
/// # Errors
/// Returns a message for the operator if the URL is invalid.
pub(super) fn connection_environment(config: &DatabaseConfig) -> Result<Vec<(&'static str, OsString)>, String> {
    let invalid = || "DATABASE_URL is not a valid PostgreSQL URL".to_owned();
    let text = config.url.expose_secret();
    let options = PgConnectOptions::from_str(text).map_err(|_| invalid())?;
    let url = Url::parse(text).map_err(|_| invalid())?;
    let host = match options.get_socket() {
        Some(socket) => socket.as_os_str().to_owned(),
        None => options.get_host().into(),
    };
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("PGHOST", host),
        ("PGPORT", options.get_port().to_string().into()),
        ("PGUSER", options.get_username().into()),
        ("PGDATABASE", find_database_name(&options).into()),
        ("PGSSLMODE", format_ssl_mode(options.get_ssl_mode()).into()),
    ];
    let mut password = url.password().map(|password| percent_decode_str(password).decode_utf8_lossy().into_owned());
    for (key, value) in url.query_pairs() {
        let variable = match &*key {
            "password" => {
                password = Some(value.into_owned());
                continue;
            }
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            _ => continue,
        };
        variables.push((variable, value.into_owned().into()));
    }
    variables.extend(password.map(|password| ("PGPASSWORD", password.into())));
    Ok(variables)
}

/// Returns the name of the database of a URL.
fn find_database_name(options: &PgConnectOptions) -> String {
    options.get_database().unwrap_or_else(|| options.get_username()).to_owned()
}

const fn format_ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// Appends a dump of a snapshot to an archive. Must be called in a blocking task of the runtime.
///
/// # Errors
/// Returns a message for the operator.
pub(super) fn append_dump(
    archive: &mut ArchiveWriter<'_>,
    config: &DatabaseConfig,
    snapshot_id: &str,
    cancellation: &CancellationToken,
) -> Result<(), String> {
    let mut command = Command::new(PostgresTool::Dump.program());
    command.args(["--format=custom", "--no-password"]).arg(format!("--snapshot={snapshot_id}"));
    command.envs(connection_environment(config)?).stdin(Stdio::null()).stdout(Stdio::piped());
    archive.append_member(MemberKind::Database, MEMBER_NAME, |output: &mut MemberWriter<'_>| {
        let mut process = ToolProcess::spawn(PostgresTool::Dump, command, cancellation)?;
        if let Some(mut dump) = process.take_child_stream(|child| child.stdout.take()) {
            io::copy(&mut dump, output).map_err(|error| write_failed(&error))?;
        }
        process.wait_for_success()
    })
}

/// Restores a dump into an empty database, in one transaction. Must be called in a blocking task of the runtime.
///
/// # Errors
/// Returns a message for the operator; nothing is restored then.
pub(super) fn restore_dump(
    archive: &ArchiveReader,
    config: &DatabaseConfig,
    cancellation: &CancellationToken,
) -> Result<(), String> {
    let options = PgConnectOptions::from_str(config.url.expose_secret());
    let options = options.map_err(|_| "DATABASE_URL is not a valid PostgreSQL URL".to_owned())?;
    let mut command = Command::new(PostgresTool::Restore.program());
    command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]);
    command.arg(format!("--dbname={}", find_database_name(&options)));
    command.envs(connection_environment(config)?).stdin(Stdio::piped()).stdout(Stdio::null());
    let member = archive.manifest().find_database()?;
    archive.read_member(member, |contents| {
        let mut process = ToolProcess::spawn(PostgresTool::Restore, command, cancellation)?;
        let sent = match process.take_child_stream(|child| child.stdin.take()) {
            Some(mut stdin) => io::copy(contents, &mut stdin),
            None => Ok(0),
        };
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("the dump cannot be read: {error}")),
            // A program that does not read its input to the end reports why.
            _ => process.wait_for_success(),
        }
    })
}

/// A running program; killed when it is dropped or the operation is canceled.
struct ToolProcess {
    tool: PostgresTool,
    child: Arc<Mutex<Child>>,
    messages: File,
    canceler: JoinHandle<()>,
}

impl ToolProcess {
    fn spawn(tool: PostgresTool, mut command: Command, cancellation: &CancellationToken) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{} cannot be started: {error}", tool.program());
        let messages = tempfile::tempfile().map_err(failed)?;
        command.stderr(messages.try_clone().map_err(failed)?);
        let child = Arc::new(Mutex::new(command.spawn().map_err(failed)?));
        let (canceled_child, cancellation) = (Arc::clone(&child), cancellation.clone());
        let canceler = tokio::spawn(async move {
            cancellation.cancelled().await;
            kill_child(&canceled_child);
        });
        Ok(Self { tool, child, messages, canceler })
    }

    fn take_child_stream<S>(&mut self, take: impl FnOnce(&mut Child) -> Option<S>) -> Option<S> {
        take(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn poll_exit(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }

    /// Waits for the exit of the program.
    fn wait_for_success(mut self) -> Result<(), String> {
        let program = self.tool.program();
        let status = loop {
            match self.poll_exit() {
                Ok(Some(status)) => break status,
                // The lock is not held meanwhile, so that the program can be killed.
                Ok(None) => std::thread::sleep(EXIT_POLL_INTERVAL),
                Err(error) => return Err(format!("{program} cannot be awaited: {error}")),
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut text = Vec::new();
        let read = self
            .messages
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&mut self.messages).take(MAX_TOOL_MESSAGE).read_to_end(&mut text));
        let message = match read {
            Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Err(format!("{program} failed ({status}): {message}"))
    }
}

fn kill_child(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // It may have ended.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for ToolProcess {
    fn drop(&mut self) {
        self.canceler.abort();
        kill_child(&self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_parsed_from_the_programs_answer() {
        assert_eq!(parse_major_version("pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major_version("pg_restore (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major_version("something else"), None);
    }

    #[test]
    fn connection_parameters_are_environment_variables() {
        let mut config = crate::infra::Config::load_from(
            std::path::Path::new("/nowhere/savannah.toml"),
            [(
                "DATABASE_URL".into(),
                "postgres://amani:p%40ss%2Fword@db.example:5433/shop?sslmode=verify-full&sslrootcert=/ca.pem".into(),
            )]
            .into_iter(),
        )
        .expect("settings")
        .database;
        let variables = connection_environment(&config).expect("variables");
        let value_of = |name: &str| {
            let variable = variables.iter().find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let names = ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"];
        let expected = ["db.example", "5433", "amani", "shop", "p@ss/word", "verify-full", "/ca.pem"];
        assert_eq!(names.map(value_of), expected);
        config.url = "postgres://amani@localhost/shop?host=/run/postgresql".to_owned().into();
        let variables = connection_environment(&config).expect("variables");
        assert!(variables.contains(&("PGHOST", "/run/postgresql".into())), "{variables:?}");
    }
}
