//! Pictures at other addresses, which are copied into the shop: by a job each, through redirects, failures and kills.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use image::{GenericImageView, ImageFormat};
use savannah::{catalog::queries::media_use::find_remote_urls, identity::Role, media::remote::enqueue_copies};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    integration_tests,
    media::{create_product, get},
    support::{Backend, CliSandbox, StubServer, TestApp, TestDatabase, picture_file, query_scalar},
};

integration_tests![
    remote_pictures_are_copied_once_and_shown_everywhere,
    remote_files_that_are_no_pictures_are_dead_jobs_with_their_reason,
    server_of_a_picture_that_fails_is_asked_again,
    private_addresses_are_not_requested,
    copies_are_made_by_workers_that_are_killed,
];

const PRIVATE_ALLOWED: (&str, &str) = ("SAVANNAH_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true");
const WAIT_TIMEOUT: Duration = Duration::from_mins(2);
const CATALOG: &str = "query($slug: String!) { product(slug: $slug) { version featuredImage { url width height }
    images { url alt } variants { image { url } } category { version image { url } } } }";

/// Enqueues the copies of all pictures at other addresses, as `savannah media copy` does.
async fn enqueue_all(app: &TestApp) -> usize {
    let urls = find_remote_urls(&app.db, "", 100).await.expect("URLs");
    let count = urls.len();
    enqueue_copies(&app.db, urls).await.expect("jobs");
    count
}

/// Returns the reasons of dead jobs, or of jobs that will be tried again.
async fn job_errors(app: &TestApp, staff: &str, status: &str) -> Vec<String> {
    let query = "query($status: JobStatus!) { jobs(first: 50, filter: { status: $status, queue: \"media.copy\" }) {
        nodes { error } } }";
    let jobs = app.query_as(staff, query, json!({ "status": status })).await;
    let nodes = jobs.data_at("/jobs/nodes").as_array().expect("jobs").clone();
    let mut errors: Vec<String> = nodes.iter().map(|job| job["error"].as_str().expect("a reason").to_owned()).collect();
    errors.sort_unstable();
    errors
}

async fn remote_pictures_are_copied_once_and_shown_everywhere(backend: Backend) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let stub = StubServer::start(async move |uri: Uri| -> Response {
        if uri.path() == "/old/mug.jpg" {
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "../new/mug.jpg?size=full")]).into_response();
        }
        counter.fetch_add(1, Ordering::SeqCst);
        picture_file(400, 300, ImageFormat::Jpeg).into_response()
    })
    .await;
    let app = TestApp::start_with_settings(backend, &[PRIVATE_ALLOWED]).await;
    let admin = app.login(Role::Admin).await;
    let remote = format!("{}/old/mug.jpg", stub.url);
    let category = app
        .query_as(
            &admin,
            "mutation($url: String!) { categoryCreate(input: { name: \"Mugs\", image: { url: $url } }) {
                category { id } userErrors { message } } }",
            json!({ "url": remote }),
        )
        .await;
    let category = category.data_at("/categoryCreate/category/id").clone();
    let input = json!({ "name": "Mug", "status": "ACTIVE", "categoryId": category,
        "images": [{ "url": remote, "alt": "A mug" }, { "url": "https://elsewhere.example/left.jpg" }],
        "options": [{ "name": "Size" }], "variants": [{ "sku": "MUG", "price": "1.00", "options": ["Large"], "image": remote }] });
    let created = app
        .query_as(
            &admin,
            "mutation($input: ProductCreateInput!) { productCreate(input: $input) { product { id slug }
                userErrors { field message } } }",
            json!({ "input": input }),
        )
        .await;
    let slug = created.data_at("/productCreate/product/slug").clone();
    let before = app.query_with_variables(CATALOG, json!({ "slug": slug })).await;
    app.run_pending_jobs().await;

    let urls = find_remote_urls(&app.db, "", 100).await.expect("URLs");
    assert_eq!(urls, [remote.clone(), "https://elsewhere.example/left.jpg".to_owned()]);
    assert_eq!(find_remote_urls(&app.db, &remote, 100).await.expect("URLs").len(), 1);
    // Twice: the second time changes nothing.
    for _ in 0..2 {
        enqueue_copies(&app.db, vec![remote.clone()]).await.expect("a job");
        app.run_pending_jobs().await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 1, "requests of the picture");
    // Instances do so when they read the event of the change.
    app.http_app.state.category_tree_cache.refresh(&app.db).await.expect("the tree");
    let after = app.query_with_variables(CATALOG, json!({ "slug": slug })).await;
    let (before, after) = (before.data_at("/product"), after.data_at("/product"));
    let url = after["featuredImage"]["url"].as_str().expect("a URL");
    assert!(url.starts_with("/media/"), "{after}");
    assert_eq!((&after["featuredImage"]["width"], &after["featuredImage"]["height"]), (&json!(400), &json!(300)));
    assert_eq!(after["images"][0]["alt"], "A mug");
    assert_eq!(after["images"][1]["url"], "https://elsewhere.example/left.jpg");
    assert_eq!(after["variants"][0]["image"]["url"], url);
    assert_eq!(after["category"]["image"]["url"], url);
    let version = |value: &Value| value.as_i64().expect("a version");
    assert_eq!(version(&after["version"]), version(&before["version"]) + 1);
    assert_eq!(version(&after["category"]["version"]), version(&before["category"]["version"]) + 1);
    let (response, bytes) = get(&app, url).await;
    assert_eq!(response.status, 200);
    assert_eq!(image::load_from_memory(&bytes).expect("a picture").dimensions(), (400, 300));
    let names = app.query_as(&admin, "{ media(first: 5) { nodes { filename status } } }", json!({})).await;
    assert_eq!(names.data_at("/media/nodes"), &json!([{ "filename": "mug.jpg", "status": "READY" }]));
}

