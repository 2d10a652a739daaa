//! Storage of files in a folder or in a bucket. A file appears when it is complete.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutPayload, RetryConfig, WriteMultipart, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};
use secrecy::ExposeSecret;
use tokio::{io::AsyncWriteExt, sync::OnceCell};

use crate::{
    base::{Error, Result},
    infra::{
        config::{MediaConfig, MediaStorageKind},
        private_files::create_private_dir,
    },
};

/// Size of the parts of a large file in bytes: the minimum of S3.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// Number of parts that are sent at the same time.
const CONCURRENT_PARTS: usize = 2;
/// Timeout of one request to a bucket.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of further attempts of a request to a bucket, and the time for all.
const MAX_RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_mins(1);

/// The storage. It is opened when it is first used.
#[derive(Debug)]
pub struct MediaStorage {
    config: MediaConfig,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

/// A file to read.
pub struct StoredFile {
    /// Its size, time and entity tag.
    pub meta: ObjectMeta,
    /// Its bytes.
    pub bytes: BoxStream<'static, object_store::Result<Bytes>>,
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoredFile").field("meta", &self.meta).finish_non_exhaustive()
    }
}

fn storage_error(error: object_store::Error) -> Error {
    Error::internal("accessing the storage of pictures", error)
}

fn file_error(error: std::io::Error) -> Error {
    Error::internal("reading a picture", error)
}

impl MediaStorage {
    /// Creates the storage.
    #[must_use]
    pub fn new(config: &MediaConfig) -> Self {
        Self { config: config.clone(), store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>> {
        self.store.get_or_try_init(async || self.open()).await
    }

    fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        let config = &self.config;
        if config.storage == MediaStorageKind::Folder {
            create_private_dir(&config.folder).map_err(|error| Error::internal("creating media.folder", error))?;
            let folder = LocalFileSystem::new_with_prefix(&config.folder).map_err(storage_error)?;
            return Ok(Arc::new(folder.with_automatic_cleanup(true).with_fsync(true)));
        }
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
        let is_plain = config.endpoint.starts_with("http://");
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(is_plain);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_retry(retry)
            .with_client_options(client);
        if !config.endpoint.is_empty() {
            builder = builder.with_endpoint(config.endpoint.trim_end_matches('/'));
        }
        if !config.access_key_id.is_empty() {
            builder = builder
                .with_access_key_id(&config.access_key_id)
                .with_secret_access_key(config.secret_access_key.expose_secret());
        }
        Ok(Arc::new(builder.build().map_err(storage_error)?))
    }

    /// Stores bytes under a key.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<()> {
        let store = self.store().await?;
        store.put(&Path::from(key), PutPayload::from_bytes(bytes)).await.map_err(storage_error)?;
        Ok(())
    }

    /// Stores a file under a key, in parts.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available; nothing is stored then.
    pub async fn put_file(&self, key: &str, file: File) -> Result<()> {
        let mut part = read_part(file).await?;
        if part.1.len() < PART_BYTES {
            return self.put_bytes(key, part.1).await;
        }
        let upload = self.store().await?.put_multipart(&Path::from(key)).await.map_err(storage_error)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let written = async {
            while !part.1.is_empty() {
                writer.wait_for_capacity(CONCURRENT_PARTS).await.map_err(storage_error)?;
                writer.put(part.1.clone());
                part = continue_part(part.0).await?;
            }
            Ok(())
        };
        match written.await {
            Ok(()) => writer.finish().await.map(|_| ()).map_err(storage_error),
            Err(error) => {
                if let Err(abort) = writer.abort().await {
                    tracing::warn!(error = %abort, "an upload to the storage of pictures was not aborted");
                }
                Err(error)
            }
        }
    }

    /// Returns size, time and entity tag of a file; `None` if there is none.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn find(&self, key: &str) -> Result<Option<ObjectMeta>> {
        found(self.store().await?.head(&Path::from(key)).await)
    }

    /// Opens a file, or a range of its bytes; `None` if there is none.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn open_file(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<StoredFile>> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let result = found(self.store().await?.get_opts(&Path::from(key), options).await)?;
        Ok(result.map(|result| StoredFile { meta: result.meta.clone(), bytes: result.into_stream() }))
    }

    /// Returns a file as a local one, temporary if it comes from a bucket; `None` if there is none.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn open_local(&self, key: &str) -> Result<Option<File>> {
        let Some(result) = found(self.store().await?.get(&Path::from(key)).await)? else { return Ok(None) };
        if let GetResultPayload::File(file, _) = result.payload {
            return Ok(Some(file));
        }
        let mut bytes = result.into_stream();
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(file_error)?);
        while let Some(chunk) = bytes.try_next().await.map_err(storage_error)? {
            file.write_all(&chunk).await.map_err(file_error)?;
        }
        file.flush().await.map_err(file_error)?;
        let mut file = file.into_std().await;
        file.seek(SeekFrom::Start(0)).map_err(file_error)?;
        Ok(Some(file))
    }

    /// Deletes a file, if there is one.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn delete(&self, key: &str) -> Result<()> {
        found(self.store().await?.delete(&Path::from(key)).await).map(|_| ())
    }

    /// Returns the keys of the files in a folder that were stored before a time, in any order.
    ///
    /// # Errors
    /// Returns an internal error if the storage is not available.
    pub async fn list_keys(
        &self,
        folder: &str,
        stored_before: DateTime<Utc>,
    ) -> Result<BoxStream<'static, Result<String>>> {
        let files = self.store().await?.list(Some(&Path::from(folder)));
        let old = files.try_filter(move |meta| std::future::ready(meta.last_modified < stored_before));
        Ok(old.map(|meta| meta.map(|meta| meta.location.to_string()).map_err(storage_error)).boxed())
    }
}

/// Reads the first part of a file.
async fn read_part(mut file: File) -> Result<(File, Bytes)> {
    file.seek(SeekFrom::Start(0)).map_err(file_error)?;
    continue_part(file).await
}

/// Reads the next part of a file; it is empty at the end.
async fn continue_part(file: File) -> Result<(File, Bytes)> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut part = Vec::new();
        (&file).take(PART_BYTES as u64).read_to_end(&mut part)?;
        Ok((file, Bytes::from(part)))
    });
    reading.await.map_err(|error| Error::internal("reading a picture", error))?.map_err(file_error)
}

/// Returns `None` for a file that does not exist.
fn found<T>(outcome: object_store::Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(storage_error(error)),
    }
}
