//! Letters that bring a token.

use super::{Notice, Occasion, Recipient, tell};
use crate::{
    base::Result,
    identity::{
        account,
        one_time::{MailAsked, Purpose},
    },
    infra::{Tx, outbox::Told},
};

/// Writes to whoever has asked for a token. The token is made when the letter goes out, and kept nowhere.
///
/// # Errors
/// When the database refuses.
pub async fn write(tx: &Tx, told: &Told<MailAsked>) -> Result<()> {
    let occasion = match told.event.purpose {
        Purpose::VerifyEmail => Occasion::VerifyEmail,
        Purpose::ResetPassword => Occasion::ResetPassword,
        // Nobody is sent this one: it travels through the browser.
        Purpose::SignIn => return Ok(()),
    };
    let Some(owner) = account::alive(tx, told.event.account).await? else { return Ok(()) };
    let to = Recipient { account: Some(owner.id), email: owner.email, phone: None, language: owner.language };
    tell(tx, Notice { event: told.id, occasion, to, order: None }).await
}
