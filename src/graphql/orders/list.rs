//! Finding orders: one by its number, and lists for customers and staff.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;
use tokio::sync::OnceCell;

use super::{
    super::{
        connection::{self, PageInfo},
        context::{Scope, scope},
        filter::TimeFilter,
        guard::{Can, SignedIn},
        surplus,
    },
    FulfilmentStatus, Order, OrderStatus, PaymentStatus,
};
use crate::{
    base::{
        Error, GlobalId, Money, Result,
        id::Kind,
        page::{Page, Window},
    },
    customer::Reach,
    identity::Permission,
    infra::Db,
    order::{
        self, find,
        list::{self, Filter, Sorted, Wanted},
        number,
    },
};

/// Amounts from one up to another, both included.
#[derive(Debug, Clone, Copy, Default, InputObject)]
pub struct AmountFilter {
    /// So much or more.
    min: Option<Decimal>,
    /// So much or less.
    max: Option<Decimal>,
}

/// Which orders are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct OrderFilter {
    /// What the number, the name on the parcel, the e-mail address or the telephone number begins with. At most 200
    /// characters.
    search: Option<String>,
    /// Any of these.
    status: Option<Vec<OrderStatus>>,
    /// Any of these.
    payment_status: Option<Vec<PaymentStatus>>,
    /// Any of these.
    fulfilment_status: Option<Vec<FulfilmentStatus>>,
    /// Placed in this time.
    placed_at: Option<TimeFilter>,
    /// Bought by this customer.
    customer_id: Option<ID>,
    /// With this number.
    number: Option<String>,
    /// With a line of this sku.
    sku: Option<String>,
    /// Of such a total.
    total: Option<AmountFilter>,
}

/// What orders can be sorted by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderSortField {
    /// When they were placed, the newest first.
    #[default]
    PlacedAt,
    /// What they come to, the dearest first.
    Total,
}

/// How orders are sorted.
#[derive(Debug, Default, InputObject)]
pub struct OrderSort {
    /// By what.
    #[graphql(default)]
    field: OrderSortField,
    /// The other way round.
    #[graphql(default)]
    reverse: bool,
}

impl OrderFilter {
    fn read(self, scope: &Scope) -> Result<Filter> {
        let Self { search, status, payment_status, fulfilment_status, placed_at, customer_id, number, sku, total } =
            self;
        let customer = |id: ID| GlobalId::key(&id, Kind::Customer, "filter.customerId");
        let AmountFilter { min, max } = total.unwrap_or_default();
        Ok(Filter {
            search,
            status: status.map(|list| list.into_iter().map(Into::into).collect()),
            payment_status: payment_status.map(|list| list.into_iter().map(Into::into).collect()),
            fulfilment_status: fulfilment_status.map(|list| list.into_iter().map(Into::into).collect()),
            placed: placed_at.map(TimeFilter::span).unwrap_or_default(),
            account: customer_id.map(customer).transpose()?,
            number,
            sku,
            total: (amount(scope, min, "filter.total.min")?, amount(scope, max, "filter.total.max")?),
        })
    }
}

/// An amount in minor units.
///
/// # Errors
/// When it is below zero, past all amounts, or has more decimals than the currency.
pub fn amount(scope: &Scope, said: Option<Decimal>, field: &str) -> Result<Option<i64>> {
    let Some(said) = said else { return Ok(None) };
    let currency = scope.shared.config.shop.currency;
    match Money::from_decimal(said, currency) {
        Some((money, false)) => Ok(Some(money.minor)),
        Some((_, true)) => {
            let message = format!("amounts in {} have {} decimals", currency.code(), Money::decimals(currency));
            Err(Error::bad_input(field, message))
        }
        None => Err(Error::bad_input(field, "this is no amount that the shop can count to")),
    }
}

/// A page of orders, and what can be said about the whole list.
#[derive(Debug)]
pub struct OrderConnection {
    wanted: Wanted,
    window: Window,
    /// Read when the first field asks for it, and then once.
    page: OnceCell<Page<order::Order>>,
}

/// An order and its place in a list.
#[derive(Debug, SimpleObject)]
pub struct OrderEdge {
    /// Where it stands in the list; the next page comes `after` it.
    cursor: String,
    /// The order.
    node: Order,
}

