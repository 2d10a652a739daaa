//! Catalog imports: matching, updates, and unchanged rows.

use std::fmt::Write as _;

use chrono::TimeDelta;
use savannah::import_export::{
    Progress,
    seed::{DemoCatalogSize, seed_demo_catalog},
};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    edited_price_changes_only_that_product,
    missing_sku_is_generated_once,
    duplicate_sku_keeps_its_generated_sku,
    sku_shared_by_all_rows_is_made_unique,
    variant_is_matched_by_sku,
    variants_can_swap_options,
    price_list_import_changes_only_prices,
    later_rows_of_a_product_add_variants_and_remove_none,
    variant_with_other_options_is_rejected,
    option_is_renamed,
    empty_cell_clears_the_field,
    variant_without_stock_tracking_is_in_stock,
    dry_run_changes_nothing_and_reports_the_same,
    concurrent_imports_create_each_product_once,
    paging_during_an_import_returns_no_product_twice,
    generated_catalog_is_deterministic,
];

const CSV_HEADER: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n";

fn csv_with_header(rows: &str) -> String {
    format!("{CSV_HEADER}{rows}")
}

/// Returns the variants of a product as `sku name price`.
async fn query_variants(app: &TestApp, slug: &str) -> Vec<String> {
    let query = "query ($slug: String) { product(slug: $slug) { variants { sku name price } } }";
    let response = app.query_with_variables(query, json!({ "slug": slug })).await;
    let text = |variant: &serde_json::Value, field: &str| variant[field].as_str().unwrap_or_default().to_owned();
    let variant = |variant: &serde_json::Value| {
        format!("{} {} {}", text(variant, "sku"), text(variant, "name"), text(variant, "price"))
    };
    response.data_at("/product/variants").as_array().expect("a list").iter().map(variant).collect()
}

fn generate_csv(products: usize) -> String {
    let mut text = CSV_HEADER.to_owned();
    for n in 0..products {
        let _ = writeln!(text, "p-{n},Product {n},Size,S,P{n}-S,{n}.50\np-{n},,,M,P{n}-M,{n}.75");
    }
    text
}

async fn edited_price_changes_only_that_product(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = generate_csv(300);
    let (first, import_messages) = app.import_products(&text).await;
    assert_eq!((first.created, first.variants, import_messages), (300, 600, vec![]));
    let before = app.dump_tables().await;

    app.clock.set(app.clock.now() + TimeDelta::hours(1));
    let (repeated, _) = app.import_products(&text).await;
    assert_eq!((repeated.created, repeated.updated), (0, 300));
    assert_eq!(app.dump_tables().await, before);

    app.import_products(text.replace("P7-M,7.75", "P7-M,9.99")).await;
    assert_eq!(query_variants(&app, "p-7").await, ["P7-S S 7.50", "P7-M M 9.99"]);
    let changed: Vec<_> = app.dump_tables().await.into_iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(changed.len(), 2, "one product and one variant: {changed:#?}");
    assert!(changed.iter().all(|row| row.contains("10:00:00")), "{changed:#?}");
    app.run_pending_jobs().await;
}

async fn missing_sku_is_generated_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long = "x".repeat(250);
    let text = csv_with_header(&format!("tee,Tee,Size,Größe S,,5\ntee,,,M,,6\n{long},Long,,,,7\n"));
    let (_, import_messages) = app.import_products(&text).await;
    assert_eq!(import_messages.len(), 3, "{import_messages:?}");
    assert!(
        import_messages.iter().all(|remark| !remark.rejected && remark.reason.contains("no sku")),
        "{import_messages:?}"
    );
    assert_eq!(query_variants(&app, "tee").await, ["tee-große-s Größe S 5.00", "tee-m M 6.00"]);
    let before = app.dump_tables().await;
    let (repeated, import_messages) = app.import_products(&text).await;
    assert_eq!((repeated.created, repeated.variants, import_messages), (0, 3, vec![]));
    assert_eq!(app.dump_tables().await, before);
}

async fn duplicate_sku_keeps_its_generated_sku(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = csv_with_header("tee,Tee,Size,S,X,5\ntee,,,M,X ,6\ncup,Cup,,, X,7\n");
    let (_, import_messages) = app.import_products(&text).await;
    let reasons: Vec<_> =
        import_messages.iter().map(|import_message| (import_message.line, import_message.reason.as_str())).collect();
    let generated_message = |sku| format!("the sku `X` is used twice: this one became `{sku}`");
    assert_eq!(reasons, [(3, generated_message("X-2").as_str()), (4, generated_message("X-3").as_str())]);
    let other = csv_with_header("bag,Bag,,,X,8\n");
    app.import_products(&other).await;
    let before = app.dump_tables().await;
    for text in [&other, &text, &other] {
        let (repeated, import_messages) = app.import_products(text).await;
        assert_eq!(repeated.created, 0);
        assert!(
            import_messages.iter().all(|import_message| import_message.reason.contains("used twice")),
            "{import_messages:?}"
        );
    }
    assert_eq!(app.dump_tables().await, before);
    assert_eq!(query_variants(&app, "bag").await, ["X-4 Default 8.00"]);

    // A released SKU can be used by any row.
    app.import_products(csv_with_header("tee,Tee,Size,S,TEE-S,5\n")).await;
    app.import_products(&other).await;
    assert_eq!(query_variants(&app, "bag").await, ["X Default 8.00"]);
}

