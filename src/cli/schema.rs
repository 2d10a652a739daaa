//! `savannah schema`: the contract, printed or checked.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::graphql;

/// What `schema` takes.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Do not print it: say whether this file holds it.
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    check: Option<PathBuf>,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, String> {
    let sdl = graphql::sdl();
    if let Some(file) = &args.check {
        let there = std::fs::read_to_string(file).map_err(|why| format!("cannot read {}: {why}", file.display()))?;
        if there == sdl {
            return Ok(ExitCode::SUCCESS);
        }
        return Err(format!("{0} is not current: run `savannah schema --write {0}`", file.display()));
    }
    match &args.write {
        Some(file) => std::fs::write(file, sdl).map_err(|why| format!("cannot write {}: {why}", file.display()))?,
        None => print!("{sdl}"),
    }
    Ok(ExitCode::SUCCESS)
}
