//! Saved addresses of customers and the default shipping and billing address.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};

use super::{access_scope::OwnerScope, entity::address, profile::diff_values, validation::Validator};
use crate::{
    base::{Country, Error, GlobalId, Patch, Result, check_version, error::PublicErrorCode, global_id::NodeType},
    identity::{
        AccountTarget, Caller, account::MAX_NAME_CHARS, account_access::lock_account_for_caller,
        events::CustomerUpdated,
    },
    infra::{AuditRecord, Db, Tx},
};

/// Maximum number of addresses per customer; the list needs no pagination.
pub const MAX_ADDRESSES: u64 = 100;

/// Partial update of an address.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct AddressPatch {
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

/// Default uses of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressDefaults {
    /// Default shipping address.
    pub shipping: bool,
    /// Default billing address.
    pub billing: bool,
}

/// Address to change, with caller, scope and expected version.
#[derive(Debug, Clone, Copy)]
pub struct AddressTarget {
    /// ID of the address.
    pub address_id: i64,
    /// Owners whose addresses the caller may change.
    pub scope: OwnerScope,
    /// Caller.
    pub caller: Caller,
    /// Expected version (optimistic locking); `None` skips the check.
    pub expected_version: Option<i32>,
    /// Country of the shop: default region of phone numbers.
    pub shop_country: Country,
}

