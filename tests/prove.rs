//! `savannah prove`: the proofs pass on both databases, and leave nothing behind.

use savannah::infra::Db;
use serde_json::Value;

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, ExitedProcess, TestDatabase, query_scalar},
};

integration_tests![proofs_pass_and_leave_nothing_behind, interrupted_proofs_leave_nothing_behind];

async fn create_shop(backend: Backend) -> (TestDatabase, CliSandbox) {
    let database = TestDatabase::create_migrated(backend).await;
    // A folder of its own, in which nothing may be left.
    let sandbox = CliSandbox::new(&[]);
    let folder = sandbox.path().join("data");
    std::fs::create_dir(&folder).expect("a folder");
    (database, sandbox)
}

fn shop_url(backend: Backend, database: &TestDatabase) -> String {
    if backend == Backend::Sqlite { "sqlite://data/shop.db".to_owned() } else { database.url().to_owned() }
}

async fn proofs_pass_and_leave_nothing_behind(backend: Backend) {
    let (database, sandbox) = create_shop(backend).await;
    let url = shop_url(backend, &database);
    let exited = sandbox.run_command(&["prove", "--seconds", "5", "--json"], &[("DATABASE_URL", &url)]).await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    let report: Value = serde_json::from_str(&exited.stdout).expect("JSON");
    assert_eq!((&report["violations"], &report["check"]["violations"]), (&0.into(), &0.into()), "{report}");
    let figure = |proof: usize, name: &str| {
        let figures = report["proofs"][proof]["figures"].as_array().expect("figures");
        let found = figures.iter().find(|figure| figure["name"] == name);
        found.and_then(|figure| figure["value"].as_u64()).unwrap_or_else(|| panic!("no {name}: {report}"))
    };
    assert_eq!((figure(0, "units in stock"), figure(0, "units sold")), (40, 40));
    assert_eq!(figure(1, "orders"), 5);
    assert!(figure(2, "servers killed (SIGKILL)") >= 3 && figure(2, "orders stored") > 0, "{report}");
    assert_eq!(figure(2, "orders acknowledged"), figure(2, "orders stored"));
    assert_nothing_left(backend, &database, &sandbox, &exited).await;
}

/// Asserts that the scratch database is gone, and that the shop's own has no order.
async fn assert_nothing_left(backend: Backend, database: &TestDatabase, sandbox: &CliSandbox, exited: &ExitedProcess) {
    if backend == Backend::Sqlite {
        let left: Vec<_> = std::fs::read_dir(sandbox.path().join("data")).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
        return;
    }
    let db = database.connect().await;
    assert_eq!(count_scratch_databases(&db, &exited.stderr).await, 0, "{exited:?}");
    assert_eq!(query_scalar(&db, "SELECT count(*) FROM orders").await, 0);
    db.close().await;
}

/// Returns how many databases with the name in a log exist.
async fn count_scratch_databases(db: &Db, log: &str) -> i64 {
    let prefix = "savannah_prove_";
    let rest = log.split_once(prefix).expect("the name of the scratch database").1;
    let suffix: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    query_scalar(db, &format!("SELECT count(*) FROM pg_database WHERE datname = '{prefix}{suffix}'")).await
}

async fn interrupted_proofs_leave_nothing_behind(backend: Backend) {
    let (database, sandbox) = create_shop(backend).await;
    let url = shop_url(backend, &database);
    let process = sandbox.start_command_with(&["prove", "--seconds", "600"], &[("DATABASE_URL", &url)]);
    process.wait_for_log("proving kills").await;
    if backend == Backend::Postgres {
        let db = database.connect().await;
        assert_eq!(count_scratch_databases(&db, &process.stderr()).await, 1);
        db.close().await;
    }
    process.send_signal("TERM");
    let exited = process.wait_for_exit().await;
    assert_eq!((exited.exit_code, exited.stderr.contains("savannah: interrupted")), (Some(1), true), "{exited:?}");
    assert_nothing_left(backend, &database, &sandbox, &exited).await;
}
