//! Input for products, as provided by imports, the API or the demo data generator.
//!
//! A field that is `None` was not provided: it keeps its value on an existing product and takes the default on a new
//! one.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// Publication status of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum PublicationStatus {
    /// In preparation; visible to staff only.
    #[default]
    #[sea_orm(string_value = "draft")]
    Draft,
    /// On sale and visible to everyone.
    #[sea_orm(string_value = "active")]
    Active,
    /// Withdrawn; kept for the orders that refer to it.
    #[sea_orm(string_value = "archived")]
    Archived,
}

/// Input for one product with its variants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductInput {
    /// Line number in the source file; 0 if there is none.
    pub line: u64,
    /// URL slug (Shopify's handle). Imports match products by it.
    pub slug: String,
    /// Display name. Required for a new product.
    pub name: Option<String>,
    /// Description as unsanitized HTML.
    pub description_html: Option<String>,
    /// Vendor name.
    pub vendor: Option<String>,
    /// Category names from the root of the tree down to the product's category.
    pub category_path: Option<Vec<String>>,
    /// Tags; order and case are ignored.
    pub tags: Option<Vec<String>>,
    /// Publication status.
    pub status: Option<PublicationStatus>,
    /// Whether the product is featured (listed first).
    pub featured: Option<bool>,
    /// Images in order; an empty list leaves them unchanged.
    pub images: Vec<ProductImageInput>,
    /// Option names in order: `Size`, `Color`. Empty for a simple product.
    pub options: Vec<String>,
    /// The variants.
    pub variants: Vec<VariantInput>,
    /// Whether an earlier row of the same product was rejected: a new product is then skipped without another message.
    pub follows_rejected_row: bool,
}

/// An image of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductImageInput {
    /// URL of the image.
    pub url: String,
    /// Alternative text.
    pub alt: Option<String>,
}

/// Input for one variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariantInput {
    /// Line number in the source file; 0 if there is none.
    pub line: u64,
    /// SKU; generated if absent.
    pub sku: Option<String>,
    /// One value for each of the product's options, in their order.
    pub options: Vec<String>,
    /// Regular price.
    pub price: Option<Decimal>,
    /// Sale price; `Some(None)` removes the sale.
    pub sale: Option<Option<SaleInput>>,
    /// On-hand quantity at the default location.
    pub on_hand: Option<i64>,
    /// Weight in grams.
    pub weight_grams: Option<i64>,
    /// URL of the image.
    pub image: Option<String>,
    /// Barcode: EAN, UPC or ISBN.
    pub barcode: Option<String>,
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
