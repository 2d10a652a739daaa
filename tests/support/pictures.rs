//! Pictures made by code, and their uploads.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage, RgbaImage, codecs::jpeg::JpegEncoder};
use reqwest::Method;
use serde_json::{Value, json};

use super::{HttpResponse, TestApp};

/// Returns a picture with soft colors, different in each corner: red grows to the right, green downwards.
pub fn draw_picture(width: u32, height: u32) -> RgbImage {
    let level = |position: u32, length: u32| u8::try_from(position * 255 / length.max(1)).expect("a level");
    RgbImage::from_fn(width, height, |x, y| image::Rgb([level(x, width), level(y, height), 90]))
}

/// Returns a picture as a file.
pub fn picture_file(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    draw_picture(width, height).write_to(&mut file, format).expect("a file");
    file.into_inner()
}

/// Returns a PNG whose left half is transparent.
pub fn transparent_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture =
        RgbaImage::from_fn(width, height, |x, _| image::Rgba([200, 20, 20, if x < width / 2 { 0 } else { 255 }]));
    picture.write_to(&mut file, ImageFormat::Png).expect("a file");
    file.into_inner()
}

/// Returns a JPEG with metadata: shown turned by 90 degrees to the right, and taken at a place.
pub fn turned_jpeg(width: u32, height: u32, place: &str) -> Vec<u8> {
    // TIFF, little-endian: two entries, the orientation (6) and a text with the place.
    let mut exif = b"II*\0\x08\0\0\0\x02\0".to_vec();
    exif.extend_from_slice(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
    exif.extend_from_slice(b"\x0e\x01\x02\0");
    exif.extend_from_slice(&u32::try_from(place.len() + 1).expect("a length").to_le_bytes());
    exif.extend_from_slice(&38_u32.to_le_bytes());
    exif.extend_from_slice(&[0; 4]);
    exif.extend_from_slice(place.as_bytes());
    exif.push(0);
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 90);
    encoder.set_exif_metadata(exif).expect("metadata");
    encoder.write_image(draw_picture(width, height).as_raw(), width, height, ExtendedColorType::Rgb8).expect("a file");
    file
}

/// Returns the head of a PNG that claims to have these dimensions, with next to no data.
pub fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut checked = kind.to_vec();
        checked.extend_from_slice(data);
        let mut chunk = u32::try_from(data.len()).expect("a length").to_be_bytes().to_vec();
        chunk.extend_from_slice(&checked);
        let mut crc = flate2::Crc::new();
        crc.update(&checked);
        chunk.extend_from_slice(&crc.sum().to_be_bytes());
        chunk
    };
    let mut header = width.to_be_bytes().to_vec();
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &header));
    file.extend(chunk(b"IDAT", b"\x78\x9c\x63\0\0\0\x01\0\x01"));
    file.extend(chunk(b"IEND", b""));
    file
}

const CREATE_UPLOAD: &str = "mutation($input: MediaUploadCreateInput!) { mediaUploadCreate(input: $input) {
    mediaUpload { uploadUrl expiresAt media { id status } } userErrors { code field message } } }";

impl TestApp {
    /// Creates an upload; returns the payload.
    pub async fn create_upload(&self, token: &str, input: Value) -> Value {
        let response = self.query_as(token, CREATE_UPLOAD, json!({ "input": input })).await;
        response.data_at("/mediaUploadCreate").clone()
    }

    /// Returns the path and the picture's id of a new upload.
    pub async fn upload_path(&self, token: &str) -> (String, String) {
        let created = self.create_upload(token, json!({ "filename": "mug.jpg" })).await;
        assert_eq!(created["userErrors"], json!([]), "{created}");
        let text = |pointer: &str| created.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
        (text("/mediaUpload/uploadUrl"), text("/mediaUpload/media/id"))
    }

    /// Sends a file to an upload.
    pub async fn put_file(&self, path: &str, file: impl Into<reqwest::Body>) -> HttpResponse {
        HttpResponse::send(self.build_request(Method::PUT, path).body(file)).await
    }

    /// Sends a file in a form.
    pub async fn post_file(&self, token: &str, filename: &str, file: &[u8]) -> HttpResponse {
        let mut body = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na note\r\n--limit\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\nContent-Type: image/png\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--limit--\r\n");
        let request = self.build_request(Method::POST, "/media/uploads").bearer_auth(token);
        HttpResponse::send(request.header("content-type", "multipart/form-data; boundary=limit").body(body)).await
    }

    /// Uploads a picture; returns its id and URL.
    pub async fn upload_picture(&self, token: &str, file: Vec<u8>) -> (String, String) {
        let (path, id) = self.upload_path(token).await;
        let response = self.put_file(&path, file).await;
        assert_eq!(response.status, 201, "{response:?}");
        (id, response.json()["data"]["url"].as_str().expect("a URL").to_owned())
    }

    /// Returns all files of the storage, with their paths in its folder.
    pub fn stored_files(&self) -> Vec<String> {
        let root = self.http_app.state.config.media.folder.clone();
        let (mut folders, mut files) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&root).expect("a path").display().to_string());
                }
            }
        }
        files.sort();
        files
    }
}
