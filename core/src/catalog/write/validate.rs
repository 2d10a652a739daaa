//! The rules of product fields. In strict mode a violation is a user error of the field; in repair mode it is the
//! reason why a product or variant is rejected, or a warning if the value can be corrected.

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    extra_rules::SeoPatch,
    input::{ProductPatch, VariantPatch, WriteMode},
};
use crate::{
    base::{Money, Patch, pagination, text, validation::InputScope},
    catalog::{entity::variant, loader::ProductImage},
    media::reference::LockedMedia,
};

/// Maximum length of a product name in characters.
const MAX_PRODUCT_NAME_LENGTH: usize = 500;
/// Maximum length of a vendor, a tag, an option name and an option value, in characters.
pub(super) const MAX_LABEL_LENGTH: usize = 200;
/// Maximum length of an index key in bytes; PostgreSQL limits an index row to 2,704.
pub(super) const MAX_INDEX_KEY_BYTES: usize = 1_200;
/// Maximum length of a given slug in characters.
const MAX_SLUG_LENGTH: usize = 200;
/// Maximum length of a given SKU in characters; a substitute may be longer.
pub(super) const MAX_SKU_LENGTH: usize = 180;
/// Maximum length of a barcode in characters.
const MAX_BARCODE_LENGTH: usize = 100;
/// Maximum lengths of an image URL and of its alternative text, in characters.
const MAX_URL_LENGTH: usize = 2_000;
const MAX_ALT_LENGTH: usize = 500;
/// Maximum length of a description in bytes.
const MAX_DESCRIPTION_BYTES: usize = 200_000;
/// Maximum number of tags, of images, and of variants in one edit.
const MAX_LIST_ITEMS: usize = 100;
/// Maximum stock quantity and weight: the maximum of GraphQL's `Int`.
const MAX_COUNT: i64 = i32::MAX as i64;
/// Separator of the values in an option key; no option value contains it.
const OPTION_KEY_SEPARATOR: &str = "\u{1f}";

/// Parameters of a write.
#[derive(Debug, Clone)]
pub(super) struct WriteContext {
    /// How invalid input is treated.
    pub(super) mode: WriteMode,
    /// Currency of prices.
    pub(super) currency: Currency,
    /// Time of the change.
    pub(super) now: DateTime<Utc>,
    /// The shop's own pictures in the input.
    pub(super) media: LockedMedia,
}

/// The values of a product's child rows in the input; `None` leaves them unchanged.
#[derive(Debug, Default)]
pub(super) struct ProductContent {
    /// Description as unsanitized HTML.
    pub(super) description: Option<String>,
    /// All tags.
    pub(super) tags: Option<Vec<String>>,
    /// All images, in order.
    pub(super) images: Option<Vec<ProductImage>>,
    /// Texts for search engines.
    pub(super) seo: SeoPatch,
}

/// The rules of one product or variant in the input.
#[derive(Debug)]
pub(super) struct FieldRules<'a> {
    /// Parameters of the write.
    pub(super) context: &'a WriteContext,
    /// Slug of the product, for messages of imports.
    pub(super) slug: &'a str,
    /// Collector of violations.
    pub(super) scope: InputScope<'a>,
    /// Corrections made.
    pub(super) warnings: &'a mut Vec<String>,
}

