//! A picture of the shop.

use async_graphql::{Enum, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    base::{GlobalId, global_id::NodeType},
    graphql::{
        batched::Batched,
        catalog::image::ImageObject,
        pagination::{connection, edge, paged_list},
        scalars::clamp_to_i32,
    },
    media::{
        entity::{MediaStatus, PictureFormat, media},
        queries::{self, MediaFilter},
    },
};

/// Status of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "MediaStatus", name = "MediaStatus")]
pub enum MediaStatusEnum {
    /// Its file has not arrived yet.
    Pending,
    /// Its file was checked; its renditions are being made.
    Processing,
    /// Its renditions can be shown.
    Ready,
    /// It could not be processed; `error` says why.
    Failed,
}

/// Picture of the shop, uploaded by staff.
#[derive(Debug)]
pub struct Media(media::Model);

impl From<media::Model> for Media {
    fn from(row: media::Model) -> Self {
        Self(row)
    }
}

/// Picture of the shop, uploaded by staff.
#[Object]
impl Media {
    /// Global ID; see `ImageInput.mediaId`.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Media, self.0.id).encode().into()
    }

    /// Name of the uploaded file, without its path.
    async fn filename(&self) -> &str {
        &self.0.filename
    }

    /// Status.
    async fn status(&self) -> MediaStatusEnum {
        self.0.status.into()
    }

    /// Why it could not be processed; null otherwise.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Media type of the uploaded file, by its content, such as `image/jpeg`; null before it has arrived.
    async fn mime_type(&self) -> Option<&str> {
        self.0.format.map(PictureFormat::mime_type)
    }

    /// Size of the uploaded file in bytes; null before it has arrived.
    async fn byte_size(&self) -> Option<i32> {
        self.0.byte_size.map(clamp_to_i32)
    }

    /// Picture as products show it; null before its file has arrived.
    async fn image(&self) -> Option<Batched<ImageObject>> {
        self.0.url().map(|url| Batched(ImageObject::new(url, None)))
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

edge!(
    /// Picture with its cursor.
    MediaEdge { cursor = "Cursor of the picture.", node: Media = "Picture." }
);

connection!(
    /// Page of pictures, newest first.
    MediaConnection(MediaFilter) {
        nodes: Vec<Media> = "Pictures of the page.",
        edges: Vec<MediaEdge> = "Pictures of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of pictures that match the filter, across all pages.",
    }
);

paged_list!(
    MediaFilter,
    media::Model,
    |filter, db, request| queries::list_media(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| queries::count_media(db, filter)
);
