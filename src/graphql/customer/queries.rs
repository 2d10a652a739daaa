//! Customer list and filter for staff, and the queries of customers.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, ID, InputObject, Json, Object};
use serde_json::Value;

use super::Customer;
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    customer::queries::{self, AccountListFilter, ResolvedAccountFilter},
    graphql::{
        context::request_context,
        guard::{RequireLogin, RequirePermission},
        identity::account::AccountConditions,
        pagination::{compute_connection_cost, connection, edge, paged_list},
    },
    identity::{Permission, Role, entity::account},
    privacy,
};

/// Filter for customers. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct CustomerFilter {
    #[graphql(flatten)]
    conditions: AccountConditions,
    /// Exact ID of the customer in another system.
    external_id: Option<String>,
}

edge!(
    /// Customer with its cursor.
    CustomerEdge { cursor = "Cursor of the customer.", node: Customer = "Customer." }
);

connection!(
    /// Page of customers with list-level fields.
    CustomerConnection(ResolvedAccountFilter) {
        nodes: Vec<Customer> = "Customers of the page.",
        edges: Vec<CustomerEdge> = "Customers of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of customers that match the filter, across all pages.",
    }
);

paged_list!(
    ResolvedAccountFilter,
    account::Model,
    |filter, db, request| queries::list_accounts(db, filter, request),
    |_, row| queries::encode_account_cursor(row),
    |filter, db| queries::count_accounts(db, filter)
);

/// Customer queries.
#[derive(Debug, Default)]
pub struct CustomerQuery;

#[Object]
impl CustomerQuery {
    /// All stored personal data of the caller, as one JSON document.
    #[graphql(guard = "RequireLogin", complexity = "5_000")]
    async fn customer_export(&self, ctx: &Context<'_>) -> Result<Option<Json<Value>>> {
        let context = request_context(ctx);
        context.start_customer_export()?;
        Ok(Some(Json(privacy::export_account(&context.db, context.caller.require_account_id()?).await?)))
    }

    /// Customer by ID, for staff; null if it does not exist.
    #[graphql(guard = "RequirePermission(Permission::CustomerRead)")]
    async fn customer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer.")] id: ID,
    ) -> Result<Option<Customer>> {
        Customer::find(request_context(ctx), GlobalId::decode_as(&id, NodeType::Customer, "id")?).await
    }

    /// Customers, newest first, for staff; not the customer sides of staff accounts.
    #[graphql(
        guard = "RequirePermission(Permission::CustomerRead)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn customers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<CustomerFilter>,
    ) -> Result<Option<CustomerConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let country = request_context(ctx).app_state.config.shop.country;
        let CustomerFilter { conditions, external_id } = filter.unwrap_or_default();
        let filter = AccountListFilter { role: Some(Role::Customer), external_id, ..conditions.into_list_filter() };
        Ok(Some(CustomerConnection::new(filter.resolve(country)?, page_request)))
    }
}
