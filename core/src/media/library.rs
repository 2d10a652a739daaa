//! What uploads, jobs and requests share: storage, processor and settings.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MediaToken, picture::PictureRules, processor::PictureProcessor, storage::MediaStorage};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::config::MediaConfig,
};

/// The pictures of a shop. Cheap to clone; one per process, because it limits the memory of all pictures.
#[derive(Debug, Clone)]
pub struct MediaLibrary {
    /// Files.
    pub storage: Arc<MediaStorage>,
    /// Threads that decode and encode.
    pub processor: PictureProcessor,
    /// Settings.
    pub config: Arc<MediaConfig>,
    uploads: Arc<Semaphore>,
}

impl MediaLibrary {
    /// Creates the library. The storage is opened when it is first used.
    #[must_use]
    pub fn new(config: &MediaConfig) -> Self {
        Self {
            storage: Arc::new(MediaStorage::new(config)),
            processor: PictureProcessor::new(config.concurrency),
            uploads: Arc::new(Semaphore::new(config.max_concurrent_uploads)),
            config: Arc::new(config.clone()),
        }
    }

    /// Returns the rules of pictures.
    #[must_use]
    pub fn rules(&self) -> PictureRules {
        PictureRules::from(&*self.config)
    }

    /// Returns a permit to receive an upload.
    ///
    /// # Errors
    /// Returns `Unavailable` if too many are being received.
    pub fn begin_upload(&self) -> Result<OwnedSemaphorePermit> {
        let busy = "too many uploads are being received: send the file again in a moment";
        let permit = Arc::clone(&self.uploads).try_acquire_owned();
        permit.map_err(|_| Error::user(PublicErrorCode::Unavailable, "", busy))
    }
}

/// Returns the key of the original of a picture.
pub(super) fn original_key(name: MediaToken) -> String {
    format!("{ORIGINALS_FOLDER}/{name}")
}

/// Folder of the originals, which are never served.
pub(super) const ORIGINALS_FOLDER: &str = "originals";

/// Returns the key of a rendition.
#[must_use]
pub fn rendition_key(token: &str, name: &str) -> String {
    format!("pictures/{token}/{name}")
}
