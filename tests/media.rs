//! Pictures: uploads, their check, renditions, and their use by products.

use image::{GenericImageView, ImageFormat};
use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp, draw_picture, picture_file, png_bomb, transparent_png, turned_jpeg},
};

integration_tests![
    uploaded_picture_is_shown_in_three_sizes,
    uploaded_picture_is_turned_and_has_no_metadata,
    transparent_picture_stays_transparent,
    picture_is_stored_as_avif,
    file_that_is_no_picture_is_rejected_and_leaves_nothing,
    too_large_pictures_are_rejected_before_they_are_decoded,
    upload_that_breaks_off_leaves_nothing,
    upload_is_valid_for_one_file_until_it_expires,
    uploads_need_their_permission,
    form_upload_ignores_the_path_of_its_file_name,
    invalid_uploads_are_rejected_with_all_errors,
    product_with_an_unknown_picture_is_rejected,
    pictures_cost_one_statement_for_any_number,
];

const CREATE_PRODUCT: &str = "mutation($input: ProductCreateInput!) { productCreate(input: $input) {
    product { id slug image } userErrors { code field message } } }";
const PRODUCT: &str = "query($slug: String!) { product(slug: $slug) { featuredImage { width height placeholder alt
    small: url(maxWidth: 100) medium: url(maxWidth: 600, format: WEBP) large: url full: url(maxHeight: 2000) } } }";
const MEDIA: &str = "query($id: ID!) { node(id: $id) { ... on Media { id filename status error mimeType byteSize
    image { url width height } createdAt updatedAt } } }";

/// Creates a product with these images; returns the payload.
pub async fn create_product(app: &TestApp, token: &str, sku: &str, images: Value) -> Value {
    let input = json!({ "name": sku, "sku": sku, "price": "1.00", "status": "ACTIVE", "images": images });
    app.query_as(token, CREATE_PRODUCT, json!({ "input": input })).await.data_at("/productCreate").clone()
}

async fn media(app: &TestApp, token: &str, id: &str) -> Value {
    app.query_as(token, MEDIA, json!({ "id": id })).await.data_at("/node").clone()
}

pub async fn get(app: &TestApp, path: &str) -> (HttpResponse, Vec<u8>) {
    let response = app.build_request(Method::GET, path).send().await.expect("a response");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body").to_vec();
    (HttpResponse { status, headers, text: String::new() }, bytes)
}

async fn uploaded_picture_is_shown_in_three_sizes(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let (id, url) = app.upload_picture(&staff, picture_file(3000, 2000, ImageFormat::Jpeg)).await;
    assert_eq!(media(&app, &staff, &id).await["status"], "PROCESSING");
    let created = create_product(&app, &staff, "MUG", json!([{ "mediaId": id, "alt": "A mug" }])).await;
    assert_eq!(created["userErrors"], json!([]), "{created}");
    assert_eq!(created["product"]["image"], json!(url));
    app.run_pending_jobs().await;
    let shown = media(&app, &staff, &id).await;
    assert_eq!((&shown["status"], &shown["mimeType"]), (&json!("READY"), &json!("image/jpeg")), "{shown}");
    let response = app.query_with_variables(PRODUCT, json!({ "slug": created["product"]["slug"] })).await;
    let image = response.data_at("/product/featuredImage");
    assert_eq!((&image["width"], &image["height"], &image["alt"]), (&json!(3000), &json!(2000), &json!("A mug")));
    let placeholder = image["placeholder"].as_str().expect("a placeholder");
    assert!(placeholder.starts_with("data:image/webp;base64,") && placeholder.len() < 1000, "{placeholder}");
    let expected =
        [("small", "160.jpg", 160, 107), ("medium", "640.webp", 640, 427), ("large", "full.jpg", 2560, 1707)];
    for (field, name, width, height) in expected {
        let path = image[field].as_str().expect("a URL");
        assert!(path.ends_with(name), "{field}: {path}");
        let (response, bytes) = get(&app, path).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let decoded = image::load_from_memory(&bytes).expect("a picture");
        assert_eq!(decoded.dimensions(), (width, height), "{field}");
    }
    assert_eq!(image["full"], image["large"]);
    // Five renditions in two formats, and the original, which is not served.
    let files = app.stored_files();
    assert_eq!(files.len(), 11, "{files:?}");
    let original = files.iter().find(|file| file.starts_with("originals/")).expect("an original");
    for path in [format!("/media/{original}"), format!("/media/../{original}"), format!("/media/..%2F{original}")] {
        assert_eq!(get(&app, &path).await.0.status, 404, "{path}");
    }
}

