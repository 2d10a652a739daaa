//! `savannah keys`: what the shop signs its tokens with.

use clap::Subcommand;

use super::open_ready;
use crate::{
    identity::key::{self, KEPT, Ring},
    infra::Config,
};

/// What can be done with the keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Sign with a new key from now on. Tokens of the one before hold until they end.
    #[command(after_help = "Example:\n  savannah keys rotate")]
    Rotate,
    /// Name the keys that tokens are verified with, the newest first.
    #[command(after_help = "Example:\n  savannah keys list")]
    List,
}

pub(super) async fn run(config: &Config, what: &Keys) -> Result<(), String> {
    let db = open_ready(config, false).await?;
    match what {
        Keys::Rotate => {
            let kid = db.write(async |tx| key::rotate(tx).await).await.map_err(|why| why.log())?;
            println!("signing with {kid}; the key before verifies for {} hours more", KEPT.num_hours());
        }
        Keys::List => {
            let ring = Ring::load(&db).await.map_err(|why| why.log())?;
            let current = ring.current.as_ref().map(|(kid, _)| kid.as_str());
            for name in ring.names() {
                println!("{name}{}", if Some(name) == current { "  (signs)" } else { "" });
            }
        }
    }
    db.close().await;
    Ok(())
}
