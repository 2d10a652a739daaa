//! Order lists: filter, sort order and pagination. Statements per page: 1.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, ConnectionTrait};

use super::{FulfillmentStatus, OrderRow, PaymentStatus, Status, number};
use crate::{
    base::{
        Country, Error, Result,
        pagination::{CursorType, CursorValue, Page, PageRequest, is_storable_time},
        phone, text,
    },
    customer::OwnerScope,
    infra::{
        SqlBuilder,
        keyset::{self, KeysetOrder},
    },
};

/// Maximum length of a search text, in characters.
const MAX_ORDER_SEARCH_LENGTH: usize = 200;

/// Time range: start (inclusive) and end (exclusive).
pub type PlacedTimeRange = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Filter of order lists. Conditions are combined with AND; `None` does not filter.
#[derive(Debug, Default)]
pub struct OrderListFilter {
    /// Prefix of the order number, name, e-mail address or phone number.
    pub search: Option<String>,
    /// Any of these statuses.
    pub status: Option<Vec<Status>>,
    /// Any of these statuses.
    pub payment_status: Option<Vec<PaymentStatus>>,
    /// Any of these statuses.
    pub fulfillment_status: Option<Vec<FulfillmentStatus>>,
    /// Time range of placement.
    pub placed: PlacedTimeRange,
    /// Account id of the customer.
    pub account: Option<i64>,
    /// Order number.
    pub number: Option<String>,
    /// SKU of one of the lines.
    pub sku: Option<String>,
    /// Minimum and maximum total, both inclusive, in minor units.
    pub total: (Option<i64>, Option<i64>),
}

/// Sort key of order lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderSortKey {
    /// Time of placement, newest first.
    #[default]
    Placed,
    /// Total, highest first.
    Total,
}

/// Sort order of order lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderListSort {
    /// The sort key.
    pub sort_key: OrderSortKey,
    /// Whether the order is reversed.
    pub reverse: bool,
}

impl OrderListSort {
    const fn keyset(self) -> KeysetOrder {
        let (tag, reversed_tag, columns): (char, char, &[(&str, CursorType)]) = match self.sort_key {
            OrderSortKey::Placed => ('o', 'p', &[("o.placed_at", CursorType::Time)]),
            OrderSortKey::Total => ('t', 'u', &[("o.total", CursorType::Int)]),
        };
        let tag = if self.reverse { reversed_tag } else { tag };
        KeysetOrder { tag, columns, id_column: "o.id", descending: !self.reverse }
    }
}

/// A validated filter with access scope and sort order.
#[derive(Debug)]
pub struct ResolvedOrderFilter {
    filter: OrderListFilter,
    owner_scope: OwnerScope,
    sort: OrderListSort,
    search_terms: Option<OrderSearchTerms>,
}

/// The search text, normalized for each searched column.
#[derive(Debug)]
struct OrderSearchTerms {
    name: String,
    email: String,
    phone: Option<String>,
    number: String,
}

impl OrderListFilter {
    /// Validates the filter. Phone numbers without a country code are read as numbers of `country`.
    ///
    /// # Errors
    /// Returns `BadUserInput` if a text is too long or a time is out of range.
    pub fn resolve(
        self,
        owner_scope: OwnerScope,
        sort: OrderListSort,
        country: Country,
    ) -> Result<ResolvedOrderFilter> {
        for (field, value) in [("search", &self.search), ("number", &self.number), ("sku", &self.sku)] {
            if value.as_ref().is_some_and(|value| value.chars().count() > MAX_ORDER_SEARCH_LENGTH) {
                return Err(Error::bad_input(
                    &format!("filter.{field}"),
                    format!("at most {MAX_ORDER_SEARCH_LENGTH} characters"),
                ));
            }
        }
        for (name, time) in [("from", self.placed.0), ("to", self.placed.1)] {
            if time.is_some_and(|time| !is_storable_time(&time)) {
                return Err(Error::bad_input(&format!("filter.placedAt.{name}"), "a year is from 1 to 9999"));
            }
        }
        let to_search_terms = |value: &str| OrderSearchTerms {
            name: text::normalize_for_search(value),
            email: value.trim().to_lowercase(),
            phone: phone::normalize_phone_prefix(value, country),
            number: value.trim().to_uppercase(),
        };
        let search_terms = self.search.as_deref().map(to_search_terms).filter(|terms| !terms.name.is_empty());
        Ok(ResolvedOrderFilter { search_terms, filter: self, owner_scope, sort })
    }
}

/// Stored values of the selected statuses: order, payment, fulfillment.
type OrderStatusLists = [Vec<String>; 3];

/// Columns of [`OrderStatusLists`].
const STATUS_COLUMNS: [&str; 3] = ["status", "payment_status", "fulfillment_status"];

impl ResolvedOrderFilter {
    /// Returns the selected statuses; `None` where the filter has no condition.
    fn status_lists(&self) -> [Option<Vec<String>>; 3] {
        let OrderListFilter { status, payment_status, fulfillment_status, .. } = &self.filter;
        [
            status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
            payment_status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
            fulfillment_status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
        ]
    }

    /// Returns the status combinations to read from the index by status. `None` if another condition is more selective,
    /// or if no status is selected.
    fn indexed_status_lists(&self) -> Option<OrderStatusLists> {
        let OrderListFilter { account, number, sku, .. } = &self.filter;
        let is_selective = account.is_some() || number.is_some() || sku.is_some() || self.search_terms.is_some();
        let [status, payment, fulfillment] = self.status_lists();
        if is_selective
            || self.owner_scope != OwnerScope::All
            || [&status, &payment, &fulfillment].iter().all(|list| list.is_none())
        {
            return None;
        }
        Some([
            status.unwrap_or_else(Status::values),
            payment.unwrap_or_else(PaymentStatus::values),
            fulfillment.unwrap_or_else(FulfillmentStatus::values),
        ])
    }

