//! Attributes of `WooCommerce` products: the options of their variations.

use crate::{
    base::Patch,
    catalog::VariantPatch,
    import_export::{catalog_entry::RowError, csv_fields::decode_woocommerce_text, csv_rows::CsvRow},
};

/// A variation of a variable product.
pub(super) struct Variation {
    /// The attribute names and values.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) variant: VariantPatch,
}

impl Variation {
    /// Converts to a variant with a value for each option. A missing value, "any" in `WooCommerce`, becomes `Any`.
    pub(super) fn into_variant(self, options: &[String]) -> Result<VariantPatch, RowError> {
        let Self { mut attributes, mut variant } = self;
        let mut take_value = |option: &String| {
            let index = attributes.iter().position(|(name, _)| name == option);
            let value = index.map(|index| attributes.swap_remove(index).1);
            value.filter(|value| !value.is_empty()).unwrap_or_else(|| "Any".into())
        };
        variant.options = Patch::Set(options.iter().map(&mut take_value).collect());
        let Some((name, _)) = attributes.pop() else {
            return Ok(variant);
        };
        let (line, options) = (variant.line, options.join(", "));
        let reason = format!("attribute \"{name}\" is not among the product's: {options}");
        Err(RowError { line, reason })
    }
}

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
