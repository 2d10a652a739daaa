//! `savannah backup` and `savannah restore` with the real binary: under load, damaged, interrupted, into a full disk.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use savannah::infra::Db;
use serde_json::Value;

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, ExitedProcess, LoadScenario, TestDatabase, query_scalar},
};

integration_tests![
    backup_under_load_restores_to_consistent_books,
    damaged_backups_are_rejected_and_nothing_is_restored,
    backup_into_an_unusable_target_leaves_nothing,
    interrupted_backup_leaves_nothing,
];

const CLIENT_COUNT: usize = 4;
const ARCHIVE: &str = "backups/shop.tar";
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Creates the folder of backups.
fn create_backup_folder(sandbox: &CliSandbox) -> PathBuf {
    let folder = sandbox.path().join("backups");
    fs::create_dir(&folder).expect("a folder");
    folder
}

fn list_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

/// Returns the URL of a database that does not exist, or is empty.
async fn create_target(backend: Backend, sandbox: &CliSandbox, name: &str) -> String {
    match backend {
        Backend::Sqlite => format!("sqlite://{}", sandbox.path().join(name).join("shop.db").display()),
        Backend::Postgres => TestDatabase::create_empty(backend).await.url().to_owned(),
    }
}

async fn connect(url: &str) -> Db {
    TestDatabase::at(url).connect().await
}

fn assert_failed(exited: &ExitedProcess, message: &str) {
    assert_eq!(exited.exit_code, Some(1), "{exited:?}");
    assert!(exited.stderr.contains(message), "no {message:?} in {exited:?}");
    assert!(!exited.stderr.contains("panicked"), "{exited:?}");
}

fn assert_succeeded(exited: &ExitedProcess) {
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
}

async fn backup_under_load_restores_to_consistent_books(backend: Backend) {
    let scenario = LoadScenario::prepare(backend).await;
    let sandbox = &scenario.sandbox;
    let folder = create_backup_folder(sandbox);
    let server = sandbox.start_server_with_args(&["serve", "--no-demo"], &[]).await;
    let mut clients = scenario.start_clients(&server, CLIENT_COUNT).await;
    clients.add_endpoint(0, &server);
    clients.wait_for_orders(12).await;
    let db = scenario.database.connect().await;
    let count_orders_sql = "SELECT count(*) FROM orders";
    let before = query_scalar(&db, count_orders_sql).await;
    assert_succeeded(&sandbox.run_command(&["backup", ARCHIVE], &[]).await);
    let after = query_scalar(&db, count_orders_sql).await;
    // It sells during the backup and after it.
    clients.wait_for_orders(5).await;
    let checked = sandbox.run_command(&["check"], &[]).await;
    assert_succeeded(&checked);
    assert!(checked.stdout.contains(": 0 violations, 0 warnings"), "{checked:?}");
    clients.stop_and_collect().await;
    assert_eq!(list_files(&folder), ["shop.tar"], "nothing else is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(sandbox.path().join(ARCHIVE)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let verified = sandbox.run_command(&["backup", "--verify", ARCHIVE], &[]).await;
    assert_succeeded(&verified);
    assert!(verified.stdout.contains("all checksums are correct"), "{verified:?}");

    let target = create_target(backend, sandbox, "elsewhere").await;
    let restored = sandbox.run_command(&["restore", ARCHIVE], &[("DATABASE_URL", &target)]).await;
    assert_succeeded(&restored);
    assert!(restored.stdout.contains(": 0 violations, 0 warnings"), "{restored:?}");
    let restored_db = connect(&target).await;
    let count = query_scalar(&restored_db, count_orders_sql).await;
    assert!((before..=after).contains(&count), "{before} <= {count} <= {after}");
    restored_db.close().await;
    let checked = sandbox.run_command(&["check", "--json"], &[("DATABASE_URL", &target)]).await;
    assert_succeeded(&checked);
    let report: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!((&report["violations"], &report["warnings"]), (&0.into(), &0.into()), "{report}");

    // The running shop, and the restored one, are refused as targets.
    for occupied in [scenario.database.url(), target.as_str()] {
        let refused = sandbox.run_command(&["restore", ARCHIVE], &[("DATABASE_URL", occupied)]).await;
        let message =
            if backend == Backend::Sqlite { "exists: a backup is restored into a new" } else { "is not empty" };
        assert_failed(&refused, message);
    }
    assert!(query_scalar(&db, count_orders_sql).await >= after);
    db.close().await;
    server.send_signal("TERM");
    assert_succeeded(&server.wait_for_exit().await);

    // The restored shop sells.
    let server = sandbox.start_server_with_args(&["serve", "--no-demo"], &[("DATABASE_URL", &target)]).await;
    let created = server.query("mutation { cartCreate { cart { id } userErrors { code } } }").await;
    assert!(created["data"]["cartCreate"]["cart"]["id"].is_string(), "{created}");
}

async fn damaged_backups_are_rejected_and_nothing_is_restored(backend: Backend) {
    let scenario = LoadScenario::prepare(backend).await;
    let sandbox = &scenario.sandbox;
    create_backup_folder(sandbox);
    assert_succeeded(&sandbox.run_command(&["backup", ARCHIVE], &[]).await);
    let archive = fs::read(sandbox.path().join(ARCHIVE)).expect("the archive");
    let mut flipped = archive.clone();
    let middle = archive.len() / 2;
    flipped[middle] ^= 1;
    let manifest_offset = find_last(&archive, b"\"format_version\"");
    let mut changed_manifest = archive.clone();
    changed_manifest[manifest_offset + b"\"format_version\": ".len()] = b'9';
    let damaged: [(&str, &[u8]); 6] = [
        ("a tenth", &archive[..archive.len() / 10]),
        ("a half", &archive[..middle]),
        ("no manifest", &archive[..manifest_offset - 512]),
        ("a flipped bit", &flipped),
        ("a changed manifest", &changed_manifest),
        ("a foreign file", b"Handle,Title\nmug,Mug\n"),
    ];
    let target = create_target(backend, sandbox, "elsewhere").await;
    for (name, contents) in damaged {
        fs::write(sandbox.path().join("damaged.tar"), contents).expect("a file");
        for args in [["backup", "--verify", "damaged.tar"].as_slice(), &["restore", "damaged.tar"]] {
            let exited = sandbox.run_command(args, &[("DATABASE_URL", &target)]).await;
            assert_failed(&exited, "is damaged, incomplete or not a backup of Savannah");
            assert!(!exited.stderr.contains("interrupted"), "{name}: {exited:?}");
        }
    }
    assert_failed(&sandbox.run_command(&["restore", "absent.tar"], &[("DATABASE_URL", &target)]).await, "cannot read");
    // One of the other database system.
    let other = match backend {
        Backend::Sqlite => "postgres://nobody@127.0.0.1:1/nothing".to_owned(),
        Backend::Postgres => format!("sqlite://{}", sandbox.path().join("other.db").display()),
    };
    let exited = sandbox.run_command(&["restore", ARCHIVE], &[("DATABASE_URL", &other)]).await;
    assert_failed(&exited, "and DATABASE_URL is that of a");
    match backend {
        Backend::Sqlite => assert!(
            !sandbox.path().join("elsewhere").exists() || list_files(&sandbox.path().join("elsewhere")).is_empty()
        ),
        Backend::Postgres => {
            let db = connect(&target).await;
            let tables_sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
            assert_eq!(query_scalar(&db, tables_sql).await, 0);
            db.close().await;
        }
    }
    // The intact one is restored there.
    assert_succeeded(&sandbox.run_command(&["restore", ARCHIVE], &[("DATABASE_URL", &target)]).await);
}

fn find_last(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).rposition(|window| window == part).expect("the part")
}

