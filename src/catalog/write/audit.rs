//! Audit records and results of product edits.

use iso_currency::Currency;
use sea_orm::ActiveEnum;
use serde_json::{Map, Value, json};

use super::EditedProduct;
use crate::{
    base::{GlobalId, Money, global_id::NodeType},
    catalog::{
        entity::{product, variant},
        match_existing::ProductChange,
    },
    infra::AuditRecord,
};

type AuditFields = Vec<(&'static str, Value)>;

/// Returns the audit records of a product and its variants. Updates contain only the fields that differ.
pub(super) fn build_audit_records(
    change: &ProductChange,
    action: &'static str,
    currency: Currency,
) -> Vec<AuditRecord> {
    let mut records = Vec::new();
    let current = collect_product_fields(&change.product)
        .into_iter()
        .chain(change.child_diffs.iter().map(|(name, _, value)| (*name, value.clone())));
    let previous = change.before.as_ref().map(|before| {
        let child_fields = change.child_diffs.iter().map(|(name, previous, _)| (*name, previous.clone()));
        collect_product_fields(before).into_iter().chain(child_fields).collect::<AuditFields>()
    });
    let mut current: AuditFields = current.collect();
    if change.child_rows.options {
        current.push(("options", json!(change.options)));
    }
    let action = if change.is_new { "product.create" } else { action };
    records.extend(build_audit_record(action, (NodeType::Product, change.product.id), previous, current));
    for (row, before) in change.changed_variants() {
        let is_deleted = |row: &variant::Model| row.deleted_at.is_some();
        let action = match before {
            None => "variant.create",
            Some(before) if is_deleted(row) && !is_deleted(before) => "variant.delete",
            Some(before) if is_deleted(before) && !is_deleted(row) => "variant.restore",
            Some(_) => "variant.update",
        };
        let previous = before.map(|before| collect_variant_fields(before, currency));
        records.extend(build_audit_record(
            action,
            (NodeType::Variant, row.id),
            previous,
            collect_variant_fields(row, currency),
        ));
    }
    records
}

/// Returns one audit record; `None` if nothing differs.
fn build_audit_record(
    action: &'static str,
    entity: (NodeType, i64),
    previous: Option<AuditFields>,
    current: AuditFields,
) -> Option<AuditRecord> {
    let Some(previous) = previous else {
        let after: Map<String, Value> = current
            .into_iter()
            .filter(|(_, current)| !current.is_null())
            .map(|(name, current)| (name.to_owned(), current))
            .collect();
        return Some(AuditRecord { action, entity, before: None, after: Some(Value::Object(after)) });
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, current) in current {
        let previous =
            previous.iter().find(|(field, _)| *field == name).map_or(Value::Null, |(_, previous)| previous.clone());
        if previous != current {
            before.insert(name.to_owned(), previous);
            after.insert(name.to_owned(), current);
        }
    }
    let is_unchanged = after.is_empty();
    (!is_unchanged).then_some(AuditRecord {
        action,
        entity,
        before: Some(Value::Object(before)),
        after: Some(Value::Object(after)),
    })
}

fn collect_product_fields(row: &product::Model) -> AuditFields {
    vec![
        ("slug", json!(row.slug)),
        ("name", json!(row.name)),
        ("vendor", json!(row.vendor)),
        ("category", json!(GlobalId::new(NodeType::Category, row.category_id).encode())),
        ("status", json!(row.status.to_value())),
        ("featured", json!(row.featured)),
        ("deletedAt", json!(row.deleted_at)),
    ]
}

fn collect_variant_fields(row: &variant::Model, currency: Currency) -> AuditFields {
    let amount = |minor| json!(Money::new(minor, currency).to_decimal().to_string());
    vec![
        ("product", json!(GlobalId::new(NodeType::Product, row.product_id).encode())),
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

/// Returns the result of an edit.
pub(super) fn build_edited_product(change: ProductChange) -> EditedProduct {
    let affected_variant_ids = change.changed_variants().map(|(row, _)| row.id).collect();
    let provided = || change.provided.iter().map(|provided| (&change.variants[provided.row_index], provided.on_hand));
    EditedProduct {
        is_new: change.is_new,
        variants: provided().map(|(row, _)| row.clone()).collect(),
        on_hand_changes: provided().filter_map(|(row, stock)| Some((row.id, stock?))).collect(),
        affected_variant_ids,
        product: change.product,
    }
}
