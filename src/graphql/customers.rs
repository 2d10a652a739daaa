//! Customer connection and filter for staff.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use tokio::sync::OnceCell;

use super::{
    connection::PageInfo, context::request_context, customer::Customer, filter::TimeFilter, role::AccountRole,
};
use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    customer::queries::{self, CustomerListFilter, ResolvedCustomerFilter},
    identity::entity::account,
    infra::Db,
};

/// Filter for customers. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct CustomerFilter {
    /// Prefix of the first name, last name, email address or phone number. Case and accents are ignored; a phone number
    /// may be in the national format of the shop's country. At most 200 characters.
    search: Option<String>,
    /// Role of the account.
    role: Option<AccountRole>,
    /// Creation time range.
    created_at: Option<TimeFilter>,
    /// Whether the email address is verified.
    verified: Option<bool>,
    /// Whether the account is blocked from logging in.
    disabled: Option<bool>,
}

impl CustomerFilter {
    /// Converts the input to the domain's filter.
    #[must_use]
    pub fn into_customer_filter(self) -> CustomerListFilter {
        let Self { search, role, created_at, verified, disabled } = self;
        let created_range = created_at.map(TimeFilter::into_range).unwrap_or_default();
        CustomerListFilter {
            search,
            role: role.map(Into::into),
            created: created_range,
            email_verified: verified,
            disabled,
        }
    }
}

/// Filter and page of a customer list.
#[derive(Debug)]
pub struct CustomerPageQuery {
    /// Filter.
    pub filter: ResolvedCustomerFilter,
    /// Page request.
    pub page_request: PageRequest,
}

/// Page of customers with list-level fields.
#[derive(Debug)]
pub struct CustomerConnection {
    query: CustomerPageQuery,
    /// Loaded once, when the first field needs it.
    page: OnceCell<Page<account::Model>>,
}

/// Customer with its cursor.
#[derive(Debug, SimpleObject)]
pub struct CustomerEdge {
    /// Cursor of the customer.
    cursor: String,
    /// Customer.
    node: Customer,
}

impl CustomerConnection {
    /// Creates a page that is loaded on first use.
    #[must_use]
    pub fn new(query: CustomerPageQuery) -> Self {
        Self { query, page: OnceCell::new() }
    }

    async fn page(&self, db: &Db) -> Result<&Page<account::Model>> {
        self.page.get_or_try_init(|| queries::list_customers(db, &self.query.filter, &self.query.page_request)).await
    }
}

/// Page of customers with list-level fields.
#[Object]
impl CustomerConnection {
    /// Customers of the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Customer>> {
        let page = self.page(&request_context(ctx).db).await?;
        Ok(page.rows.iter().cloned().map(Customer::from).collect())
    }

    /// Customers of the page with their cursors.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<CustomerEdge>> {
        let page = self.page(&request_context(ctx).db).await?;
        let to_edge = |row: &account::Model| CustomerEdge {
            cursor: queries::encode_customer_cursor(row),
            node: row.clone().into(),
        };
        Ok(page.rows.iter().map(to_edge).collect())
    }

    /// Pagination information.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::from_page(self.page(&request_context(ctx).db).await?, queries::encode_customer_cursor))
    }

    /// Number of customers that match the filter, across all pages.
    #[graphql(complexity = "super::connection::cost_per_list(super::connection::TOTAL_COUNT_COST)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        queries::count_customers(&request_context(ctx).db, &self.query.filter).await
    }
}
