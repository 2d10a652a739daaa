//! Order queries: a single order, and lists for customers and staff.

use async_graphql::{Context, Enum, ID, InputObject, Object};

use super::{
    Order,
    status::{FulfillmentStatusEnum, OrderPaymentStatus, OrderStatus},
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    customer::OwnerScope,
    graphql::{
        context::{RequestContext, request_context},
        guard::{RequireLogin, RequirePermission},
        input::{find_conflicting_argument, parse_amount, parse_optional_id},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        scalars::{DateTimeRangeInput, MoneyRangeInput},
    },
    identity::Permission,
    order::{
        OrderRow, number,
        order_filter::{OrderListFilter, OrderListSort, OrderSortKey, ResolvedOrderFilter},
        queries,
    },
};

/// Filter for orders. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct OrderFilter {
    /// Prefix of the order number, recipient name, email address or phone number; at most 200 characters.
    search: Option<String>,
    /// Any of these statuses.
    status: Option<Vec<OrderStatus>>,
    /// Any of these payment statuses.
    payment_status: Option<Vec<OrderPaymentStatus>>,
    /// Any of these fulfillment statuses.
    fulfillment_status: Option<Vec<FulfillmentStatusEnum>>,
    /// Time range of placement.
    placed_at: Option<DateTimeRangeInput>,
    /// Time range of the last update.
    updated_at: Option<DateTimeRangeInput>,
    /// ID of the customer.
    customer_id: Option<ID>,
    /// Exact order number.
    number: Option<String>,
    /// SKU of any order line.
    sku: Option<String>,
    /// Range of the order total.
    total: Option<MoneyRangeInput>,
}

/// Sort fields of orders.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderSortField {
    /// Time of placement, newest first.
    #[default]
    PlacedAt,
    /// Order total, highest first.
    Total,
    /// Time of the last update, latest first.
    UpdatedAt,
    /// Order number, descending.
    Number,
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
        let Self { search, status, payment_status, fulfillment_status, placed_at, updated_at, .. } = self;
        let Self { customer_id, number, sku, total, .. } = self;
        let MoneyRangeInput { min, max } = total.unwrap_or_default();
        let (placed_from, placed_to) = placed_at.map(DateTimeRangeInput::into_range).unwrap_or_default();
        let (updated_from, updated_to) = updated_at.map(DateTimeRangeInput::into_range).unwrap_or_default();
        Ok(OrderListFilter {
            search,
            status: status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            payment_status: payment_status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            fulfillment_status: fulfillment_status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            placed_from,
            placed_to,
            updated_from,
            updated_to,
            account: parse_optional_id(customer_id, NodeType::Customer, "filter.customerId")?,
            number,
            sku,
            min_total: parse_amount(context, min, "filter.total.min")?,
            max_total: parse_amount(context, max, "filter.total.max")?,
        })
    }
}

edge!(
    /// Order with its cursor.
    OrderEdge { cursor = "Cursor for `after` and `before`.", node: Order = "Order." }
);

connection!(
    /// Paginated list of orders.
    OrderConnection(ResolvedOrderFilter) {
        nodes: Vec<Order> = "Orders of the page.",
        edges: Vec<OrderEdge> = "Orders of the page with their cursors.",
        page_info = "Pagination info of the page.",
        total_count = "Number of orders that match the filter, across all pages.",
    }
);

paged_list!(
    ResolvedOrderFilter,
    OrderRow,
    |filter, db, request| queries::list_orders(db, filter, request),
    |filter, row| filter.encode_cursor(row),
    |filter, db| queries::count_orders(db, filter)
);

impl OrderConnection {
    /// Returns the orders of a customer; `None` if the caller may not see them.
    pub fn for_customer(context: &RequestContext, account_id: i64, page_request: PageRequest) -> Result<Option<Self>> {
        let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead)
            .filter(|owner_scope| owner_scope.covers(account_id));
        let Some(owner_scope) = owner_scope else { return Ok(None) };
        let filter = OrderListFilter { account: Some(account_id), ..OrderListFilter::default() };
        let country = context.app_state.config.shop.country;
        let resolved_filter = filter.resolve(owner_scope, OrderListSort::default(), country)?;
        Ok(Some(Self::new(resolved_filter, page_request)))
    }
}

impl From<OrderSort> for OrderListSort {
    fn from(OrderSort { field, reverse }: OrderSort) -> Self {
        let sort_key = match field {
            OrderSortField::PlacedAt => OrderSortKey::Placed,
            OrderSortField::Total => OrderSortKey::Total,
            OrderSortField::UpdatedAt => OrderSortKey::Updated,
            OrderSortField::Number => OrderSortKey::Number,
        };
        Self { sort_key, reverse }
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
                if token.is_some() {
                    // The writes of guests are not known by their requests.
                    context.db.use_primary();
                }
                let row = queries::find_order_by_number(&context.db, &number, owner_scope, token).await?;
                let to_order = |row: OrderRow| {
                    if token.is_some_and(|token| row.has_token(token)) { Order::with_token(row) } else { row.into() }
                };
                Ok(row.map(to_order))
            }
            (id, number) => {
                let field = find_conflicting_argument([("id", id.is_some()), ("number", number.is_some())]);
                Err(Error::bad_input(field, "give either the id or the number of the order"))
            }
        }
    }

    /// Lists the caller's orders or, for staff, all orders; newest first by default.
    #[graphql(
        guard = "RequireLogin.or(RequirePermission(Permission::OrderRead))",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    #[expect(clippy::too_many_arguments, reason = "pagination, filter and sort arguments of a connection")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<OrderFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] sort: Option<OrderSort>,
    ) -> Result<Option<OrderConnection>> {
        let context = request_context(ctx);
        let page_request = PageRequest::new(first, after, last, before)?;
        let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead);
        let owner_scope = owner_scope.ok_or_else(|| Error::not_found("", "order"))?;
        let country = context.app_state.config.shop.country;
        let resolved_filter = filter.unwrap_or_default().into_order_filter(context)?.resolve(
            owner_scope,
            sort.unwrap_or_default().into(),
            country,
        )?;
        Ok(Some(OrderConnection::new(resolved_filter, page_request)))
    }
}
