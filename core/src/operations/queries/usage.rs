//! Use counts of documents.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Set};

use crate::{base::Result, infra::Db, operations::entity::trusted_document_use};

/// Uses of a document since the last time that they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentUse {
    /// Primary key of the document.
    pub trusted_document_id: i64,
    /// Number of requests.
    pub count: i64,
    /// Time of the last request.
    pub last_used_at: DateTime<Utc>,
}

/// Adds uses to those that are stored. Statements: 1.
pub async fn record_uses(db: &Db, mut uses: Vec<DocumentUse>) -> Result<()> {
    if uses.is_empty() {
        return Ok(());
    }
    // In one order, so that instances that store their uses at the same time do not wait for each other in a circle.
    uses.sort_unstable_by_key(|document_use| document_use.trusted_document_id);
    db.write(async |tx| {
        let to_row = |document_use: &DocumentUse| trusted_document_use::ActiveModel {
            trusted_document_id: Set(document_use.trusted_document_id),
            use_count: Set(document_use.count),
            last_used_at: Set(document_use.last_used_at),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        };
        let mut sql = tx.sql();
        sql.insert_models(&uses.iter().map(to_row).collect::<Vec<_>>());
        sql.push(
            " ON CONFLICT (trusted_document_id) DO UPDATE SET \
             use_count = trusted_document_use.use_count + excluded.use_count, updated_at = excluded.updated_at, \
             last_used_at = CASE WHEN excluded.last_used_at > trusted_document_use.last_used_at \
             THEN excluded.last_used_at ELSE trusted_document_use.last_used_at END",
        );
        tx.execute_raw(sql.into_statement()).await?;
        Ok(())
    })
    .await
}
