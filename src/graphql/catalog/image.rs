//! Images of products and variants.

use async_graphql::{Enum, Object};
use macros::batched_object;

use crate::{
    base::{Error, Result},
    graphql::context::RequestContext,
};

/// Path of the shop's own images.
const MEDIA_PATH: &str = "/media/";
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

impl ImageFormat {
    /// Returns the value in an address.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Avif => "avif",
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
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
}

/// Image of a product or variant.
#[batched_object]
#[Object(name = "Image")]
impl ImageObject {
    /// URL of the image. The arguments are added to its query if it is the shop's own: its path begins with `/media/`.
    /// Other URLs are unchanged.
    fn url(
        &self,
        context: &RequestContext,
        #[graphql(desc = "Maximum width in pixels (1-10,000).")] max_width: Option<i32>,
        #[graphql(desc = "Maximum height in pixels (1-10,000).")] max_height: Option<i32>,
        #[graphql(desc = "File format; that of the file by default.")] format: Option<ImageFormat>,
    ) -> Result<String> {
        let sizes = [("maxWidth", max_width), ("maxHeight", max_height)];
        let sizes = sizes.into_iter().filter_map(|(name, size)| Some((name, size?)));
        let mut parameters = Vec::new();
        for (name, size) in sizes {
            if !(1..=MAX_SIZE).contains(&size) {
                return Err(Error::bad_input(name, format!("`{name}` must be from 1 to {MAX_SIZE}; it is {size}")));
            }
            parameters.push(format!("{name}={size}"));
        }
        parameters.extend(format.map(|format| format!("format={}", format.as_str())));
        let public_url = &context.app_state.config.server.public_url;
        Ok(add_parameters(&self.url, &parameters, public_url))
    }

    /// Alternative text; null if there is none.
    fn alt(&self) -> Option<&str> {
        self.alt.as_deref()
    }

    /// Width in pixels; null if it is not known.
    fn width(&self) -> Option<i32> {
        None
    }

    /// Height in pixels; null if it is not known.
    fn height(&self) -> Option<i32> {
        None
    }
}

/// Adds parameters to the query of a URL if it is the shop's own image.
fn add_parameters(url: &str, parameters: &[String], public_url: &str) -> String {
    let path = if public_url.is_empty() { url } else { url.strip_prefix(public_url).unwrap_or(url) };
    if parameters.is_empty() || !path.starts_with(MEDIA_PATH) {
        return url.to_owned();
    }
    let (address, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{}{fragment}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_width(url: &str) -> String {
        add_parameters(url, &["maxWidth=300".to_owned()], "https://api.shop.example")
    }

    #[test]
    fn parameters_are_added_to_own_images() {
        assert_eq!(with_width("/media/mug.jpg"), "/media/mug.jpg?maxWidth=300");
        assert_eq!(with_width("/media/mug.jpg?v=2#top"), "/media/mug.jpg?v=2&maxWidth=300#top");
        let absolute = "https://api.shop.example/media/mug.jpg";
        assert_eq!(with_width(absolute), format!("{absolute}?maxWidth=300"));
        assert_eq!(add_parameters("/media/mug.jpg", &[], ""), "/media/mug.jpg");
    }

    #[test]
    fn other_images_are_unchanged() {
        for url in ["https://cdn.example/media/mug.jpg", "/other/mug.jpg", "media/mug.jpg", "//media/mug.jpg"] {
            assert_eq!(with_width(url), url);
            assert_eq!(add_parameters(url, &["format=webp".to_owned()], ""), url);
        }
    }
}
