//! Settings of pictures: `[media]`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    duration::{CENTURY, DAY, HOUR, MINUTE, SECOND, deserialize_duration, duration_within},
    parsed::deserialize_parsed,
    range::within,
};

/// The queue of the jobs that make renditions.
pub const MEDIA_RENDITION_QUEUE: &str = "media.rendition";
/// The queue of the jobs that copy pictures from other addresses.
pub const MEDIA_COPY_QUEUE: &str = "media.copy";
/// The maximum number of widths.
const MAX_WIDTHS: usize = 12;

/// Where files of pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaStorageKind {
    /// A folder.
    Folder,
    /// A bucket of Amazon S3, or of a service with its protocol.
    S3,
}

impl FromStr for MediaStorageKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "folder" => Ok(Self::Folder),
            "s3" => Ok(Self::S3),
            _ => Err(format!("`{text}` is none of folder, s3")),
        }
    }
}

/// `[media]`
#[derive(Debug, Clone, Deserialize)]
pub struct MediaConfig {
    /// Where files are stored.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub storage: MediaStorageKind,
    /// The folder.
    pub folder: PathBuf,
    /// The name of the bucket.
    pub bucket: String,
    /// The region of the bucket.
    pub region: String,
    /// The base URL of the service; empty for Amazon's.
    pub endpoint: String,
    /// The id of the access key; empty: the credentials of the machine.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: SecretString,
    /// The maximum size of an upload in bytes.
    pub max_upload_bytes: u64,
    /// The maximum number of pixels of a picture.
    pub max_pixels: u64,
    /// The widths of renditions in pixels.
    pub widths: Vec<u32>,
    /// Whether there are renditions as WebP.
    pub webp: bool,
    /// Whether there are renditions as AVIF.
    pub avif: bool,
    /// The quality of JPEG, WebP and AVIF.
    pub quality: u8,
    /// The number of pictures that a process decodes at the same time.
    pub concurrency: usize,
    /// The number of uploads that a process receives at the same time.
    pub max_concurrent_uploads: usize,
    /// The timeout of an upload.
    #[serde(deserialize_with = "deserialize_duration")]
    pub upload_timeout: Duration,
    /// How long the URL of an upload is valid.
    #[serde(deserialize_with = "deserialize_duration")]
    pub upload_ttl: Duration,
    /// How long a picture is kept that nothing uses.
    #[serde(deserialize_with = "deserialize_duration")]
    pub unused_retention: Duration,
}

impl MediaConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.folder.as_os_str().is_empty() {
            return Err("media.folder must be the path of a folder".into());
        }
        within("media.max_upload_bytes", self.max_upload_bytes, 1024..=1024 * 1024 * 1024)?;
        within("media.max_pixels", self.max_pixels, 10_000..=500_000_000)?;
        within("media.quality", self.quality, 1..=100)?;
        within("media.concurrency", self.concurrency, 1..=64)?;
        within("media.max_concurrent_uploads", self.max_concurrent_uploads, 1..=1000)?;
        if self.widths.is_empty() || self.widths.len() > MAX_WIDTHS {
            return Err(format!("media.widths must have 1 to {MAX_WIDTHS} widths"));
        }
        for width in &self.widths {
            within("media.widths", *width, 16..=8192)?;
        }
        duration_within("media.upload_timeout", self.upload_timeout, SECOND..=HOUR)?;
        duration_within("media.upload_ttl", self.upload_ttl, MINUTE..=DAY)?;
        duration_within("media.unused_retention", self.unused_retention, HOUR..=CENTURY)?;
        self.validate_bucket()
    }

    fn validate_bucket(&self) -> Result<(), String> {
        let has_scheme = ["http://", "https://"].iter().any(|scheme| self.endpoint.starts_with(scheme));
        if !self.endpoint.is_empty() && !has_scheme {
            return Err("media.endpoint must begin with https:// or http://, or be empty".into());
        }
        if self.access_key_id.is_empty() != self.secret_access_key.expose_secret().is_empty() {
            return Err("media.access_key_id and media.secret_access_key must be set together".into());
        }
        if self.storage == MediaStorageKind::S3 && (self.bucket.is_empty() || self.region.is_empty()) {
            return Err("media.bucket and media.region must be set for media.storage = \"s3\"".into());
        }
        Ok(())
    }
}
