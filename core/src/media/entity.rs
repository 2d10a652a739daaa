//! Entity of pictures.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Status of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum MediaStatus {
    /// Its file has not arrived yet.
    Pending,
    /// Checked; its renditions are being made.
    Processing,
    /// Its renditions are stored.
    Ready,
    /// It could not be processed.
    Failed,
}

/// File format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// AVIF. Only the format of renditions.
    Avif,
    /// GIF, of which the first frame is shown. Never the format of a rendition.
    Gif,
}

impl PictureFormat {
    /// Returns the extension of file names.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Gif => "gif",
        }
    }

    /// Returns the media type.
    #[must_use]
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
        }
    }
}

/// A stored rendition of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRendition {
    /// File name: `640.webp`, or `full.jpg` for the largest.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// File format.
    pub format: PictureFormat,
    /// Size in bytes.
    pub size: u64,
}

/// Table `media`.
pub mod media {
    use sea_orm::entity::prelude::*;

    /// A picture.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "media")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub token: String,
        pub filename: String,
        pub status: super::MediaStatus,
        pub upload_digest: Option<Vec<u8>>,
        pub upload_expires_at: Option<DateTimeUtc>,
        pub original: Option<String>,
        pub format: Option<super::PictureFormat>,
        pub fallback_format: Option<super::PictureFormat>,
        pub byte_size: Option<i64>,
        pub sha256: Option<String>,
        pub width: Option<i32>,
        pub height: Option<i32>,
        pub placeholder: Option<String>,
        pub renditions: Json,
        pub error: Option<String>,
        pub unused_since: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: what uses a picture names its URL.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl media::Model {
    /// Returns the path of its largest rendition: its URL in products, categories and orders. `None` without a file.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let format = self.fallback_format.filter(|_| self.status != MediaStatus::Pending)?;
        Some(format!("{}{}/full.{}", super::MEDIA_PATH, self.token, format.extension()))
    }

    /// Returns its stored renditions, by increasing width.
    #[must_use]
    pub fn stored_renditions(&self) -> Vec<StoredRendition> {
        serde_json::from_value(self.renditions.clone()).unwrap_or_default()
    }
}
