//! Looks for the files of pictures: a picture without them is a broken image in the shop.

use super::{
    MediaLibrary,
    entity::{MediaStatus, media},
    library::rendition_key,
    queries,
};
use crate::{base::Result, infra::Db};

/// Number of pictures that are read at once.
const BATCH_SIZE: u64 = 500;

/// Pictures of which files are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingFiles {
    /// Number of pictures.
    pub count: i64,
    /// Keys of some missing files.
    pub examples: Vec<String>,
}

/// Looks for the original and the largest rendition of each picture. Statements: one per 500 pictures.
///
/// # Errors
/// Returns an error if the database or the storage is not available.
pub async fn find_missing_files(db: &Db, library: &MediaLibrary, max_examples: usize) -> Result<MissingFiles> {
    let mut missing = MissingFiles::default();
    let (mut after_id, now) = (0, db.now());
    loop {
        let batch = queries::load_media_after(db, after_id, now, BATCH_SIZE).await?;
        let Some(last) = batch.last() else { return Ok(missing) };
        after_id = last.id;
        for row in &batch {
            for key in required_keys(row) {
                if library.storage.find(&key).await?.is_none() {
                    missing.count += 1;
                    if missing.examples.len() < max_examples {
                        missing.examples.push(key);
                    }
                    break;
                }
            }
        }
    }
}

fn required_keys(row: &media::Model) -> Vec<String> {
    let original = row.original.clone().filter(|_| row.status != MediaStatus::Failed);
    let renditions = row.stored_renditions();
    let largest = renditions.last().map(|rendition| rendition_key(&row.token, &rendition.name));
    original.into_iter().chain(largest).collect()
}
