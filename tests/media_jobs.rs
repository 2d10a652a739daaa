//! Background work on pictures: killed workers, unused pictures, and uses at the same time.

use chrono::TimeDelta;
use image::ImageFormat;
use savannah::{
    identity::Role,
    media::{jobs::RenderMedia, reference::MediaReferences, sweep},
    order::media_use::MediaUse,
};
use serde_json::json;

use crate::{
    integration_tests,
    media::{create_product, get},
    support::{Backend, TestApp, picture_file},
};

integration_tests![
    rendition_job_of_a_killed_worker_is_repeated,
    picture_without_its_file_fails_with_its_reason,
    unused_picture_is_deleted_with_its_files,
    used_picture_is_kept,
    picture_that_is_being_used_is_not_deleted,
    deleted_picture_cannot_be_used,
    unfinished_upload_is_deleted,
    invalid_media_rows_are_rejected_by_the_database,
];

const DELETE: &str = "mutation($id: ID!) { mediaDelete(id: $id) { deletedId userErrors { code field message } } }";

async fn sweep(app: &TestApp) {
    let library = &app.http_app.state.media;
    let swept = sweep::delete_unused(&app.db, library, &MediaUse).await;
    swept.unwrap_or_else(|error| panic!("the sweep failed: {}", error.log_message()));
    app.run_pending_jobs().await;
}

fn advance(app: &TestApp, days: i64) {
    app.clock.set(app.clock.now() + TimeDelta::days(days));
}

async fn upload(app: &TestApp) -> (String, String, String) {
    let staff = app.login(Role::Staff).await;
    let (id, url) = app.upload_picture(&staff, picture_file(400, 300, ImageFormat::Jpeg)).await;
    (staff, id, url)
}

/// A worker that is killed leaves some files, and no row says that they are there.
async fn rendition_job_of_a_killed_worker_is_repeated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (_, _, url) = upload(&app).await;
    let file = app.http_app.state.config.media.folder.join(url.replace("/media/", "pictures/"));
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(&file, b"half a file of a killed worker").expect("a file");
    app.execute_sql(
        "UPDATE job SET status = 'running', attempts = 1, locked_by = 'killed', \
         run_at = '2026-11-01T08:00:00+00:00' WHERE kind = 'media.render'",
    )
    .await
    .expect("a running job");
    app.run_pending_jobs().await;
    let (response, bytes) = get(&app, &url).await;
    assert_eq!(response.status, 200);
    assert_eq!(image::load_from_memory(&bytes).expect("a picture").width(), 400);
    let files = app.stored_files();
    // A second run changes nothing.
    app.db.write(async |tx| tx.enqueue_job(RenderMedia { media_id: 1 }).await).await.expect("a job");
    app.run_pending_jobs().await;
    assert_eq!(app.stored_files(), files);
    assert_eq!(get(&app, &url).await.1, bytes);
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event WHERE event_type = 'MediaChanged'").await, 1);
}

async fn picture_without_its_file_fails_with_its_reason(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (staff, id, _) = upload(&app).await;
    std::fs::remove_dir_all(&app.http_app.state.config.media.folder).expect("a folder");
    app.run_pending_jobs().await;
    let query = "query($id: ID!) { node(id: $id) { ... on Media { status error } } }";
    let shown = app.query_as(&staff, query, json!({ "id": id })).await;
    let expected = json!({ "status": "FAILED", "error": "the uploaded file is missing in the storage" });
    assert_eq!(shown.data_at("/node"), &expected);
    let rejected = create_product(&app, &staff, "MUG", json!([{ "mediaId": id }])).await;
    assert_eq!(rejected["userErrors"][0]["field"], json!(["input", "images", "0", "mediaId"]), "{rejected}");
}

async fn unused_picture_is_deleted_with_its_files(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (_, _, url) = upload(&app).await;
    app.run_pending_jobs().await;
    advance(&app, 1);
    sweep(&app).await;
    advance(&app, 29);
    sweep(&app).await;
    assert_eq!(get(&app, &url).await.0.status, 200, "too early");
    advance(&app, 2);
    sweep(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 0);
    assert_eq!(app.stored_files(), Vec::<String>::new());
}