async fn uploaded_picture_is_turned_and_has_no_metadata(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let (id, url) = app.upload_picture(&staff, turned_jpeg(400, 200, "Nairobi, my garden")).await;
    app.run_pending_jobs().await;
    let shown = media(&app, &staff, &id).await;
    assert_eq!((&shown["image"]["width"], &shown["image"]["height"]), (&json!(200), &json!(400)), "{shown}");
    let (_, bytes) = get(&app, &url).await;
    assert!(!String::from_utf8_lossy(&bytes).contains("Nairobi"));
    let decoded = image::load_from_memory(&bytes).expect("a picture").into_rgb8();
    assert_eq!(decoded.dimensions(), (200, 400));
    // The left bottom corner of the file is now the left top one.
    let corner = decoded.get_pixel(4, 4);
    assert!(corner[0] < 40 && corner[1] > 200, "{corner:?}");
    assert_eq!(draw_picture(400, 200).get_pixel(4, 196)[0], 2);
}

async fn transparent_picture_stays_transparent(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let (_, url) = app.upload_picture(&staff, transparent_png(400, 300)).await;
    assert!(url.ends_with("/full.png"), "{url}");
    app.run_pending_jobs().await;
    for path in [url.clone(), url.replace("full.png", "160.webp")] {
        let (response, bytes) = get(&app, &path).await;
        assert_eq!(response.status, 200, "{path}");
        let decoded = image::load_from_memory(&bytes).expect("a picture").into_rgba8();
        assert_eq!(decoded.get_pixel(10, 50)[3], 0, "{path}");
        assert_eq!(decoded.get_pixel(decoded.width() - 10, 50)[3], 255, "{path}");
    }
}

/// Asserts that no file and no row besides pending uploads exists.
async fn assert_nothing_stored(app: &TestApp) {
    assert_eq!(app.stored_files(), Vec::<String>::new());
    assert_eq!(app.query_scalar("SELECT count(*) FROM media WHERE status <> 'pending'").await, 0);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE kind = 'media.render'").await, 0);
}

async fn picture_is_stored_as_avif(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_MEDIA__AVIF", "true")]).await;
    let staff = app.login(Role::Staff).await;
    let opaque = app.upload_picture(&staff, picture_file(200, 150, ImageFormat::Jpeg)).await;
    let transparent = app.upload_picture(&staff, transparent_png(200, 150)).await;
    app.run_pending_jobs().await;
    for (sku, (id, _)) in [("MUG", opaque), ("BOWL", transparent)] {
        let created = create_product(&app, &staff, sku, json!([{ "mediaId": id }])).await;
        let query = "query($slug: String!) { product(slug: $slug) { featuredImage {
            small: url(maxWidth: 100, format: AVIF) large: url(format: AVIF) } } }";
        let shown = app.query_with_variables(query, json!({ "slug": created["product"]["slug"] })).await;
        for (field, name, width) in [("small", "160.avif", 160), ("large", "full.avif", 200)] {
            let path = shown.data_at(&format!("/product/featuredImage/{field}")).as_str().expect("a URL");
            assert!(path.ends_with(name), "{path}");
            let (response, bytes) = get(&app, path).await;
            assert_eq!((response.status, response.header("content-type")), (200, Some("image/avif")));
            assert_eq!(bytes.get(4..12), Some(b"ftypavif".as_slice()), "{sku}");
            // The box of the dimensions: version and flags, width, height.
            let position = bytes.windows(4).position(|part| part == b"ispe").expect("dimensions");
            let stored = bytes[position + 8..].first_chunk().map(|width| u32::from_be_bytes(*width));
            assert_eq!(stored, Some(width), "{sku}");
        }
    }
}

