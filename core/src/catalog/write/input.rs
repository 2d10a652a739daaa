//! Input for the write path of products, filled by the API, by imports and by the demo data generator.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::super::{entity::PublicationStatus, loader::ProductImage, measure::MeasureUnit};
use crate::base::{ExpectedVersion, Patch};

/// How invalid input is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Edits by staff: all errors of a product are reported with the paths of their fields, and a product is written
    /// completely or not at all. Changes are audited.
    Strict,
    /// Imports: what can be corrected is corrected with a warning, and an invalid variant is left out of its product.
    /// Deleted products and variants in the input are restored.
    Repair,
}

/// Selects the product to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProductSelector {
    /// A product to be created.
    #[default]
    New,
    /// The product with this id, which must exist.
    Id {
        /// The product.
        product_id: i64,
        /// Input path of the id.
        path: String,
    },
    /// The product of this variant, which must exist.
    ByVariantId {
        /// The variant.
        variant_id: i64,
        /// Input path of the id.
        path: String,
    },
    /// The product with this slug (Shopify's handle); created if it does not exist.
    Slug(String),
    /// The product of the variant with this SKU; created if it does not exist.
    Sku(String),
}

/// The category of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryInput {
    /// An existing category.
    Id(i64),
    /// Category names from the root of the tree down; missing categories are created.
    Path(Vec<String>),
}

/// Changes to one product.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductPatch {
    /// Path of the input in the request: `input.17`. Empty if there is none.
    pub path: String,
    /// Line in the imported file; 0 if there is none.
    pub line: u64,
    /// Whether an earlier row of the same product was rejected: a new product is then skipped without another message.
    pub follows_rejected_row: bool,
    /// The product.
    pub selector: ProductSelector,
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// Audit action of a strict write unless the product is created: `product.update`.
    pub action: &'static str,
    /// URL slug.
    pub slug: Patch,
    /// Display name. Required for a new product.
    pub name: Patch,
    /// Description as unsanitized HTML; empty clears it.
    pub description: Patch,
    /// Title for search engines; empty clears it.
    pub seo_title: Patch,
    /// Description for search engines; empty clears it.
    pub seo_description: Patch,
    /// Vendor name; empty clears it.
    pub vendor: Patch,
    /// Category.
    pub category: Patch<CategoryInput>,
    /// All tags; order and case are ignored.
    pub tags: Patch<Vec<String>>,
    /// Publication status.
    pub status: Patch<PublicationStatus>,
    /// Whether the product is featured (listed first).
    pub featured: Patch<bool>,
    /// All images, in order.
    pub images: Patch<Vec<ProductImage>>,
    /// All options, in order.
    pub options: Patch<Vec<OptionInput>>,
    /// Variants to create, change or delete; others are unchanged.
    pub variants: Vec<VariantPatch>,
    /// Deletes (`true`) or restores (`false`) the product.
    pub deleted: Patch<bool>,
}

impl ProductPatch {
    /// Creates a patch without changes for the product with a slug.
    #[must_use]
    pub fn for_slug(slug: impl Into<String>) -> Self {
        Self { selector: ProductSelector::Slug(slug.into()), ..Self::default() }
    }

    /// Returns the slug in the input: the new one, else the one that selects the product.
    #[must_use]
    pub fn slug(&self) -> Option<&str> {
        self.slug.value().map(String::as_str).or(match &self.selector {
            ProductSelector::Slug(slug) => Some(slug),
            _ => None,
        })
    }

    /// Returns the options in the input.
    #[must_use]
    pub fn options(&self) -> &[OptionInput] {
        self.options.value().map_or(&[], Vec::as_slice)
    }
}

/// An option of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionInput {
    /// Name.
    pub name: String,
    /// Previous name; defaults to `name`.
    pub previous_name: Option<String>,
    /// For a new option, the value of all existing variants.
    pub default_value: Option<String>,
}

impl From<String> for OptionInput {
    fn from(name: String) -> Self {
        Self { name, ..Self::default() }
    }
}

/// Selects the variant to write. Imports ignore it and match each variant by SKU and options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VariantSelector {
    /// A variant to be created.
    #[default]
    New,
    /// The variant with this id.
    Id(i64),
    /// The variant with this id, to be deleted.
    Delete(i64),
    /// The variant with the given SKU or, without one, with the given options; created if it does not exist.
    BySkuOrOptions,
    /// The variant with the given SKU, else the only variant of the product.
    Single,
}

/// Changes to one variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariantPatch {
    /// Path of the input in the request: `input.variants.3`.
    pub path: String,
    /// Line in the imported file; 0 if there is none.
    pub line: u64,
    /// The variant.
    pub selector: VariantSelector,
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// SKU; imports generate a missing one.
    pub sku: Patch,
    /// One value for each option of the product, in their order.
    pub options: Patch<Vec<String>>,
    /// Regular price. Required for a new variant.
    pub price: Patch<Decimal>,
    /// Sale price; clearing it removes the whole sale.
    pub sale_price: Patch<Decimal>,
    /// Start of the sale (inclusive).
    pub sale_starts_at: Patch<DateTime<Utc>>,
    /// End of the sale (exclusive).
    pub sale_ends_at: Patch<DateTime<Utc>>,
    /// On-hand quantity at the default location; clearing it disables stock tracking.
    pub on_hand: Patch<i64>,
    /// Expected on-hand quantity.
    pub expected_on_hand: Option<i64>,
    /// Weight in grams.
    pub weight_grams: Patch<i64>,
    /// Quantity of the content, in its unit.
    pub content_quantity: Patch<Decimal>,
    /// Unit of the content.
    pub content_unit: Patch<MeasureUnit>,
    /// URL of the image.
    pub image: Patch,
    /// Barcode: EAN, UPC or ISBN.
    pub barcode: Patch,
}

/// A sale price, optionally limited in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleInput {
    /// Price during the sale.
    pub price: Decimal,
    /// Start of the sale (inclusive); `None` for a sale without a start.
    pub starts_at: Option<DateTime<Utc>>,
    /// End of the sale (exclusive); `None` for a sale without an end.
    pub ends_at: Option<DateTime<Utc>>,
}

impl VariantPatch {
    /// Replaces the sale.
    pub fn set_sale(&mut self, sale: SaleInput) {
        self.sale_price = Patch::Set(sale.price);
        self.sale_starts_at = Patch::from_option(sale.starts_at);
        self.sale_ends_at = Patch::from_option(sale.ends_at);
    }

    /// Returns the option values in the input.
    #[must_use]
    pub fn option_values(&self) -> &[String] {
        self.options.value().map_or(&[], Vec::as_slice)
    }
}
