//! Copies pictures at other addresses, which imports bring, into the shop.

use std::time::Duration;

use futures_util::stream;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::{
    MediaLibrary,
    receive::{ReceiveError, ReceivedFile, receive_file},
    reference::MediaReferences,
    sweep::ImageUse,
    upload::{UploadTarget, accept_file},
};
use crate::{
    base::{
        Error, Result,
        digest::{sha256_bytes, to_hex},
        error::format_error_chain,
    },
    infra::{
        Db, JobContext, OutboundClient,
        config::MEDIA_COPY_QUEUE,
        jobs::{BackgroundJob, JobOutcome},
        outbound_client::OutboundError,
    },
};

/// Copies a picture and replaces its address in the catalog.
#[derive(Debug, Serialize, Deserialize)]
pub struct CopyRemotePicture {
    /// Its URL.
    pub url: String,
}

impl BackgroundJob for CopyRemotePicture {
    const KIND: &'static str = "media.copy_remote";
    const QUEUE: &'static str = MEDIA_COPY_QUEUE;

    fn dedup_key(&self) -> Option<String> {
        Some(to_hex(&sha256_bytes(&self.url)))
    }
}

/// The reason why a picture was not received.
enum CopyError {
    /// Another attempt would have the same result.
    Permanent(String),
    /// Another attempt may succeed.
    Temporary(String),
    Internal(Error),
}

/// Enqueues the copies of pictures. Statements: 1, none without pictures.
///
/// # Errors
/// Returns the error of the database.
pub async fn enqueue_copies(db: &Db, urls: Vec<String>) -> Result<()> {
    let jobs: Vec<_> = urls.into_iter().map(|url| CopyRemotePicture { url }).collect();
    db.write_with_retry(async |tx| tx.enqueue_or_advance_jobs(&jobs, tx.now()).await).await
}

/// Runs [`CopyRemotePicture`]. A job whose process was killed is repeated; a copy that it left behind is not used, and is
/// deleted like other unused pictures.
pub async fn run_copy_job(
    context: &JobContext,
    library: &MediaLibrary,
    usage: &impl ImageUse,
    job: CopyRemotePicture,
) -> JobOutcome {
    let CopyRemotePicture { url } = job;
    match usage.shows_remote(&context.db, &url).await {
        Ok(true) => {}
        outcome => return outcome.map(|_| ()).into(),
    }
    let limits = (library.config.max_upload_bytes, library.config.upload_timeout);
    match download(&context.outbound_client, &url, limits).await {
        Ok(received) => store_copy(&context.db, library, usage, &url, received).await.into(),
        Err(CopyError::Permanent(reason)) => JobOutcome::Fail(reason),
        Err(CopyError::Temporary(reason)) => JobOutcome::Retry(reason),
        Err(CopyError::Internal(error)) => Err(error).into(),
    }
}

async fn store_copy(
    db: &Db,
    library: &MediaLibrary,
    usage: &impl ImageUse,
    url: &str,
    received: ReceivedFile,
) -> Result<()> {
    let target = UploadTarget::New(filename_of(url));
    let copy = accept_file(db, library, &target, received).await?;
    let copy_url = copy.url().ok_or_else(|| Error::internal("copying a picture", "the copy has no URL"))?;
    db.write_with_retry(async |tx| {
        let mut reference = MediaReferences::default();
        reference.add(Some(copy.id), "");
        reference.lock(tx).await?;
        usage.replace_remote(tx, url, &copy_url).await
    })
    .await
}

/// Returns the last segment of a URL's path.
fn filename_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    let name = url.as_ref().and_then(|url| url.path_segments()?.next_back());
    name.unwrap_or_default().to_owned()
}

async fn download(
    client: &OutboundClient,
    url: &str,
    (max_bytes, timeout): (u64, Duration),
) -> std::result::Result<ReceivedFile, CopyError> {
    let receiving = async {
        let response = client.get_file(url, timeout).await.map_err(|error| match error {
            OutboundError::Address(error) => CopyError::Permanent(error.to_string()),
            OutboundError::Request(reason) => CopyError::Temporary(reason),
        })?;
        let status = response.status();
        if !status.is_success() {
            return Err(explain_status(status));
        }
        let chunks = stream::try_unfold(response, async |mut response| {
            let chunk = response.chunk().await.map_err(|error| format_error_chain(&error.without_url()))?;
            Ok::<_, String>(chunk.map(|chunk| (chunk, response)))
        });
        receive_file(chunks, max_bytes).await.map_err(|error| match error {
            ReceiveError::TooLarge(_) => CopyError::Permanent(error.to_string()),
            ReceiveError::Interrupted(_) => CopyError::Temporary(error.to_string()),
            ReceiveError::Internal(error) => CopyError::Internal(error),
        })
    };
    let late = |_| Err(CopyError::Temporary(format!("the file did not arrive within {} s", timeout.as_secs())));
    tokio::time::timeout(timeout, receiving).await.unwrap_or_else(late)
}

fn explain_status(status: StatusCode) -> CopyError {
    let reason = format!("the server of the picture answered {}", status.as_u16());
    let is_temporary =
        status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if is_temporary { CopyError::Temporary(reason) } else { CopyError::Permanent(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_named_by_the_last_segment() {
        let names = ["https://cdn.example/a/mug.jpg?v=3", "https://cdn.example/", "https://cdn.example", "nonsense"];
        assert_eq!(names.map(filename_of), ["mug.jpg", "", "", ""]);
    }
}
