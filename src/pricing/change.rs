//! What staff set: rates of tax and ways of shipping, checked, written and recorded.

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
    base::{Country, Error, GlobalId, Money, Patch, Result, error::Code, id::Kind, money::MAX_MINOR},
    catalog::category_row as category,
    customer::{check::Check, profile::difference, reach},
    infra::{Change, Tx},
};

/// Heavier is no parcel: a thousand tons, in grams.
const HEAVIEST: i64 = 1_000_000_000;
/// More ways of shipping, or rates of tax, serve nobody; their lists need no pages.
pub const MOST: usize = 1_000;

/// Which one is changed, and which version of it they know who change it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its key.
    pub key: i64,
    /// The version they have seen.
    pub expected: Option<i32>,
}

/// What is to be said of a way of shipping.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct MethodChange {
    pub name: Patch,
    pub description: Patch,
    pub countries: Option<Vec<String>>,
    pub price: Option<Decimal>,
    pub price_per_kg: Patch<Decimal>,
    pub min_grams: Patch<i32>,
    pub max_grams: Patch<i32>,
    pub free_from: Patch<Decimal>,
    pub taxable: Option<bool>,
    pub position: Option<i32>,
    pub active: Option<bool>,
}

/// What is to be said of a rate of tax.
#[derive(Debug, Default)]
pub struct RateChange {
    /// What it is called.
    pub name: Patch,
    /// Percent.
    pub percent: Option<Decimal>,
    /// Whether prices contain it.
    pub included: Option<bool>,
}

/// Makes a way of shipping.
///
/// # Errors
/// When it cannot be.
pub async fn create_method(tx: &Tx, currency: Currency, change: MethodChange) -> Result<shipping_method::Model> {
    let mut row = shipping_method::Model {
        id: 0,
        name: String::new(),
        description: None,
        countries: String::new(),
        kind: ShippingKind::Flat,
        price: 0,
        price_per_kg: None,
        min_grams: None,
        max_grams: None,
        free_from: None,
        taxable: true,
        position: 0,
        active: true,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        deleted_at: None,
    };
    lay_method(&mut row, change, currency)?;
    if super::shipping::all(tx, false).await?.len() >= MOST {
        return Err(Error::user(Code::IllegalTransition, "", format!("there are {MOST}; delete one first")));
    }
    let mut new = row.into_active_model().reset_all();
    new.id = NotSet;
    let row = new.insert(tx).await?;
    let after = Some(told_method(&row, currency));
    let thing = (Kind::ShippingMethod, row.id);
    tx.record(&[Change { action: "shipping_method.create", thing, before: None, after }]).await?;
    Ok(row)
}

/// Changes a way of shipping. What says nothing new changes nothing.
///
/// # Errors
/// When it is not there, has changed since, or cannot be.
pub async fn update_method(
    tx: &Tx,
    currency: Currency,
    target: Target,
    change: MethodChange,
) -> Result<shipping_method::Model> {
    let before = hold_method(tx, target).await?;
    let mut after = before.clone();
    lay_method(&mut after, change, currency)?;
    let (was, is) = difference(&told_method(&before, currency), &told_method(&after, currency));
    if is.is_empty() {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = tx.now();
    let row = after.into_active_model().reset_all().update(tx).await?;
    let thing = (Kind::ShippingMethod, row.id);
    let (before, after) = (Some(was.into()), Some(is.into()));
    tx.record(&[Change { action: "shipping_method.update", thing, before, after }]).await?;
    Ok(row)
}

/// Deletes a way of shipping: nobody can choose it any more, and carts that have must choose another.
///
/// # Errors
/// When it is not there, or has changed since.
pub async fn delete_method(tx: &Tx, currency: Currency, target: Target) -> Result<i64> {
    let mut row = hold_method(tx, target).await?;
    let before = Some(told_method(&row, currency));
    row.version += 1;
    row.deleted_at = Some(tx.now());
    row.updated_at = tx.now();
    let row = row.into_active_model().reset_all().update(tx).await?;
    let thing = (Kind::ShippingMethod, row.id);
    tx.record(&[Change { action: "shipping_method.delete", thing, before, after: None }]).await?;
    Ok(row.id)
}

async fn hold_method(tx: &Tx, target: Target) -> Result<shipping_method::Model> {
    let found = shipping_method::Entity::find_by_id(target.key).filter(shipping_method::Column::DeletedAt.is_null());
    let row = found.lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "shipping method"))?;
    reach::expect(row.version, target.expected)?;
    Ok(row)
}