async fn sku_shared_by_all_rows_is_made_unique(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut text = CSV_HEADER.to_owned();
    for n in 0..600 {
        let _ = writeln!(text, "p-{n},Product {n},,,TBD,1");
    }
    let (outcome, _) = app.import_products(&text).await;
    assert_eq!((outcome.created, outcome.rejected, outcome.warned), (600, 0, 599));
    let before = app.dump_tables().await;
    let (repeated, _) = app.import_products(&text).await;
    assert_eq!((repeated.created, repeated.updated), (0, 600));
    assert_eq!(app.dump_tables().await, before);
}

async fn variant_is_matched_by_sku(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(csv_with_header("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let key = app.query_scalar("SELECT id FROM variant WHERE sku = 'B'").await;
    app.import_products(csv_with_header("tee,Tee,Size,XL,B,6\n")).await;
    assert_eq!(query_variants(&app, "tee").await, ["A S 5.00", "B XL 6.00"]);
    assert_eq!(app.query_scalar("SELECT id FROM variant WHERE sku = 'B'").await, key);
    // The SKU changed, the options did not.
    app.import_products(csv_with_header("tee,Tee,Size,XL,B2,6\n")).await;
    assert_eq!(app.query_scalar("SELECT id FROM variant WHERE sku = 'B2'").await, key);
    let values = app.query(r#"{ product(slug: "tee") { options { values } } }"#).await;
    assert_eq!(*values.data_at("/product/options/0/values"), json!(["S", "XL"]));
}

async fn variants_can_swap_options(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(csv_with_header("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let (outcome, import_messages) = app.import_products(csv_with_header("tee,Tee,Size,M,A,5\ntee,,,S,B,6\n")).await;
    assert_eq!((outcome.variants, import_messages), (2, vec![]));
    assert_eq!(query_variants(&app, "tee").await, ["A M 5.00", "B S 6.00"]);

    let (_, import_messages) = app.import_products(csv_with_header("tee,Tee,Size,L,A,5\ntee,,,L,B,6\n")).await;
    assert!(
        import_messages.len() == 1 && import_messages[0].rejected && import_messages[0].line == 3,
        "{import_messages:?}"
    );
    assert_eq!(query_variants(&app, "tee").await, ["A L 5.00", "B S 6.00"]);
    let (_, import_messages) = app.import_products(csv_with_header("tee,Tee,Size,S,A,5\n")).await;
    assert!(import_messages[0].reason.contains("has a variant `S` already"), "{import_messages:?}");
}

async fn price_list_import_changes_only_prices(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(csv_with_header("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let (_, import_messages) = app.import_products("Handle,Variant SKU,Variant Price\ntee,A,7\ntee,B,8\n").await;
    assert_eq!(import_messages, []);
    assert_eq!(query_variants(&app, "tee").await, ["A S 7.00", "B M 8.00"]);
}

async fn later_rows_of_a_product_add_variants_and_remove_none(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = csv_with_header("tee,Tee,Size,S,A,5\ncup,Cup,,,C,1\ntee,,,M,B,6\n");
    let (outcome, import_messages) = app.import_products(&text).await;
    assert_eq!((outcome.created, outcome.updated, outcome.variants, import_messages), (2, 1, 3, vec![]));
    assert_eq!(query_variants(&app, "tee").await, ["A S 5.00", "B M 6.00"]);
    let before = app.dump_tables().await;
    app.import_products(&text).await;
    assert_eq!(app.dump_tables().await, before);
}

async fn variant_with_other_options_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(csv_with_header("tee,Tee,Size,S,A,5\ncup,Cup,,,C,1\n")).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price\n\
        tee,Tee,Size,M,Colour,Red,B,5\ncup,Cup,Size,L,,,D,1\n";
    let (_, import_messages) = app.import_products(text).await;
    assert!(import_messages.len() == 2 && import_messages.iter().all(|remark| remark.rejected), "{import_messages:?}");
    assert_eq!(import_messages[0].reason, "the variants of `tee` are chosen by Size; this one is not");
    // An option can be added if every variant of the product is in the file.
    let (_, import_messages) =
        app.import_products(text.replace("M,Colour,Red,B", "S,Colour,Red,A").replace("L,,,D", "L,,,C")).await;
    assert_eq!(import_messages, []);
    assert_eq!(query_variants(&app, "tee").await, ["A S / Red 5.00"]);
    assert_eq!(query_variants(&app, "cup").await, ["C L 1.00"]);
}

async fn option_is_renamed(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(csv_with_header("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    app.import_products(csv_with_header("tee,Tee,Grösse,S,A,5\n")).await;
    let response = app.query(r#"{ product(slug: "tee") { options { name values } } }"#).await;
    assert_eq!(*response.data_at("/product/options"), json!([{ "name": "Grösse", "values": ["S", "M"] }]));
}

async fn empty_cell_clears_the_field(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Vendor,Tags,Variant SKU,Variant Price\ntee,Tee,Acme,\"a, b\",A,5\n";
    app.import_products(text).await;
    app.import_products("Handle,Title,Variant SKU,Variant Price\ntee,Tee,A,5\n").await;
    let query = r#"{ product(slug: "tee") { vendor tags } }"#;
    assert_eq!(*app.query(query).await.data_at("/product"), json!({ "vendor": "Acme", "tags": ["a", "b"] }));
    app.import_products(text.replace("Acme", "").replace("\"a, b\"", "")).await;
    assert_eq!(*app.query(query).await.data_at("/product"), json!({ "vendor": null, "tags": [] }));
}

async fn variant_without_stock_tracking_is_in_stock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty\n";
    app.import_products(format!("{text}tee,Tee,Size,S,A,5,0\n")).await;
    assert_eq!(*app.query(r#"{ product(slug: "tee") { inStock } }"#).await.data_at("/product/inStock"), json!(false));
    app.import_products(format!("{text}tee,,,M,B,5,\n")).await;
    assert_eq!(*app.query(r#"{ product(slug: "tee") { inStock } }"#).await.data_at("/product/inStock"), json!(true));
    app.run_pending_jobs().await;
}

async fn dry_run_changes_nothing_and_reports_the_same(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let mut text = generate_csv(600);
    text.push_str("p-3,,,L,P3-L,1\np-4,,,S,P4-S,-1\nmug,Mug,Size,S,,1\np-5,,,L,P6-S,2\n");
    let before = app.dump_tables().await;
    let mut dry_run_messages = Vec::new();
    let mut on_message = |import_message| dry_run_messages.push(import_message);
    let from = std::io::Cursor::new(text.clone().into_bytes());
    let dry_run_result =
        app.create_import(&mut on_message, true).import_products_from(from, std::path::Path::new("test.csv")).await;
    let dry_run_outcome = dry_run_result.expect("a rehearsal");
    assert_eq!(app.dump_tables().await, before);
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event WHERE event_type = 'ProductsChanged'").await, 1);
    let (outcome, import_messages) = app.import_products(&text).await;
    assert_eq!((dry_run_outcome, dry_run_messages), (outcome, import_messages));
}

async fn concurrent_imports_create_each_product_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = generate_csv(700);
    let (first, second) = tokio::join!(app.import_products(&text), app.import_products(&text));
    assert_eq!((first.0.created + second.0.created, first.0.updated + second.0.updated), (700, 700));
    assert_eq!((first.1, second.1), (vec![], vec![]));
    let (single, exported) = (TestApp::start(backend).await, app.export_products().await);
    single.import_products(&text).await;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&exported), lines(&single.export_products().await));
    app.run_pending_jobs().await;
}

async fn paging_during_an_import_returns_no_product_twice(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products(generate_csv(200)).await;
    let text = generate_csv(1_200);
    let read = async {
        let (mut seen_skus, mut after) = (Vec::new(), serde_json::Value::Null);
        loop {
            let query = "query ($after: String) { products(first: 20, after: $after, sort: { field: NEWEST }) \
                { nodes { sku } pageInfo { hasNextPage endCursor } } }";
            let page = app.query_with_variables(query, json!({ "after": after })).await;
            seen_skus.extend(page.strings_at("/products/nodes", "sku"));
            if *page.data_at("/products/pageInfo/hasNextPage") == json!(false) {
                return seen_skus;
            }
            after = page.data_at("/products/pageInfo/endCursor").clone();
        }
    };
    let (_, seen_skus) = tokio::join!(app.import_products(&text), read);
    let unique: std::collections::HashSet<_> = seen_skus.iter().collect();
    assert_eq!(unique.len(), seen_skus.len());
    assert!(unique.len() >= 200, "{}", unique.len());
}

async fn generated_catalog_is_deterministic(backend: Backend) {
    let make = async |app: &TestApp| {
        let currency = app.http_app.state.config.shop.currency;
        let size = DemoCatalogSize { products: 700, categories: 40 };
        seed_demo_catalog(&app.db, currency, size, &Progress::default()).await.expect("a made-up shop");
        app.run_clock_tick().await;
    };
    let (first, second) = (TestApp::start(backend).await, TestApp::start(backend).await);
    make(&first).await;
    make(&second).await;
    let before = first.dump_tables().await;
    assert_eq!(first.query_scalar("SELECT count(*) FROM product").await, 700);
    assert_eq!(first.query_scalar("SELECT count(*) FROM category").await, 40);
    assert!(before == second.dump_tables().await, "two made-up shops differ");
    first.run_pending_jobs().await;

    first.clock.set(first.clock.now() + TimeDelta::minutes(1));
    make(&first).await;
    assert!(before == first.dump_tables().await, "the second time something changed");
}
