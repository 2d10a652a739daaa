//! Products are indexed again after an upgrade that changes their words, while searches find the previous ones.

use std::collections::BTreeMap;

use savannah::catalog::{
    queries::search_index::store_search_documents,
    search::SearchDocument,
    write::reindex::{INDEX_VERSION, enqueue_reindex, reindex_if_outdated},
};
use serde_json::json;

use crate::{
    integration_tests,
    search_shop::{ShopProduct, insert_products},
    support::{Backend, CliSandbox, TestApp, TestDatabase, parse_datetime, query_scalar},
};

integration_tests![products_with_words_of_an_earlier_version_are_indexed_again, command_enqueues_the_job,];

/// More products than a job indexes.
const PRODUCT_COUNT: i64 = 450;
const PENDING: &str = "SELECT count(*) FROM job WHERE kind = 'search.reindex' AND status = 'pending'";

async fn count_matches(app: &TestApp, search: &str) -> i64 {
    let query = "query($search: String) { products(first: 0, filter: { search: $search }) { totalCount } }";
    let response = app.query_with_variables(query, json!({ "search": search })).await;
    response.data_at("/products/totalCount").as_i64().expect("a count")
}

async fn products_with_words_of_an_earlier_version_are_indexed_again(backend: Backend) {
    let app = TestApp::start(backend).await;
    let product = |number: i64| ShopProduct {
        id: number,
        name: format!("Brass lamp {number}"),
        other_words: Vec::new(),
        sku: format!("S{number}"),
        created_at: parse_datetime("2026-10-01T00:00:00Z"),
        is_active: true,
        in_stock: true,
        price: 100,
    };
    insert_products(&app, &(1..=PRODUCT_COUNT).map(product).collect::<Vec<_>>()).await;
    let previous_words = |number: i64| {
        let mut document = SearchDocument::default();
        document.add_name("previousword");
        (number, document)
    };
    let documents: BTreeMap<i64, SearchDocument> = (1..=PRODUCT_COUNT).map(previous_words).collect();
    app.db.write(async |tx| store_search_documents(tx, &documents).await).await.expect("documents");
    app.execute_sql("UPDATE product SET name_normalized = 'previousword ' || id").await.expect("names");
    app.execute_sql("UPDATE search_index_version SET version = 0").await.expect("a version");

    // Twice, as two workers that start do.
    for _ in 0..2 {
        reindex_if_outdated(&app.db).await.expect("a job");
    }
    assert_eq!(app.query_scalar(PENDING).await, 1);
    assert_eq!((count_matches(&app, "previousword").await, count_matches(&app, "brass").await), (PRODUCT_COUNT, 0));
    app.drain_jobs().await;
    assert_eq!((count_matches(&app, "previousword").await, count_matches(&app, "brass").await), (0, PRODUCT_COUNT));
    let renamed = "SELECT count(*) FROM product WHERE name_normalized = 'brass lamp ' || id";
    assert_eq!(app.query_scalar(renamed).await, PRODUCT_COUNT);
    assert_eq!(app.query_scalar("SELECT version FROM search_index_version").await, i64::from(INDEX_VERSION));

    // The words are current, so that no job is enqueued unless someone asks for it.
    reindex_if_outdated(&app.db).await.expect("no job");
    assert_eq!(app.query_scalar(PENDING).await, 0);
    enqueue_reindex(&app.db).await.expect("a job");
    app.drain_jobs().await;
    assert_eq!(count_matches(&app, "brass").await, PRODUCT_COUNT);
}

async fn command_enqueues_the_job(backend: Backend) {
    let (sandbox, database) = CliSandbox::with_empty_database(backend, &[]).await;
    for command in [&["migrate"][..], &["search", "reindex"]] {
        let exited = sandbox.run_command(command, &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    }
    let file = format!("sqlite://{}", sandbox.path().join("data/savannah.db").display());
    let database = if backend == Backend::Sqlite { TestDatabase::at(&file) } else { database };
    assert_eq!(query_scalar(&database.connect().await, PENDING).await, 1);
}