/// Creates an address. The first address of a customer becomes the default for shipping and billing.
///
/// # Errors
/// Returns `IllegalTransition` if the customer has [`MAX_ADDRESSES`] addresses, `NotFound` or `Forbidden` for the
/// account, or all invalid fields together.
pub async fn create_address(
    db: &Db,
    target: AccountTarget,
    patch: AddressPatch,
    defaults: AddressDefaults,
) -> Result<address::Model> {
    db.write(async |tx| {
        let owner_id = lock_account_for_caller(tx, target.account_id, target.caller).await?.id;
        let count = address::Entity::find().filter(address::Column::AccountId.eq(owner_id)).count(tx).await?;
        if count >= MAX_ADDRESSES {
            let message = format!("there are {MAX_ADDRESSES} addresses; remove one that is not needed any more");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let mut row = new_blank_address(tx.now(), owner_id);
        apply_address_patch(&mut row, patch, ("input", target.shop_country))?;
        let after = address_to_audit_json(&row);
        let mut row = row.into_active_model().reset_all();
        row.id = ActiveValue::NotSet;
        let row = row.insert(tx).await?;
        record_address_change(tx, "address.create", &row, (None, Some(after))).await?;
        let implied = AddressDefaults { shipping: count == 0, billing: count == 0 };
        let defaults = AddressDefaults {
            shipping: defaults.shipping || implied.shipping,
            billing: defaults.billing || implied.billing,
        };
        assign_defaults(tx, row, defaults).await
    })
    .await
}

/// Updates an address. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden`, `VersionConflict`, or all invalid fields together.
pub async fn update_address(db: &Db, target: AddressTarget, patch: AddressPatch) -> Result<address::Model> {
    db.write(async |tx| {
        let before = lock_address(tx, target).await?;
        let mut after = before.clone();
        apply_address_patch(&mut after, patch, ("input", target.shop_country))?;
        let (old_values, new_values) = diff_values(&address_to_audit_json(&before), &address_to_audit_json(&after));
        if new_values.is_empty() {
            return Ok(before);
        }
        after.version += 1;
        after.updated_at = tx.now();
        let row = after.into_active_model().reset_all().update(tx).await?;
        record_address_change(tx, "address.update", &row, (Some(old_values.into()), Some(new_values.into()))).await?;
        Ok(row)
    })
    .await
}

/// Deletes an address. If it was a default, the customer has no default for that use afterwards.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden` or `VersionConflict`.
pub async fn delete_address(db: &Db, target: AddressTarget) -> Result<i64> {
    db.write(async |tx| {
        let row = lock_address(tx, target).await?;
        record_address_change(tx, "address.delete", &row, (Some(address_to_audit_json(&row)), None)).await?;
        let address_id = row.id;
        row.delete(tx).await?;
        Ok(address_id)
    })
    .await
}

/// Makes an address the default, in place of the previous one.
///
/// # Errors
/// Returns `NotFound` (also outside of the scope), `Forbidden` or `VersionConflict`.
pub async fn set_default_address(db: &Db, target: AddressTarget, defaults: AddressDefaults) -> Result<address::Model> {
    db.write(async |tx| {
        let row = lock_address(tx, target).await?;
        assign_defaults(tx, row, defaults).await
    })
    .await
}

/// Locks the owner of an address within the scope and returns the address. The owner is locked first, so that
/// concurrent changes of defaults are serialized.
async fn lock_address(tx: &Tx, target: AddressTarget) -> Result<address::Model> {
    let not_found = || Error::not_found("id", "address");
    let owner_id = find_address(tx, target).await?.ok_or_else(not_found)?.account_id;
    lock_account_for_caller(tx, owner_id, Some(target.caller)).await?;
    let row = find_address(tx, target).await?.ok_or_else(not_found)?;
    check_version(row.version, target.expected_version)?;
    Ok(row)
}

async fn find_address(tx: &Tx, target: AddressTarget) -> Result<Option<address::Model>> {
    let mut query = address::Entity::find_by_id(target.address_id);
    if let OwnerScope::Account(account_id) = target.scope {
        query = query.filter(address::Column::AccountId.eq(account_id));
    }
    Ok(query.one(tx).await?)
}

/// Makes an address the only default for the requested uses.
async fn assign_defaults(tx: &Tx, mut row: address::Model, requested: AddressDefaults) -> Result<address::Model> {
    let added = AddressDefaults {
        shipping: requested.shipping && !row.is_default_shipping,
        billing: requested.billing && !row.is_default_billing,
    };
    if added == AddressDefaults::default() {
        return Ok(row);
    }
    clear_defaults(tx, row.account_id, added).await?;
    row.is_default_shipping |= added.shipping;
    row.is_default_billing |= added.billing;
    // An address created in the same transaction keeps its version.
    row.version += i32::from(row.created_at != tx.now());
    row.updated_at = tx.now();
    let row = row.into_active_model().reset_all().update(tx).await?;
    let after = json!({ "isDefaultShipping": row.is_default_shipping, "isDefaultBilling": row.is_default_billing });
    record_address_change(tx, "address.set_default", &row, (None, Some(after))).await?;
    Ok(row)
}

/// Clears these defaults on all addresses of an account.
async fn clear_defaults(tx: &Tx, owner: i64, AddressDefaults { shipping, billing }: AddressDefaults) -> Result<()> {
    let mut sql = tx.sql();
    sql.push(&format!(
        "UPDATE address SET is_default_shipping = is_default_shipping AND NOT {shipping}, \
         is_default_billing = is_default_billing AND NOT {billing}, version = version + 1, updated_at = "
    ));
    sql.bind(tx.now()).push(" WHERE account_id = ").bind(owner);
    sql.push(&format!(" AND (is_default_shipping AND {shipping} OR is_default_billing AND {billing})"));
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Records a change in the audit log and emits the event. The audited entity is the customer, so that the history is
/// kept in one place and erased together with the customer.
async fn record_address_change(
    tx: &Tx,
    action: &'static str,
    row: &address::Model,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let with_address_id = |value: Option<Value>| {
        value.map(|mut value| {
            value["address"] = json!(GlobalId::new(NodeType::Address, row.id).encode());
            value
        })
    };
    let entity = (NodeType::Customer, row.account_id);
    tx.record_audit(&[AuditRecord { action, entity, before: with_address_id(before), after: with_address_id(after) }])
        .await?;
    tx.emit_event(CustomerUpdated { customer: row.account_id }).await
}

pub(super) fn new_blank_address(now: DateTime<Utc>, owner_id: i64) -> address::Model {
    address::Model {
        id: 0,
        account_id: owner_id,
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

/// Applies and validates a patch; `path` is the input path for errors, `shop_country` the default phone region.
pub(super) fn apply_address_patch(
    row: &mut address::Model,
    patch: AddressPatch,
    (path, shop_country): (&'static str, Country),
) -> Result<()> {
    let AddressPatch { first_name, last_name, company, line1, line2, city, region, postal_code, country_code, phone } =
        patch;
    let mut validator = Validator::new(path);
    validator.apply_text(&mut row.first_name, first_name, "firstName", MAX_NAME_CHARS);
    validator.apply_text(&mut row.last_name, last_name, "lastName", MAX_NAME_CHARS);
    validator.apply_optional_text(&mut row.company, company, "company", 100);
    validator.apply_required_text(&mut row.line1, line1, "line1", 200);
    validator.apply_optional_text(&mut row.line2, line2, "line2", 200);
    validator.apply_required_text(&mut row.city, city, "city", 100);
    validator.apply_optional_text(&mut row.region, region, "region", 100);
    validator.apply_optional_text(&mut row.postal_code, postal_code, "postalCode", 20);
    validator.apply_country(&mut row.country_code, country_code, "countryCode");
    validator.apply_phone(
        &mut row.phone,
        phone,
        "phone",
        Country::from_code(&row.country_code).unwrap_or(shop_country),
    );
    if row.first_name.is_empty() && row.last_name.is_empty() && row.company.is_none() {
        validator.add_error("lastName", "say whose address it is: a first name, a last name or a company");
    }
    validator.finish()
}

/// Returns the fields of an address for the audit log and the data export.
pub(super) fn address_to_audit_json(row: &address::Model) -> Value {
    json!({
        "firstName": row.first_name, "lastName": row.last_name, "company": row.company,
        "line1": row.line1, "line2": row.line2, "city": row.city, "region": row.region,
        "postalCode": row.postal_code, "countryCode": row.country_code, "phone": row.phone,
    })
}
