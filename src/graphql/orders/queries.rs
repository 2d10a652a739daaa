//! Order queries: a single order, and lists for customers and staff.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;
use tokio::sync::OnceCell;

use super::{
    super::{
        connection::{self, PageInfo},
        context::{RequestContext, request_context},
        filter::TimeFilter,
        find_conflicting_argument,
        guard::{RequireLogin, RequirePermission},
    },
    FulfilmentStatus, Order, OrderStatus, PaymentStatus,
};
use crate::{
    base::{
        Error, GlobalId, Money, Result,
        global_id::NodeType,
        pagination::{Page, PageRequest},
    },
    customer::OwnerScope,
    identity::Permission,
    infra::Db,
    order::{
        self, number,
        order_filter::{self, OrderListFilter, OrderSortKey, ResolvedOrderFilter},
        queries,
    },
};

/// Range of amounts, both ends inclusive.
#[derive(Debug, Clone, Copy, Default, InputObject)]
pub struct AmountFilter {
    /// Minimum amount.
    min: Option<Decimal>,
    /// Maximum amount.
    max: Option<Decimal>,
}

/// Filter of orders. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct OrderFilter {
    /// Prefix of the order number, recipient name, email address or phone number; at most 200 characters.
    search: Option<String>,
    /// Any of these statuses.
    status: Option<Vec<OrderStatus>>,
    /// Any of these payment statuses.
    payment_status: Option<Vec<PaymentStatus>>,
    /// Any of these fulfillment statuses.
    fulfilment_status: Option<Vec<FulfilmentStatus>>,
    /// Time range of placement.
    placed_at: Option<TimeFilter>,
    /// ID of the customer.
    customer_id: Option<ID>,
    /// Exact order number.
    number: Option<String>,
    /// SKU of any order line.
    sku: Option<String>,
    /// Range of the order total.
    total: Option<AmountFilter>,
}

/// Sort fields of orders.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderSortField {
    /// Time of placement, newest first.
    #[default]
    PlacedAt,
    /// Order total, highest first.
    Total,
}

/// Sort order of orders.
#[derive(Debug, Default, InputObject)]
pub struct OrderSort {
    /// Field to sort by.
    #[graphql(default)]
    field: OrderSortField,
    /// Reverses the sort order.
    #[graphql(default)]
    reverse: bool,
}

impl OrderFilter {
    fn into_order_filter(self, context: &RequestContext) -> Result<OrderListFilter> {
        let Self { search, status, payment_status, fulfilment_status, placed_at, customer_id, number, sku, total } =
            self;
        let parse_customer_id = |id: ID| GlobalId::decode_as(&id, NodeType::Customer, "filter.customerId");
        let AmountFilter { min, max } = total.unwrap_or_default();
        Ok(OrderListFilter {
            search,
            status: status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            payment_status: payment_status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            fulfillment_status: fulfilment_status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            placed: placed_at.map(TimeFilter::into_range).unwrap_or_default(),
            account: customer_id.map(parse_customer_id).transpose()?,
            number,
            sku,
            total: (parse_amount(context, min, "filter.total.min")?, parse_amount(context, max, "filter.total.max")?),
        })
    }
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
        None => Err(Error::bad_input(field, "this is no amount that the shop can count to")),
    }
}

/// Paginated list of orders.
#[derive(Debug)]
pub struct OrderConnection {
    filter: ResolvedOrderFilter,
    page_request: PageRequest,
    /// Loaded once, when first accessed.
    page: OnceCell<Page<order::OrderRow>>,
}

/// Order with its cursor.
#[derive(Debug, SimpleObject)]
pub struct OrderEdge {
    /// Cursor for `after` and `before`.
    cursor: String,
    /// Order.
    node: Order,
}

impl OrderConnection {
    /// Creates a page that is loaded on first access.
    ///
    /// # Errors
    /// Returns a user error if the filter is invalid.
    pub fn new(
        context: &RequestContext,
        owner_scope: OwnerScope,
        page_request: PageRequest,
        (filter, sort): (OrderFilter, OrderSort),
    ) -> Result<Self> {
        let OrderSort { field, reverse } = sort;
        let sort_key = match field {
            OrderSortField::PlacedAt => OrderSortKey::Placed,
            OrderSortField::Total => OrderSortKey::Total,
        };
        let country = context.app_state.config.shop.country;
        let resolved_filter = filter.into_order_filter(context)?.resolve(owner_scope, (sort_key, reverse), country)?;
        Ok(Self { filter: resolved_filter, page_request, page: OnceCell::new() })
    }