async fn remote_files_that_are_no_pictures_are_dead_jobs_with_their_reason(backend: Backend) {
    let stub = StubServer::start(async |uri: Uri| -> Response {
        match uri.path() {
            "/gone.jpg" => StatusCode::NOT_FOUND.into_response(),
            "/page.jpg" => "<!doctype html><title>Not found</title>".into_response(),
            "/script.svg" => "<svg onload=\"alert(1)\">".into_response(),
            "/large.jpg" => vec![0xff_u8; 5000].into_response(),
            "/loop.jpg" => (StatusCode::FOUND, [(header::LOCATION, "/loop.jpg")]).into_response(),
            _ => (StatusCode::FOUND, [(header::LOCATION, "file:///etc/passwd")]).into_response(),
        }
    })
    .await;
    let settings = [PRIVATE_ALLOWED, ("SAVANNAH_MEDIA__MAX_UPLOAD_BYTES", "4096")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let admin = app.login(Role::Admin).await;
    let names = ["gone.jpg", "page.jpg", "script.svg", "large.jpg", "file.jpg", "loop.jpg"];
    let images: Vec<Value> = names.iter().map(|name| json!({ "url": format!("{}/{name}", stub.url) })).collect();
    let created = create_product(&app, &admin, "MUG", json!(images)).await;
    assert_eq!(created["userErrors"], json!([]), "{created}");
    assert_eq!(enqueue_all(&app).await, names.len());
    app.drain_jobs().await;
    let errors = job_errors(&app, &admin, "DEAD").await;
    let expected = [
        "SVG is not accepted",
        "the URL must begin with https://",
        "the file has more than 4096 bytes",
        "the file is not a picture",
        "the server of the picture answered 404",
    ];
    for expected in expected {
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}: {errors:?}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    let waiting = job_errors(&app, &admin, "PENDING").await;
    assert!(waiting.len() == 1 && waiting[0].contains("redirects"), "{waiting:?}");
    // The catalog is unchanged, and nothing is left of the files.
    assert_eq!(find_remote_urls(&app.db, "", 100).await.expect("URLs").len(), names.len());
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 0);
    assert_eq!(app.stored_files(), Vec::<String>::new());
}

