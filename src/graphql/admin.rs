//! Administration: audit log and background jobs.

pub mod audit_log;
pub mod jobs;

use async_graphql::MergedObject;

/// Administration queries.
#[derive(Debug, Default, MergedObject)]
pub struct AdminQuery(audit_log::AuditQuery, jobs::JobQuery);
