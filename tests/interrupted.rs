//! An import that is killed in the middle is simply begun again.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![a_killed_import_is_begun_again];

/// Longer than any machine takes for the first batch.
const PATIENCE: Duration = Duration::from_mins(1);

fn catalog() -> String {
    let mut text =
        "Handle,Title,Body (HTML),Category,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty\n"
            .to_owned();
    for n in 0..1_500 {
        let (aisle, twice) = (n % 17, n % 40);
        let _ = writeln!(
            text,
            "p-{n},Product {n},<p>Number {n}</p>,Hall > Aisle {aisle},\"odd, t{aisle}\",Size,S,S-{twice},{n}.50,3\n\
             p-{n},,,,,,M,,{n}.75,0"
        );
    }
    text
}

async fn a_killed_import_is_begun_again(backend: Backend) {
    let (killed, whole) = (Shop::open(backend).await, Shop::open(backend).await);
    let file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
    std::fs::write(file.path(), catalog()).expect("a file");
    let import = |shop: &Shop| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savannah"));
        command.args(["import", "products"]).arg(file.path()).env("DATABASE_URL", shop.database_url());
        command.current_dir(file.path().parent().expect("a folder")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };

    let mut first = import(&killed).spawn().expect("an import");
    let (began, count) = (Instant::now(), "SELECT count(*) FROM product");
    while killed.number(count).await == 0 {
        assert!(began.elapsed() < PATIENCE, "the import does not get on");
        assert!(first.try_wait().expect("a process").is_none(), "the import ended before it was killed");
        tokio::task::yield_now().await;
    }
    first.kill().expect("a kill");
    first.wait().expect("an end");
    let there = killed.number(count).await;
    assert!((1..1_500).contains(&there), "{there} products when it was killed");
    killed.settle().await;

    assert!(import(&killed).status().expect("an import").success());
    assert!(import(&whole).status().expect("an import").success());
    assert_eq!(killed.number(count).await, 1_500);
    assert!(killed.export().await == whole.export().await, "the catalogs differ");
    for table in ["category", "variant", "variant_option", "product_tag", "inventory", "search_word"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(killed.number(&count).await, whole.number(&count).await, "{table}");
    }
    killed.tick().await;
    killed.settle().await;
}
