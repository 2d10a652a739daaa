//! Pictures over HTTP: cache headers, conditional and range requests, from a folder and from a bucket.

use std::time::Duration;

use image::ImageFormat;
use reqwest::Method;
use savannah::identity::Role;
use serde_json::json;

use crate::{
    integration_tests,
    media::get,
    support::{Backend, HttpResponse, MotoServer, TestApp, has_moto_server, picture_file},
};

integration_tests![
    picture_has_lasting_cache_headers,
    conditional_requests_are_answered_without_a_body,
    ranges_of_a_picture_are_served,
    unknown_pictures_are_not_found;
    needs(has_moto_server): pictures_are_stored_in_a_bucket, unavailable_bucket_is_an_error_and_stores_nothing,
];

/// Uploads a picture and makes its renditions; returns the path of the largest.
async fn publish_picture(app: &TestApp) -> String {
    let staff = app.login(Role::Staff).await;
    let (_, url) = app.upload_picture(&staff, picture_file(800, 600, ImageFormat::Png)).await;
    app.run_pending_jobs().await;
    url
}

async fn request(app: &TestApp, method: Method, path: &str, headers: &[(&str, &str)]) -> (HttpResponse, Vec<u8>) {
    let request =
        headers.iter().fold(app.build_request(method, path), |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.expect("a response");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body").to_vec();
    (HttpResponse { status, headers, text: String::new() }, bytes)
}

async fn picture_has_lasting_cache_headers(backend: Backend) {
    let app = TestApp::start(backend).await;
    let path = publish_picture(&app).await;
    let (response, bytes) = get(&app, &path).await;
    let expected = [
        ("content-type", "image/png"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("content-length", &bytes.len().to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(response.header(name), Some(value), "{response:?}");
    }
    assert!(response.header("etag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')), "{response:?}");
    let (head, body) = request(&app, Method::HEAD, &path, &[]).await;
    assert_eq!((head.status, body.len()), (200, 0));
    for name in ["content-length", "etag", "last-modified", "content-type", "cache-control"] {
        assert_eq!(head.header(name), response.header(name), "{name}");
    }
    assert_eq!(request(&app, Method::POST, &path, &[]).await.0.status, 405);
}

async fn conditional_requests_are_answered_without_a_body(backend: Backend) {
    let app = TestApp::start(backend).await;
    let path = publish_picture(&app).await;
    let (response, _) = get(&app, &path).await;
    let tag = response.header("etag").expect("a tag").to_owned();
    let modified = response.header("last-modified").expect("a time").to_owned();
    let (weak, list) = (format!("W/{tag}"), format!("\"other\", {tag}"));
    let same = [
        vec![("if-none-match", tag.as_str())],
        vec![("if-none-match", &weak)],
        vec![("if-none-match", &list)],
        vec![("if-none-match", "*")],
        vec![("if-modified-since", &modified)],
        vec![("if-none-match", &tag), ("range", "bytes=0-9")],
    ];
    for headers in &same {
        for method in [Method::GET, Method::HEAD] {
            let (response, body) = request(&app, method, &path, headers).await;
            assert_eq!((response.status, body.len()), (304, 0), "{headers:?}");
            assert_eq!(response.header("etag"), Some(tag.as_str()), "{headers:?}");
            assert!(response.header("cache-control").is_some_and(|value| value.contains("immutable")), "{headers:?}");
        }
    }
    let other = [
        vec![("if-none-match", "\"other\"")],
        vec![("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
        vec![("if-modified-since", "yesterday")],
        // The tag goes before the time.
        vec![("if-none-match", "\"other\""), ("if-modified-since", &modified)],
    ];
    for headers in &other {
        assert_eq!(request(&app, Method::GET, &path, headers).await.0.status, 200, "{headers:?}");
    }
}

async fn ranges_of_a_picture_are_served(backend: Backend) {
    let app = TestApp::start(backend).await;
    let path = publish_picture(&app).await;
    let (complete, bytes) = get(&app, &path).await;
    let (tag, size) = (complete.header("etag").expect("a tag").to_owned(), bytes.len());
    let last = size - 1;
    let cases = [
        ("bytes=0-9", &bytes[..10], format!("bytes 0-9/{size}")),
        ("bytes=10-", &bytes[10..], format!("bytes 10-{last}/{size}")),
        ("bytes=-5", &bytes[size - 5..], format!("bytes {}-{last}/{size}", size - 5)),
    ];
    for (range, part, content_range) in cases {
        for headers in [vec![("range", range)], vec![("range", range), ("if-range", tag.as_str())]] {
            let (response, body) = request(&app, Method::GET, &path, &headers).await;
            assert_eq!((response.status, body.as_slice()), (206, part), "{headers:?}");
            assert_eq!(response.header("content-range"), Some(content_range.as_str()));
            assert_eq!(response.header("content-length"), Some(part.len().to_string().as_str()));
        }
    }
    let (response, _) = request(&app, Method::GET, &path, &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!((response.status, response.header("content-range")), (416, Some(format!("bytes */{size}").as_str())));
    // Of another file, of several parts, or not understood: the complete file.
    let complete_ones = [
        vec![("range", "bytes=0-9"), ("if-range", "\"other\"")],
        vec![("range", "bytes=0-9"), ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")],
        vec![("range", "bytes=0-1,4-5")],
        vec![("range", "lines=0-1")],
    ];
    for headers in &complete_ones {
        let (response, body) = request(&app, Method::GET, &path, headers).await;
        assert_eq!((response.status, body.len()), (200, size), "{headers:?}");
    }
}

async fn unknown_pictures_are_not_found(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let (_, url) = app.upload_picture(&staff, picture_file(200, 100, ImageFormat::Jpeg)).await;
    // Before the job has made its renditions, too; that is not cached.
    let paths = [
        url.as_str(),
        "/media/00000000000000000000000000000000/full.jpg",
        "/media/x/full.jpg",
        "/media/..%2f..%2f/etc%2fpasswd",
        "/media/00000000000000000000000000000000/..%2f..%2fsecret.png",
        "/media/00000000000000000000000000000000/full.svg",
    ];
    for path in paths {
        for method in [Method::GET, Method::HEAD] {
            let (response, _) = request(&app, method, path, &[("range", "bytes=0-1")]).await;
            assert_eq!((response.status, response.header("cache-control")), (404, Some("no-store")), "{path}");
        }
    }
    app.run_pending_jobs().await;
    assert_eq!(get(&app, &url).await.0.status, 200);
}

async fn pictures_are_stored_in_a_bucket(backend: Backend) {
    let bucket = MotoServer::start().await;
    let app = TestApp::start_with_settings(backend, &bucket.settings()).await;
    let staff = app.login(Role::Staff).await;
    // Larger than a part of a multipart upload.
    let noise = image::RgbImage::from_fn(1800, 1200, |x, y| {
        let mixed = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917);
        let [a, b, c, _] = (mixed ^ (mixed >> 15)).to_le_bytes();
        image::Rgb([a, b, c])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut file, ImageFormat::Png).expect("a file");
    let file = file.into_inner();
    assert!(file.len() > 5 * 1024 * 1024, "{}", file.len());
    let (_, url) = app.upload_picture(&staff, file).await;
    app.run_pending_jobs().await;
    assert_eq!(app.stored_files(), Vec::<String>::new());
    let (response, bytes) = get(&app, &url).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("image/png")), "{response:?}");
    assert_eq!(image::load_from_memory(&bytes).expect("a picture").width(), 1800);
    let tag = response.header("etag").expect("a tag").to_owned();
    let (response, _) = request(&app, Method::GET, &url, &[("if-none-match", &tag)]).await;
    assert_eq!(response.status, 304);
    let (response, part) = request(&app, Method::GET, &url, &[("range", "bytes=100-199"), ("if-range", &tag)]).await;
    assert_eq!((response.status, part.as_slice()), (206, &bytes[100..200]));
    let (response, _) = get(&app, &url.replace("full", "161")).await;
    assert_eq!(response.status, 404);
    // Nothing remains of a deleted one.
    let list = app.query_as(&staff, "{ media { nodes { id } } }", json!({})).await;
    let delete = "mutation($id: ID!) { mediaDelete(id: $id) { deletedId userErrors { message } } }";
    let deleted = app.query_as(&staff, delete, json!({ "id": list.data_at("/media/nodes/0/id") })).await;
    assert_eq!(deleted.data_at("/mediaDelete/userErrors"), &json!([]));
    app.run_pending_jobs().await;
    assert_eq!(get(&app, &url).await.0.status, 404);
    assert_eq!(bucket.count_objects().await, 0);
}

async fn unavailable_bucket_is_an_error_and_stores_nothing(backend: Backend) {
    let bucket = MotoServer::start().await;
    let mut settings = bucket.settings();
    settings.retain(|(name, _)| *name != "SAVANNAH_MEDIA__BUCKET");
    settings.push(("SAVANNAH_MEDIA__BUCKET", "no-such-bucket"));
    let app = TestApp::start_with_settings(backend, &settings).await;
    let staff = app.login(Role::Staff).await;
    let (path, _) = app.upload_path(&staff).await;
    let sent = app.put_file(&path, picture_file(200, 100, ImageFormat::Jpeg));
    let response = tokio::time::timeout(Duration::from_mins(2), sent).await.expect("an answer");
    assert_eq!(response.status, 500, "{response:?}");
    assert!(!response.text.contains("no-such-bucket"), "{response:?}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM media WHERE status <> 'pending'").await, 0);
}
