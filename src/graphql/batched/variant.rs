//! Batch resolution of variants.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{ScalarType, Value};
use futures_util::future::BoxFuture;

use super::{
    super::{
        context::RequestContext,
        loader::{ChoicesOf, VariantStock},
        scalars::clamp_to_i32,
        variant::Variant,
    },
    BatchResolve, FieldSelection, RenderContext, SelectedField, optional_string_value, string_value,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    catalog::{loader::VariantOption, projection::VariantColumns},
    inventory::StockAvailability,
};

/// Data of variants beyond their rows.
#[derive(Debug, Default)]
pub struct PreloadedVariants {
    stock: HashMap<VariantStock, StockAvailability>,
    selected_options: HashMap<ChoicesOf, Arc<[VariantOption]>>,
}

/// Returns the columns that the selected variant fields need.
pub fn select_variant_columns(selection: &FieldSelection<'_>) -> VariantColumns {
    let no_columns = VariantColumns::default();
    let field_columns = |field: &SelectedField<'_>| match field.name() {
        "sku" => VariantColumns { sku: true, ..no_columns },
        "name" => VariantColumns { name: true, ..no_columns },
        "price" => VariantColumns { price: true, ..no_columns },
        "salePrice" | "saleStartsAt" | "saleEndsAt" => {
            VariantColumns { sale_price: true, sale_starts_at: true, sale_ends_at: true, ..no_columns }
        }
        "weightGrams" => VariantColumns { weight_grams: true, ..no_columns },
        "version" => VariantColumns { version: true, ..no_columns },
        "barcode" => VariantColumns { barcode: true, ..no_columns },
        "image" => VariantColumns { image: true, ..no_columns },
        "id" | "currency" | "options" | "inStock" | "stockQuantity" => no_columns,
        _ => VariantColumns::ALL,
    };
    selection.fields().map(field_columns).fold(VariantColumns { id: true, ..no_columns }, VariantColumns::or)
}

impl BatchResolve for Variant {
    type Preloaded = PreloadedVariants;

    fn supports(field: &SelectedField<'_>) -> bool {
        field.name() != "product"
    }

    fn preload<'a>(
        variants: &'a [Self],
        context: &'a RequestContext,
        selection: &'a FieldSelection<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Preloaded>>> {
        let (with_stock, with_options) =
            (selection.contains_any(&["inStock", "stockQuantity"]), selection.contains_any(&["options"]));
        if !with_stock && !with_options {
            return None;
        }
        let keys = move |is_selected: bool| variants.iter().filter(move |_| is_selected).map(|variant| variant.row.id);
        Some(Box::pin(async move {
            let (with_stock, with_options) = futures_util::try_join!(
                context.load_many(keys(with_stock).map(VariantStock)),
                context.load_many(keys(with_options).map(ChoicesOf)),
            )?;
            Ok(PreloadedVariants { stock: with_stock, selected_options: with_options })
        }))
    }

    fn render(
        &self,
        preloaded: &PreloadedVariants,
        field: &SelectedField<'_>,
        render_context: &RenderContext<'_>,
    ) -> Option<Value> {
        let row = &self.row;
        let now = render_context.request_context.db.now();
        let amount = |minor_units| string_value(render_context.request_context.decimal_amount(minor_units).to_string());
        let stock = || preloaded.stock.get(&VariantStock(row.id));
        Some(match field.name() {
            "id" => string_value(GlobalId::new(NodeType::Variant, row.id).encode()),
            "sku" => string_value(&row.sku),
            "name" => string_value(&row.name),
            "price" => amount(row.price),
            "salePrice" => row.current_sale_price(now).map_or(Value::Null, amount),
            "currency" => string_value(render_context.request_context.app_state.config.shop.currency.code()),
            "saleStartsAt" => self.sale_end_date(row.sale_starts_at, now).map_or(Value::Null, |time| time.to_value()),
            "saleEndsAt" => self.sale_end_date(row.sale_ends_at, now).map_or(Value::Null, |time| time.to_value()),
            "options" => {
                let selected_options = preloaded
                    .selected_options
                    .get(&ChoicesOf(row.id))
                    .map_or(&[][..], |selected_options| selected_options);
                let render_option = |option: &VariantOption| {
                    field.selection.build_object("SelectedOption", |child_field| match child_field.name() {
                        "name" => Some(string_value(&option.name)),
                        "value" => Some(string_value(&option.value)),
                        _ => None,
                    })
                };
                Value::List(selected_options.iter().map(render_option).collect::<Option<_>>()?)
            }
            "inStock" => Value::from(stock().is_some_and(|stock| stock.buyable)),
            "stockQuantity" => Value::from(stock().map_or(0, |stock| clamp_to_i32(stock.available))),
            "weightGrams" => row.weight_grams.map_or(Value::Null, |grams| Value::from(clamp_to_i32(grams))),
            "barcode" => optional_string_value(row.barcode.as_deref()),
            "image" => optional_string_value(row.image.as_deref()),
            "version" => Value::from(row.version),
            "createdAt" => row.created_at.to_value(),
            "updatedAt" => row.updated_at.to_value(),
            _ => return None,
        })
    }
}