impl FieldRules<'_> {
    pub(super) fn is_strict(&self) -> bool {
        self.context.mode == WriteMode::Strict
    }

    /// Returns whether a violation was found that leaves the input out of an import.
    pub(super) fn is_rejected(&self) -> bool {
        !self.is_strict() && self.scope.has_errors()
    }

    /// Adds a violation, with the message of the mode.
    pub(super) fn reject(&mut self, field: &str, strict_message: &str, repair_message: impl FnOnce() -> String) {
        if self.is_strict() {
            self.scope.reject(field, strict_message);
        } else {
            self.scope.reject(field, repair_message());
        }
    }

    /// Checks the length of a text. In strict mode the text is trimmed and must be one line.
    fn check_text(&mut self, field: &str, label: &str, text: &str, max_chars: usize) -> String {
        if self.is_strict() {
            return self.scope.text(field, text, max_chars);
        }
        if text.chars().count() > max_chars {
            self.scope.reject(field, format!("{label} of `{}` is longer than {max_chars} characters", self.slug));
        }
        text.to_owned()
    }

    /// Returns the name, with single spaces; `None` if it is unchanged.
    pub(super) fn check_name(&mut self, patch: &ProductPatch, is_new: bool) -> Option<String> {
        let name = patch.name.value().map(|name| self.check_text("name", "the name", name, MAX_PRODUCT_NAME_LENGTH));
        let is_blank = name.as_ref().map_or(is_new, |name| text::normalize_text(name).is_empty());
        if is_blank && (is_new || self.is_strict()) {
            let slug = self.slug;
            let message = "a product needs a name with a letter or a sign that can be seen";
            self.reject("name", message, || format!("the new product `{slug}` has no name"));
        }
        let name = name.filter(|_| !is_blank)?;
        Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Checks the vendor; an empty one clears it.
    pub(super) fn check_vendor(&mut self, patch: &ProductPatch) -> Patch {
        let vendor =
            patch.vendor.as_ref().map(|vendor| self.check_text("vendor", "the vendor", vendor, MAX_LABEL_LENGTH));
        match vendor.map(|vendor| vendor.trim().to_owned()) {
            Patch::Set(vendor) if vendor.is_empty() => Patch::Clear,
            vendor => vendor,
        }
    }

    /// Checks description, tags and images.
    pub(super) fn check_content(&mut self, patch: &ProductPatch) -> ProductContent {
        let description = patch.description.as_ref().map(|html| self.check_description(html)).or_empty();
        let tags = patch.tags.as_ref().map(|tags| self.check_tags(tags)).or_empty();
        let images = patch.images.as_ref().map(|images| self.check_images(images)).or_empty();
        // An import without images keeps the existing ones.
        let is_kept = |images: &Vec<ProductImage>| images.is_empty() && !self.is_strict();
        let images = images.filter(|images| !is_kept(images));
        ProductContent { description, tags, images, seo: self.check_seo(patch) }
    }

    fn check_description(&mut self, html: &str) -> String {
        if !self.is_strict() {
            return html.to_owned();
        }
        if html.len() > MAX_DESCRIPTION_BYTES {
            self.scope.reject("description", format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes"));
        }
        html.replace(|c: char| c.is_control() && !c.is_whitespace(), "")
    }

    fn check_tags(&mut self, tags: &[String]) -> Vec<String> {
        self.check_list_length("tags", tags.len());
        let numbered = tags.iter().enumerate();
        numbered.map(|(index, tag)| self.check_text(&format!("tags.{index}"), "a tag", tag, MAX_LABEL_LENGTH)).collect()
    }

    fn check_images(&mut self, images: &[ProductImage]) -> Vec<ProductImage> {
        if !self.is_strict() {
            // A row of an import is not lost because of a picture.
            let media = &self.context.media;
            let to_stored = |image: &ProductImage| ProductImage {
                url: media.checked_url(&image.url).unwrap_or_else(|_| image.url.clone()),
                ..image.clone()
            };
            return images.iter().map(to_stored).collect();
        }
        self.check_list_length("images", images.len());
        let media = &self.context.media;
        let check = |(index, image)| check_image(image, media, &mut self.scope.at("images").index(index));
        images.iter().enumerate().map(check).collect()
    }

    /// Limits the length of a list in strict mode.
    pub(super) fn check_list_length(&mut self, field: &str, length: usize) {
        if self.is_strict() {
            self.scope.check_count(field, length, MAX_LIST_ITEMS);
        }
    }

    /// Checks the lengths of the option names of an import; those of an edit are checked with the options.
    pub(super) fn check_option_name_lengths(&mut self, patch: &ProductPatch) {
        if !self.is_strict() {
            for option in patch.options() {
                self.check_text("options", "the name of an option", &option.name, MAX_LABEL_LENGTH);
            }
        }
    }

    /// Returns a price in minor units. A price with too many decimals is rounded in repair mode.
    pub(super) fn check_price(&mut self, field: &str, label: &str, amount: Decimal) -> i64 {
        let currency = self.context.currency;
        let Some((money, is_rounded)) = Money::from_decimal(amount, currency) else {
            self.reject(field, "a price is from 0 to 10000000000000", || {
                format!("{label} {amount} cannot be: a price is from 0 to 10 000 000 000 000")
            });
            return 0;
        };
        if is_rounded && self.is_strict() {
            let decimals = Money::decimal_places(currency);
            self.scope.reject(field, format!("an amount of {} has at most {decimals} decimals", currency.code()));
        } else if is_rounded {
            self.warnings.push(format!("{label} {amount} was rounded to {}", money.to_decimal()));
        }
        money.minor_units
    }

    /// Checks a sale price and its period. Repair mode removes an invalid sale.
    pub(super) fn check_sale(&mut self, patch: &VariantPatch, row: &mut variant::Model) {
        for (field, moment) in [("saleStartsAt", row.sale_starts_at), ("saleEndsAt", row.sale_ends_at)] {
            if moment.is_some_and(|moment| !pagination::is_storable_time(&moment)) {
                self.scope.reject(field, "the year must be from 1 to 9999");
            } else if moment.is_some() && row.sale_price.is_none() {
                self.scope.reject(field, "there is no sale: say the sale price too");
            }
        }
        let ends_before_start = row.sale_starts_at.zip(row.sale_ends_at).is_some_and(|(starts, ends)| starts >= ends);
        let is_no_lower = row.sale_price.is_some_and(|sale_price| sale_price >= row.price);
        if !self.is_strict() {
            if ends_before_start {
                self.warnings.push("the sale ends before it begins and was left out".into());
            } else if is_no_lower {
                self.warnings.push("the sale is no lower than the price and was left out".into());
            }
            if ends_before_start || is_no_lower {
                (row.sale_price, row.sale_starts_at, row.sale_ends_at) = (None, None, None);
            }
            return;
        }
        if ends_before_start {
            let field = if patch.sale_ends_at.is_unchanged() { "saleStartsAt" } else { "saleEndsAt" };
            self.scope.reject(field, "the sale must end after it begins");
        }
        let sets_sale_price = !patch.sale_price.is_unchanged();
        if is_no_lower && (sets_sale_price || !patch.price.is_unchanged()) {
            let field = if sets_sale_price { "salePrice" } else { "price" };
            self.scope.reject(field, "the sale price must be lower than the price");
        }
    }

    /// Limits a stock quantity or a weight. Repair mode ignores an invalid one.
    pub(super) fn check_count(&mut self, field: &str, patch: Patch<i64>) -> Patch<i64> {
        let Patch::Set(count) = patch else { return patch };
        if self.is_strict() {
            self.scope.check_range(field, &count, &(0..=MAX_COUNT));
        } else if count < 0 {
            return Patch::Unchanged;
        }
        patch
    }

    /// Returns an image URL or a barcode; an empty text clears it.
    fn check_optional_text(&mut self, field: &str, patch: &Patch, max_chars: usize) -> Patch {
        if !self.is_strict() {
            return patch.clone();
        }
        match patch.as_ref().map(|text| self.scope.text(field, text, max_chars)) {
            Patch::Set(text) if text.is_empty() => Patch::Clear,
            checked => checked,
        }
    }

    /// Checks the URL of a variant's image.
    pub(super) fn check_image_url(&mut self, patch: &VariantPatch) -> Patch {
        let checked = self.check_optional_text("image", &patch.image, MAX_URL_LENGTH);
        let Patch::Set(url) = checked else { return checked };
        match self.context.media.checked_url(&url) {
            Ok(stored) => Patch::Set(stored),
            Err(reason) => {
                if self.is_strict() {
                    self.scope.reject("image", reason);
                }
                Patch::Set(url)
            }
        }
    }

    /// Checks the barcode of a variant.
    pub(super) fn check_barcode(&mut self, patch: &VariantPatch) -> Patch {
        self.check_optional_text("barcode", &patch.barcode, MAX_BARCODE_LENGTH)
    }

    /// Returns the SKU of a variant in strict mode.
    pub(super) fn check_sku(&mut self, patch: &VariantPatch, current: &str) -> String {
        let Some(requested) = patch.sku.value() else {
            if current.is_empty() {
                self.scope.reject("sku", "a new variant needs a sku");
            }
            return current.to_owned();
        };
        let sku = self.scope.text("sku", requested, MAX_SKU_LENGTH);
        if sku.is_empty() {
            self.scope.reject("sku", "a sku is never empty");
        }
        sku
    }

    /// Returns the option values of a variant, one for each name; `None` if they do not change.
    pub(super) fn check_option_values(
        &mut self,
        patch: &VariantPatch,
        names: &[String],
        is_required: bool,
    ) -> Option<Vec<String>> {
        // An import without values keeps the existing ones.
        let is_given = if self.is_strict() { !patch.options.is_unchanged() } else { !patch.option_values().is_empty() };
        if !is_given && !is_required {
            return None;
        }
        let values = patch.option_values();
        let values: Vec<String> = if self.is_strict() {
            let mut scope = self.scope.at("options");
            let numbered = values.iter().enumerate();
            numbered.map(|(index, value)| scope.text(&index.to_string(), value, MAX_LABEL_LENGTH)).collect()
        } else {
            values.to_vec()
        };
        let key_length = build_option_key(&values).len();
        if values.len() != names.len() {
            self.reject_option_count(names);
        } else if self.is_strict() {
            let has_blank = values.iter().any(|value| text::normalize_text(value).is_empty());
            if has_blank || key_length > MAX_INDEX_KEY_BYTES {
                let message = "each value needs a letter or a sign that can be seen, and all together are too long";
                self.scope.reject("options", message);
            }
        } else if key_length > MAX_INDEX_KEY_BYTES
            || values.iter().any(|value| value.chars().count() > MAX_LABEL_LENGTH)
        {
            let preview: String = values.join(" / ").chars().take(40).collect();
            let message = format!("the options `{preview}...` are longer than {MAX_LABEL_LENGTH} characters each");
            self.scope.reject("options", message);
        }
        Some(values)
    }

    fn reject_option_count(&mut self, names: &[String]) {
        let (slug, list) = (self.slug, names.join(", "));
        if names.is_empty() {
            self.reject("options", "the product has no options: it is not chosen by any", || {
                format!("`{slug}` has a variant without options; one with options cannot stand beside it")
            });
        } else {
            self.reject("options", &format!("say one value for each of the product's options: {list}"), || {
                format!("the variants of `{slug}` are chosen by {list}; this one is not")
            });
        }
    }
}

/// Returns the normalized option values of a variant as one key, equal for different ways of writing them.
pub(super) fn build_option_key(values: &[String]) -> String {
    values.iter().map(|value| text::normalize_text(value)).collect::<Vec<_>>().join(OPTION_KEY_SEPARATOR)
}

/// Returns an image with trimmed texts, and rejects one without a URL, with long texts, or of a picture that the shop
/// does not have.
pub(in crate::catalog) fn check_image(
    image: &ProductImage,
    media: &LockedMedia,
    scope: &mut InputScope<'_>,
) -> ProductImage {
    let (field, found) = if let Some(media_id) = image.media_id {
        ("mediaId", media.url_by_id(media_id))
    } else {
        let url = scope.text("url", &image.url, MAX_URL_LENGTH);
        if url.is_empty() {
            scope.reject("url", "a picture needs an address");
        }
        ("url", media.checked_url(&url))
    };
    let url = found.unwrap_or_else(|reason| {
        scope.reject(field, reason);
        String::new()
    });
    let alt = image.alt.as_ref().map(|alt| scope.text("alt", alt, MAX_ALT_LENGTH));
    ProductImage { url, alt: alt.filter(|alt| !alt.is_empty()), media_id: None }
}

/// Checks that a slug can be used in a URL unescaped.
pub(in crate::catalog) fn check_slug(slug: &str) -> Result<(), String> {
    let is_allowed = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_' | '.');
    if slug.is_empty() || slug.chars().count() > MAX_SLUG_LENGTH || !slug.chars().all(is_allowed) {
        return Err(format!(
            "a slug has 1 to {MAX_SLUG_LENGTH} small letters, digits, and `-`, `_` or `.` between them"
        ));
    }
    Ok(())
}
