//! Administration of tax rates and shipping methods: validation, writes and audit records.

use iso_currency::Currency;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, IntoActiveModel, ModelTrait, QueryFilter,
    QuerySelect, sea_query::LockType,
};
use serde_json::{Value, json};

use super::entity::{
    shipping_method::{self, ShippingKind},
    tax_rate,
};
use crate::{
    base::{
        Country, Error, GlobalId, Money, Patch, Result, Validator, VersionedTarget, error::PublicErrorCode,
        global_id::NodeType, money::MAX_MINOR_UNITS,
    },
    catalog::category_row as category,
    infra::{AuditRecord, Db, Tx},
};

/// The maximum weight of a shipment: 1,000 tonnes, in grams.
const MAX_WEIGHT_GRAMS: i64 = 1_000_000_000;
/// The maximum number of shipping methods, and of tax rates; their lists are not paginated.
pub const MAX_PRICING_ROWS: usize = 1_000;

/// The fields to set on a shipping method.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct ShippingMethodPatch {
    pub name: Patch,
    pub description: Patch,
    pub countries: Option<Vec<String>>,
    pub price: Option<Decimal>,
    pub price_per_kg: Patch<Decimal>,
    pub min_weight_grams: Patch<i32>,
    pub max_weight_grams: Patch<i32>,
    pub free_shipping_threshold: Patch<Decimal>,
    pub taxable: Option<bool>,
    pub position: Option<i32>,
    pub active: Option<bool>,
}

/// The fields to set on a tax rate.
#[derive(Debug, Default)]
pub struct TaxRatePatch {
    /// The name.
    pub name: Patch,
    /// The rate in percent.
    pub percent: Option<Decimal>,
    /// Whether prices include the tax.
    pub included: Option<bool>,
}

/// Creates a shipping method.
///
/// # Errors
/// Returns `BadUserInput` if a field is invalid, `IllegalTransition` if there are [`MAX_PRICING_ROWS`] already.
pub async fn create_shipping_method(
    db: &Db,
    currency: Currency,
    patch: ShippingMethodPatch,
) -> Result<shipping_method::Model> {
    db.write(async |tx| insert_shipping_method(tx, currency, patch).await).await
}

pub(super) async fn insert_shipping_method(
    tx: &Tx,
    currency: Currency,
    patch: ShippingMethodPatch,
) -> Result<shipping_method::Model> {
    let mut row = shipping_method::Model {
        id: 0,
        name: String::new(),
        description: None,
        countries: String::new(),
        kind: ShippingKind::Flat,
        price: 0,
        price_per_kg: None,
        min_weight_grams: None,
        max_weight_grams: None,
        free_shipping_threshold: None,
        taxable: true,
        position: 0,
        active: true,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        deleted_at: None,
    };
    apply_shipping_method_patch(&mut row, patch, currency)?;
    if super::shipping::list_shipping_methods(tx, false).await?.len() >= MAX_PRICING_ROWS {
        return Err(too_many_rows_error());
    }
    let mut new_row = row.into_active_model().reset_all();
    new_row.id = NotSet;
    let row = new_row.insert(tx).await?;
    let after = Some(shipping_method_to_audit_json(&row, currency));
    let entity = (NodeType::ShippingMethod, row.id);
    tx.record_audit(&[AuditRecord { action: "shipping_method.create", entity, before: None, after }]).await?;
    Ok(row)
}

/// Updates a shipping method. The version is unchanged if no value changes.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, or `BadUserInput` if a field is invalid.
pub async fn update_shipping_method(
    db: &Db,
    currency: Currency,
    target: VersionedTarget,
    patch: ShippingMethodPatch,
) -> Result<shipping_method::Model> {
    db.write(async |tx| {
        let before = lock_shipping_method(tx, target).await?;
        let mut after = before.clone();
        apply_shipping_method_patch(&mut after, patch, currency)?;
        let entity = (NodeType::ShippingMethod, before.id);
        let (old_values, new_values) =
            (shipping_method_to_audit_json(&before, currency), shipping_method_to_audit_json(&after, currency));
        let Some(record) = AuditRecord::updated("shipping_method.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        after.version += 1;
        after.updated_at = tx.now();
        let row = after.into_active_model().reset_all().update(tx).await?;
        tx.record_audit(&[record]).await?;
        Ok(row)
    })
    .await
}

/// Soft-deletes a shipping method. It can no longer be selected; carts that use it must select another one.
///
/// # Errors
/// Returns `NotFound` or `VersionConflict`.
pub async fn delete_shipping_method(db: &Db, currency: Currency, target: VersionedTarget) -> Result<i64> {
    db.write(async |tx| {
        let mut row = lock_shipping_method(tx, target).await?;
        let before = Some(shipping_method_to_audit_json(&row, currency));
        row.version += 1;
        row.deleted_at = Some(tx.now());
        row.updated_at = tx.now();
        let row = row.into_active_model().reset_all().update(tx).await?;
        let entity = (NodeType::ShippingMethod, row.id);
        tx.record_audit(&[AuditRecord { action: "shipping_method.delete", entity, before, after: None }]).await?;
        Ok(row.id)
    })
    .await
}

async fn lock_shipping_method(tx: &Tx, target: VersionedTarget) -> Result<shipping_method::Model> {
    let query = shipping_method::Entity::find_by_id(target.id).filter(shipping_method::Column::DeletedAt.is_null());
    let row = query.lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "shipping method"))?;
    target.check_version(row.version)?;
    Ok(row)
}

