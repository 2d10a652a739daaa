//! Publication and retirement of versions.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QuerySelect, Set, Unchanged,
    sea_query::{Expr, LockType},
};
use serde_json::json;

use super::{
    document_id::sha256_hex,
    entity::{
        ManifestFormat, OperationKind, StatementFigure, operation_revision, operation_version, published_operation,
        trusted_document,
    },
    manifest::MANIFEST_FIELD,
};
use crate::{
    base::{Error, Result, Validator, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, Tx, eq_any},
};

/// Maximum length of the name of an app and of a version, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Maximum number of versions that are not retired. All instances have an index of them in memory.
pub const MAX_LIVE_VERSIONS: u64 = 500;

/// Validated operation with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOperation {
    /// Id in its canonical form.
    pub document_id: String,
    /// Text of the document.
    pub text: String,
    /// Name of the operation; `None` if it is anonymous.
    pub name: Option<String>,
    /// Type of the operation.
    pub kind: OperationKind,
    /// Worst-case complexity.
    pub complexity: i64,
    /// Nesting depth of its fields.
    pub depth: i32,
    /// Number of statements.
    pub statements: i32,
    /// Meaning of the number of statements.
    pub statement_figure: StatementFigure,
}

/// Version of an app to publish.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Name of the app.
    pub app: String,
    /// Version of the app.
    pub version: String,
    /// Format of its manifest.
    pub format: ManifestFormat,
    /// Operations.
    pub operations: Vec<CheckedOperation>,
}

/// Result of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The version is new.
    Published(operation_version::Model),
    /// The version was published before with the same operations.
    Unchanged(operation_version::Model),
}

impl PublishOutcome {
    /// Returns the version.
    #[must_use]
    pub fn into_version(self) -> operation_version::Model {
        match self {
            Self::Published(version) | Self::Unchanged(version) => version,
        }
    }
}

/// Validates the names of an app and of a version.
///
/// # Errors
/// Returns all errors.
pub fn validate_version_names(app: &str, version: &str) -> Result<()> {
    let mut validator = Validator::default();
    let mut scope = validator.at("input");
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    for (field, name) in [("app", app), ("version", version)] {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_allowed) {
            let rule = format!("1 to {MAX_NAME_BYTES} letters, digits and . _ - + (\"ios\", \"4.2.0\")");
            scope.reject(field, format!("this must be {rule}"));
        }
    }
    validator.finish()
}

