//! What the page of a category shows: description, image, and texts for search engines.

use crate::{
    base::{Patch, Result, validation::InputScope},
    catalog::{entity::category, loader::ProductImage, sanitize, write},
    infra::Tx,
    media::reference::{LockedMedia, MediaReferences},
};

/// Maximum length of a description in characters.
const MAX_CATEGORY_DESCRIPTION_LENGTH: usize = 20_000;

/// Changes to what the page of a category shows.
#[derive(Debug)]
pub(super) struct CategoryContent {
    /// Description as unsanitized HTML.
    pub(super) description: Patch,
    /// Title for search engines.
    pub(super) seo_title: Patch,
    /// Description for search engines.
    pub(super) seo_description: Patch,
    /// Image.
    pub(super) image: Patch<ProductImage>,
}

impl CategoryContent {
    /// Locks the shop's own picture that is the image, so that it is not deleted before the transaction ends.
    /// Statements: 1 at most.
    pub(super) async fn lock_media(&self, tx: &Tx) -> Result<LockedMedia> {
        let mut references = MediaReferences::default();
        if let Some(image) = self.image.value() {
            references.add(image.media_id, &image.url);
        }
        references.lock(tx).await
    }

    /// Validates the changes and applies them to a row. Empty texts clear their fields.
    pub(super) fn apply(self, row: &mut category::Model, media: &LockedMedia, scope: &mut InputScope<'_>) {
        let Self { description, seo_title, seo_description, image } = self;
        if let Some(description) = description.or_empty() {
            let html = description.trim();
            if html.chars().count() > MAX_CATEGORY_DESCRIPTION_LENGTH {
                scope.reject("description", format!("at most {MAX_CATEGORY_DESCRIPTION_LENGTH} characters"));
            }
            let html = Some(sanitize::sanitize_html(html)).filter(|html| !html.is_empty());
            row.description = html.as_deref().map(sanitize::convert_html_to_text).filter(|text| !text.is_empty());
            row.description_html = html;
        }
        let mut seo = scope.at("seo");
        let mut check_text = |field: &str, patch: Patch, max_chars: usize, target: &mut Option<String>| {
            patch.map(|text| seo.text(field, &text, max_chars)).apply_to(target);
            target.take_if(|text| text.is_empty());
        };
        check_text("title", seo_title, write::MAX_SEO_TITLE_LENGTH, &mut row.seo_title);
        check_text("description", seo_description, write::MAX_SEO_DESCRIPTION_LENGTH, &mut row.seo_description);
        match image {
            Patch::Unchanged => {}
            Patch::Clear => (row.image, row.image_alt) = (None, None),
            Patch::Set(image) => {
                let image = write::check_image(&image, media, &mut scope.at("image"));
                (row.image, row.image_alt) = (Some(image.url), image.alt);
            }
        }
    }
}
