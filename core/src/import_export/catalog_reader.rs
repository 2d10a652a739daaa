//! Reader of product CSV files exported by other systems.

use std::io::Read;

use chrono_tz::Tz;

use super::{
    catalog_entry::CatalogEntry,
    csv_rows::{CatalogFormat, CsvRows},
    shopify::ShopifyReader,
    woocommerce::WooCommerceReader,
};

/// A catalog file with a recognized header.
pub struct CatalogReader<'a> {
    /// The detected format.
    pub format: CatalogFormat,
    /// The entries, read lazily; a product can produce several.
    pub entries: Box<dyn Iterator<Item = CatalogEntry> + Send + 'a>,
}

/// Opens a Shopify or `WooCommerce` product file of any size; rows are read lazily after the header.
/// Dates and times without an offset are interpreted in `time_zone`.
///
/// # Errors
/// Returns the reason if the file is empty, unreadable or in an unknown format.
pub fn open_catalog<'a>(source: impl Read + Send + 'a, time_zone: Tz) -> Result<CatalogReader<'a>, String> {
    let (format, rows) = CsvRows::open(source, time_zone)?;
    let entries: Box<dyn Iterator<Item = CatalogEntry> + Send + 'a> = match format {
        CatalogFormat::Shopify => Box::new(ShopifyReader::new(rows)),
        CatalogFormat::WooCommerce => Box::new(WooCommerceReader::new(rows)),
    };
    Ok(CatalogReader { format, entries })
}
