//! Options of a product, and the availability of their values.

use std::sync::Arc;

use async_graphql::Object;
use macros::batched_object;

use super::variant::Variant;
use crate::{
    catalog::{loader, variant},
    graphql::{
        batched::{Batched, BatchedList},
        loader::{VariantChoicesOf, VariantKey},
    },
    inventory::VariantChoice,
};

/// Product option with all its values.
#[derive(Debug, Clone)]
pub struct ProductOption {
    product_id: i64,
    name: String,
    values: Vec<String>,
}

impl ProductOption {
    /// Creates an option of a product.
    #[must_use]
    pub fn new(product_id: i64, row: loader::OptionValues) -> Self {
        Self { product_id, name: row.name, values: row.values }
    }
}

/// Value of a product option.
#[derive(Debug, Clone)]
pub struct ProductOptionValue {
    name: String,
    /// First variant with the value that can be bought.
    available_variant_id: Option<i64>,
}

/// Product option with all its values.
#[batched_object]
#[Object]
impl ProductOption {
    /// Option name, such as `Size` or `Color`.
    fn name(&self) -> &str {
        &self.name
    }

    /// Option values, in the order of the variants.
    fn values(&self) -> Vec<String> {
        self.values.clone()
    }

    /// Option values with their availability, in the order of the variants.
    fn option_values(
        &self,
        #[load(VariantChoicesOf(self.product_id))] choices: Option<Arc<[VariantChoice]>>,
    ) -> BatchedList<ProductOptionValue> {
        let to_value = |value: &String| {
            let has_value = |option: &loader::VariantOption| option.name == self.name && option.value == *value;
            let is_available = |choice: &&VariantChoice| choice.buyable && choice.options.iter().any(has_value);
            let available_variant = choices.iter().flat_map(|choices| choices.iter()).find(is_available);
            ProductOptionValue {
                name: value.clone(),
                available_variant_id: available_variant.map(|choice| choice.variant_id),
            }
        };
        BatchedList::unlimited(self.values.iter().map(to_value))
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
        self.available_variant_id.is_some()
    }

    /// First variant with this value that is available for purchase; null if there is none.
    fn first_available_variant(
        &self,
        #[load_optional(self.available_variant_id.map(VariantKey))] rows: Option<Arc<[variant::Model]>>,
    ) -> Option<Batched<Variant>> {
        rows.and_then(|rows| rows.first().cloned()).map(|row| Batched(Variant::from(row)))
    }
}
