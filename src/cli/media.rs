//! `savannah media`: pictures from other addresses.

use clap::Subcommand;

use super::database::connect_initialized_database;
use crate::{
    base::Result,
    catalog::queries::media_use::find_remote_urls,
    infra::{Config, Db},
    media::remote::enqueue_copies,
};

/// Number of pictures whose jobs are enqueued by one statement.
const BATCH_SIZE: u64 = 500;

/// Subcommands of `media`.
#[derive(Debug, Subcommand)]
pub(super) enum MediaCommand {
    /// Copy the pictures of products, variants and categories that are at other addresses into the shop, and show the
    /// copies instead. Workers do it; this command enqueues one job per picture. Repeated, it continues with those that
    /// are left.
    #[command(after_help = "Example:\n  savannah media copy\n  savannah jobs list --state dead")]
    Copy,
}

pub(super) async fn run_media_command(config: &Config, command: MediaCommand) -> std::result::Result<(), String> {
    let MediaCommand::Copy = command;
    let db = connect_initialized_database(config, false).await?;
    let enqueued = enqueue_all_copies(&db).await.map_err(|error| error.log_message());
    db.close().await;
    println!("{} pictures are at other addresses; workers copy them", enqueued?);
    Ok(())
}

/// Returns the number of pictures.
async fn enqueue_all_copies(db: &Db) -> Result<usize> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let urls = find_remote_urls(db, &after, BATCH_SIZE).await?;
        let Some(last) = urls.last() else { return Ok(count) };
        after.clone_from(last);
        count += urls.len();
        enqueue_copies(db, urls).await?;
    }
}
