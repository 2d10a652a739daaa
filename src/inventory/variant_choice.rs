//! The variants of a product as a shopper chooses among them: by their options, and by whether they can be bought.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::queries;
use crate::{
    base::{Result, text},
    catalog::loader::VariantOption,
};

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
        options.iter().all(|wanted| {
            let is_wanted = |option: &VariantOption| {
                text::normalize_text(&option.name) == wanted.name && text::normalize_text(&option.value) == wanted.value
            };
            self.options.iter().any(is_wanted)
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

/// Returns the variants of products with their options, in order. Statements: 1.
pub async fn load_variant_choices(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
) -> Result<HashMap<i64, Vec<VariantChoice>>> {
    let mut choices_by_product: HashMap<i64, Vec<VariantChoice>> = HashMap::with_capacity(product_ids.len());
    for row in queries::load_variant_option_rows(db, product_ids).await? {
        let choices = choices_by_product.entry(row.product_id).or_default();
        if choices.last().is_none_or(|choice| choice.variant_id != row.variant_id) {
            choices.push(VariantChoice { variant_id: row.variant_id, buyable: row.buyable == 1, options: Vec::new() });
        }
        // A variant without options has one row without a name.
        if let (Some(choice), Some((name, value))) = (choices.last_mut(), row.name.zip(row.value)) {
            choice.options.push(VariantOption { name, value });
        }
    }
    Ok(choices_by_product)
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
