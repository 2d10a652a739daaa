//! The origin of a change: its actor and its request.

use std::fmt;

use sea_orm::{ActiveEnum, DeriveActiveEnum, EnumIter};

/// The actor of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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

/// The kind of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ActorKind {
    /// A caller without authentication.
    Anonymous,
    /// The system: a command or a job.
    System,
    /// A customer or staff account.
    Account,
    /// An API key.
    ApiKey,
}

impl Actor {
    /// Returns the kind and the id, as stored.
    #[must_use]
    pub const fn to_db_parts(self) -> (ActorKind, Option<i64>) {
        match self {
            Self::Anonymous => (ActorKind::Anonymous, None),
            Self::System => (ActorKind::System, None),
            Self::Account(id) => (ActorKind::Account, Some(id)),
            Self::ApiKey(id) => (ActorKind::ApiKey, Some(id)),
        }
    }
}

/// Formats kind and id: `account:7`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = self.to_db_parts();
        f.write_str(&kind.to_value())?;
        id.map_or(Ok(()), |id| write!(f, ":{id}"))
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