fn lay_method(row: &mut shipping_method::Model, change: MethodChange, currency: Currency) -> Result<()> {
    let MethodChange {
        name,
        description,
        countries,
        price,
        price_per_kg,
        min_grams,
        max_grams,
        free_from,
        taxable,
        position,
        active,
    } = change;
    let mut check = Check::new("input");
    check.must(&mut row.name, name, "name", 100);
    check.may(&mut row.description, description, "description", 1000);
    if let Some(codes) = countries {
        match destinations(&codes) {
            Ok(list) => row.countries = list,
            Err(code) => check.wrong("countries", format!("`{code}` is no country of ISO 3166-1")),
        }
    }
    let mut amount = |said: Patch<Decimal>, over: &mut Option<i64>, field: &str| match said {
        Patch::Keep => {}
        Patch::Clear => *over = None,
        Patch::Set(amount) => match Money::from_decimal(amount, currency) {
            Some((money, false)) => *over = Some(money.minor),
            _ => check.wrong(field, amount_of(currency)),
        },
    };
    let mut base = Some(row.price);
    amount(price.map_or(Patch::Keep, Patch::Set), &mut base, "price");
    row.price = base.unwrap_or(row.price);
    amount(price_per_kg, &mut row.price_per_kg, "pricePerKg");
    amount(free_from, &mut row.free_from, "freeFrom");
    let mut grams = |said: Patch<i32>, over: &mut Option<i64>, field: &str| match said {
        Patch::Keep => {}
        Patch::Clear => *over = None,
        Patch::Set(grams) if (0..=HEAVIEST).contains(&i64::from(grams)) => *over = Some(grams.into()),
        Patch::Set(_) => check.wrong(field, format!("a weight is from 0 to {HEAVIEST} grams")),
    };
    grams(min_grams, &mut row.min_grams, "minGrams");
    grams(max_grams, &mut row.max_grams, "maxGrams");
    if row.min_grams.zip(row.max_grams).is_some_and(|(least, most)| least > most) {
        check.wrong("maxGrams", "the heaviest parcel is lighter than the lightest");
    }
    row.kind = if row.price_per_kg.is_some() { ShippingKind::Weight } else { ShippingKind::Flat };
    row.taxable = taxable.unwrap_or(row.taxable);
    row.position = position.unwrap_or(row.position);
    row.active = active.unwrap_or(row.active);
    check.done()
}

/// The countries' codes with spaces between, each once, by the alphabet; or the first that is none.
fn destinations(codes: &[String]) -> Result<String, &String> {
    let mut list = Vec::with_capacity(codes.len());
    for code in codes {
        list.push(Country::named(code).ok_or(code)?.to_string());
    }
    list.sort_unstable();
    list.dedup();
    Ok(list.join(" "))
}

fn amount_of(currency: Currency) -> String {
    let (most, decimals) = (Money::new(MAX_MINOR, currency).decimal(), Money::decimals(currency));
    format!("an amount is from 0 to {most}, with at most {decimals} decimals")
}

fn told_method(row: &shipping_method::Model, currency: Currency) -> Value {
    let amount = |minor: i64| Money::new(minor, currency).decimal();
    json!({
        "name": row.name, "description": row.description, "countries": row.countries, "price": amount(row.price),
        "pricePerKg": row.price_per_kg.map(amount), "minGrams": row.min_grams, "maxGrams": row.max_grams,
        "freeFrom": row.free_from.map(amount), "taxable": row.taxable, "position": row.position, "active": row.active,
    })
}

