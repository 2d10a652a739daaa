//! The binary: parse arguments, call the command.

use std::process::ExitCode;

use clap::Parser;
use savannah::cli::Cli;

/// An answer is many small pieces, made and thrown away: with the system's allocator that was a sixth of the work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(Cli::parse().run()).await {
        Ok(code) => code,
        Err(why) => {
            eprintln!("savannah: {why}");
            ExitCode::FAILURE
        }
    }
}
