//! The origin of a change: its actor and its request.

use std::fmt;

/// The actor of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actor {
    /// A caller without authentication.
    Anonymous,
    /// The system: a command or a job.
    #[default]
    System,
    /// A customer or staff account.
    Account(i64),
    /// An API key.
    ApiKey(i64),
}

impl Actor {
    /// Returns the kind and the id, as stored.
    #[must_use]
    pub const fn to_db_parts(self) -> (&'static str, Option<i64>) {
        match self {
            Self::Anonymous => ("anonymous", None),
            Self::System => ("system", None),
            Self::Account(id) => ("account", Some(id)),
            Self::ApiKey(id) => ("api_key", Some(id)),
        }
    }
}

/// Formats kind and id: `account:7`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_db_parts() {
            (kind, Some(id)) => write!(f, "{kind}:{id}"),
            (kind, None) => f.write_str(kind),
        }
    }
}

/// The origin of a change.
#[derive(Debug, Clone, Default)]
pub struct RequestOrigin {
    /// The actor.
    pub actor: Actor,
    /// The id of the request; empty for the system.
    pub request_id: String,
}
