//! What a request reports about itself, for its log line and its metrics.

use std::sync::{Arc, OnceLock};

use super::OperationLabel;
use crate::infra::{Actor, QueryStats};

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestOutcome {
    /// No error.
    #[default]
    Ok,
    /// Errors that the caller can correct.
    Rejected,
    /// An error of the server.
    Failed,
}

impl RequestOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Rejected, Self::Failed];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// Returns the outcome that follows from the status of a response.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            400..500 => Self::Rejected,
            _ => Self::Failed,
        }
    }
}

/// Operation of a request.
#[derive(Debug, Clone, Default)]
pub struct RequestOperation {
    /// Label value for metrics.
    pub label: OperationLabel,
    /// Name that the document gives it; callers choose it freely.
    pub name: Option<Arc<str>>,
}

/// What a request reports about itself. Each part is set once, when it is known, so that it is there even if the request
/// is canceled later.
#[derive(Debug, Default)]
pub struct RequestRecord {
    /// Operation.
    pub operation: OnceLock<RequestOperation>,
    /// Account or API key.
    pub actor: OnceLock<Actor>,
    /// Cost that was charged, in points.
    pub cost: OnceLock<u32>,
    /// Database usage.
    pub query_stats: OnceLock<Arc<QueryStats>>,
}
