//! Errors of authentication.

use std::fmt;

use crate::base::Error;

/// Reason why a token is invalid: for the log, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenError(String);

impl TokenError {
    /// Creates an error with a reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Creates an error with a reason and its cause.
    #[must_use]
    pub fn with_cause(message: &str, cause: impl fmt::Display) -> Self {
        Self(format!("{message}: {cause}"))
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Authentication failure of a token.
#[derive(Debug, Clone)]
pub enum AuthError {
    /// The token is invalid. The reason is for the log only.
    InvalidToken(TokenError),
    /// The issuer does not respond and its keys are not cached. The reason is for the log only.
    ProviderUnavailable(String),
    /// The account could not be read from the database.
    Internal(Error),
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        Self::InvalidToken(error)
    }
}
