//! Benchmark of Savannah against a hand-written server, with the same requests and responses.
//!
//! `cargo run --release -p bench` builds Savannah, seeds a PostgreSQL database unless an earlier run did, measures the
//! startup time, checks that both servers return the same responses, loads them alternately with `wrk` and prints a
//! report in Markdown. See `--help` for options.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod attack_scenario;
mod response_check;
mod handwritten_baseline;
mod constant_rate;
mod database;
mod edit_scenario;
mod explain;
mod http;
mod wrk;
mod checkout_database;
mod instances_scenario;
mod latency;
mod media_scenario;
mod nginx;
mod benchmark;
mod cached_scenario;
mod process;
mod report;
mod rest_scenario;
mod scenario;
mod search_scenario;
mod staff;
mod storefront_scenario;
mod subscriber_scenario;
mod checkout_scenario;
mod token_benchmark;

/// A result with an error message.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run_command(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(args: args::Args) -> Result<()> {
    match args.command {
        Some(args::Command::Comparator { port, database }) => handwritten_baseline::run_server(port, &database),
        Some(args::Command::FromMemory { port, database }) => handwritten_baseline::run_memory_server(port, &database),
        Some(args::Command::Tokens) => token_benchmark::run_token_benchmark(),
        None => benchmark::run_benchmark(&args.options),
    }
}