impl OrderConnection {
    /// A page that is read when somebody asks for it.
    ///
    /// # Errors
    /// When the filter cannot be.
    pub fn open(scope: &Scope, reach: Reach, window: Window, (filter, sort): (OrderFilter, OrderSort)) -> Result<Self> {
        let OrderSort { field, reverse } = sort;
        let sorted = match field {
            OrderSortField::PlacedAt => Sorted::Placed,
            OrderSortField::Total => Sorted::Total,
        };
        let country = scope.shared.config.shop.country;
        let wanted = filter.read(scope)?.understand(reach, (sorted, reverse), country)?;
        Ok(Self { wanted, window, page: OnceCell::new() })
    }

    /// What a customer has bought; `None` when the caller may not see it.
    ///
    /// # Errors
    /// Never, as nothing is looked for.
    pub fn of_customer(scope: &Scope, account: i64, window: Window) -> Result<Option<Self>> {
        let reach = Reach::of(scope.caller, Permission::OrderRead).filter(|reach| reach.covers(account));
        let Some(reach) = reach else { return Ok(None) };
        let filter = Filter { account: Some(account), ..Filter::default() };
        let wanted = filter.understand(reach, (Sorted::default(), false), scope.shared.config.shop.country)?;
        Ok(Some(Self { wanted, window, page: OnceCell::new() }))
    }

    async fn page(&self, db: &Db) -> Result<&Page<order::Order>> {
        self.page.get_or_try_init(|| list::page(db, &self.wanted, &self.window)).await
    }
}

/// A page of orders, and what can be said about the whole list.
#[Object]
impl OrderConnection {
    /// The orders of the page. One statement for the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Order>> {
        Ok(self.page(&scope(ctx).db).await?.rows.iter().cloned().map(Order::from).collect())
    }

    /// The orders of the page, each with its cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<OrderEdge>> {
        let page = self.page(&scope(ctx).db).await?;
        let edge = |row: &order::Order| OrderEdge { cursor: self.wanted.cursor(row), node: row.clone().into() };
        Ok(page.rows.iter().map(edge).collect())
    }

    /// Where the page lies in the list.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::of(self.page(&scope(ctx).db).await?, |row| self.wanted.cursor(row)))
    }

    /// How many the filter wants on all pages together. One statement, in proportion to their number.
    #[graphql(complexity = "connection::per_list(connection::COUNT)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        list::count(&scope(ctx).db, &self.wanted).await
    }
}

/// The orders' part of the query root.
#[derive(Debug, Default)]
pub struct OrderQuery;

#[Object]
impl OrderQuery {
    /// An order by its id or its number; null when it is not there or not yours to see. Guests give the number with the
    /// order's token. One statement.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Option<ID>,
        #[graphql(desc = "Its number: `K7QX-3M9T`; case and hyphen do not matter.")] number: Option<String>,
        #[graphql(desc = "The order's token, with the number.")] token: Option<String>,
    ) -> Result<Option<Order>> {
        let scope = scope(ctx);
        match (id, number) {
            (Some(id), None) => Order::find(scope, GlobalId::key(&id, Kind::Order, "id")?).await,
            (None, Some(number)) => {
                let Some(number) = number::read(&number) else { return Ok(None) };
                let reach = Reach::of(scope.caller, Permission::OrderRead);
                let token = token.as_deref();
                let found = find::by_number(&scope.db, &number, (reach, token)).await?;
                let order = |row: order::Order| {
                    if token.is_some_and(|token| row.has_token(token)) { Order::with_token(row) } else { row.into() }
                };
                Ok(found.map(order))
            }
            (id, number) => {
                let field = surplus([("id", id.is_some()), ("number", number.is_some())]);
                Err(Error::bad_input(field, "say which order: its id or its number, one of them"))
            }
        }
    }

    /// One's own orders; for staff everybody's. The newest first. One statement a page.
    #[graphql(
        guard = "SignedIn.or(Can(Permission::OrderRead))",
        complexity = "connection::cost(first, last, child_complexity)"
    )]
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of every list")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the beginning; 20 when nothing is said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which orders; all when nothing is said.", default)] filter: OrderFilter,
        #[graphql(desc = "In which order.", default)] sort: OrderSort,
    ) -> Result<OrderConnection> {
        let scope = scope(ctx);
        let window = Window::new(first, after, last, before)?;
        let reach = Reach::of(scope.caller, Permission::OrderRead);
        let reach = reach.ok_or_else(|| Error::not_found("", "order"))?;
        OrderConnection::open(scope, reach, window, (filter, sort))
    }
}