fn apply_shipping_method_patch(
    row: &mut shipping_method::Model,
    patch: ShippingMethodPatch,
    currency: Currency,
) -> Result<()> {
    let ShippingMethodPatch {
        name,
        description,
        countries,
        price,
        price_per_kg,
        min_weight_grams,
        max_weight_grams,
        free_shipping_threshold,
        taxable,
        position,
        active,
    } = patch;
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    input.apply_required_text(&mut row.name, name, "name", 100);
    input.apply_optional_text(&mut row.description, description, "description", 1000);
    if let Some(codes) = countries {
        match normalize_country_codes(&codes) {
            Ok(list) => row.countries = list,
            Err(code) => input.reject("countries", format!("`{code}` is no country of ISO 3166-1")),
        }
    }
    let mut amount = |new_value: Patch<Decimal>, target: &mut Option<i64>, field: &str| match new_value {
        Patch::Unchanged => {}
        Patch::Clear => *target = None,
        Patch::Set(amount) => match Money::from_decimal(amount, currency) {
            Some((money, false)) => *target = Some(money.minor_units),
            _ => input.reject(field, amount_range_message(currency)),
        },
    };
    let mut base_price = Some(row.price);
    amount(Patch::from_provided(price), &mut base_price, "price");
    row.price = base_price.unwrap_or(row.price);
    amount(price_per_kg, &mut row.price_per_kg, "pricePerKg");
    amount(free_shipping_threshold, &mut row.free_shipping_threshold, "freeFrom");
    let mut grams = |new_value: Patch<i32>, target: &mut Option<i64>, field: &str| match new_value {
        Patch::Unchanged => {}
        Patch::Clear => *target = None,
        Patch::Set(grams) if (0..=MAX_WEIGHT_GRAMS).contains(&i64::from(grams)) => *target = Some(grams.into()),
        Patch::Set(_) => input.reject(field, format!("a weight is from 0 to {MAX_WEIGHT_GRAMS} grams")),
    };
    grams(min_weight_grams, &mut row.min_weight_grams, "minGrams");
    grams(max_weight_grams, &mut row.max_weight_grams, "maxGrams");
    if row.min_weight_grams.zip(row.max_weight_grams).is_some_and(|(min, max)| min > max) {
        input.reject("maxGrams", "the heaviest parcel is lighter than the lightest");
    }
    row.kind = if row.price_per_kg.is_some() { ShippingKind::Weight } else { ShippingKind::Flat };
    row.taxable = taxable.unwrap_or(row.taxable);
    row.position = position.unwrap_or(row.position);
    row.active = active.unwrap_or(row.active);
    validator.finish()
}

/// Returns the distinct country codes, sorted and separated by spaces, or the first invalid one.
fn normalize_country_codes(codes: &[String]) -> Result<String, &String> {
    let mut list = Vec::with_capacity(codes.len());
    for code in codes {
        list.push(Country::from_code(code).ok_or(code)?.to_string());
    }
    list.sort_unstable();
    list.dedup();
    Ok(list.join(" "))
}

fn amount_range_message(currency: Currency) -> String {
    let (max_amount, decimals) = (Money::new(MAX_MINOR_UNITS, currency).to_decimal(), Money::decimal_places(currency));
    format!("an amount is from 0 to {max_amount}, with at most {decimals} decimals")
}

fn shipping_method_to_audit_json(row: &shipping_method::Model, currency: Currency) -> Value {
    let amount = |minor: i64| Money::new(minor, currency).to_decimal();
    json!({
        "name": row.name, "description": row.description, "countries": row.countries, "price": amount(row.price),
        "pricePerKg": row.price_per_kg.map(amount), "minGrams": row.min_weight_grams, "maxGrams": row.max_weight_grams,
        "freeFrom": row.free_shipping_threshold.map(amount), "taxable": row.taxable, "position": row.position, "active": row.active,
    })
}

/// Creates a tax rate for a country, or for a category and its descendants within a country.
///
/// # Errors
/// Returns `AlreadyExists` if the country and category have a rate, `NotFound` if the category does not exist,
/// `BadUserInput` if a field is invalid, `IllegalTransition` if there are [`MAX_PRICING_ROWS`] already.
pub async fn create_tax_rate(
    db: &Db,
    country: &str,
    category: Option<i64>,
    patch: TaxRatePatch,
) -> Result<tax_rate::Model> {
    db.write(async |tx| insert_tax_rate(tx, country, category, patch).await).await
}

