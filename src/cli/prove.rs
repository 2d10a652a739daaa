//! `savannah prove`: proofs on the operator's own machine and database system.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::scheduler_loop::wait_for_shutdown_signal;
use crate::{
    infra::Config,
    prove::{ProofOptions, run_proofs},
};

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// How long to kill servers under load, in seconds; at least three are killed. Starting and checking come on top.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Print the report as JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run_prove(config: &Config, args: &ProveArgs) -> Result<ExitCode, String> {
    let interrupted = wait_for_shutdown_signal();
    let program = std::env::current_exe().map_err(|error| format!("the path of this program is not known: {error}"))?;
    let options = ProofOptions { program: &program, duration: Duration::from_secs(u64::from(args.seconds)) };
    let report = run_proofs(config, options, interrupted).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
    } else {
        print!("{}", report.to_markdown());
    }
    Ok(if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
