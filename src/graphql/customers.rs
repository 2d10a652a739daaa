//! A page of customers, and how staff look for them.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use tokio::sync::OnceCell;

use super::{connection::PageInfo, context::scope, customer::Customer, filter::TimeFilter, role::Role};
use crate::{
    base::{
        Result,
        page::{Page, Window},
    },
    customer::list::{self, Filter, Wanted},
    identity::entity::account,
    infra::Db,
};

/// Which customers are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct CustomerFilter {
    /// What the first or last name, the e-mail address or the telephone number begins with. Case and accents do not
    /// matter; a number may be typed as it is dialled in the shop's country. At most 200 characters.
    search: Option<String>,
    /// What they may do.
    role: Option<Role>,
    /// Made in this time.
    created_at: Option<TimeFilter>,
    /// Whether the e-mail address is known to be theirs.
    verified: Option<bool>,
    /// Whether they are kept from signing in.
    disabled: Option<bool>,
}

impl CustomerFilter {
    /// The filter as the customers' room knows it.
    #[must_use]
    pub fn read(self) -> Filter {
        let Self { search, role, created_at, verified, disabled } = self;
        let created = created_at.map(TimeFilter::span).unwrap_or_default();
        Filter { search, role: role.map(Into::into), created, verified, disabled }
    }
}

/// Who is looked for, and which part of them is shown.
#[derive(Debug)]
pub struct CustomerSearch {
    /// Who.
    pub wanted: Wanted,
    /// Which part.
    pub window: Window,
}

/// A page of customers, and what can be said about the whole list.
#[derive(Debug)]
pub struct CustomerConnection {
    search: CustomerSearch,
    /// Read when the first field asks for it, and then once.
    page: OnceCell<Page<account::Model>>,
}

/// A customer and their place in a list.
#[derive(Debug, SimpleObject)]
pub struct CustomerEdge {
    /// Where they stand in the list; the next page comes `after` it.
    cursor: String,
    /// The customer.
    node: Customer,
}

impl CustomerConnection {
    /// A page that is read when somebody asks for it.
    #[must_use]
    pub fn new(search: CustomerSearch) -> Self {
        Self { search, page: OnceCell::new() }
    }

    async fn page(&self, db: &Db) -> Result<&Page<account::Model>> {
        self.page.get_or_try_init(|| list::page(db, &self.search.wanted, &self.search.window)).await
    }
}

/// A page of customers, and what can be said about the whole list.
#[Object]
impl CustomerConnection {
    /// The customers of the page. One statement for the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Customer>> {
        let page = self.page(&scope(ctx).db).await?;
        Ok(page.rows.iter().cloned().map(Customer::from).collect())
    }

    /// The customers of the page, each with their cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<CustomerEdge>> {
        let page = self.page(&scope(ctx).db).await?;
        let edge = |row: &account::Model| CustomerEdge { cursor: list::cursor(row), node: row.clone().into() };
        Ok(page.rows.iter().map(edge).collect())
    }

    /// Where the page lies in the list.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::of(self.page(&scope(ctx).db).await?, list::cursor))
    }

    /// How many the filter wants on all pages together. One statement, in proportion to their number.
    #[graphql(complexity = "super::connection::per_list(super::connection::COUNT)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        list::count(&scope(ctx).db, &self.search.wanted).await
    }
}
