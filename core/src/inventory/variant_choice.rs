//! The variants of a product as a shopper chooses among them: by their options, and by whether they can be bought.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::queries::{self, VariantOptionRow};
use crate::{
    base::{Result, text},
    catalog::loader::{OptionValues, VariantOption},
};

/// The options of a product and its variants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChoices {
    /// The options with their values, in order.
    pub options: Vec<OptionValues>,
    /// The active variants, in order.
    pub variants: Vec<VariantChoice>,
}

/// A variant with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantChoice {
    /// The variant.
    pub variant_id: i64,
    /// Whether it can be bought.
    pub buyable: bool,
    /// Its options, in order.
    pub options: Vec<VariantOption>,
}

impl VariantChoice {
    /// Returns whether it has all the options, whose names and values are normalized.
    fn has_options(&self, options: &[VariantOption]) -> bool {
        options.iter().all(|selected| {
            let is_selected = |option: &VariantOption| {
                text::normalize_text(&option.name) == selected.name
                    && text::normalize_text(&option.value) == selected.value
            };
            self.options.iter().any(is_selected)
        })
    }
}

/// Selects among the variants that have all the options, or among all variants if none has them: the first that can be
/// bought, else the first. Names and values of the options are normalized.
#[must_use]
pub fn select_variant<'a>(choices: &'a [VariantChoice], options: &[VariantOption]) -> Option<&'a VariantChoice> {
    let fitting = || choices.iter().filter(|choice| choice.has_options(options));
    let is_buyable = |choice: &&VariantChoice| choice.buyable;
    let selected = fitting().find(is_buyable).or_else(|| fitting().next());
    selected.or_else(|| choices.iter().find(is_buyable)).or_else(|| choices.first())
}

/// Returns the options of products and their variants. Statements: 1.
pub async fn load_product_choices(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
) -> Result<HashMap<i64, ProductChoices>> {
    let mut rows_by_product: HashMap<i64, Vec<VariantOptionRow>> = HashMap::with_capacity(product_ids.len());
    for row in queries::load_variant_option_rows(db, product_ids).await? {
        rows_by_product.entry(row.product_id).or_default().push(row);
    }
    Ok(rows_by_product.into_iter().map(|(product_id, rows)| (product_id, collect_choices(rows))).collect())
}

/// Collects the choices of one product from its rows, which are in the order of the variants and their options.
fn collect_choices(rows: Vec<VariantOptionRow>) -> ProductChoices {
    let mut choices = ProductChoices::default();
    let mut positions: Vec<i32> = Vec::new();
    for VariantOptionRow { product_id: _, variant_id, buyable, position, name, value } in rows {
        let variants = &mut choices.variants;
        if variants.last().is_none_or(|choice| choice.variant_id != variant_id) {
            variants.push(VariantChoice { variant_id, buyable: buyable == 1, options: Vec::new() });
        }
        // A variant without options has one row without a name.
        let (Some(choice), Some(name), Some(value)) = (variants.last_mut(), name, value) else { continue };
        choice.options.push(VariantOption { name: name.clone(), value: value.clone() });
        match choices.options.iter_mut().find(|option| option.name == name) {
            Some(option) if option.values.contains(&value) => {}
            Some(option) => option.values.push(value),
            None => {
                let index = positions.partition_point(|other| Some(*other) <= position);
                positions.insert(index, position.unwrap_or_default());
                choices.options.insert(index, OptionValues { name, values: vec![value] });
            }
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(variant_id: i64, buyable: bool, size: &str) -> VariantChoice {
        let option = VariantOption { name: "Size".into(), value: size.into() };
        VariantChoice { variant_id, buyable, options: vec![option] }
    }

    fn selected_id(choices: &[VariantChoice], name: &str, value: &str) -> Option<i64> {
        let options = [VariantOption { name: name.into(), value: value.into() }];
        select_variant(choices, &options).map(|choice| choice.variant_id)
    }

    #[test]
    fn variant_with_the_options_is_selected_even_if_sold_out() {
        let choices = [choice(1, true, "S"), choice(2, false, "M")];
        assert_eq!(selected_id(&choices, "size", "m"), Some(2));
    }

    #[test]
    fn first_available_variant_is_selected_when_none_fits() {
        let choices = [choice(1, false, "S"), choice(2, true, "M")];
        assert_eq!(selected_id(&choices, "size", "xl"), Some(2));
        assert_eq!(selected_id(&choices, "color", "m"), Some(2));
        assert_eq!(select_variant(&choices, &[]).map(|choice| choice.variant_id), Some(2));
    }

    #[test]
    fn first_variant_is_selected_when_none_is_available() {
        assert_eq!(selected_id(&[choice(1, false, "S"), choice(2, false, "M")], "size", "xl"), Some(1));
        assert_eq!(selected_id(&[], "size", "m"), None);
    }
}
