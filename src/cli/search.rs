//! `savannah search`: the index of words.

use clap::Subcommand;

use super::database::connect_initialized_database;
use crate::{catalog::write::reindex::enqueue_reindex, infra::Config};

/// Subcommands of `search`.
#[derive(Debug, Subcommand)]
pub(super) enum SearchCommand {
    /// Index the words of all products again. Workers do it, in batches; searches find the previous words meanwhile. After an
    /// upgrade that changes the words, the first worker of the new release begins by itself; repeat it when no process of
    /// the previous release is left.
    #[command(after_help = "Example:\n  savannah search reindex")]
    Reindex,
}

pub(super) async fn run_search_command(config: &Config, command: SearchCommand) -> std::result::Result<(), String> {
    let SearchCommand::Reindex = command;
    let db = connect_initialized_database(config, false).await?;
    let enqueued = enqueue_reindex(&db).await.map_err(|error| error.log_message());
    db.close().await;
    enqueued?;
    println!("workers index the words of all products again");
    Ok(())
}
