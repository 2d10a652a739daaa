//! Addresses: made, changed, removed, and which of them a customer means when they do not say.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};

use super::{
    check::Check,
    entity::address,
    profile::{CustomerChanged, Wish, difference},
    reach::{self, Reach},
};
use crate::{
    base::{Country, Error, GlobalId, Patch, Result, error::Code, id::Kind},
    identity::{Caller, account::NAME_LIMIT},
    infra::{Change, Tx},
};

/// More serve nobody. A list of them needs no pages.
pub const MOST: u64 = 100;

/// What somebody wants said of an address.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct AddressChange {
    pub first_name: Patch,
    pub last_name: Patch,
    pub company: Patch,
    pub line1: Patch,
    pub line2: Patch,
    pub city: Patch,
    pub region: Patch,
    pub postal_code: Patch,
    pub country_code: Patch,
    pub phone: Patch,
}

/// What an address is taken for when nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purposes {
    /// Parcels.
    pub shipping: bool,
    /// Bills.
    pub billing: bool,
}

/// Which address is changed by whom, and which version of it they know.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The address.
    pub address: i64,
    /// Whose addresses the caller may change.
    pub reach: Reach,
    /// Who asks.
    pub caller: Caller,
    /// The version they have seen.
    pub expected: Option<i32>,
    /// Where the shop stands.
    pub country: Country,
}

/// Makes an address. The first one of a customer is taken for everything.
///
/// # Errors
/// When there are too many, or it cannot be.
pub async fn create(tx: &Tx, wish: Wish, change: AddressChange, purposes: Purposes) -> Result<address::Model> {
    let owner = reach::hold_for(tx, wish.account, wish.caller).await?.id;
    let count = address::Entity::find().filter(address::Column::AccountId.eq(owner)).count(tx).await?;
    if count >= MOST {
        let message = format!("there are {MOST} addresses; remove one that is not needed any more");
        return Err(Error::user(Code::IllegalTransition, "", message));
    }
    let mut row = blank(tx.now(), owner);
    lay(&mut row, change, ("input", wish.country))?;
    let after = shown(&row);
    let mut row = row.into_active_model().reset_all();
    row.id = ActiveValue::NotSet;
    let row = row.insert(tx).await?;
    record(tx, "address.create", &row, (None, Some(after))).await?;
    let first = Purposes { shipping: count == 0, billing: count == 0 };
    let purposes =
        Purposes { shipping: purposes.shipping || first.shipping, billing: purposes.billing || first.billing };
    prefer(tx, row, purposes).await
}

