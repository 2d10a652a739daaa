//! Images of products and variants.

use std::sync::Arc;

use async_graphql::{Enum, Object};
use macros::batched_object;

use crate::{
    base::{Error, Result},
    graphql::{context::RequestContext, loader::MediaKey},
    media::{
        MEDIA_PATH, MediaToken,
        entity::{PictureFormat, StoredRendition, media},
    },
};

/// Maximum width and height of a requested size, in pixels.
const MAX_SIZE: i32 = 10_000;

/// File format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ImageFormat {
    /// AVIF.
    Avif,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

/// Image of a product or variant.
#[derive(Debug, Clone)]
pub struct ImageObject {
    url: String,
    alt: Option<String>,
}

impl ImageObject {
    /// Creates an image.
    #[must_use]
    pub const fn new(url: String, alt: Option<String>) -> Self {
        Self { url, alt }
    }

    /// Returns the image of a variant: its alternative text is that of the product's image with the same URL.
    #[must_use]
    pub fn of_variant(url: &str, product_images: &[Self]) -> Self {
        let same = product_images.iter().find(|image| image.url == url);
        Self { url: url.to_owned(), alt: same.and_then(|image| image.alt.clone()) }
    }

    /// Returns the key of its row if it is the shop's own.
    fn media_key(&self) -> Option<MediaKey> {
        MediaToken::from_path(&self.url).map(MediaKey)
    }
}

/// Image of a product or variant.
#[batched_object]
#[Object(name = "Image")]
impl ImageObject {
    /// URL of the image. If it is the shop's own (`Media`), that of the smallest stored rendition that fills the given
    /// box, which may be larger than the box, or of the largest one. URLs of other images are unchanged.
    fn url(
        &self,
        context: &RequestContext,
        #[graphql(desc = "Width of the box in pixels (1-10,000).")] max_width: Option<i32>,
        #[graphql(desc = "Height of the box in pixels (1-10,000).")] max_height: Option<i32>,
        #[graphql(desc = "File format. If it is not stored, and by default: JPEG, or PNG for a picture that may be \
                          transparent.")]
        format: Option<ImageFormat>,
        #[load_optional(self.media_key())] row: Option<Arc<media::Model>>,
    ) -> Result<String> {
        for (name, size) in [("maxWidth", max_width), ("maxHeight", max_height)] {
            if let Some(size) = size.filter(|size| !(1..=MAX_SIZE).contains(size)) {
                return Err(Error::bad_input(name, format!("`{name}` must be from 1 to {MAX_SIZE}; it is {size}")));
            }
        }
        let Some(row) = row else { return Ok(self.url.clone()) };
        let limits = RequestedBox { max_width, max_height, format };
        let rendition = limits.choose(&row, row.stored_renditions());
        let path = rendition
            .map_or_else(|| self.url.clone(), |rendition| format!("{MEDIA_PATH}{}/{}", row.token, rendition.name));
        Ok(format!("{}{path}", context.app_state.config.server.public_url))
    }

    /// Alternative text; null if there is none.
    fn alt(&self) -> Option<&str> {
        self.alt.as_deref()
    }

    /// Width in pixels of the picture; null if it is not known. Renditions have the same proportions.
    fn width(&self, #[load_optional(self.media_key())] row: Option<Arc<media::Model>>) -> Option<i32> {
        row?.width
    }

    /// Height in pixels of the picture; null if it is not known.
    fn height(&self, #[load_optional(self.media_key())] row: Option<Arc<media::Model>>) -> Option<i32> {
        row?.height
    }

    /// Tiny version of the picture as a data URL of about 200 bytes, to show until it is loaded; null if it is not the
    /// shop's own.
    fn placeholder(&self, #[load_optional(self.media_key())] row: Option<Arc<media::Model>>) -> Option<String> {
        row?.placeholder.clone()
    }
}

/// Size and format in which a picture is requested.
#[derive(Debug, Clone, Copy)]
struct RequestedBox {
    max_width: Option<i32>,
    max_height: Option<i32>,
    format: Option<ImageFormat>,
}

impl RequestedBox {
    /// Returns the rendition to show. `renditions` are ordered by width.
    fn choose(self, row: &media::Model, renditions: Vec<StoredRendition>) -> Option<StoredRendition> {
        let format = match self.format {
            Some(ImageFormat::Jpeg) => Some(PictureFormat::Jpeg),
            Some(ImageFormat::Png) => Some(PictureFormat::Png),
            Some(ImageFormat::Webp) => Some(PictureFormat::Webp),
            Some(ImageFormat::Avif) => Some(PictureFormat::Avif),
            None => None,
        };
        let is_stored = |format: &PictureFormat| renditions.iter().any(|rendition| rendition.format == *format);
        let format = format.filter(is_stored).or(row.fallback_format)?;
        let width = self.needed_width(row);
        let mut candidates = renditions.into_iter().filter(|rendition| rendition.format == format).peekable();
        let mut chosen = None;
        while let Some(candidate) = candidates.next() {
            let is_enough = u64::from(candidate.width) >= width || candidates.peek().is_none();
            chosen = Some(candidate);
            if is_enough {
                break;
            }
        }
        chosen
    }

    /// Returns the width of the picture within the box in pixels.
    fn needed_width(self, row: &media::Model) -> u64 {
        let to_size = |size: Option<i32>| size.and_then(|size| u64::try_from(size).ok());
        let (width, height) = (to_size(row.width).unwrap_or(1).max(1), to_size(row.height).unwrap_or(1).max(1));
        let by_width = to_size(self.max_width).unwrap_or(width);
        let by_height = to_size(self.max_height).map_or(width, |max_height| (width * max_height).div_ceil(height));
        by_width.min(by_height).min(width)
    }
}