async fn used_picture_is_kept(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (_, id, url) = upload(&app).await;
    app.run_pending_jobs().await;
    advance(&app, 1);
    sweep(&app).await;
    // Used after it was seen unused. Sessions end within a day.
    let staff = app.login(Role::Staff).await;
    let created = create_product(&app, &staff, "MUG", json!([{ "mediaId": id }])).await;
    assert_eq!(created["userErrors"], json!([]), "{created}");
    advance(&app, 60);
    sweep(&app).await;
    assert_eq!(get(&app, &url).await.0.status, 200);
    assert_eq!(app.query_scalar("SELECT count(*) FROM media WHERE unused_since IS NULL").await, 1);
    let staff = app.login(Role::Staff).await;
    let refused = app.query_as(&staff, DELETE, json!({ "id": id })).await;
    assert_eq!(refused.data_at("/mediaDelete/userErrors/0/code"), "ILLEGAL_TRANSITION");
    // Not used any more: the time begins again.
    let update = "mutation($id: ID!) { productUpdate(id: $id, input: { images: [] }) { userErrors { message } } }";
    app.query_as(&staff, update, json!({ "id": created["product"]["id"] })).await.data_at("/productUpdate");
    sweep(&app).await;
    advance(&app, 29);
    sweep(&app).await;
    assert_eq!(get(&app, &url).await.0.status, 200);
    let staff = app.login(Role::Staff).await;
    let deleted = app.query_as(&staff, DELETE, json!({ "id": id })).await;
    assert_eq!(deleted.data_at("/mediaDelete"), &json!({ "deletedId": id, "userErrors": [] }));
    app.run_pending_jobs().await;
    assert_eq!((get(&app, &url).await.0.status, app.stored_files()), (404, Vec::new()));
}

/// A transaction that uses a picture holds its lock while the sweep runs. On SQLite writers wait for each other.
async fn picture_that_is_being_used_is_not_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (_, _, url) = upload(&app).await;
    app.run_pending_jobs().await;
    advance(&app, 1);
    sweep(&app).await;
    advance(&app, 40);
    if backend == Backend::Postgres {
        let library = &app.http_app.state.media;
        let using = app.db.write(async |tx| {
            let mut references = MediaReferences::default();
            references.add(None, &url);
            references.lock(tx).await?.checked_url(&url).expect("a picture");
            // Before this transaction stores its use.
            sweep::delete_unused(&app.db, library, &MediaUse).await
        });
        using.await.unwrap_or_else(|error| panic!("no use: {}", error.log_message()));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 1);
    assert_eq!(get(&app, &url).await.0.status, 200);
    sweep(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 0);
}

async fn deleted_picture_cannot_be_used(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (_, id, url) = upload(&app).await;
    app.run_pending_jobs().await;
    advance(&app, 1);
    sweep(&app).await;
    advance(&app, 40);
    let staff = app.login(Role::Staff).await;
    let library = app.http_app.state.media.clone();
    // Staff use it while it is deleted: either comes first, and never both.
    let swept = sweep::delete_unused(&app.db, &library, &MediaUse);
    let (swept, created) = tokio::join!(swept, create_product(&app, &staff, "MUG", json!([{ "mediaId": id }])));
    swept.unwrap_or_else(|error| panic!("the sweep failed: {}", error.log_message()));
    app.run_pending_jobs().await;
    let rows = app.query_scalar("SELECT count(*) FROM media").await;
    let uses = app.query_scalar("SELECT count(*) FROM product_image").await;
    assert_eq!(rows, uses, "{created}");
    assert_eq!(get(&app, &url).await.0.status, if rows == 1 { 200 } else { 404 });
}

async fn unfinished_upload_is_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    app.upload_path(&staff).await;
    sweep(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 1);
    advance(&app, 1);
    sweep(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 0);
}

async fn invalid_media_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    upload(&app).await;
    let changes = [
        "status = 'gone'",
        "status = 'pending'",
        "status = 'failed'",
        "status = 'ready', original = NULL",
        "width = 0",
        "width = NULL",
        "format = 'svg'",
        "fallback_format = 'webp'",
        "token = 'short'",
        "error = 'an error'",
        "upload_expires_at = created_at",
    ];
    for change in changes {
        assert!(app.execute_sql(&format!("UPDATE media SET {change}")).await.is_err(), "{change}");
    }
}