    fn push_conditions(&self, sql: &mut SqlBuilder) {
        // If one status is selected, all three columns get a condition: the index by status begins with the order
        // status.
        let status_lists =
            self.indexed_status_lists().map_or_else(|| self.status_lists(), |status_lists| status_lists.map(Some));
        for (column, list) in STATUS_COLUMNS.into_iter().zip(status_lists) {
            if let Some(list) = list {
                sql.push(" AND ").eq_any_text(&format!("o.{column}"), list.iter().map(String::as_str));
            }
        }
        self.push_other_conditions(sql);
    }

    fn push_other_conditions(&self, sql: &mut SqlBuilder) {
        let OrderListFilter { placed, account, number, sku, total, .. } = &self.filter;
        if let OwnerScope::Account(owner_id) = self.owner_scope {
            sql.push(" AND o.account_id = ").bind(owner_id);
        }
        if let Some(account) = account {
            sql.push(" AND o.account_id = ").bind(*account);
        }
        if let Some(from) = placed.0 {
            sql.push(" AND o.placed_at >= ").bind(from);
        }
        if let Some(to) = placed.1 {
            sql.push(" AND o.placed_at < ").bind(to);
        }
        if let Some(min_total) = total.0 {
            sql.push(" AND o.total >= ").bind(min_total);
        }
        if let Some(max_total) = total.1 {
            sql.push(" AND o.total <= ").bind(max_total);
        }
        if let Some(input) = number {
            sql.push(" AND o.number = ").bind(number::parse_order_number(input).unwrap_or_default());
        }
        if let Some(sku) = sku {
            sql.push(" AND o.id IN (SELECT l.order_id FROM order_line AS l WHERE ");
            sql.push(indexed_expression(sql.is_postgres(), "lower(l.sku)"))
                .push(" = ")
                .bind(sku.trim().to_lowercase())
                .push(")");
        }
        self.push_search_condition(sql);
    }

    fn push_search_condition(&self, sql: &mut SqlBuilder) {
        let Some(OrderSearchTerms { name, email, phone, number }) = &self.search_terms else { return };
        let postgres = sql.is_postgres();
        sql.push(" AND (");
        sql.starts_with(indexed_expression(postgres, "o.number"), number);
        sql.push(" OR ");
        sql.starts_with(indexed_expression(postgres, "lower(o.email)"), email);
        sql.push(" OR ");
        sql.starts_with("o.customer_name_normalized", name);
        if let Some(phone) = phone {
            sql.push(" OR ");
            sql.starts_with(indexed_expression(postgres, "o.phone"), phone);
        }
        sql.push(")");
    }

    /// Returns the pagination cursor of an order.
    #[must_use]
    pub fn encode_cursor(&self, row: &OrderRow) -> String {
        let key = match self.sort.sort_key {
            OrderSortKey::Placed => CursorValue::Time(row.placed_at),
            OrderSortKey::Total => CursorValue::Int(row.total),
        };
        self.sort.keyset().cursor(vec![key], row.id)
    }
}

/// Returns a column in the form of its index (PostgreSQL: collation "C").
fn indexed_expression(postgres: bool, column: &'static str) -> &'static str {
    match (postgres, column) {
        (true, "o.number") => "o.number COLLATE \"C\"",
        (true, "lower(o.email)") => "lower(o.email) COLLATE \"C\"",
        (true, "o.phone") => "o.phone COLLATE \"C\"",
        (true, "lower(l.sku)") => "lower(l.sku) COLLATE \"C\"",
        _ => column,
    }
}

/// Returns one page of orders. Statements: 1.
///
/// With status conditions, PostgreSQL reads the first rows of each status combination from the index in list order and
/// merges them: a page of a rare status costs as much as a page of a frequent one.
///
/// # Errors
/// Returns `BadUserInput` if the cursor does not belong to this list.
pub async fn list_orders(
    db: &impl ConnectionTrait,
    filter: &ResolvedOrderFilter,
    page_request: &PageRequest,
) -> Result<Page<OrderRow>> {
    let page = filter.sort.keyset().resolve(page_request)?;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let status_lists = filter.indexed_status_lists().filter(|_| sql.is_postgres());
    if let Some(status_lists) = &status_lists {
        sql.push("SELECT o.* FROM ");
        for (column, list) in STATUS_COLUMNS.into_iter().zip(status_lists) {
            sql.push("unnest(")
                .bind_texts(list.iter().map(String::as_str))
                .push(&format!(") AS by_{column} ({column}) CROSS JOIN "));
        }
        sql.push("LATERAL (SELECT o.* FROM orders AS o WHERE true");
        for column in STATUS_COLUMNS {
            sql.push(&format!(" AND o.{column} = by_{column}.{column}"));
        }
        filter.push_other_conditions(&mut sql);
    } else {
        sql.push("SELECT o.* FROM orders AS o WHERE true");
        filter.push_conditions(&mut sql);
    }
    page.push_condition(&mut sql);
    if status_lists.is_some() {
        // The index by status, and no other, sorts `NULLS FIRST`.
        page.push_nulls_first_order_and_limit(&mut sql);
        sql.push(") AS o");
    }
    page.push_order_and_limit(&mut sql);
    page.load(db, sql).await
}

/// Returns the number of matching orders. Statements: 1, with cost proportional to that number.
pub async fn count_orders(db: &impl ConnectionTrait, filter: &ResolvedOrderFilter) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT COUNT(*) FROM orders AS o WHERE true");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}
