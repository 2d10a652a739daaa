//! `savannah keys`: signing keys of access tokens.

use chrono::TimeDelta;
use clap::Subcommand;

use super::database::connect_initialized_database;
use crate::{
    identity::signing_key::{self, KeyRing, KeyRotation, MAX_ACCESS_TOKEN_LIFETIME, MAX_CLOCK_SKEW},
    infra::Config,
};

/// Subcommands of `keys`.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Rotate the signing key. Tokens of the previous key remain valid until they expire.
    #[command(after_help = "Example:\n  savannah keys rotate")]
    Rotate {
        /// Delete the previous keys immediately, because they may have leaked. Access tokens signed with them become
        /// invalid; clients get new ones with their refresh tokens.
        #[arg(long)]
        compromised: bool,
    },
    /// List the IDs of the verification keys, newest first.
    #[command(after_help = "Example:\n  savannah keys list")]
    List,
}

pub(super) async fn run_keys_command(config: &Config, command: &KeysCommand) -> Result<(), String> {
    let db = connect_initialized_database(config, false).await?;
    let token_lifetime =
        TimeDelta::from_std(config.identity.access_token_lifetime).unwrap_or(MAX_ACCESS_TOKEN_LIFETIME);
    match command {
        KeysCommand::Rotate { compromised } => {
            let rotation = if *compromised { KeyRotation::Compromised } else { KeyRotation::Planned };
            let kid = db
                .write(async |tx| signing_key::rotate_signing_key(tx, rotation).await)
                .await
                .map_err(|error| error.log_message())?;
            match rotation {
                KeyRotation::Planned => {
                    let seconds = (token_lifetime + MAX_CLOCK_SKEW).num_seconds();
                    println!("signing with {kid}; the previous key verifies tokens for another {seconds} seconds");
                }
                KeyRotation::Compromised => println!("signing with {kid}; the previous keys verify no more tokens"),
            }
        }
        KeysCommand::List => {
            let key_ring = KeyRing::load(&db, token_lifetime).await.map_err(|error| error.log_message())?;
            let current_kid = key_ring.current.as_ref().map(|(kid, _)| kid.as_str());
            for key_id in key_ring.key_ids() {
                println!("{key_id}{}", if Some(key_id) == current_kid { "  (signs)" } else { "" });
            }
        }
    }
    db.close().await;
    Ok(())
}
