//! Errors of authentication.

use std::fmt::Display;

use crate::base::Error;

/// Reason why a token is invalid: for the log, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(String);

impl TokenError {
    /// Creates an error with a reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Creates an error with a reason and its cause.
    #[must_use]
    pub fn with_cause(message: &str, cause: impl Display) -> Self {
        Self(format!("{message}: {cause}"))
    }
}

/// Failure to reach an OpenID provider; the reason is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProviderUnavailable(pub String);

/// Authentication failure of a token. Its causes are for the log only.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// The token is invalid.
    #[error("the token is invalid")]
    InvalidToken(#[from] TokenError),
    /// The issuer does not respond and its keys are not cached.
    #[error("the issuer is unavailable")]
    ProviderUnavailable(#[from] ProviderUnavailable),
    /// The account could not be read from the database.
    #[error("the account could not be read")]
    Internal(Error),
}