async fn backup_into_an_unusable_target_leaves_nothing(backend: Backend) {
    let scenario = LoadScenario::prepare(backend).await;
    let sandbox = &scenario.sandbox;
    let folder = create_backup_folder(sandbox);
    assert_failed(&sandbox.run_command(&["backup", "absent/shop.tar"], &[]).await, "cannot write to the folder absent");
    fs::write(sandbox.path().join(ARCHIVE), "an older one").expect("a file");
    assert_failed(&sandbox.run_command(&["backup", ARCHIVE], &[]).await, "a backup does not overwrite files");
    assert_eq!(fs::read_to_string(sandbox.path().join(ARCHIVE)).expect("the file"), "an older one");
    let exited = sandbox.run_with_file_limit(&["backup", "backups/full.tar"], 128).await;
    let message = if backend == Backend::Sqlite { "cannot be copied" } else { "the backup cannot be written" };
    assert_failed(&exited, message);
    if backend == Backend::Postgres {
        let exited = sandbox.run_command(&["backup", "backups/new.tar"], &[("PATH", "/nowhere")]).await;
        assert_failed(&exited, "pg_dump is not in PATH: install the client programs of PostgreSQL");
        let old_tools = create_tool(sandbox, "echo 'pg_dump (PostgreSQL) 9.6.24'");
        let exited = sandbox.run_command(&["backup", "backups/new.tar"], &[("PATH", &old_tools)]).await;
        assert_failed(&exited, "pg_dump is of PostgreSQL 9, and the database of");
        let failing = create_tool(
            sandbox,
            "[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.0' && exit; echo lost >&2; exit 3",
        );
        let exited = sandbox.run_command(&["backup", "backups/new.tar"], &[("PATH", &failing)]).await;
        assert_failed(&exited, "pg_dump failed (exit status: 3): lost");
    }
    assert_eq!(list_files(&folder), ["shop.tar"]);
}

/// Creates a `pg_dump` that runs this script. Returns the search path with it.
fn create_tool(sandbox: &CliSandbox, script: &str) -> String {
    let folder = sandbox.path().join("tools");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("pg_dump");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a program");
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

async fn interrupted_backup_leaves_nothing(backend: Backend) {
    let scenario = LoadScenario::prepare(backend).await;
    let sandbox = &scenario.sandbox;
    let folder = create_backup_folder(sandbox);
    // A dump that does not end; on SQLite a lock that the copy waits for.
    let slow = create_tool(
        sandbox,
        "[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.0' && exit; echo part; exec sleep 600",
    );
    let lock = match backend {
        Backend::Sqlite => Some(lock_database(&scenario).await),
        Backend::Postgres => None,
    };
    let process = sandbox.start_command_with(&["backup", ARCHIVE], &[("PATH", &slow)]);
    let started_at = Instant::now();
    while !list_files(&folder).iter().any(|name| name.starts_with(".savannah-backup-")) {
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "no temporary file: {}", process.stderr());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    process.send_signal("TERM");
    assert_failed(&process.wait_for_exit().await, "savannah: interrupted");
    assert_eq!(list_files(&folder), Vec::<String>::new());
    drop(lock);
    assert_succeeded(&sandbox.run_command(&["backup", ARCHIVE], &[]).await);
}

/// Opens the SQLite database exclusively.
async fn lock_database(scenario: &LoadScenario) -> sqlx::SqliteConnection {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::SqliteConnection::connect(scenario.database.url()).await.expect("a connection");
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").await.expect("a lock");
    connection.execute("BEGIN IMMEDIATE").await.expect("a lock");
    connection
}