async fn server_of_a_picture_that_fails_is_asked_again(backend: Backend) {
    let requests = Arc::new(AtomicUsize::new(0));
    let stub = StubServer::start(async move || -> Response {
        if requests.fetch_add(1, Ordering::SeqCst) == 0 {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        picture_file(40, 30, ImageFormat::Png).into_response()
    })
    .await;
    let app = TestApp::start_with_settings(backend, &[PRIVATE_ALLOWED]).await;
    let admin = app.login(Role::Admin).await;
    create_product(&app, &admin, "MUG", json!([{ "url": format!("{}/mug.png", stub.url) }])).await;
    enqueue_all(&app).await;
    app.drain_jobs().await;
    assert_eq!(job_errors(&app, &admin, "PENDING").await, ["the server of the picture answered 503"]);
    app.clock.set(app.clock.now() + chrono::TimeDelta::hours(2));
    app.run_pending_jobs().await;
    assert_eq!(find_remote_urls(&app.db, "", 100).await.expect("URLs"), Vec::<String>::new());
}

async fn private_addresses_are_not_requested(backend: Backend) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let stub = StubServer::start(async move || {
        counter.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let host = stub.url.trim_start_matches("http://").to_owned();
    let images = json!([{ "url": format!("https://{host}/a.jpg") }, { "url": format!("{}/b.jpg", stub.url) },
        { "url": "https://169.254.169.254/latest/meta-data" }]);
    create_product(&app, &admin, "MUG", images).await;
    assert_eq!(enqueue_all(&app).await, 3);
    app.drain_jobs().await;
    let errors = job_errors(&app, &admin, "DEAD").await;
    assert_eq!(
        errors,
        [
            "127.0.0.1 is not a public address",
            "169.254.169.254 is not a public address",
            "the URL must begin with https://"
        ]
    );
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

/// A worker is killed while it receives a picture, and the next one while it makes the renditions.
async fn copies_are_made_by_workers_that_are_killed(backend: Backend) {
    let (requests, requested) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let stub = StubServer::start({
        let (requests, requested) = (Arc::clone(&requests), Arc::clone(&requested));
        async move || -> Response {
            if requests.fetch_add(1, Ordering::SeqCst) == 0 {
                requested.notify_one();
                std::future::pending::<()>().await;
            }
            picture_file(1200, 900, ImageFormat::Jpeg).into_response()
        }
    })
    .await;
    let settings = [PRIVATE_ALLOWED, ("SAVANNAH_JOBS__LEASE_DURATION", "5s"), ("SAVANNAH_MEDIA__FOLDER", "pictures")];
    let (sandbox, database) = CliSandbox::with_empty_database(backend, &settings).await;
    sandbox.write_file(
        "goods.csv",
        &format!(
            "Handle,Title,Published,Variant SKU,Variant Price,Image Src,Status\nmug,Mug,true,MUG,5.00,{}/mug.jpg,active\n",
            stub.url
        ),
    );
    for command in [&["migrate"][..], &["import", "products", "goods.csv"], &["media", "copy"]] {
        let exited = sandbox.run_command(command, &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    }
    let worker = sandbox.start_command(&["worker"]);
    tokio::time::timeout(WAIT_TIMEOUT, requested.notified()).await.expect("a request");
    worker.send_signal("KILL");
    worker.wait_for_exit().await;

    let file = format!("sqlite://{}", sandbox.path().join("data/savannah.db").display());
    let database = if backend == Backend::Sqlite { TestDatabase::at(&file) } else { database };
    let db = database.connect().await;
    let wait_for = async |description: &str, sql: &str| {
        let started_at = Instant::now();
        while query_scalar(&db, sql).await == 0 {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "{description}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let worker = sandbox.start_command(&["worker"]);
    wait_for("rendering", "SELECT count(*) FROM job WHERE kind = 'media.render' AND status = 'running'").await;
    worker.send_signal("KILL");
    worker.wait_for_exit().await;
    assert_eq!(query_scalar(&db, "SELECT count(*) FROM media WHERE status = 'ready'").await, 0);

    let worker = sandbox.start_command(&["worker"]);
    wait_for("the copy", "SELECT count(*) FROM product_image WHERE url LIKE '/media/%/full.jpg'").await;
    let unfinished = "kind LIKE 'media.%' AND status IN ('pending', 'running')";
    wait_for(
        "renditions",
        &format!("SELECT CASE WHEN EXISTS (SELECT 1 FROM job WHERE {unfinished}) THEN 0 ELSE 1 END"),
    )
    .await;
    worker.send_signal("TERM");
    assert_eq!(worker.wait_for_exit().await.exit_code, Some(0));
    assert_eq!(query_scalar(&db, "SELECT count(*) FROM job WHERE status = 'dead'").await, 0);
    let used = "SELECT count(*) FROM media WHERE status = 'ready' AND '/media/' || token || '/full.jpg' IN
        (SELECT url FROM product_image)";
    assert_eq!(query_scalar(&db, used).await, 1);
    // The second worker was perhaps killed before the product showed its copy, which is then unused.
    let count = query_scalar(&db, "SELECT count(*) FROM media WHERE status = 'ready'").await;
    assert!((1..=2).contains(&count), "{count} copies");
    db.close().await;
    let folders = std::fs::read_dir(sandbox.path().join("pictures/pictures")).expect("a folder");
    for folder in folders {
        for (name, width) in [("160.jpg", 160), ("640.webp", 640), ("full.jpg", 1200)] {
            let file = folder.as_ref().expect("an entry").path().join(name);
            let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(image::load_from_memory(&bytes).expect("a picture").width(), width);
        }
    }
}
