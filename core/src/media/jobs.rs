//! Jobs of pictures: make the renditions of one, delete its files.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    MediaLibrary,
    entity::{MediaStatus, StoredRendition, media},
    events::MediaChanged,
    library::rendition_key,
    picture::{EncodedRendition, PictureError, make_renditions},
    queries,
};
use crate::{
    base::{Error, Result},
    infra::{
        Db, JobContext,
        config::MEDIA_RENDITION_QUEUE,
        jobs::{BackgroundJob, JobOutcome},
    },
};

/// Maximum length of a reason in characters.
const MAX_REASON_LENGTH: usize = 500;

/// Makes the renditions of a picture.
#[derive(Debug, Serialize, Deserialize)]
pub struct RenderMedia {
    /// Id of the picture.
    pub media_id: i64,
}

impl BackgroundJob for RenderMedia {
    const KIND: &'static str = "media.render";
    const QUEUE: &'static str = MEDIA_RENDITION_QUEUE;

    fn dedup_key(&self) -> Option<String> {
        Some(self.media_id.to_string())
    }
}

/// Deletes the files of a deleted picture.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteMediaFiles {
    /// Keys in the storage.
    pub keys: Vec<String>,
}

impl BackgroundJob for DeleteMediaFiles {
    const KIND: &'static str = "media.delete_files";
}

impl DeleteMediaFiles {
    /// Creates the job for a picture.
    #[must_use]
    pub fn of(row: &media::Model) -> Self {
        let renditions = row.stored_renditions();
        let keys = renditions.iter().map(|rendition| rendition_key(&row.token, &rendition.name));
        Self { keys: keys.chain(row.original.clone()).collect() }
    }
}

/// Runs [`RenderMedia`]. Names and contents of the files depend on the picture and the settings only, so that a job
/// whose process was killed is repeated without traces.
pub async fn run_render_job(context: &JobContext, library: &MediaLibrary, job: RenderMedia) -> JobOutcome {
    render_media(&context.db, library, job.media_id).await.into()
}

async fn render_media(db: &Db, library: &MediaLibrary, media_id: i64) -> Result<()> {
    let Some(row) = media::Entity::find_by_id(media_id).one(db).await? else { return Ok(()) };
    let (MediaStatus::Processing, Some(original), Some(fallback_format)) =
        (row.status, &row.original, row.fallback_format)
    else {
        return Ok(());
    };
    let Some(file) = library.storage.open_local(original).await? else {
        return store_failure(db, media_id, "the uploaded file is missing in the storage").await;
    };
    let (sender, mut receiver) = mpsc::channel::<EncodedRendition>(1);
    let rules = library.rules();
    let rendering = library.processor.run(move || {
        make_renditions(&file, fallback_format, &rules, |rendition| sender.blocking_send(rendition).is_ok())
    });
    let token = row.token.clone();
    let storing = async move {
        let mut stored = Vec::new();
        while let Some(EncodedRendition { name, width, height, format, bytes }) = receiver.recv().await {
            let size = bytes.len() as u64;
            library.storage.put_bytes(&rendition_key(&token, &name), bytes.into()).await?;
            stored.push(StoredRendition { name, width, height, format, size });
        }
        Ok::<_, Error>(stored)
    };
    let (rendered, stored) = tokio::join!(rendering, storing);
    let mut renditions: Vec<StoredRendition> = stored?;
    match rendered? {
        Ok(()) => {}
        Err(PictureError::Rejected(reason)) => return store_failure(db, media_id, &reason).await,
        Err(PictureError::Io(error)) => return Err(Error::internal("reading a picture", error)),
    }
    renditions.sort_by_key(|rendition| rendition.width);
    let renditions = serde_json::to_value(renditions).map_err(|error| Error::internal("storing renditions", error))?;
    db.write_with_retry(async |tx| {
        let row = queries::lock_media(tx, media_id).await?;
        let Some(row) = row.filter(|row| row.status == MediaStatus::Processing) else { return Ok(()) };
        let mut changes = row.into_active_model();
        changes.status = Set(MediaStatus::Ready);
        changes.renditions = Set(renditions.clone());
        changes.updated_at = Set(tx.now());
        changes.update(tx).await?;
        tx.emit_event(MediaChanged { media: media_id }).await
    })
    .await
}

/// Stores why a picture has no renditions. Statements: 3.
pub(super) async fn store_failure(db: &Db, media_id: i64, reason: &str) -> Result<()> {
    let reason: String = reason.chars().take(MAX_REASON_LENGTH).collect();
    db.write_with_retry(async |tx| {
        let row = queries::lock_media(tx, media_id).await?;
        let is_open = |row: &media::Model| matches!(row.status, MediaStatus::Processing | MediaStatus::Pending);
        let Some(row) = row.filter(is_open) else { return Ok(()) };
        let mut changes = row.into_active_model();
        changes.status = Set(MediaStatus::Failed);
        changes.error = Set(Some(reason.clone()));
        changes.upload_digest = Set(None);
        changes.upload_expires_at = Set(None);
        changes.updated_at = Set(tx.now());
        changes.update(tx).await?;
        tx.emit_event(MediaChanged { media: media_id }).await
    })
    .await
}

/// Runs [`DeleteMediaFiles`].
pub async fn run_delete_job(library: &MediaLibrary, job: DeleteMediaFiles) -> JobOutcome {
    for key in &job.keys {
        if let Err(error) = library.storage.delete(key).await {
            return Err(error).into();
        }
    }
    JobOutcome::Done
}
