//! Errors of the OAuth 2.0 endpoints (RFC 6749, section 5.2).

use crate::base::Error;

/// Error of a request of an API client. Descriptions are for the developer of the client: plain ASCII without quotes and
/// without text of the request.
#[derive(Debug, Clone)]
pub enum OauthError {
    /// The request is malformed.
    InvalidRequest(&'static str),
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The client could not be authenticated.
    InvalidClient(&'static str),
    /// The refresh token or the token to revoke is invalid.
    InvalidGrant(&'static str),
    /// The grant type is not supported.
    UnsupportedGrantType,
    /// The scope is unknown, malformed, or exceeds what the client may have.
    InvalidScope(&'static str),
    /// Rate limit or internal error.
    Failure(Error),
}

impl From<Error> for OauthError {
    fn from(error: Error) -> Self {
        Self::Failure(error)
    }
}
