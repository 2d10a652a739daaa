//! Deletes pictures that nothing uses, uploads that were never finished, and files without a picture.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    MediaLibrary,
    entity::{MediaStatus, media},
    jobs::DeleteMediaFiles,
    library::ORIGINALS_FOLDER,
    queries,
};
use crate::{
    base::{Clock, Error, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, Tx, eq_any},
};

/// Number of pictures or files that are examined in one transaction.
const BATCH_SIZE: u64 = 500;
/// Age of a picture before it can count as unused: staff may be about to use it.
const MIN_AGE: TimeDelta = TimeDelta::hours(1);
/// Age of a file before it counts as without a picture: an upload may be about to be committed.
const MIN_FILE_AGE: TimeDelta = TimeDelta::days(1);

/// Finds and changes the URLs of pictures that are used. Implemented above the domains that use pictures.
pub trait ImageUse {
    /// Returns those of the URLs that something uses.
    fn find_used(&self, tx: &Tx, urls: &[String]) -> impl Future<Output = Result<HashSet<String>>> + Send;

    /// Returns whether the catalog shows the image at another address.
    fn shows_remote(&self, db: &Db, url: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Replaces the URL of an image at another address in the catalog.
    fn replace_remote(&self, tx: &Tx, from: &str, to: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Deletes what is not used any more.
///
/// # Errors
/// Returns an error if the database or the storage is not available; the next run continues.
pub async fn delete_unused(db: &Db, library: &MediaLibrary, usage: &impl ImageUse) -> Result<()> {
    delete_expired_uploads(db).await?;
    let mut after_id = 0;
    loop {
        let batch = queries::load_media_after(db, after_id, db.now() - MIN_AGE, BATCH_SIZE).await?;
        let Some(last) = batch.last() else { break };
        after_id = last.id;
        sweep_batch(db, library, usage, &batch).await?;
    }
    delete_unknown_files(db, library).await
}

/// Deletes uploads whose file has not arrived in time. One that is being received fails then. Statements: 1.
async fn delete_expired_uploads(db: &Db) -> Result<()> {
    db.write(async |tx| {
        let expired = media::Entity::delete_many()
            .filter(media::Column::UploadExpiresAt.lt(tx.now() - MIN_AGE))
            .filter(media::Column::Status.eq(MediaStatus::Pending));
        expired.exec(tx).await?;
        Ok(())
    })
    .await
}

/// Notes since when pictures are not used, and deletes those that were not for long. Statements: 7 at most.
async fn sweep_batch(db: &Db, library: &MediaLibrary, usage: &impl ImageUse, batch: &[media::Model]) -> Result<()> {
    let deleted_before = db.now() - library.config.unused_retention;
    db.write_with_retry(async |tx| {
        let used = usage.find_used(tx, &collect_urls(batch)).await?;
        let is_used = |row: &media::Model| row.url().is_some_and(|url| used.contains(&url));
        let used_again = batch.iter().filter(|row| is_used(row) && row.unused_since.is_some());
        set_unused_since(tx, used_again, None).await?;
        let newly_unused = batch.iter().filter(|row| !is_used(row) && row.unused_since.is_none());
        set_unused_since(tx, newly_unused, Some(tx.now())).await?;
        let is_due = |row: &&media::Model| row.unused_since.is_some_and(|since| since < deleted_before);
        let due: Vec<i64> = batch.iter().filter(|row| !is_used(row)).filter(is_due).map(|row| row.id).collect();
        if due.is_empty() {
            return Ok(());
        }
        // A picture that is locked is about to be used. After the lock nothing new can use it, and what was committed
        // before is seen by the second look.
        let locked = queries::lock_unlocked(tx, &due).await?;
        let used = usage.find_used(tx, &collect_urls(&locked)).await?;
        let unused = locked.iter().filter(|row| row.url().is_none_or(|url| !used.contains(&url)));
        let unused: Vec<&media::Model> = unused.collect();
        if unused.is_empty() {
            return Ok(());
        }
        let keys = unused.iter().flat_map(|row| DeleteMediaFiles::of(row).keys).collect();
        let ids = unused.iter().map(|row| row.id);
        media::Entity::delete_many().filter(eq_any(tx, media::Column::Id, ids)).exec(tx).await?;
        tx.enqueue_job(DeleteMediaFiles { keys }).await
    })
    .await
}

fn collect_urls(rows: &[media::Model]) -> Vec<String> {
    rows.iter().filter_map(media::Model::url).collect()
}

/// Statements: 1, none without rows.
async fn set_unused_since<'a>(
    tx: &Tx,
    rows: impl Iterator<Item = &'a media::Model>,
    since: Option<DateTime<Utc>>,
) -> Result<()> {
    let ids: Vec<i64> = rows.map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    media::Entity::update_many()
        .col_expr(media::Column::UnusedSince, Expr::value(since))
        .filter(eq_any(tx, media::Column::Id, ids))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes files whose upload was not committed because its process was killed. Statements: one per batch.
async fn delete_unknown_files(db: &Db, library: &MediaLibrary) -> Result<()> {
    let batch_size = usize::try_from(BATCH_SIZE).unwrap_or(usize::MAX);
    // The clock of the storage, not that of the shop.
    let stored_before = Clock::default().now() - MIN_FILE_AGE;
    let keys = library.storage.list_keys(ORIGINALS_FOLDER, stored_before).await?;
    let mut batches = keys.try_chunks(batch_size).boxed();
    while let Some(keys) = batches.next().await {
        let keys = keys.map_err(|error| error.1)?;
        let known: HashSet<String> = queries::find_known_originals(db, &keys).await?.into_iter().collect();
        for key in keys.iter().filter(|key| !known.contains(*key)) {
            library.storage.delete(key).await?;
        }
    }
    Ok(())
}

/// Deletes a picture on request of staff.
///
/// # Errors
/// Returns `NotFound` if there is none, and `IllegalTransition` if something uses it.
pub async fn delete_media(tx: &Tx, media_id: i64, usage: &impl ImageUse) -> Result<()> {
    let row = queries::lock_media(tx, media_id).await?.ok_or_else(|| Error::not_found("id", "picture"))?;
    let urls: Vec<String> = row.url().into_iter().collect();
    if !usage.find_used(tx, &urls).await?.is_empty() {
        let message = "a product, variant, category or order uses this picture: remove it there first";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    tx.enqueue_job(DeleteMediaFiles::of(&row)).await?;
    let fields = json!({ "filename": row.filename, "sha256": row.sha256 });
    let entity = (NodeType::Media, media_id);
    let record = AuditRecord::updated("media.delete", entity, &fields, &json!({}));
    row.into_active_model().delete(tx).await?;
    tx.record_audit(record.as_slice()).await
}