/// Makes a rate of tax for a country, or for a category in it and all below.
///
/// # Errors
/// When there is one already, the category is not there, or it cannot be.
pub async fn create_rate(tx: &Tx, country: &str, category: Option<i64>, change: RateChange) -> Result<tax_rate::Model> {
    let mut row = tax_rate::Model {
        id: 0,
        country_code: String::new(),
        category_id: category,
        name: String::new(),
        basis_points: 0,
        included: false,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    let mut check = Check::new("input");
    check.country(&mut row.country_code, Patch::Set(country.to_owned()), "countryCode");
    lay_rate(&mut row, change, check)?;
    if let Some(key) = category {
        let found = category::Entity::find_by_id(key).filter(category::Column::DeletedAt.is_null());
        found.one(tx).await?.ok_or_else(|| Error::not_found("input.categoryId", "category"))?;
    }
    let all = super::tax::all(tx).await?;
    if all.iter().any(|one| one.country_code == row.country_code && one.category_id == category) {
        return Err(taken());
    }
    if all.len() >= MOST {
        return Err(Error::user(Code::IllegalTransition, "", format!("there are {MOST}; delete one first")));
    }
    let mut new = row.into_active_model().reset_all();
    new.id = NotSet;
    let row = new.insert(tx).await.map_err(Error::from);
    let row = row.map_err(|why| if why.is_taken() { taken() } else { why })?;
    let (thing, after) = ((Kind::TaxRate, row.id), Some(told_rate(&row)));
    tx.record(&[Change { action: "tax_rate.create", thing, before: None, after }]).await?;
    Ok(row)
}

/// Changes a rate of tax. What says nothing new changes nothing.
///
/// # Errors
/// When it is not there, has changed since, or cannot be.
pub async fn update_rate(tx: &Tx, target: Target, change: RateChange) -> Result<tax_rate::Model> {
    let before = hold_rate(tx, target).await?;
    let mut after = before.clone();
    lay_rate(&mut after, change, Check::new("input"))?;
    let (was, is) = difference(&told_rate(&before), &told_rate(&after));
    if is.is_empty() {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = tx.now();
    let row = after.into_active_model().reset_all().update(tx).await?;
    let thing = (Kind::TaxRate, row.id);
    let (before, after) = (Some(was.into()), Some(is.into()));
    tx.record(&[Change { action: "tax_rate.update", thing, before, after }]).await?;
    Ok(row)
}

/// Removes a rate of tax. Orders keep copies.
///
/// # Errors
/// When it is not there, or has changed since.
pub async fn delete_rate(tx: &Tx, target: Target) -> Result<i64> {
    let row = hold_rate(tx, target).await?;
    let (key, before) = (row.id, Some(told_rate(&row)));
    row.delete(tx).await?;
    let thing = (Kind::TaxRate, key);
    tx.record(&[Change { action: "tax_rate.delete", thing, before, after: None }]).await?;
    Ok(key)
}

async fn hold_rate(tx: &Tx, target: Target) -> Result<tax_rate::Model> {
    let row = tax_rate::Entity::find_by_id(target.key).lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "tax rate"))?;
    reach::expect(row.version, target.expected)?;
    Ok(row)
}

fn lay_rate(row: &mut tax_rate::Model, change: RateChange, mut check: Check) -> Result<()> {
    let RateChange { name, percent, included } = change;
    check.must(&mut row.name, name, "name", 100);
    if let Some(percent) = percent {
        let points = percent.checked_mul(Decimal::ONE_HUNDRED).filter(Decimal::is_integer);
        match points.and_then(|points| points.to_i32()).filter(|points| (0..=10_000).contains(points)) {
            Some(points) => row.basis_points = points,
            None => check.wrong("percent", "a rate is from 0 to 100 percent, with at most two decimals"),
        }
    }
    row.included = included.unwrap_or(row.included);
    check.done()
}

fn taken() -> Error {
    Error::user(Code::AlreadyExists, "input", "there is a rate for this country and category already; change that one")
}

fn told_rate(row: &tax_rate::Model) -> Value {
    json!({
        "countryCode": row.country_code, "name": row.name, "percent": percent(row), "included": row.included,
        "category": row.category_id.map(|key| GlobalId::new(Kind::Category, key).encode()),
    })
}

/// The rate in percent: `16.00`.
#[must_use]
pub fn percent(row: &tax_rate::Model) -> Decimal {
    Decimal::new(row.basis_points.into(), 2)
}
