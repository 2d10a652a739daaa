//! A product as somebody outside describes it: what an import, a form or the demo generator hands in.
//!
//! A field that is `None` was not said: it keeps its value on an existing product and takes the default on a new one.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// Where a product stands in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// Being prepared; only staff see it.
    #[default]
    #[sea_orm(string_value = "draft")]
    Draft,
    /// On sale and visible to everybody.
    #[sea_orm(string_value = "active")]
    Active,
    /// Withdrawn, kept for the orders that name it.
    #[sea_orm(string_value = "archived")]
    Archived,
}

/// One product with its variants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductDraft {
    /// The line it was read from (0 when there is none).
    pub line: u64,
    /// The product's lasting name in addresses (Shopify's handle). An import matches by it.
    pub slug: String,
    /// What shoppers read. Required when the product is new.
    pub name: Option<String>,
    /// HTML from outside, not yet sanitised.
    pub description_html: Option<String>,
    /// Who makes it.
    pub vendor: Option<String>,
    /// The names from the root of the tree down to the product's category.
    pub category: Option<Vec<String>>,
    /// Free words; order and case do not matter.
    pub tags: Option<Vec<String>>,
    /// Draft, active or archived.
    pub status: Option<Status>,
    /// Shown first.
    pub featured: Option<bool>,
    /// Pictures in their order; an empty list says nothing.
    pub images: Vec<ImageDraft>,
    /// The names of the options, in order: `Size`, `Colour`. Empty for a simple product.
    pub options: Vec<String>,
    /// What can be bought.
    pub variants: Vec<VariantDraft>,
    /// The row that names it was refused: if the product is new it is left out, and nothing more is said of it.
    pub after_refused: bool,
}

/// A picture of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDraft {
    /// Where it is.
    pub url: String,
    /// What it shows, in words.
    pub alt: Option<String>,
}

/// One thing that can be bought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariantDraft {
    /// The line it was read from (0 when there is none).
    pub line: u64,
    /// The shop's own number for it; derived when absent.
    pub sku: Option<String>,
    /// One value for each of the product's options, in their order.
    pub options: Vec<String>,
    /// The regular price.
    pub price: Option<Decimal>,
    /// `Some(None)` says that there is no sale.
    pub sale: Option<Option<Sale>>,
    /// How many are on hand at the default location.
    pub stock: Option<i64>,
    /// In grams.
    pub weight_grams: Option<i64>,
    /// Where its picture is.
    pub image: Option<String>,
    /// EAN, UPC or ISBN.
    pub barcode: Option<String>,
}

/// A lower price, for a while or until further notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// What a buyer pays while it lasts.
    pub price: Decimal,
    /// The first moment, or already.
    pub starts_at: Option<DateTime<Utc>>,
    /// The moment it is over, or never.
    pub ends_at: Option<DateTime<Utc>>,
}