    /// Returns the orders of a customer; `None` if the caller may not see them.
    pub fn for_customer(context: &RequestContext, account_id: i64, page_request: PageRequest) -> Result<Option<Self>> {
        let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead)
            .filter(|owner_scope| owner_scope.covers(account_id));
        let Some(owner_scope) = owner_scope else { return Ok(None) };
        let filter = OrderListFilter { account: Some(account_id), ..OrderListFilter::default() };
        let resolved_filter =
            filter.resolve(owner_scope, (OrderSortKey::default(), false), context.app_state.config.shop.country)?;
        Ok(Some(Self { filter: resolved_filter, page_request, page: OnceCell::new() }))
    }

    async fn page(&self, db: &Db) -> Result<&Page<order::OrderRow>> {
        self.page.get_or_try_init(|| order_filter::list_orders(db, &self.filter, &self.page_request)).await
    }
}

/// Paginated list of orders.
#[Object]
impl OrderConnection {
    /// Orders of the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Order>> {
        Ok(self.page(&request_context(ctx).db).await?.rows.iter().cloned().map(Order::from).collect())
    }

    /// Orders of the page with their cursors.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<OrderEdge>> {
        let page = self.page(&request_context(ctx).db).await?;
        let edge = |row: &order::OrderRow| OrderEdge { cursor: self.filter.cursor(row), node: row.clone().into() };
        Ok(page.rows.iter().map(edge).collect())
    }

    /// Pagination info of the page.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::from_page(self.page(&request_context(ctx).db).await?, |row| self.filter.cursor(row)))
    }

    /// Number of orders that match the filter, across all pages.
    #[graphql(complexity = "connection::cost_per_list(connection::TOTAL_COUNT_COST)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        order_filter::count_orders(&request_context(ctx).db, &self.filter).await
    }
}

/// Order fields of the query root.
#[derive(Debug, Default)]
pub struct OrderQuery;

#[Object]
impl OrderQuery {
    /// Returns an order by ID or number; null if it does not exist or the caller may not see it. Guests pass the number
    /// with the order's token.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: Option<ID>,
        #[graphql(desc = "Order number: `K7QX-3M9T`; case and hyphen are ignored.")] number: Option<String>,
        #[graphql(desc = "Secret token for guest access, used with the number.")] token: Option<String>,
    ) -> Result<Option<Order>> {
        let context = request_context(ctx);
        match (id, number) {
            (Some(id), None) => Order::find(context, GlobalId::decode_as(&id, NodeType::Order, "id")?).await,
            (None, Some(number)) => {
                let Some(number) = number::parse_order_number(&number) else { return Ok(None) };
                let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead);
                let token = token.as_deref();
                let row = queries::find_order_by_number(&context.db, &number, (owner_scope, token)).await?;
                let to_order = |row: order::OrderRow| {
                    if token.is_some_and(|token| row.has_token(token)) { Order::with_token(row) } else { row.into() }
                };
                Ok(row.map(to_order))
            }
            (id, number) => {
                let field = find_conflicting_argument([("id", id.is_some()), ("number", number.is_some())]);
                Err(Error::bad_input(field, "say which order: its id or its number, one of them"))
            }
        }
    }

    /// Lists the caller's orders or, for staff, all orders; newest first by default.
    #[graphql(
        guard = "RequireLogin.or(RequirePermission(Permission::OrderRead))",
        complexity = "connection::compute_connection_cost(first, last, child_complexity)"
    )]
    #[expect(clippy::too_many_arguments, reason = "pagination, filter and sort arguments of a connection")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter of orders; defaults to all.", default)] filter: OrderFilter,
        #[graphql(desc = "Sort order.", default)] sort: OrderSort,
    ) -> Result<OrderConnection> {
        let context = request_context(ctx);
        let page_request = PageRequest::new(first, after, last, before)?;
        let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead);
        let owner_scope = owner_scope.ok_or_else(|| Error::not_found("", "order"))?;
        OrderConnection::new(context, owner_scope, page_request, (filter, sort))
    }
}
