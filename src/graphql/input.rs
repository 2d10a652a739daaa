//! Conversion of inputs: ids, amounts, partial updates and the targets of changes.

use async_graphql::{ID, MaybeUndefined};
use rust_decimal::Decimal;

use super::context::RequestContext;
use crate::{
    base::{Error, GlobalId, Money, Patch, Result, VersionedTarget, global_id::NodeType},
    customer::OwnerScope,
    identity::{AccountTarget, Permission},
};

/// Converts a field of an input: an omitted field is unchanged, null clears it.
pub fn to_patch<T>(input: MaybeUndefined<T>) -> Patch<T> {
    match input {
        MaybeUndefined::Undefined => Patch::Unchanged,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(value),
    }
}

/// Returns the value of a required field. Null is rejected for an existing entity and treated as omitted for a new one.
///
/// # Errors
/// Returns a user error for null.
pub fn reject_null<T>(input: MaybeUndefined<T>, is_new: bool, path: &str) -> Result<Option<T>> {
    match input {
        MaybeUndefined::Null if !is_new => {
            Err(Error::bad_input(path, "this must not be null; omit it to leave it unchanged"))
        }
        MaybeUndefined::Null | MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
    }
}

/// Decodes an optional ID.
///
/// # Errors
/// Returns a user error if it is not the ID of an object of the type.
pub fn parse_optional_id(id: Option<ID>, node_type: NodeType, path: &str) -> Result<Option<i64>> {
    id.map(|id| GlobalId::decode_as(&id, node_type, path)).transpose()
}

/// Decodes the argument `id` of a change with optimistic locking.
///
/// # Errors
/// Returns a user error if it is not the ID of an object of the type.
pub fn parse_target<Scope>(
    id: &ID,
    node_type: NodeType,
    scope: Scope,
    expected_version: Option<i32>,
) -> Result<VersionedTarget<i64, Scope>> {
    Ok(VersionedTarget { id: GlobalId::decode_as(id, node_type, "id")?, scope, expected_version })
}

/// Converts an amount to minor units.
///
/// # Errors
/// Returns a user error if the amount is negative, too large, or has more decimals than the currency.
pub fn parse_amount(context: &RequestContext, amount: Option<Decimal>, field: &str) -> Result<Option<i64>> {
    let Some(amount) = amount else { return Ok(None) };
    let currency = context.app_state.config.shop.currency;
    match Money::from_decimal(amount, currency) {
        Some((money, false)) => Ok(Some(money.minor_units)),
        Some((_, true)) => {
            let message = format!("amounts in {} have {} decimals", currency.code(), Money::decimal_places(currency));
            Err(Error::bad_input(field, message))
        }
        None => Err(Error::bad_input(field, "this amount is negative or too large")),
    }
}

/// Returns the name of the redundant argument of several mutually exclusive ones, or of the first if none was given.
pub(super) fn find_conflicting_argument<const N: usize>(arguments: [(&'static str, bool); N]) -> &'static str {
    arguments.iter().filter(|(_, is_given)| *is_given).nth(1).or(arguments.first()).map_or("", |(name, _)| name)
}

/// Resolves the target account: the caller, or an account that the caller may change.
///
/// # Errors
/// Returns `NotFound` if the account does not exist or is out of scope, or a user error if no account is specified.
pub fn resolve_customer_id(context: &RequestContext, id: Option<&ID>, field: &str) -> Result<i64> {
    let Some(id) = id else { return context.caller.require_account_id() };
    let account_id = GlobalId::decode_as(id, NodeType::Customer, field)?;
    let owner_scope = OwnerScope::for_caller(context.caller, Permission::CustomerWrite);
    owner_scope
        .filter(|owner_scope| owner_scope.covers(account_id))
        .map(|_| account_id)
        .ok_or_else(|| Error::not_found(field, "customer"))
}

/// Returns the target of an account change by the caller.
#[must_use]
pub fn build_account_target(context: &RequestContext, account_id: i64, expected_version: Option<i32>) -> AccountTarget {
    AccountTarget { id: account_id, scope: Some(context.caller), expected_version }
}
