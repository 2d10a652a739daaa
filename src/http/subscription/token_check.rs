//! Token of a connection: checked again while the connection is open.

use secrecy::{ExposeSecret, SecretString};

use super::{super::App, close_reason::CloseReason};
use crate::identity::{Caller, error::AuthError};

/// Caller of a connection, with the token that identified it.
#[derive(Debug)]
pub(super) struct ConnectionCaller {
    /// Caller.
    pub(super) caller: Caller,
    /// Token; `None` for an anonymous caller.
    pub(super) token: Option<SecretString>,
}

impl ConnectionCaller {
    /// Checks that the token still identifies the caller: it may have expired or been revoked. Usually needs no
    /// database access.
    ///
    /// # Errors
    /// Returns why the connection ends.
    pub(super) async fn check(&self, app: &App) -> Result<(), CloseReason> {
        let Some(token) = &self.token else { return Ok(()) };
        match app.state.authenticate(token.expose_secret(), "").await {
            Ok(caller) if caller == self.caller => Ok(()),
            Ok(_) | Err(AuthError::InvalidToken(_)) => Err(CloseReason::Forbidden),
            Err(AuthError::ProviderUnavailable(_) | AuthError::Internal(_)) => Err(CloseReason::TryAgain),
        }
    }
}
