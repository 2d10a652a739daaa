//! Events of jobs.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

/// Event emitted when a job fails for good: its last attempt failed, or no other attempt can succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailed {
    /// Id of the job.
    pub job: i64,
}

impl Event for JobFailed {
    const KIND: &'static str = "JobFailed";

    fn aggregate(&self) -> String {
        format!("job:{}", self.job)
    }
}
