//! Lists of versions and their operations, for staff and the command line.

use std::collections::HashMap;

use super::{OperationRow, StoredDocument};
use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    infra::{
        Db, SqlBuilder,
        keyset::{self, KeysetOrder},
    },
    operations::entity::operation_version,
};

/// Filter of versions. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default)]
pub struct OperationVersionFilter {
    /// Name of the app.
    pub app: Option<String>,
    /// Whether the version is retired.
    pub is_retired: Option<bool>,
}

/// Newest first.
const VERSION_ORDER: KeysetOrder = KeysetOrder { tag: 'o', columns: &[], id_column: "v.id", descending: true };

impl operation_version::Model {
    /// Returns the version's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        VERSION_ORDER.cursor(Vec::new(), self.id)
    }
}

/// Returns a page of versions, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_versions(
    db: &Db,
    filter: &OperationVersionFilter,
    request: &PageRequest,
) -> Result<Page<operation_version::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<operation_version::Entity>("v").push(" FROM operation_version AS v");
    filter.push_conditions(&mut sql);
    VERSION_ORDER.load_page(db, sql, request).await
}

/// Returns the number of versions. Statements: 1.
pub async fn count_versions(db: &Db, filter: &OperationVersionFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM operation_version AS v");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

impl OperationVersionFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { app, is_retired } = self;
        sql.push(" WHERE true");
        if let Some(app) = app {
            sql.push(" AND v.app = ").bind(app.as_str());
        }
        match is_retired {
            Some(true) => _ = sql.push(" AND v.retired_at IS NOT NULL"),
            Some(false) => _ = sql.push(" AND v.retired_at IS NULL"),
            None => {}
        }
    }
}

/// Returns the operations of versions with their uses, by version, each by name. Statements: 1.
pub async fn load_operations(db: &Db, version_ids: &[i64]) -> Result<HashMap<i64, Vec<OperationRow>>> {
    let mut by_version: HashMap<i64, Vec<OperationRow>> = HashMap::new();
    for row in super::load_operation_rows(db, db.sql(), version_ids).await? {
        by_version.entry(row.version_id).or_default().push(row);
    }
    Ok(by_version)
}

/// Document of a version that is not retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDocument {
    /// Document with its text.
    pub document: StoredDocument,
    /// Versions that have it, as `app version`, oldest first.
    pub versions: Vec<String>,
}

/// Returns all documents of versions that are not retired. Statements: 3.
pub async fn load_live_documents(db: &Db) -> Result<Vec<LiveDocument>> {
    let versions = super::load_versions(db).await?;
    let mut names_of_documents: HashMap<i64, Vec<String>> = HashMap::new();
    let mut documents_of_versions: HashMap<i64, Vec<i64>> = HashMap::new();
    for row in super::load_published_operations(db).await? {
        documents_of_versions.entry(row.version_id).or_default().push(row.trusted_document_id);
    }
    for version in versions.iter().filter(|version| version.retired_at.is_none()) {
        for key in documents_of_versions.remove(&version.id).unwrap_or_default() {
            names_of_documents.entry(key).or_default().push(format!("{} {}", version.app, version.version));
        }
    }
    let documents = super::load_stored_documents(db, db.sql()).await?;
    let to_live_document = |document: StoredDocument| LiveDocument {
        versions: names_of_documents.remove(&document.id).unwrap_or_default(),
        document,
    };
    Ok(documents.into_iter().map(to_live_document).collect())
}
