//! Options of a product, and the availability of their values.

use std::sync::Arc;

use async_graphql::Object;
use macros::batched_object;

use super::variant::Variant;
use crate::{
    catalog::variant,
    graphql::{
        batched::{Batched, BatchedList},
        loader::VariantKey,
    },
    inventory::{ProductChoices, VariantChoice},
};

/// Product option with all its values.
#[derive(Debug, Clone)]
pub struct ProductOption {
    choices: Arc<ProductChoices>,
    index: usize,
}

impl ProductOption {
    /// Returns the options of a product.
    pub fn list(choices: &Arc<ProductChoices>) -> impl Iterator<Item = Self> {
        (0..choices.options.len()).map(|index| Self { choices: Arc::clone(choices), index })
    }
}

/// Value of a product option.
#[derive(Debug, Clone)]
pub struct ProductOptionValue {
    name: String,
    /// First variant with the value that can be bought.
    available_variant: Option<VariantChoice>,
}

/// Product option with all its values.
#[batched_object]
#[Object]
impl ProductOption {
    /// Option name, such as `Size` or `Color`.
    fn name(&self) -> &str {
        &self.choices.options[self.index].name
    }

    /// Option values, in the order of the variants.
    fn values(&self) -> Vec<String> {
        self.choices.options[self.index].values.clone()
    }

    /// Option values with their availability, in the order of the variants.
    fn option_values(&self) -> BatchedList<ProductOptionValue> {
        let option = &self.choices.options[self.index];
        let to_value = |value: &String| {
            let has_value = |choice: &VariantChoice| {
                choice.options.iter().any(|selected| selected.name == option.name && selected.value == *value)
            };
            let mut available = self.choices.variants.iter().filter(|choice| choice.buyable);
            ProductOptionValue {
                name: value.clone(),
                available_variant: available.find(|choice| has_value(choice)).cloned(),
            }
        };
        BatchedList::unlimited(option.values.iter().map(to_value))
    }
}

/// Value of a product option.
#[batched_object]
#[Object]
impl ProductOptionValue {
    /// Value, such as `M`.
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether a variant with this value is available for purchase.
    fn available(&self) -> bool {
        self.available_variant.is_some()
    }

    /// First variant with this value that is available for purchase; null if there is none.
    fn first_available_variant(
        &self,
        #[load_optional(self.available_variant.as_ref().map(|choice| VariantKey(choice.variant_id)))] rows: Option<
            Arc<[variant::Model]>,
        >,
    ) -> Option<Batched<Variant>> {
        let row = rows?.first().cloned()?;
        Some(Batched(Variant::from(row).with_options(self.available_variant.as_ref()?)))
    }
}
