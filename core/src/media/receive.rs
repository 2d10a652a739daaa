//! Receives a file of limited size in a temporary file, which is deleted with it.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    pin::pin,
};

use axum::body::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use crate::base::{Error, digest::Sha256Stream};

/// A received file. It has no name: the system deletes it when it is closed.
#[derive(Debug)]
pub struct ReceivedFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 digest, hexadecimal.
    pub sha256: String,
}

/// The reason why a file was not received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It is larger than allowed.
    #[error("the file has more than {0} bytes")]
    TooLarge(u64),
    /// The sender stopped, or something between.
    #[error("the file broke off: {0}")]
    Interrupted(String),
    /// It could not be stored.
    #[error("the file could not be stored")]
    Internal(Error),
}

/// Receives a file of at most `max_bytes`.
///
/// # Errors
/// Returns the reason why it was not received; nothing is stored then.
pub async fn receive_file<E: std::fmt::Display>(
    chunks: impl Stream<Item = Result<Bytes, E>>,
    max_bytes: u64,
) -> Result<ReceivedFile, ReceiveError> {
    let failed = |error: std::io::Error| ReceiveError::Internal(Error::internal("storing an upload", error));
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(failed)?);
    let mut digest = Sha256Stream::default();
    let mut size = 0;
    let mut chunks = pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ReceiveError::Interrupted(error.to_string()))?;
        size += chunk.len() as u64;
        if size > max_bytes {
            return Err(ReceiveError::TooLarge(max_bytes));
        }
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let mut file = file.into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(ReceivedFile { file, size, sha256: digest.finish_hex() })
}
