//! Events of pictures.

use serde::{Deserialize, Serialize};

use crate::infra::{cache::CacheTag, outbox::Event};

/// Sizes and renditions of all pictures.
pub const MEDIA: CacheTag = CacheTag::of_set("media");

/// Event emitted when the renditions of a picture are stored, or cannot be made.
#[derive(Debug, Deserialize, Serialize)]
pub struct MediaChanged {
    /// Id of the picture.
    pub media: i64,
}

impl Event for MediaChanged {
    const KIND: &'static str = "MediaChanged";

    fn aggregate(&self) -> String {
        format!("media:{}", self.media)
    }

    fn cache_tags(&self) -> Vec<CacheTag> {
        vec![MEDIA]
    }
}
