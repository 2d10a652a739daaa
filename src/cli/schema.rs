//! `savannah schema`: prints, checks or writes the GraphQL schema (SDL).

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::graphql;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Check that this file contains the current schema instead of printing it.
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    check: Option<PathBuf>,
    /// Write the schema to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(super) fn run_schema_command(args: &SchemaArgs) -> Result<ExitCode, String> {
    let sdl = graphql::render_sdl();
    if let Some(file) = &args.check {
        let existing =
            std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        if existing == sdl {
            return Ok(ExitCode::SUCCESS);
        }
        return Err(format!("{0} is not current: run `savannah schema --write {0}`", file.display()));
    }
    match &args.write {
        Some(file) => std::fs::write(file, sdl).map_err(|error| format!("cannot write {}: {error}", file.display()))?,
        None => print!("{sdl}"),
    }
    Ok(ExitCode::SUCCESS)
}
