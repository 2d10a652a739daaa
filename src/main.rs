//! The binary: parses the arguments and runs the command.

// The futures of the resolvers are nested deeper than the compiler's default limit, which only optimized builds reach.
#![recursion_limit = "512"]

use std::process::ExitCode;

use clap::Parser;
use savannah::cli::Cli;

/// A response consists of many small short-lived allocations; with the system allocator they took a sixth of the CPU
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(Cli::parse().run()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("savannah: {error}");
            ExitCode::FAILURE
        }
    }
}
