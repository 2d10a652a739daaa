//! The endpoints of version 1: a table, as data.

mod carts;
mod catalog;
mod customers;
mod orders;

use super::endpoint::{RestEndpoint, RestParameter};

const USER_ERROR: &str = include_str!("../operations/fragments/user_error.graphql");
const MONEY: &str = include_str!("../operations/fragments/money.graphql");
const COST: &str = include_str!("../operations/fragments/cost.graphql");
const ADDRESS: &str = include_str!("../operations/fragments/address.graphql");

/// Parameters of a page.
const FIRST: RestParameter = RestParameter::query("first", "first");
const LIMIT: RestParameter = RestParameter::query("limit", "first");
const AFTER: RestParameter = RestParameter::query("after", "after");
const LAST: RestParameter = RestParameter::query("last", "last");
const BEFORE: RestParameter = RestParameter::query("before", "before");
const TOTAL: RestParameter = RestParameter::query("total", "total");
/// Id of the resource, in the path.
const ID: RestParameter = RestParameter::path("id");

/// Returns all endpoints. Of paths that match a request, the one with the fewest parameters is used.
pub fn all_endpoints() -> impl Iterator<Item = &'static RestEndpoint> {
    [&catalog::PRODUCTS[..], &catalog::CATEGORIES, &orders::ORDERS, &customers::CUSTOMERS, &carts::CARTS]
        .into_iter()
        .flatten()
}
