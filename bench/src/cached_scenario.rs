//! The cached scenario: the listing from the response cache, against the hand-written server, and against a server that
//! answers the same bytes from memory. Savannah is measured with the text of the document and with its id, with and
//! without the cache, and with texts that it has not parsed before. The overhead of cache misses is measured at a constant
//! rate, with a text in each request that was not sent before.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use savannah::operations::document_id::sha256_hex;
use serde_json::json;

use crate::{
    Result,
    args::Options,
    benchmark::{LoadRound, PostgresCpu},
    constant_rate, database,
    latency::Latencies,
    process::Server,
    response_check,
    scenario::{Scenario, ScenarioKind},
    wrk::WrkScript,
};

/// The number of different texts: far more than the cache of parsed documents holds.
const DISTINCT_TEXTS: usize = 50_000;

/// Requests to a server with their measurements.
struct MeasuredRequests<'a> {
    name: &'static str,
    server: &'a Server,
    script: &'a WrkScript,
    rounds: Vec<LoadRound>,
}

/// Measures the listing on each server in turn and prints a table.
pub fn run_cached_scenario(options: &Options, program: &Path, postgres: &mut PostgresCpu<'_>) -> Result<()> {
    let url = postgres.url();
    let by_text = Scenario::listing();
    let by_id = publish_listing(program, url)?;
    let cached = Server::start_with_caches(program, url)?;
    let not_cached = Server::start_savannah(program, url)?;
    let (handwritten, from_memory) = (Server::start_baseline(url)?, Server::start_memory_server(url)?);
    for (scenario, server) in [(&by_text, &cached), (&by_id, &cached), (&by_text, &not_cached), (&by_id, &not_cached)] {
        // The hand-written server does not know ids.
        response_check::compare_scenarios((scenario, server), (&by_text, &handwritten))?;
    }
    let text_script = WrkScript::new("text", &by_text.bodies, None)?;
    let id_script = WrkScript::new("id", &by_id.bodies, None)?;
    let (name, _) = ScenarioKind::Listing.operation();
    let rename_operation = |number| by_text.bodies[0].replace(name, &format!("{name}{number}"));
    let distinct_texts: Vec<String> = (0..DISTINCT_TEXTS).map(rename_operation).collect();
    let distinct_script = WrkScript::new("distinct", &distinct_texts, None)?;
    let mut rows = [
        ("Savannah, cached, trusted document", &cached, &id_script),
        ("Savannah, cached", &cached, &text_script),
        ("Savannah, not cached, trusted document", &not_cached, &id_script),
        ("Savannah, not cached", &not_cached, &text_script),
        ("Savannah, not cached, a new text each time", &not_cached, &distinct_script),
        ("hand-written", &handwritten, &text_script),
        ("from memory", &from_memory, &text_script),
    ]
    .map(|(name, server, script)| MeasuredRequests { name, server, script, rounds: Vec::new() });
    for MeasuredRequests { name, server, script, .. } in &rows {
        script.run(options, server.address, true).map_err(|error| format!("{name}: {error}"))?;
    }
    for _ in 0..options.rounds {
        for row in &mut rows {
            let round = postgres.run_round(options, row.script, row.server)?;
            eprintln!("{}: {:.0} a second", row.name, round.result.rate);
            row.rounds.push(round);
        }
        // The first request to a server after a pause is slower: no row is always the first of its server.
        rows.reverse();
    }
    if !options.rounds.is_multiple_of(2) {
        rows.reverse();
    }
    print_table(&rows);
    measure_misses(options, [&not_cached, &cached])?;
    for (name, server) in [("cached", &cached), ("not cached", &not_cached)] {
        if let Some(memory) = server.memory_usage() {
            println!("Savannah, {name}: {:.0} MB of memory, at most {:.0} MB", memory.resident_mb, memory.peak_mb);
        }
    }
    Ok(())
}

/// Measures requests that are not in the response cache, on a server without it and on one with it.
fn measure_misses(options: &Options, [not_cached, cached]: [&Server; 2]) -> Result<()> {
    let phase = Duration::from_secs(options.seconds.into());
    let (name, _) = ScenarioKind::Listing.operation();
    let body = &Scenario::listing().bodies[0];
    let sequence = AtomicUsize::new(DISTINCT_TEXTS);
    let next_body = || body.replace(name, &format!("{name}{}", sequence.fetch_add(1, Ordering::Relaxed)));
    let [mut without_cache, mut with_cache] = [Latencies::default(), Latencies::default()];
    let mut turns = [(not_cached, &mut without_cache), (cached, &mut with_cache)];
    for _ in 0..options.rounds {
        for (server, latencies) in &mut turns {
            latencies.merge(constant_rate::send_requests(server.address, phase, next_body)?);
        }
        turns.reverse();
    }
    println!();
    constant_rate::print_table(
        "the listing, a new text each time",
        [("without the cache", &mut without_cache), ("with the cache", &mut with_cache)],
    );
    Ok(())
}

fn print_table(rows: &[MeasuredRequests<'_>]) {
    let medians: Vec<LoadRound> = rows.iter().map(|row| LoadRound::median(&row.rounds)).collect();
    let from_memory = medians.last().map_or(f64::NAN, |median| median.result.rate);
    println!("| listing | req/s | of from memory | p50 ms | p99 ms | CPU µs/req |");
    println!("|---|--:|--:|--:|--:|--:|");
    for (row, LoadRound { result, cpu_micros, .. }) in rows.iter().zip(&medians) {
        let cpu = cpu_micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1}"));
        let (name, share) = (row.name, result.rate / from_memory);
        println!("| {name} | {:.0} | {share:.2} | {:.2} | {:.2} | {cpu} |", result.rate, result.p50, result.p99);
    }
}

/// Publishes the document of the listing, and returns the scenario with its id. Repeated publications change nothing.
fn publish_listing(program: &Path, url: &str) -> Result<Scenario> {
    let (name, text) = ScenarioKind::Listing.operation();
    let id = sha256_hex(text);
    let file = std::env::temp_dir().join(format!("savannah-bench-{}-manifest.json", std::process::id()));
    let write = fs::write(&file, json!({ &id: text }).to_string());
    write.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let path = file.to_string_lossy();
    let publish = ["operations", "publish", "--app", "bench", "--version", "1", &path];
    let published = database::run_savannah_command(program, url, &publish);
    // Errors are ignored: the file is in the temporary directory.
    let _ = fs::remove_file(&file);
    published?;
    let body = json!({ "documentId": id, "operationName": name }).to_string();
    Ok(Scenario { kind: ScenarioKind::Listing, bodies: vec![body] })
}