/// Changes an address. What says nothing new changes nothing.
///
/// # Errors
/// When it is not there or out of reach, has changed since, or cannot be.
pub async fn update(tx: &Tx, target: Target, change: AddressChange) -> Result<address::Model> {
    let before = hold(tx, target).await?;
    let mut after = before.clone();
    lay(&mut after, change, ("input", target.country))?;
    let (was, is) = difference(&shown(&before), &shown(&after));
    if is.is_empty() {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = tx.now();
    let row = after.into_active_model().reset_all().update(tx).await?;
    record(tx, "address.update", &row, (Some(was.into()), Some(is.into()))).await?;
    Ok(row)
}

/// Removes an address. Where it was taken without being named, none is from now on.
///
/// # Errors
/// When it is not there or out of reach, or has changed since.
pub async fn delete(tx: &Tx, target: Target) -> Result<i64> {
    let row = hold(tx, target).await?;
    record(tx, "address.delete", &row, (Some(shown(&row)), None)).await?;
    let key = row.id;
    row.delete(tx).await?;
    Ok(key)
}

/// Takes an address where none is named, in place of the one before.
///
/// # Errors
/// When it is not there or out of reach, or has changed since.
pub async fn set_default(tx: &Tx, target: Target, purposes: Purposes) -> Result<address::Model> {
    let row = hold(tx, target).await?;
    prefer(tx, row, purposes).await
}

/// An address within reach, and its owner, whom the caller may change, as they are until the transaction ends. Whoever changes addresses holds
/// the customer first, so two who want different defaults wait for each other.
async fn hold(tx: &Tx, target: Target) -> Result<address::Model> {
    let missing = || Error::not_found("id", "address");
    let owner = find(tx, target).await?.ok_or_else(missing)?.account_id;
    reach::hold_for(tx, owner, Some(target.caller)).await?;
    let row = find(tx, target).await?.ok_or_else(missing)?;
    reach::expect(row.version, target.expected)?;
    Ok(row)
}

async fn find(tx: &Tx, target: Target) -> Result<Option<address::Model>> {
    let mut query = address::Entity::find_by_id(target.address);
    if let Reach::Own(own) = target.reach {
        query = query.filter(address::Column::AccountId.eq(own));
    }
    Ok(query.one(tx).await?)
}

/// Takes an address for these purposes, and no other one for them.
async fn prefer(tx: &Tx, mut row: address::Model, wanted: Purposes) -> Result<address::Model> {
    let new = Purposes {
        shipping: wanted.shipping && !row.is_default_shipping,
        billing: wanted.billing && !row.is_default_billing,
    };
    if new == Purposes::default() {
        return Ok(row);
    }
    give_up(tx, row.account_id, new).await?;
    row.is_default_shipping |= new.shipping;
    row.is_default_billing |= new.billing;
    // What was made a moment ago is not changed by it.
    row.version += i32::from(row.created_at != tx.now());
    row.updated_at = tx.now();
    let row = row.into_active_model().reset_all().update(tx).await?;
    let after = json!({ "isDefaultShipping": row.is_default_shipping, "isDefaultBilling": row.is_default_billing });
    record(tx, "address.set_default", &row, (None, Some(after))).await?;
    Ok(row)
}

/// Takes these purposes from whichever addresses have them.
async fn give_up(tx: &Tx, owner: i64, Purposes { shipping, billing }: Purposes) -> Result<()> {
    let mut sql = tx.sql();
    sql.push(&format!(
        "UPDATE address SET is_default_shipping = is_default_shipping AND NOT {shipping}, \
         is_default_billing = is_default_billing AND NOT {billing}, version = version + 1, updated_at = "
    ));
    sql.bind(tx.now()).push(" WHERE account_id = ").bind(owner);
    sql.push(&format!(" AND (is_default_shipping AND {shipping} OR is_default_billing AND {billing})"));
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Writes down a change. An address is part of its customer, so it is the customer who was changed: their history is in
/// one place, and goes in one piece when they do.
async fn record(
    tx: &Tx,
    action: &'static str,
    row: &address::Model,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let named = |value: Option<Value>| {
        value.map(|mut value| {
            value["address"] = json!(GlobalId::new(Kind::Address, row.id).encode());
            value
        })
    };
    let thing = (Kind::Customer, row.account_id);
    tx.record(&[Change { action, thing, before: named(before), after: named(after) }]).await?;
    tx.emit(CustomerChanged { customer: row.account_id }).await
}

pub(super) fn blank(now: DateTime<Utc>, owner: i64) -> address::Model {
    address::Model {
        id: 0,
        account_id: owner,
        first_name: String::new(),
        last_name: String::new(),
        company: None,
        line1: String::new(),
        line2: None,
        city: String::new(),
        region: None,
        postal_code: None,
        country_code: String::new(),
        phone: None,
        is_default_shipping: false,
        is_default_billing: false,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Takes in what is said of an address at a path of the input, in a shop that stands in a country.
pub(super) fn lay(row: &mut address::Model, change: AddressChange, (at, shop): (&'static str, Country)) -> Result<()> {
    let AddressChange { first_name, last_name, company, line1, line2, city, region, postal_code, country_code, phone } =
        change;
    let mut check = Check::new(at);
    check.text(&mut row.first_name, first_name, "firstName", NAME_LIMIT);
    check.text(&mut row.last_name, last_name, "lastName", NAME_LIMIT);
    check.may(&mut row.company, company, "company", 100);
    check.must(&mut row.line1, line1, "line1", 200);
    check.may(&mut row.line2, line2, "line2", 200);
    check.must(&mut row.city, city, "city", 100);
    check.may(&mut row.region, region, "region", 100);
    check.may(&mut row.postal_code, postal_code, "postalCode", 20);
    check.country(&mut row.country_code, country_code, "countryCode");
    check.phone(&mut row.phone, phone, "phone", Country::named(&row.country_code).unwrap_or(shop));
    if row.first_name.is_empty() && row.last_name.is_empty() && row.company.is_none() {
        check.wrong("lastName", "say whose address it is: a first name, a last name or a company");
    }
    check.done()
}

/// What of an address goes into the history, and to its owner in an export.
pub(super) fn shown(row: &address::Model) -> Value {
    json!({
        "firstName": row.first_name, "lastName": row.last_name, "company": row.company,
        "line1": row.line1, "line2": row.line2, "city": row.city, "region": row.region,
        "postalCode": row.postal_code, "countryCode": row.country_code, "phone": row.phone,
    })
}
