//! Catalogs exported by other systems. They are not in the repository; without them these tests are ignored.

use std::path::{Path, PathBuf};

use savannah::import_export::import::{ImportMessage, ImportSummary};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![; needs(has_data_files): shopify_files_are_imported_completely,
    woocommerce_samples_are_imported_completely,
    google_taxonomy_is_imported_completely,
    imported_shopify_products_are_queryable,
    imported_catalogs_export_and_reimport_unchanged,
    dry_run_of_several_files_matches_the_import];

/// Beside the project, unless `SAVANNAH_DATA` says where.
fn data_directory() -> PathBuf {
    std::env::var_os("SAVANNAH_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

fn has_data_files() -> bool {
    data_directory().join("SOURCES.md").exists()
}

async fn import_file(app: &TestApp, name: &str, dry_run: bool) -> (ImportSummary, Vec<ImportMessage>) {
    let mut messages = Vec::new();
    let mut on_message = |import_message| messages.push(import_message);
    let outcome = app.create_import(&mut on_message, dry_run).import_products(&[data_directory().join(name)]).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {}", error.log_message()));
    app.run_clock_tick().await;
    (outcome, messages)
}

/// What a shop holds: products, variants, pictures.
async fn count_catalog_rows(app: &TestApp) -> [i64; 3] {
    [
        app.query_scalar("SELECT count(*) FROM product").await,
        app.query_scalar("SELECT count(*) FROM variant").await,
        app.query_scalar("SELECT count(*) FROM product_image").await,
    ]
}

async fn shopify_files_are_imported_completely(backend: Backend) {
    // Products, variants, pictures; skus made, skus used twice.
    let files = [
        ("shopify-partners-apparel.csv", [20, 22, 20]),
        ("shopify-partners-home-and-garden.csv", [20, 21, 21]),
        ("shopify-legacy-Apparel.csv", [25, 96, 55]),
        ("shopify-legacy-SnowDevil.csv", [278, 622, 412]),
        ("shopify-legacy-Fashion.csv", [997, 3_684, 4_742]),
    ];
    for (name, expected) in files {
        let app = TestApp::start(backend).await;
        let (dry_run_outcome, dry_run_messages) = import_file(&app, name, true).await;
        assert_eq!(count_catalog_rows(&app).await, [0, 0, 0], "{name} was only rehearsed");
        let (outcome, import_messages) = import_file(&app, name, false).await;
        assert_eq!((&dry_run_outcome, &dry_run_messages), (&outcome, &import_messages), "{name}");
        let rejected: Vec<_> = import_messages.iter().filter(|import_message| import_message.rejected).collect();
        assert!(rejected.is_empty(), "{name}: {rejected:?}");
        assert_eq!(count_catalog_rows(&app).await, expected, "{name}");
        app.run_pending_jobs().await;

        let before = app.dump_tables().await;
        let (repeated, import_messages) = import_file(&app, name, false).await;
        assert_eq!(
            (repeated.created, repeated.updated, repeated.rejected),
            (0, outcome.created, 0),
            "{name}: {import_messages:?}"
        );
        assert_rows_equal(&before, &app.dump_tables().await);
    }
}

#[track_caller]
fn assert_rows_equal(before: &[String], after: &[String]) {
    let missing_rows: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(3).collect();
    let added_rows: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(3).collect();
    assert!(before == after, "gone: {missing_rows:#?}, come: {added_rows:#?}");
}

async fn woocommerce_samples_are_imported_completely(backend: Backend) {
    let app = TestApp::start(backend).await;
    let name = "woo-classic-commerce-sample_products.csv";
    let (outcome, import_messages) = import_file(&app, name, false).await;
    assert_eq!(
        (outcome.rejected, count_catalog_rows(&app).await[..2].to_vec()),
        (0, vec![15, 22]),
        "{import_messages:?}"
    );
    let hoodie = app.query(r#"{ product(slug: "hoodie") { variants { sku } } }"#).await;
    assert_eq!(hoodie.data_at("/product/variants").as_array().map(Vec::len), Some(6), "far from their parent");
    app.run_pending_jobs().await;

    let before = app.dump_tables().await;
    let (repeated, _) = import_file(&app, name, false).await;
    assert_eq!(repeated.created, 0);
    assert_rows_equal(&before, &app.dump_tables().await);
}

async fn google_taxonomy_is_imported_completely(backend: Backend) {
    let app = TestApp::start(backend).await;
    let file = [data_directory().join("google-taxonomy-with-ids.en-US.txt")];
    let mut messages = Vec::new();
    let mut on_message = |import_message| messages.push(import_message);
    let dry_run_outcome = app.create_import(&mut on_message, true).import_categories(&file).await.expect("a rehearsal");
    assert_eq!(app.query_scalar("SELECT count(*) FROM category").await, 0);
    let outcome = app.create_import(&mut on_message, false).import_categories(&file).await.expect("an import");
    assert_eq!((outcome.created, outcome.rejected), (5_582, 0));
    assert_eq!(dry_run_outcome, outcome);
    assert_eq!(app.query_scalar("SELECT count(*) FROM category").await, 5_582);
    assert_eq!(app.query_scalar("SELECT count(*) FROM category WHERE parent_id IS NULL").await, 21);

    let before = app.dump_tables().await;
    let repeated = app.create_import(&mut on_message, false).import_categories(&file).await.expect("an import");
    assert_eq!((repeated.created, repeated.updated), (0, 5_582));
    assert_rows_equal(&before, &app.dump_tables().await);
    assert_eq!(messages, []);
}

async fn imported_shopify_products_are_queryable(backend: Backend) {
    let app = TestApp::start(backend).await;
    import_file(&app, "shopify-legacy-Fashion.csv", false).await;
    let query = r#"{
        bracelet: product(slug: "kalotte-bracelet") { name images { url } options { name values }
            variants { sku price options { name value } } }
        camisole: product(slug: "s14-onl-li-4184l-navy") { name description descriptionHtml }
        products(first: 1) { totalCount }
    }"#;
    let response = app.query(query).await;
    assert_eq!(*response.data_at("/products/totalCount"), json!(997));
    assert_eq!(response.data_at("/bracelet/images").as_array().map(Vec::len), Some(5));
    let options = json!([{ "name": "Size", "values": ["O/S"] }, { "name": "Material", "values": ["Stainless Steel"] },
        { "name": "Color", "values": ["Gold"] }]);
    assert_eq!(*response.data_at("/bracelet/options"), options);
    let sku = json!("31023");
    assert_eq!(*response.data_at("/bracelet/variants/0/sku"), sku, "the apostrophe is Shopify's");
    let html = response.data_at("/camisole/descriptionHtml").as_str().expect("HTML");
    assert!(html.contains("<p>") && !html.contains("style=") && !html.contains("<meta"), "{html}");
    let text = response.data_at("/camisole/description").as_str().expect("text");
    assert!(text.starts_with("Lace trim accentuates") && !text.contains('<'), "{text}");
}

async fn imported_catalogs_export_and_reimport_unchanged(backend: Backend) {
    let app = TestApp::start(backend).await;
    import_file(&app, "shopify-legacy-Fashion.csv", false).await;
    import_file(&app, "woo-classic-commerce-sample_products.csv", false).await;
    let out = app.export_products().await;
    let other_app = TestApp::start(backend).await;
    let (outcome, import_messages) = other_app.import_products(&out).await;
    assert_eq!((outcome.created, import_messages), (1_012, vec![]));
    assert!(other_app.export_products().await == out, "the second export is not the first");
    assert_eq!(count_catalog_rows(&other_app).await, count_catalog_rows(&app).await);
}

async fn dry_run_of_several_files_matches_the_import(backend: Backend) {
    let app = TestApp::start(backend).await;
    let file = data_directory().join("shopify-legacy-Apparel.csv");
    let files = [file.clone(), file];
    let mut messages = Vec::new();
    let mut on_message = |import_message| messages.push(import_message);
    let dry_run_outcome = app.create_import(&mut on_message, true).import_products(&files).await.expect("a rehearsal");
    assert_eq!((dry_run_outcome.created, dry_run_outcome.updated), (25, 25));
    let outcome = app.create_import(&mut on_message, false).import_products(&files).await.expect("an import");
    assert_eq!(dry_run_outcome, outcome);
}
