//! Order lists: filter, sort order and cursors.

use chrono::{DateTime, Utc};
use sea_orm::ActiveEnum;

use super::{FulfillmentStatus, OrderRow, PaymentStatus, Status};
use crate::{
    base::{
        Country, Error, Result,
        pagination::{CursorType, CursorValue, is_storable_time},
        phone, text,
    },
    customer::OwnerScope,
    infra::keyset::KeysetOrder,
};

/// Maximum length of a search text, in characters.
const MAX_ORDER_SEARCH_LENGTH: usize = 200;

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
    /// Earliest time of placement, inclusive.
    pub placed_from: Option<DateTime<Utc>>,
    /// Latest time of placement, exclusive.
    pub placed_to: Option<DateTime<Utc>>,
    /// Earliest time of the last update, inclusive.
    pub updated_from: Option<DateTime<Utc>>,
    /// Latest time of the last update, exclusive.
    pub updated_to: Option<DateTime<Utc>>,
    /// Account id of the customer.
    pub account: Option<i64>,
    /// Order number.
    pub number: Option<String>,
    /// SKU of one of the lines.
    pub sku: Option<String>,
    /// Minimum total, inclusive, in minor units.
    pub min_total: Option<i64>,
    /// Maximum total, inclusive, in minor units.
    pub max_total: Option<i64>,
}

/// Sort key of order lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderSortKey {
    /// Time of placement, newest first.
    #[default]
    Placed,
    /// Total, highest first.
    Total,
    /// Time of the last update, latest first.
    Updated,
    /// Number, descending.
    Number,
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
    pub(super) const fn keyset(self) -> KeysetOrder {
        let (tag, reversed_tag, columns): (char, char, &[(&str, CursorType)]) = match self.sort_key {
            OrderSortKey::Placed => ('o', 'p', &[("o.placed_at", CursorType::Time)]),
            OrderSortKey::Total => ('t', 'u', &[("o.total", CursorType::Int)]),
            OrderSortKey::Updated => ('v', 'w', &[("o.updated_at", CursorType::Time)]),
            OrderSortKey::Number => ('n', 'm', &[("o.number", CursorType::Text)]),
        };
        let tag = if self.reverse { reversed_tag } else { tag };
        KeysetOrder { tag, columns, id_column: "o.id", descending: !self.reverse }
    }
}

/// A validated filter with access scope and sort order.
#[derive(Debug)]
pub struct ResolvedOrderFilter {
    pub(super) filter: OrderListFilter,
    pub(super) owner_scope: OwnerScope,
    pub(super) sort: OrderListSort,
    pub(super) search_terms: Option<OrderSearchTerms>,
}

/// The search text, normalized for each searched column.
#[derive(Debug)]
pub(super) struct OrderSearchTerms {
    pub name: String,
    pub email: String,
    pub phone: Option<String>,
    pub number: String,
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
        let times = [
            ("placedAt.from", self.placed_from),
            ("placedAt.to", self.placed_to),
            ("updatedAt.from", self.updated_from),
            ("updatedAt.to", self.updated_to),
        ];
        for (field, time) in times {
            if time.is_some_and(|time| !is_storable_time(&time)) {
                return Err(Error::bad_input(&format!("filter.{field}"), "the year must be from 1 to 9999"));
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
pub(super) type OrderStatusLists = [Vec<String>; 3];

impl ResolvedOrderFilter {
    /// Returns the selected statuses; `None` where the filter has no condition.
    pub(super) fn status_lists(&self) -> [Option<Vec<String>>; 3] {
        let OrderListFilter { status, payment_status, fulfillment_status, .. } = &self.filter;
        [
            status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
            payment_status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
            fulfillment_status.as_ref().map(|list| list.iter().map(ActiveEnum::to_value).collect()),
        ]
    }

    /// Returns the status combinations to read from the index by status. `None` if another condition is more selective,
    /// if no status is selected, or if no index by status has the sort order.
    pub(super) fn indexed_status_lists(&self) -> Option<OrderStatusLists> {
        let OrderListFilter { account, number, sku, .. } = &self.filter;
        let is_selective = account.is_some() || number.is_some() || sku.is_some() || self.search_terms.is_some();
        let [status, payment, fulfillment] = self.status_lists();
        let is_indexed = matches!(self.sort.sort_key, OrderSortKey::Placed | OrderSortKey::Total);
        if is_selective
            || !is_indexed
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

    /// Returns the pagination cursor of an order.
    #[must_use]
    pub fn encode_cursor(&self, row: &OrderRow) -> String {
        let key = match self.sort.sort_key {
            OrderSortKey::Placed => CursorValue::Time(row.placed_at),
            OrderSortKey::Total => CursorValue::Int(row.total),
            OrderSortKey::Updated => CursorValue::Time(row.updated_at),
            OrderSortKey::Number => CursorValue::Text(row.number.clone()),
        };
        self.sort.keyset().cursor(vec![key], row.id)
    }
}
