//! The fields of products and variants that the audit log records: all columns except those listed here.

use iso_currency::Currency;
use sea_orm::{EntityTrait, IdenStatic, Iterable, ModelTrait, sea_query::sea_value_to_json_value};
use serde_json::{Map, Value, json};

use crate::{
    base::{GlobalId, Money, global_id::NodeType},
    catalog::{
        entity::{product, variant},
        measure::quantity_to_decimal,
    },
};

/// Columns that are derived from other columns, from child rows or from variants, and those that every change sets.
const UNAUDITED_PRODUCT_COLUMNS: [product::Column; 18] = [
    product::Column::Id,
    product::Column::NameNormalized,
    product::Column::VendorNormalized,
    product::Column::Image,
    product::Column::Sku,
    product::Column::Price,
    product::Column::SalePrice,
    product::Column::CurrentPrice,
    product::Column::MaxCurrentPrice,
    product::Column::DiscountPercent,
    product::Column::InStock,
    product::Column::NextPriceChangeAt,
    product::Column::UnitsSold,
    product::Column::SaleEndsAt,
    product::Column::RankedAt,
    product::Column::Version,
    product::Column::CreatedAt,
    product::Column::UpdatedAt,
];
/// Columns that are derived from options or the input's order, those that every change sets, and those that stock
/// settings change, which have audit records of their own.
const UNAUDITED_VARIANT_COLUMNS: [variant::Column; 7] = [
    variant::Column::Id,
    variant::Column::OptionsNormalized,
    variant::Column::AllowBackorder,
    variant::Column::Position,
    variant::Column::Version,
    variant::Column::CreatedAt,
    variant::Column::UpdatedAt,
];

/// Returns the audited fields of a product.
pub(super) fn collect_product_fields(row: &product::Model, currency: Currency) -> Map<String, Value> {
    collect_fields(row, &UNAUDITED_PRODUCT_COLUMNS, currency)
}

/// Returns the audited fields of a variant.
pub(super) fn collect_variant_fields(row: &variant::Model, currency: Currency) -> Map<String, Value> {
    collect_fields(row, &UNAUDITED_VARIANT_COLUMNS, currency)
}

fn collect_fields<M: ModelTrait>(
    row: &M,
    unaudited: &[<M::Entity as EntityTrait>::Column],
    currency: Currency,
) -> Map<String, Value> {
    let columns = <M::Entity as EntityTrait>::Column::iter();
    let audited = columns.filter(|column| !unaudited.iter().any(|other| other.as_str() == column.as_str()));
    audited.map(|column| to_field(column.as_str(), row.get(column), currency)).collect()
}

/// Returns the name and value of a field: references are global ids, amounts decimals.
fn to_field(column: &str, value: sea_orm::Value, currency: Currency) -> (String, Value) {
    let encode_id = |node_type, id: Option<i64>| json!(id.map(|id| GlobalId::new(node_type, id).encode()));
    match (column, value) {
        ("category_id", sea_orm::Value::BigInt(id)) => ("category".to_owned(), encode_id(NodeType::Category, id)),
        ("product_id", sea_orm::Value::BigInt(id)) => ("product".to_owned(), encode_id(NodeType::Product, id)),
        ("price" | "sale_price", sea_orm::Value::BigInt(minor_units)) => {
            let amount = minor_units.map(|minor_units| Money::new(minor_units, currency).to_decimal().to_string());
            (to_camel_case(column), json!(amount))
        }
        ("content_quantity", sea_orm::Value::BigInt(quantity)) => {
            (to_camel_case(column), json!(quantity.map(|quantity| quantity_to_decimal(quantity).to_string())))
        }
        (_, sea_orm::Value::ChronoDateTimeUtc(at)) => (to_camel_case(column), json!(at)),
        (_, value) => (to_camel_case(column), sea_value_to_json_value(&value)),
    }
}

fn to_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel_case = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        camel_case.push_str(&first.to_ascii_uppercase());
        camel_case.push_str(rest);
    }
    camel_case
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::catalog::PublicationStatus;

    #[test]
    fn product_fields_exclude_derived_columns() {
        let row = product::Model {
            id: 7,
            slug: "mug".into(),
            name: "Mug".into(),
            category_id: 3,
            status: PublicationStatus::Active,
            price: 100,
            deleted_at: Some(DateTime::UNIX_EPOCH),
            ..product::Model::default()
        };
        let expected = json!({
            "slug": "mug", "name": "Mug", "vendor": null, "category": GlobalId::new(NodeType::Category, 3).encode(),
            "status": "active", "featured": false, "deletedAt": "1970-01-01T00:00:00Z",
        });
        assert_eq!(Value::Object(collect_product_fields(&row, Currency::KES)), expected);
    }

    #[test]
    fn variant_fields_have_decimal_amounts_and_global_ids() {
        let row = variant::Model {
            product_id: 7,
            sku: "MUG".into(),
            name: "Default".into(),
            price: 1050,
            sale_price: Some(900),
            weight_grams: Some(300),
            track_stock: true,
            ..variant::Model::default()
        };
        let expected = json!({
            "product": GlobalId::new(NodeType::Product, 7).encode(), "sku": "MUG", "name": "Default",
            "price": "10.50", "salePrice": "9.00", "saleStartsAt": null, "saleEndsAt": null, "weightGrams": 300,
            "contentQuantity": null, "contentUnit": null,
            "image": null, "barcode": null, "trackStock": true, "deletedAt": null,
        });
        assert_eq!(Value::Object(collect_variant_fields(&row, Currency::KES)), expected);
    }
}
