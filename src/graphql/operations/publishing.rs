//! Preparation of a publication: all operations are checked and measured.

use std::sync::Arc;

use super::statement_count::StatementCounter;
use crate::{
    base::Result,
    graphql::{context::AppState, execution::operation_check},
    operations::{CheckedOperation, Manifest, Publication, publish::validate_version_names},
};

/// Version of an app whose manifest is to be published.
#[derive(Debug)]
pub struct PublishRequest {
    /// Name of the app.
    pub app: String,
    /// Version of the app.
    pub version: String,
    /// Manifest.
    pub manifest: Manifest,
}

/// Checks all operations of a manifest and measures them: complexity, depth and statements. Queries are executed once,
/// as an anonymous caller. `on_checked` is called after each operation was checked.
///
/// # Errors
/// Returns all user errors of all operations.
pub async fn prepare_publication(
    app_state: &Arc<AppState>,
    request: PublishRequest,
    on_checked: impl Fn(),
) -> Result<Publication> {
    let PublishRequest { app, version, manifest: Manifest { format, operations } } = request;
    validate_version_names(&app, &version)?;
    let parsed = operation_check::check_operations(operations, &app_state.config, on_checked).await?;
    let counter = StatementCounter::load(app_state).await;
    let mut checked: Vec<CheckedOperation> = Vec::with_capacity(parsed.len());
    for parsed_operation in parsed {
        checked.push(counter.count_statements(parsed_operation).await);
    }
    Ok(Publication { app, version, format, operations: checked })
}
