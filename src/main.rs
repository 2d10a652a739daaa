//! The binary: parse arguments, call the command.

use std::process::ExitCode;

use clap::Parser;
use savannah::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(why) => {
            eprintln!("savannah: {why}");
            ExitCode::FAILURE
        }
    }
}
