//! An import that is killed in the middle is simply begun again.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![killed_import_can_be_repeated];

/// Longer than any machine takes for the first batch.
const FIRST_BATCH_TIMEOUT: Duration = Duration::from_mins(1);

fn generate_csv() -> String {
    let mut text =
        "Handle,Title,Body (HTML),Category,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty\n"
            .to_owned();
    for n in 0..1_500 {
        let (aisle, sku_number) = (n % 17, n % 40);
        let _ = writeln!(
            text,
            "p-{n},Product {n},<p>Number {n}</p>,Hall > Aisle {aisle},\"odd, t{aisle}\",Size,S,S-{sku_number},{n}.50,3\n\
             p-{n},,,,,,M,,{n}.75,0"
        );
    }
    text
}

async fn killed_import_can_be_repeated(backend: Backend) {
    let (killed, uninterrupted) = (TestApp::start(backend).await, TestApp::start(backend).await);
    let file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
    std::fs::write(file.path(), generate_csv()).expect("a file");
    let import = |app: &TestApp| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savannah"));
        command.args(["import", "products"]).arg(file.path()).env("DATABASE_URL", app.database_url());
        command.current_dir(file.path().parent().expect("a folder")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };

    let mut first = import(&killed).spawn().expect("an import");
    let (started_at, count) = (Instant::now(), "SELECT count(*) FROM product");
    while killed.query_scalar(count).await == 0 {
        assert!(started_at.elapsed() < FIRST_BATCH_TIMEOUT, "the import does not get on");
        assert!(first.try_wait().expect("a process").is_none(), "the import ended before it was killed");
        tokio::task::yield_now().await;
    }
    first.kill().expect("a kill");
    first.wait().expect("an end");
    let imported_count = killed.query_scalar(count).await;
    assert!((1..1_500).contains(&imported_count), "{imported_count} products when it was killed");
    killed.run_pending_jobs().await;

    assert!(import(&killed).status().expect("an import").success());
    assert!(import(&uninterrupted).status().expect("an import").success());
    assert_eq!(killed.query_scalar(count).await, 1_500);
    assert!(killed.export_products().await == uninterrupted.export_products().await, "the catalogs differ");
    for table in ["category", "variant", "variant_option", "product_tag", "inventory_level", "search_term"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(killed.query_scalar(&count).await, uninterrupted.query_scalar(&count).await, "{table}");
    }
    killed.run_clock_tick().await;
    killed.run_pending_jobs().await;
}
