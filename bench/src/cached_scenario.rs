//! The cached scenario: the listing from the response cache, against the hand-written server, and against a server that
//! answers the same bytes from memory.

use std::path::Path;

use crate::{
    Result,
    args::Options,
    benchmark::{LoadRound, PostgresCpu},
    process::Server,
    response_check,
    scenario::{Scenario, ScenarioKind},
    wrk::WrkScript,
};

/// A server with its measurements.
struct MeasuredServer {
    name: &'static str,
    server: Server,
    rounds: Vec<LoadRound>,
}

/// Measures the listing on each server in turn and prints a table.
pub fn run_cached_scenario(options: &Options, program: &Path, postgres: &mut PostgresCpu<'_>) -> Result<()> {
    let url = postgres.url();
    let scenario = Scenario::listing();
    let mut servers = [
        ("Savannah, cached", Server::start_with_caches(program, url)?),
        ("Savannah, not cached", Server::start_savannah(program, url)?),
        ("hand-written", Server::start_baseline(url)?),
        ("from memory", Server::start_memory_server(url)?),
    ]
    .map(|(name, server)| MeasuredServer { name, server, rounds: Vec::new() });
    let script = WrkScript::new(ScenarioKind::Listing.title(), &scenario.bodies, None)?;
    for measured in &servers {
        response_check::compare_responses(&scenario, &measured.server, &servers[2].server)?;
        script.run(options, measured.server.address, true).map_err(|error| format!("{}: {error}", measured.name))?;
    }
    for _ in 0..options.rounds {
        for measured in &mut servers {
            let round = postgres.run_round(options, &script, &measured.server)?;
            eprintln!("{}: {:.0} a second", measured.name, round.result.rate);
            measured.rounds.push(round);
        }
    }
    let medians: Vec<LoadRound> = servers.iter().map(|measured| LoadRound::median(&measured.rounds)).collect();
    let from_memory = medians[3].result.rate;
    println!("| listing | req/s | of from memory | p50 ms | p99 ms | CPU µs/req |");
    println!("|---|--:|--:|--:|--:|--:|");
    for (measured, LoadRound { result, cpu_micros, .. }) in servers.iter().zip(&medians) {
        let cpu = cpu_micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.0}"));
        let (name, share) = (measured.name, result.rate / from_memory);
        println!("| {name} | {:.0} | {share:.2} | {:.2} | {:.2} | {cpu} |", result.rate, result.p50, result.p99);
    }
    Ok(())
}