async fn file_that_is_no_picture_is_rejected_and_leaves_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let mut truncated = picture_file(300, 200, ImageFormat::Png);
    truncated.truncate(truncated.len() / 2);
    let mut damaged = picture_file(300, 200, ImageFormat::Png);
    damaged[40..80].fill(7);
    let svg = b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("text", b"hello, this is not a picture".to_vec(), "JPEG, PNG, WebP or GIF"),
        ("html", b"<html><script>alert(1)</script></html>".to_vec(), "JPEG, PNG, WebP or GIF"),
        ("SVG", svg.to_vec(), "SVG is not accepted"),
        ("head of a PNG", b"\x89PNG\r\n\x1a\nand nothing else".to_vec(), "cannot be decoded"),
        ("half a PNG", truncated, "cannot be decoded"),
        ("damaged PNG", damaged, "cannot be decoded"),
        ("nothing", Vec::new(), "empty"),
    ];
    for (name, file, reason) in cases {
        let (path, id) = app.upload_path(&staff).await;
        for response in [app.put_file(&path, file.clone()).await, app.post_file(&staff, "mug.png", &file).await] {
            assert_eq!(response.status, 422, "{name}: {response:?}");
            assert!(response.text.contains(reason), "{name}: {response:?}");
        }
        assert_eq!(media(&app, &staff, &id).await["status"], "PENDING", "{name}");
    }
    assert_nothing_stored(&app).await;
}

