//! The media scenario: the latency of requests without and with pictures being made into their renditions, in turn.

use std::{
    io::Cursor,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::{
    Result,
    args::Options,
    constant_rate, http,
    latency::Latencies,
    process::Server,
    scenario::Scenario,
    staff::{create_staff_account, log_in_staff},
};

/// The dimensions of the picture: 12 megapixels.
const WIDTH: u32 = 4000;
const HEIGHT: u32 = 3000;
/// How often the state of a picture is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const RENDER_TIMEOUT: Duration = Duration::from_mins(5);

/// Runs the scenario and prints the results.
pub fn run_media_scenario(options: &Options, program: &Path, url: &str) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("savannah-bench-media-{}", std::process::id()));
    let outcome = measure(options, program, url, &folder);
    // Errors are ignored: the folder is in the temporary directory.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn measure(options: &Options, program: &Path, url: &str, folder: &Path) -> Result<()> {
    // Of an earlier run there may be one already.
    let created = create_staff_account(program, url);
    let server = Server::start_with_media(program, url, folder)?;
    let token = log_in_staff(server.address).map_err(|error| format!("{error}; {created:?}"))?;
    let file = draw_photo()?;
    let body = Scenario::listing().bodies[0].clone();
    let phase = Duration::from_secs(options.seconds.into());
    let send_requests = || constant_rate::send_requests(server.address, phase, || body.clone());
    send_requests()?;
    let resident_before = server.memory_usage().map_or(f64::NAN, |memory| memory.resident_mb);
    let [mut idle, mut rendering] = [Latencies::default(), Latencies::default()];
    let mut picture_times = Vec::new();
    for _ in 0..options.rounds {
        idle.merge(send_requests()?);
        let is_over = AtomicBool::new(false);
        let (latencies, times) = std::thread::scope(|scope| {
            let renderer = scope.spawn(|| render_until(&is_over, server.address, &token, &file));
            let latencies = send_requests();
            is_over.store(true, Ordering::Relaxed);
            (latencies, renderer.join())
        });
        rendering.merge(latencies?);
        picture_times.extend(times.map_err(|_| "the client that uploads pictures ended early".to_owned())??);
    }
    let title = format!("a picture of {WIDTH} x {HEIGHT} pixels and {} kB at a time", file.len() / 1000);
    constant_rate::print_table(&title, [("without pictures", &mut idle), ("with pictures", &mut rendering)]);
    let count = u32::try_from(picture_times.len()).unwrap_or(u32::MAX).max(1);
    let mean = picture_times.iter().sum::<Duration>().as_secs_f64() / f64::from(count);
    println!("{} pictures, from upload to the last rendition {mean:.1} s each", picture_times.len());
    if let Some(memory) = server.memory_usage() {
        println!("memory: {resident_before:.0} MB before, at most {:.0} MB", memory.peak_mb);
    }
    Ok(())
}

/// Uploads the picture and waits for its renditions, again and again. Returns the time of each.
fn render_until(is_over: &AtomicBool, address: SocketAddr, token: &str, file: &[u8]) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let create = "mutation { mediaUploadCreate(input: { filename: \"photo.jpg\" }) {
            mediaUpload { uploadUrl media { id } } userErrors { message } } }";
        let upload = query(address, token, create, &json!({}))?;
        let upload = &upload["data"]["mediaUploadCreate"]["mediaUpload"];
        let (Some(path), Some(id)) = (upload["uploadUrl"].as_str(), upload["media"]["id"].as_str()) else {
            return Err(format!("no upload: {upload}"));
        };
        let (status, answer) = http::put_file(address, path, file)?;
        if status != 201 {
            return Err(format!("the upload was answered with {status}: {answer}"));
        }
        let state = "query($id: ID!) { node(id: $id) { ... on Media { status } } }";
        while query(address, token, state, &json!({ "id": id }))?["data"]["node"]["status"] != "READY" {
            if started.elapsed() > RENDER_TIMEOUT {
                return Err("the renditions are not made".to_owned());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

fn query(address: SocketAddr, token: &str, query: &str, variables: &Value) -> Result<Value> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let (_, response) = http::post_graphql_as(address, Some(token), &body)?;
    serde_json::from_str(&response).map_err(|error| format!("{error} in {response}"))
}

/// Draws a picture with soft areas, edges and noise, so that it takes as long to encode as a photo.
fn draw_photo() -> Result<Vec<u8>> {
    let mut state = 0x9e37_79b9_u32;
    let picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        // xorshift
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = state % 16;
        let is_tile = (x / 250 + y / 250).is_multiple_of(2);
        let level = |position: u32, length: u32| position * 200 / length;
        let levels = [level(x, WIDTH), level(y, HEIGHT), if is_tile { 180 } else { 60 }];
        image::Rgb(levels.map(|level| u8::try_from(level + noise).unwrap_or(u8::MAX)))
    });
    let mut file = Cursor::new(Vec::new());
    picture
        .write_to(&mut file, ImageFormat::Jpeg)
        .map_err(|error| format!("the picture cannot be encoded: {error}"))?;
    Ok(file.into_inner())
}
