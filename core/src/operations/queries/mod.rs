//! Statements whose columns are those of several tables, or of a part of one.

mod listing;
mod usage;

use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QueryOrder, QuerySelect, prelude::DateTimeUtc};

use super::entity::{
    OperationKind, StatementFigure, operation_revision, operation_version, published_operation, trusted_document,
};
use crate::{
    base::Result,
    infra::{SqlBuilder, sql_builder::query_rows},
};

pub use listing::{
    LiveDocument, OperationVersionFilter, count_versions, list_versions, load_live_documents, load_operations,
};
pub use usage::{DocumentUse, record_uses};

/// Document without its text.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct IndexedDocument {
    /// Primary key.
    pub id: i64,
    /// Id that apps send.
    pub document_id: String,
    /// Name of the operation.
    pub operation_name: Option<String>,
}

/// Operation of a version with its uses.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct OperationRow {
    pub version_id: i64,
    pub trusted_document_id: i64,
    pub document_id: String,
    pub operation_name: Option<String>,
    pub operation_type: OperationKind,
    pub complexity: i64,
    pub depth: i32,
    pub statements: i32,
    pub statement_figure: StatementFigure,
    pub use_count: i64,
    pub last_used_at: Option<DateTimeUtc>,
}

/// Document with its text, for a check against another schema.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct StoredDocument {
    /// Primary key.
    pub id: i64,
    /// Id that apps send.
    pub document_id: String,
    /// Text.
    pub text: String,
}

/// Returns the current revision, increased by every publication and retirement. Statements: 1.
pub(super) async fn load_revision(db: &impl ConnectionTrait) -> Result<i64> {
    Ok(operation_revision::Entity::find().one(db).await?.map_or(0, |row| row.revision))
}

/// Returns all versions, oldest first. Statements: 1.
pub(super) async fn load_versions(db: &impl ConnectionTrait) -> Result<Vec<operation_version::Model>> {
    Ok(operation_version::Entity::find().order_by_asc(operation_version::Column::Id).all(db).await?)
}

/// Returns all documents without their texts. Statements: 1.
pub(super) async fn load_documents(db: &impl ConnectionTrait) -> Result<Vec<IndexedDocument>> {
    use trusted_document::Column;
    let query = trusted_document::Entity::find().select_only();
    let columns = query.columns([Column::Id, Column::DocumentId, Column::OperationName]);
    Ok(columns.into_model().all(db).await?)
}

/// Returns which version has which document. Statements: 1.
pub(super) async fn load_published_operations(db: &impl ConnectionTrait) -> Result<Vec<published_operation::Model>> {
    Ok(published_operation::Entity::find().all(db).await?)
}

/// Returns the text of a document. Statements: 1.
pub async fn load_document_text(db: &impl ConnectionTrait, trusted_document_id: i64) -> Result<Option<String>> {
    let query = trusted_document::Entity::find_by_id(trusted_document_id).select_only();
    Ok(query.column(trusted_document::Column::Text).into_tuple().one(db).await?)
}

/// Returns the texts of all documents of versions that are not retired. Statements: 1.
///
/// As text, because the documents are those of a join and each is read once.
async fn load_stored_documents(db: &impl ConnectionTrait, mut sql: SqlBuilder) -> Result<Vec<StoredDocument>> {
    sql.push(
        "SELECT d.id, d.document_id, d.text FROM trusted_document AS d WHERE EXISTS (SELECT 1 \
         FROM published_operation AS p JOIN operation_version AS v ON v.id = p.version_id \
         WHERE p.trusted_document_id = d.id AND v.retired_at IS NULL) ORDER BY d.id",
    );
    query_rows(db, sql).await
}

/// Returns the operations of versions with their uses, by name. Statements: 1.
///
/// As text, because the columns are those of three tables.
async fn load_operation_rows(
    db: &impl ConnectionTrait,
    mut sql: SqlBuilder,
    version_ids: &[i64],
) -> Result<Vec<OperationRow>> {
    sql.push(
        "SELECT p.version_id, d.id AS trusted_document_id, d.document_id, d.operation_name, d.operation_type, \
         d.complexity, d.depth, d.statements, d.statement_figure, COALESCE(u.use_count, 0) AS use_count, \
         u.last_used_at FROM published_operation AS p JOIN trusted_document AS d ON d.id = p.trusted_document_id \
         LEFT JOIN trusted_document_use AS u ON u.trusted_document_id = d.id WHERE ",
    );
    sql.eq_any("p.version_id", version_ids.iter().copied());
    sql.push(" ORDER BY p.version_id, d.operation_name, d.id");
    query_rows(db, sql).await
}