async fn too_large_pictures_are_rejected_before_they_are_decoded(backend: Backend) {
    let settings = [("SAVANNAH_MEDIA__MAX_UPLOAD_BYTES", "2000"), ("SAVANNAH_MEDIA__MAX_PIXELS", "1000000")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let staff = app.login(Role::Staff).await;
    // Small bodies, so that the client has sent all before the answer.
    for (width, height) in [(15_000, 15_000), (1_000_000, 2), (u32::MAX >> 1, u32::MAX >> 1), (1001, 1000)] {
        let (path, _) = app.upload_path(&staff).await;
        let response = app.put_file(&path, png_bomb(width, height)).await;
        assert_eq!(response.status, 422, "{width} x {height}: {response:?}");
    }
    let (path, _) = app.upload_path(&staff).await;
    let response = app.put_file(&path, vec![0xff; 2001]).await;
    assert_eq!(response.status, 413, "{response:?}");
    assert!(response.text.contains("2000 bytes"), "{response:?}");
    // Without a declared length, too.
    let chunks = (0..3).map(|_| Ok::<_, std::io::Error>(vec![0xff_u8; 1000]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(app.put_file(&path, body).await.status, 413);
    assert_eq!(app.post_file(&staff, "mug.jpg", &vec![0xff; 2001]).await.status, 413);
    assert_nothing_stored(&app).await;
}

async fn upload_that_breaks_off_leaves_nothing(backend: Backend) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let file = picture_file(600, 400, ImageFormat::Png);
    let (path, id) = app.upload_path(&staff).await;
    let mut stream = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    let head = format!("PUT {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n", file.len());
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(&file[..file.len() / 2]).await.expect("half a file");
    stream.shutdown().await.expect("an end");
    let mut rest = Vec::new();
    // The connection ends with or without an answer.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("201"));
    assert_nothing_stored(&app).await;
    // The same URL takes the complete file afterwards.
    assert_eq!(app.put_file(&path, file).await.status, 201);
    app.run_pending_jobs().await;
    assert_eq!(media(&app, &staff, &id).await["status"], "READY");
}

async fn upload_is_valid_for_one_file_until_it_expires(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let file = picture_file(300, 200, ImageFormat::Jpeg);
    let (path, _) = app.upload_path(&staff).await;
    let (first, second) = tokio::join!(app.put_file(&path, file.clone()), app.put_file(&path, file.clone()));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert!(statuses[0] == 201 && [404, 409].contains(&statuses[1]), "{first:?} {second:?}");
    assert_eq!(app.put_file(&path, file.clone()).await.status, 404);
    let originals = app.stored_files().iter().filter(|name| name.starts_with("originals/")).count();
    assert_eq!(originals, 1, "the loser's file was not deleted");
    let (path, _) = app.upload_path(&staff).await;
    app.clock.set(app.clock.now() + chrono::TimeDelta::minutes(61));
    let expired = app.put_file(&path, file).await;
    assert_eq!(expired.status, 404, "{expired:?}");
    assert!(expired.text.contains("mediaUploadCreate"), "{expired:?}");
}

async fn uploads_need_their_permission(backend: Backend) {
    let app = TestApp::start(backend).await;
    let customer = app.login(Role::Customer).await;
    let file = picture_file(30, 20, ImageFormat::Png);
    assert_eq!(app.post_file(&customer, "mug.png", &file).await.status, 403);
    assert_eq!(app.post_file("nonsense", "mug.png", &file).await.status, 401);
    let anonymous = app.build_request(Method::POST, "/media/uploads").body(file.clone());
    assert_eq!(HttpResponse::send(anonymous).await.status, 401);
    for secret in ["x", "..%2F..", &"x".repeat(5000)] {
        assert_eq!(app.put_file(&format!("/media/uploads/{secret}"), file.clone()).await.status, 404, "{secret}");
    }
    let query = "{ media { totalCount nodes { id } } }";
    let response = app.query_as(&customer, query, json!({})).await;
    assert_eq!(response.error_code(), "FORBIDDEN");
    assert_nothing_stored(&app).await;
}

async fn form_upload_ignores_the_path_of_its_file_name(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let file = picture_file(300, 200, ImageFormat::Gif);
    let response = app.post_file(&staff, "../../../etc/cron.d/mug.svg", &file).await;
    assert_eq!(response.status, 201, "{response:?}");
    app.run_pending_jobs().await;
    let list = "{ media(filter: { status: READY }) { totalCount nodes { filename mimeType byteSize image { url } } } }";
    let listed = app.query_as(&staff, list, json!({})).await;
    assert_eq!(listed.data_at("/media/totalCount"), 1);
    let shown = listed.data_at("/media/nodes/0");
    assert_eq!((&shown["filename"], &shown["mimeType"]), (&json!("mug.svg"), &json!("image/gif")));
    assert_eq!(shown["byteSize"], json!(file.len()));
    assert!(app.stored_files().iter().all(|file| !file.contains("mug") && !file.contains("..")));
}

async fn invalid_uploads_are_rejected_with_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let input = json!({ "filename": " ", "mimeType": "image/svg+xml", "size": 0 });
    let rejected = app.create_upload(&staff, input).await;
    let fields: Vec<&Value> = rejected["userErrors"].as_array().expect("errors").iter().map(|e| &e["field"]).collect();
    assert_eq!(fields, [&json!(["input", "filename"]), &json!(["input", "mimeType"]), &json!(["input", "size"])]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM media").await, 0);
}

async fn product_with_an_unknown_picture_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let (_, pending) = app.upload_path(&staff).await;
    let (id, url) = app.upload_picture(&staff, picture_file(300, 200, ImageFormat::Jpeg)).await;
    let unknown = "/media/00000000000000000000000000000000/full.jpg";
    let cases = [
        (json!({ "mediaId": pending }), json!(["input", "images", "0", "mediaId"])),
        (json!({ "url": unknown }), json!(["input", "images", "0", "url"])),
        (json!({ "mediaId": id, "url": url }), json!(["input", "images", "0"])),
        (json!({ "alt": "nothing" }), json!(["input", "images", "0"])),
    ];
    for (image, field) in cases {
        let rejected = create_product(&app, &staff, "MUG", json!([image])).await;
        assert_eq!(rejected["userErrors"][0]["field"], field, "{rejected}");
    }
    // The URL of a rendition, with any host, becomes that of the picture.
    let rendition = format!("https://api.shop.example{}", url.replace("full.jpg", "160.webp"));
    let created = create_product(&app, &staff, "MUG", json!([{ "url": rendition }])).await;
    assert_eq!(created["product"]["image"], json!(url), "{created}");
}

async fn pictures_cost_one_statement_for_any_number(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let list = "{ products(first: 20) { nodes { images { url(maxWidth: 300) width height placeholder } } } }";
    let mut counts = Vec::new();
    for (sku, count) in [("A", 1), ("B", 3), ("C", 5)] {
        let mut images = Vec::new();
        for _ in 0..count {
            images.push(json!({ "mediaId": app.upload_picture(&staff, transparent_png(40, 30)).await.0 }));
        }
        create_product(&app, &staff, sku, json!(images)).await;
        app.run_pending_jobs().await;
        let response = app.query(list).await;
        assert!(response.body.to_string().contains("\"width\":40"), "{}", response.body);
        counts.push(response.statements);
    }
    assert_eq!(counts, [3, 3, 3]);
}
