//! `savannah keys`: what the shop signs its tokens with.

use chrono::TimeDelta;
use clap::Subcommand;

use super::open_ready;
use crate::{
    identity::key::{self, MAX_TOKEN_LIFE, Ring, Rotation, SKEW},
    infra::Config,
};

/// What can be done with the keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Sign with a new key from now on. Tokens of the one before hold until they end.
    #[command(after_help = "Example:\n  savannah keys rotate")]
    Rotate {
        /// Somebody may have the keys: remove them at once. Access tokens that they have signed hold no more; everybody
        /// gets new ones by their refresh tokens.
        #[arg(long)]
        compromised: bool,
    },
    /// Name the keys that tokens are verified with, the newest first.
    #[command(after_help = "Example:\n  savannah keys list")]
    List,
}

pub(super) async fn run(config: &Config, what: &Keys) -> Result<(), String> {
    let db = open_ready(config, false).await?;
    let life = TimeDelta::from_std(config.identity.access_token_lifetime).unwrap_or(MAX_TOKEN_LIFE);
    match what {
        Keys::Rotate { compromised } => {
            let why = if *compromised { Rotation::Compromised } else { Rotation::Planned };
            let kid = db.write(async |tx| key::rotate(tx, why).await).await.map_err(|why| why.log())?;
            match why {
                Rotation::Planned => {
                    let seconds = (life + SKEW).num_seconds();
                    println!("signing with {kid}; the key before verifies for {seconds} seconds more");
                }
                Rotation::Compromised => println!("signing with {kid}; the keys before verify nothing any more"),
            }
        }
        Keys::List => {
            let ring = Ring::load(&db, life).await.map_err(|why| why.log())?;
            let current = ring.current.as_ref().map(|(kid, _)| kid.as_str());
            for name in ring.names() {
                println!("{name}{}", if Some(name) == current { "  (signs)" } else { "" });
            }
        }
    }
    db.close().await;
    Ok(())
}
