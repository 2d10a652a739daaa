//! Attributes of `WooCommerce` products: the options of their variations.

use super::Variation;
use crate::import_export::{catalog_reader::CsvRow, csv_fields::decode_woocommerce_text};

/// Collects the attributes that distinguish the variations, in the parent's order.
pub(super) fn collect_option_names(parent_order: &[String], variations: &[Variation]) -> Vec<String> {
    let attribute_names = variations.iter().flat_map(|variation| &variation.attributes);
    let attribute_names: Vec<&String> = attribute_names.map(|(name, _)| name).collect();
    let mut options: Vec<String> = Vec::new();
    for name in parent_order.iter().chain(attribute_names.iter().copied()) {
        if attribute_names.contains(&name) && !options.contains(name) {
            options.push(name.clone());
        }
    }
    options
}

pub(super) fn parse_attributes(row: &CsvRow) -> Vec<(String, String)> {
    let text = |column: String| Some(decode_woocommerce_text(row.cell(&column)?).replace("\\,", ","));
    let name = |n: u32| text(format!("Attribute {n} name"));
    let pairs = (1..).map_while(|n| Some((name(n)?, text(format!("Attribute {n} value(s)"))?)));
    pairs.filter(|(name, _)| !name.is_empty()).collect()
}