/// Publishes a version with all its operations, in one transaction. A version with the same operations is left as it
/// is.
///
/// # Errors
/// Returns all user errors: `AlreadyExists` if the version was published with other operations or one of its ids with
/// another text, `IllegalTransition` if the version is retired or there are too many versions, `BadUserInput` for
/// invalid names.
pub async fn publish_version(db: &Db, publication: Publication) -> Result<PublishOutcome> {
    let Publication { app, version, format, operations } = publication;
    validate_version_names(&app, &version)?;
    validate_operation_names(&operations)?;
    let content_hash = hash_operations(&operations);
    db.write(async |tx| {
        lock_revision(tx).await?;
        if let Some(existing) = find_version_by_name(tx, &app, &version).await? {
            return compare_with_published(existing, &content_hash);
        }
        let live_count = operation_version::Entity::find().filter(operation_version::Column::RetiredAt.is_null());
        if live_count.count(tx).await? >= MAX_LIVE_VERSIONS {
            let message = format!("there are already {MAX_LIVE_VERSIONS} versions; retire one that is no longer used");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let document_keys = save_documents(tx, &operations).await?;
        let operation_count = i32::try_from(operations.len()).unwrap_or(i32::MAX);
        let row = operation_version::ActiveModel {
            app: Set(app),
            version: Set(version),
            format: Set(format),
            content_hash: Set(content_hash),
            operation_count: Set(operation_count),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
            ..Default::default()
        };
        let row = row.insert(tx).await?;
        let to_link = |trusted_document_id: i64| published_operation::ActiveModel {
            version_id: Set(row.id),
            trusted_document_id: Set(trusted_document_id),
            created_at: Set(tx.now()),
        };
        tx.insert_rows(&document_keys.into_iter().map(to_link).collect::<Vec<_>>()).await?;
        increase_revision(tx).await?;
        record_change(tx, "operation_version.publish", &row).await?;
        Ok(PublishOutcome::Published(row))
    })
    .await
}

/// Retires a version: documents that no other version has are refused from then on. Idempotent.
///
/// # Errors
/// Returns `NotFound` if the version does not exist.
pub async fn retire_version(db: &Db, version_id: i64) -> Result<operation_version::Model> {
    db.write(async |tx| {
        lock_revision(tx).await?;
        let existing = operation_version::Entity::find_by_id(version_id).one(tx).await?;
        let existing = existing.ok_or_else(|| Error::not_found("id", "version"))?;
        if existing.retired_at.is_some() {
            return Ok(existing);
        }
        let mut changes = existing.into_active_model();
        changes.retired_at = Set(Some(tx.now()));
        changes.updated_at = Set(tx.now());
        let row = changes.update(tx).await?;
        increase_revision(tx).await?;
        record_change(tx, "operation_version.retire", &row).await?;
        Ok(row)
    })
    .await
}

/// Returns the version of an app with a name. Statements: 1.
pub async fn find_version_by_name(
    db: &impl ConnectionTrait,
    app: &str,
    version: &str,
) -> Result<Option<operation_version::Model>> {
    let query = operation_version::Entity::find().filter(operation_version::Column::App.eq(app));
    Ok(query.filter(operation_version::Column::Version.eq(version)).one(db).await?)
}

/// Rejects two operations with one name: an address with the name would be ambiguous.
fn validate_operation_names(operations: &[CheckedOperation]) -> Result<()> {
    let mut validator = Validator::default();
    let mut scope = validator.at(MANIFEST_FIELD);
    let mut names = HashMap::new();
    for operation in operations {
        let Some(name) = &operation.name else { continue };
        if let Some(other_id) = names.insert(name, &operation.document_id) {
            scope.reject("", format!("two operations have the name {name}: {other_id} and {}", operation.document_id));
        }
    }
    validator.finish()
}

fn hash_operations(operations: &[CheckedOperation]) -> String {
    let mut contents: Vec<_> =
        operations.iter().map(|operation| format!("{}\0{}\0", operation.document_id, operation.text)).collect();
    contents.sort_unstable();
    sha256_hex(&contents.concat())
}

fn compare_with_published(existing: operation_version::Model, content_hash: &str) -> Result<PublishOutcome> {
    let name = format!("version {} of {}", existing.version, existing.app);
    if existing.content_hash != content_hash {
        let message = format!("{name} was published with other operations; publish them as another version");
        return Err(Error::user(PublicErrorCode::AlreadyExists, "input.version", message));
    }
    if existing.retired_at.is_some() {
        let message = format!("{name} is retired; publish its operations as another version");
        return Err(Error::user(PublicErrorCode::IllegalTransition, "input.version", message));
    }
    Ok(PublishOutcome::Unchanged(existing))
}

/// Locks the revision until the transaction ends, so that publications do not overlap. On SQLite there is a single
/// writer.
async fn lock_revision(tx: &Tx) -> Result<()> {
    operation_revision::Entity::find().lock(LockType::NoKeyUpdate).one(tx).await?;
    Ok(())
}

async fn increase_revision(tx: &Tx) -> Result<()> {
    let next_revision = Expr::col(operation_revision::Column::Revision).add(1);
    let update = operation_revision::Entity::update_many();
    update.col_expr(operation_revision::Column::Revision, next_revision).exec(tx).await?;
    Ok(())
}

/// Inserts new documents and updates the figures of existing ones. Returns the keys of all.
async fn save_documents(tx: &Tx, operations: &[CheckedOperation]) -> Result<Vec<i64>> {
    let document_ids = operations.iter().map(|operation| operation.document_id.clone());
    let existing = trusted_document::Entity::find()
        .filter(eq_any(tx, trusted_document::Column::DocumentId, document_ids))
        .all(tx)
        .await?;
    let existing: HashMap<&str, &trusted_document::Model> =
        existing.iter().map(|row| (row.document_id.as_str(), row)).collect();
    let mut validator = Validator::default();
    let mut scope = validator.at(MANIFEST_FIELD);
    for operation in operations {
        if existing.get(operation.document_id.as_str()).is_some_and(|row| row.text != operation.text) {
            let message = format!("the id {} was published with another text", operation.document_id);
            scope.reject_as(PublicErrorCode::AlreadyExists, "", message);
        }
    }
    validator.finish()?;
    let new_count = operations.len() - existing.len();
    let mut new_keys = tx.allocate_ids("trusted_document", new_count).await?;
    let (mut keys, mut new_rows, mut changed_rows) = (Vec::with_capacity(operations.len()), Vec::new(), Vec::new());
    for operation in operations {
        let CheckedOperation { document_id, text, name, kind, complexity, depth, statements, statement_figure } =
            operation;
        let figures = trusted_document::ActiveModel {
            complexity: Set(*complexity),
            depth: Set(*depth),
            statements: Set(*statements),
            statement_figure: Set(*statement_figure),
            updated_at: Set(tx.now()),
            ..Default::default()
        };
        if let Some(row) = existing.get(document_id.as_str()) {
            keys.push(row.id);
            changed_rows.push(trusted_document::ActiveModel { id: Unchanged(row.id), ..figures });
        } else {
            let key = new_keys.next().ok_or_else(|| Error::internal("publishing operations", "too few row ids"))?;
            keys.push(key);
            new_rows.push(trusted_document::ActiveModel {
                id: Set(key),
                document_id: Set(document_id.clone()),
                text: Set(text.clone()),
                operation_name: Set(name.clone()),
                operation_type: Set(*kind),
                created_at: Set(tx.now()),
                ..figures
            });
        }
    }
    tx.insert_rows(&new_rows).await?;
    tx.update_rows(&changed_rows).await?;
    Ok(keys)
}

async fn record_change(tx: &Tx, action: &'static str, row: &operation_version::Model) -> Result<()> {
    let after = json!({
        "app": row.app,
        "version": row.version,
        "operationCount": row.operation_count,
        "contentHash": row.content_hash,
        "retiredAt": row.retired_at,
    });
    let entity = (NodeType::OperationVersion, row.id);
    tx.record_audit(&[AuditRecord { action, entity, before: None, after: Some(after) }]).await
}
