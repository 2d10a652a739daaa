//! Savannah beside a hand-written server: the same questions, the same answers, one run, one table.
//!
//! `cargo run --release -p bench` builds the shop, fills a database of PostgreSQL unless it is there from an earlier
//! run, measures how fast the shop starts, checks that both servers answer the same, loads them in turn with `wrk` and
//! prints what it saw in Markdown. `--help` tells what can be changed.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod attack;
mod check;
mod comparator;
mod database;
mod editing;
mod explain;
mod http;
mod load;
mod market;
mod pace;
mod measure;
mod process;
mod report;
mod scenario;
mod selling;
mod tokens;

/// What went wrong, in one sentence.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: args::Args) -> Result<()> {
    match args.command {
        Some(args::Command::Comparator { port, database }) => comparator::run(port, &database),
        Some(args::Command::Tokens) => tokens::run(),
        None => measure::run(&args.options),
    }
}
