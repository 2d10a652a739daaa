//! Variants the short way.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{ScalarType, Value};
use futures_util::future::BoxFuture;

use super::{
    super::{
        context::Scope,
        int,
        loader::{ChoicesOf, VariantStock},
        variant::Variant,
    },
    Asked, AtHand, One, Way, maybe, text,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    catalog::{columns::VariantColumns, loader::Choice},
    inventory::Stock,
};

/// What variants need beside their rows.
#[derive(Debug, Default)]
pub struct Beside {
    stock: HashMap<VariantStock, Stock>,
    choices: HashMap<ChoicesOf, Arc<[Choice]>>,
}

/// The columns that fields of a variant are told from.
pub fn columns(asked: &Asked<'_>) -> VariantColumns {
    let none = VariantColumns::default();
    let of = |one: &One<'_>| match one.name() {
        "sku" => VariantColumns { sku: true, ..none },
        "name" => VariantColumns { name: true, ..none },
        "price" => VariantColumns { price: true, ..none },
        "salePrice" | "saleStartsAt" | "saleEndsAt" => {
            VariantColumns { sale_price: true, sale_starts_at: true, sale_ends_at: true, ..none }
        }
        "weightGrams" => VariantColumns { weight_grams: true, ..none },
        "version" => VariantColumns { version: true, ..none },
        "barcode" => VariantColumns { barcode: true, ..none },
        "image" => VariantColumns { image: true, ..none },
        "id" | "currency" | "options" | "inStock" | "stockQuantity" => none,
        _ => VariantColumns::ALL,
    };
    asked.fields().map(of).fold(VariantColumns { id: true, ..none }, VariantColumns::or)
}

impl AtHand for Variant {
    type Beside = Beside;

    fn knows(one: &One<'_>) -> bool {
        one.name() != "product"
    }

    fn beside<'a>(
        things: &'a [Self],
        scope: &'a Scope,
        asked: &'a Asked<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Beside>>> {
        let (stock, choices) = (asked.any(&["inStock", "stockQuantity"]), asked.any(&["options"]));
        if !stock && !choices {
            return None;
        }
        let keys = move |wanted: bool| things.iter().filter(move |_| wanted).map(|one| one.row.id);
        Some(Box::pin(async move {
            let (stock, choices) = futures_util::try_join!(
                scope.load_many(keys(stock).map(VariantStock)),
                scope.load_many(keys(choices).map(ChoicesOf)),
            )?;
            Ok(Beside { stock, choices })
        }))
    }

    fn value(&self, beside: &Beside, one: &One<'_>, way: &Way<'_>) -> Option<Value> {
        let row = &self.row;
        let now = way.scope.db.now();
        let amount = |minor| text(way.scope.amount(minor).to_string());
        let stock = || beside.stock.get(&VariantStock(row.id));
        Some(match one.name() {
            "id" => text(GlobalId::new(Kind::Variant, row.id).encode()),
            "sku" => text(&row.sku),
            "name" => text(&row.name),
            "price" => amount(row.price),
            "salePrice" => row.sale_now(now).map_or(Value::Null, amount),
            "currency" => text(way.scope.shared.config.shop.currency.code()),
            "saleStartsAt" => self.sale_at(row.sale_starts_at, now).map_or(Value::Null, |at| at.to_value()),
            "saleEndsAt" => self.sale_at(row.sale_ends_at, now).map_or(Value::Null, |at| at.to_value()),
            "options" => {
                let choices = beside.choices.get(&ChoicesOf(row.id)).map_or(&[][..], |choices| choices);
                let tell = |choice: &Choice| {
                    one.below.object("SelectedOption", |part| match part.name() {
                        "name" => Some(text(&choice.name)),
                        "value" => Some(text(&choice.value)),
                        _ => None,
                    })
                };
                Value::List(choices.iter().map(tell).collect::<Option<_>>()?)
            }
            "inStock" => Value::from(stock().is_some_and(|stock| stock.buyable)),
            "stockQuantity" => Value::from(stock().map_or(0, |stock| int(stock.available))),
            "weightGrams" => row.weight_grams.map_or(Value::Null, |grams| Value::from(int(grams))),
            "barcode" => maybe(row.barcode.as_deref()),
            "image" => maybe(row.image.as_deref()),
            "version" => Value::from(row.version),
            "createdAt" => row.created_at.to_value(),
            "updatedAt" => row.updated_at.to_value(),
            _ => return None,
        })
    }
}