pub(super) async fn insert_tax_rate(
    tx: &Tx,
    country: &str,
    category: Option<i64>,
    patch: TaxRatePatch,
) -> Result<tax_rate::Model> {
    let mut row = tax_rate::Model {
        id: 0,
        country_code: String::new(),
        category_id: category,
        name: String::new(),
        rate_bps: 0,
        included_in_price: false,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    let mut validator = Validator::default();
    validator.at("input").apply_country(&mut row.country_code, Patch::Set(country.to_owned()), "countryCode");
    apply_tax_rate_patch(&mut row, patch, validator)?;
    if let Some(category_id) = category {
        let query = category::Entity::find_by_id(category_id).filter(category::Column::DeletedAt.is_null());
        query.one(tx).await?.ok_or_else(|| Error::not_found("input.categoryId", "category"))?;
    }
    let existing_rates = super::tax::list_tax_rates(tx).await?;
    if existing_rates
        .iter()
        .any(|existing| existing.country_code == row.country_code && existing.category_id == category)
    {
        return Err(duplicate_tax_rate_error());
    }
    if existing_rates.len() >= MAX_PRICING_ROWS {
        return Err(too_many_rows_error());
    }
    let mut new_row = row.into_active_model().reset_all();
    new_row.id = NotSet;
    let row = new_row.insert(tx).await.map_err(Error::from);
    let row = row.map_err(|error| if error.is_unique_violation() { duplicate_tax_rate_error() } else { error })?;
    let (entity, after) = ((NodeType::TaxRate, row.id), Some(tax_rate_to_audit_json(&row)));
    tx.record_audit(&[AuditRecord { action: "tax_rate.create", entity, before: None, after }]).await?;
    Ok(row)
}

/// Updates a tax rate. The version is unchanged if no value changes.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, or `BadUserInput` if a field is invalid.
pub async fn update_tax_rate(db: &Db, target: VersionedTarget, patch: TaxRatePatch) -> Result<tax_rate::Model> {
    db.write(async |tx| {
        let before = lock_tax_rate(tx, target).await?;
        let mut after = before.clone();
        apply_tax_rate_patch(&mut after, patch, Validator::default())?;
        let (old_values, new_values) = (tax_rate_to_audit_json(&before), tax_rate_to_audit_json(&after));
        let entity = (NodeType::TaxRate, before.id);
        let Some(record) = AuditRecord::updated("tax_rate.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        after.version += 1;
        after.updated_at = tx.now();
        let row = after.into_active_model().reset_all().update(tx).await?;
        tx.record_audit(&[record]).await?;
        Ok(row)
    })
    .await
}

/// Deletes a tax rate. Orders keep copies.
///
/// # Errors
/// Returns `NotFound` or `VersionConflict`.
pub async fn delete_tax_rate(db: &Db, target: VersionedTarget) -> Result<i64> {
    db.write(async |tx| {
        let row = lock_tax_rate(tx, target).await?;
        let (key, before) = (row.id, Some(tax_rate_to_audit_json(&row)));
        row.delete(tx).await?;
        let entity = (NodeType::TaxRate, key);
        tx.record_audit(&[AuditRecord { action: "tax_rate.delete", entity, before, after: None }]).await?;
        Ok(key)
    })
    .await
}

async fn lock_tax_rate(tx: &Tx, target: VersionedTarget) -> Result<tax_rate::Model> {
    let row = tax_rate::Entity::find_by_id(target.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "tax rate"))?;
    target.check_version(row.version)?;
    Ok(row)
}

fn apply_tax_rate_patch(row: &mut tax_rate::Model, patch: TaxRatePatch, mut validator: Validator) -> Result<()> {
    let TaxRatePatch { name, percent, included } = patch;
    let mut input = validator.at("input");
    input.apply_required_text(&mut row.name, name, "name", 100);
    if let Some(percent) = percent {
        let points = percent.checked_mul(Decimal::ONE_HUNDRED).filter(Decimal::is_integer);
        match points.and_then(|points| points.to_i32()).filter(|points| (0..=10_000).contains(points)) {
            Some(points) => row.rate_bps = points,
            None => input.reject("percent", "a rate is from 0 to 100 percent, with at most two decimals"),
        }
    }
    row.included_in_price = included.unwrap_or(row.included_in_price);
    validator.finish()
}

fn too_many_rows_error() -> Error {
    Error::user(PublicErrorCode::IllegalTransition, "", format!("there are {MAX_PRICING_ROWS}; delete one first"))
}

fn duplicate_tax_rate_error() -> Error {
    Error::user(
        PublicErrorCode::AlreadyExists,
        "input",
        "there is a rate for this country and category already; change that one",
    )
}

fn tax_rate_to_audit_json(row: &tax_rate::Model) -> Value {
    json!({
        "countryCode": row.country_code, "name": row.name, "percent": tax_rate_percent(row), "included": row.included_in_price,
        "category": row.category_id.map(|key| GlobalId::new(NodeType::Category, key).encode()),
    })
}

/// Returns the rate in percent, like `16.00`.
#[must_use]
pub fn tax_rate_percent(row: &tax_rate::Model) -> Decimal {
    Decimal::new(row.rate_bps.into(), 2)
}
