//! The columns of `WooCommerce`'s product CSV.

/// The imported columns in which a line break is an error.
const SINGLE_LINE_COLUMNS: [&str; 17] = [
    "ID",
    "Type",
    "SKU",
    "GTIN, UPC, EAN, or ISBN",
    "Name",
    "Published",
    "Is featured?",
    "Brands",
    "Stock",
    "Parent",
    "Date sale price starts",
    "Date sale price ends",
    "Sale price",
    "Regular price",
    "Categories",
    "Tags",
    "Images",
];

/// Returns whether a line break in an imported column is an error.
pub(super) fn is_single_line(column: &str) -> bool {
    SINGLE_LINE_COLUMNS.iter().any(|name| name.eq_ignore_ascii_case(column))
}
