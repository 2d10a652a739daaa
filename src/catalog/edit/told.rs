//! What has changed, in words: for the audit log and for whoever said it.

use iso_currency::Currency;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::Edited;
use crate::{
    base::{GlobalId, Money, id::Kind},
    catalog::{
        entity::{product, variant},
        merge::Merged,
    },
    infra::Change,
};

type Fields = Vec<(&'static str, Value)>;

/// The lines of the audit log for a product and its variants. Of what was changed only what differs.
pub(super) fn changes(merged: &Merged, action: &'static str, currency: Currency) -> Vec<Change> {
    let mut changes = Vec::new();
    let now =
        of_product(&merged.product).into_iter().chain(merged.told.iter().map(|(name, _, is)| (*name, is.clone())));
    let was = merged.before.as_ref().map(|before| {
        let told = merged.told.iter().map(|(name, was, _)| (*name, was.clone()));
        of_product(before).into_iter().chain(told).collect::<Fields>()
    });
    let mut now: Fields = now.collect();
    if merged.parts.options {
        now.push(("options", json!(merged.options)));
    }
    let action = if merged.is_new { "product.create" } else { action };
    changes.extend(change(action, (Kind::Product, merged.product.id), was, now));
    for (row, before) in merged.changed_variants() {
        let gone = |row: &variant::Model| row.deleted_at.is_some();
        let action = match before {
            None => "variant.create",
            Some(before) if gone(row) && !gone(before) => "variant.delete",
            Some(before) if gone(before) && !gone(row) => "variant.restore",
            Some(_) => "variant.update",
        };
        let was = before.map(|before| of_variant(before, currency));
        changes.extend(change(action, (Kind::Variant, row.id), was, of_variant(row, currency)));
    }
    changes
}

/// One line; none where nothing differs.
fn change(action: &'static str, thing: (Kind, i64), was: Option<Fields>, is: Fields) -> Option<Change> {
    let Some(was) = was else {
        let after: Map<String, Value> =
            is.into_iter().filter(|(_, is)| !is.is_null()).map(|(name, is)| (name.to_owned(), is)).collect();
        return Some(Change { action, thing, before: None, after: Some(Value::Object(after)) });
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, is) in is {
        let was = was.iter().find(|(known, _)| *known == name).map_or(Value::Null, |(_, was)| was.clone());
        if was != is {
            before.insert(name.to_owned(), was);
            after.insert(name.to_owned(), is);
        }
    }
    let same = after.is_empty();
    (!same).then_some(Change { action, thing, before: Some(Value::Object(before)), after: Some(Value::Object(after)) })
}

fn of_product(row: &product::Model) -> Fields {
    vec![
        ("slug", json!(row.slug)),
        ("name", json!(row.name)),
        ("vendor", json!(row.vendor)),
        ("category", json!(GlobalId::new(Kind::Category, row.category_id).encode())),
        ("status", json!(row.status.to_value())),
        ("featured", json!(row.featured)),
        ("deletedAt", json!(row.deleted_at)),
    ]
}

fn of_variant(row: &variant::Model, currency: Currency) -> Fields {
    let amount = |minor| json!(Money::new(minor, currency).decimal().to_string());
    vec![
        ("product", json!(GlobalId::new(Kind::Product, row.product_id).encode())),
        ("sku", json!(row.sku)),
        ("name", json!(row.name)),
        ("price", amount(row.price)),
        ("salePrice", row.sale_price.map_or(Value::Null, amount)),
        ("saleStartsAt", json!(row.sale_starts_at)),
        ("saleEndsAt", json!(row.sale_ends_at)),
        ("weightGrams", json!(row.weight_grams)),
        ("image", json!(row.image)),
        ("barcode", json!(row.barcode)),
        ("trackStock", json!(row.track_stock)),
        ("deletedAt", json!(row.deleted_at)),
    ]
}

/// What whoever said it gets back.
pub(super) fn edited(merged: Merged) -> Edited {
    let touched = merged.changed_variants().map(|(row, _)| row.id).collect();
    let said = || merged.said.iter().map(|said| (&merged.variants[said.place], said.stock));
    Edited {
        made: merged.is_new,
        variants: said().map(|(row, _)| row.clone()).collect(),
        stock: said().filter_map(|(row, stock)| Some((row.id, stock?))).collect(),
        touched,
        product: merged.product,
    }
}
