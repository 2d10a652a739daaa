//! What the figures of orders are computed from: the current rows of orders, their lines, payments and history.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sea_orm::{ActiveEnum, FromQueryResult};

use super::{
    figure_entity::{order_figure, order_line_figure},
    figures::OrderFigures,
    period::day_of,
};
use crate::order::Status;

/// The channel of orders placed by customers and guests.
pub const STOREFRONT_CHANNEL: &str = "storefront";
/// The channel of orders that staff placed for a customer.
pub const STAFF_CHANNEL: &str = "staff";
/// The channel of orders that the system placed.
pub const SYSTEM_CHANNEL: &str = "system";
/// The channel of orders placed with an API key, before its id.
pub const API_KEY_CHANNEL_PREFIX: &str = "api_key:";

/// The row of an order.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct CountedOrder {
    pub(super) id: i64,
    placed_at: DateTime<Utc>,
    status: String,
    account_id: Option<i64>,
    /// Whether the order still says whose it is: an account, an e-mail address or a phone number.
    has_customer: bool,
    /// Whether the customer has an earlier order.
    has_earlier_order: bool,
    /// The actor that placed it.
    actor_kind: Option<String>,
    actor_id: Option<i64>,
    country: Option<String>,
    list_subtotal: i64,
    discount: i64,
    shipping: i64,
    tax: i64,
    total: i64,
    /// The amount of the payment that counts; less than the total after units were canceled that were not paid.
    payment_amount: Option<i64>,
}

/// A line of an order.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct CountedLine {
    pub(super) order_id: i64,
    id: i64,
    product_id: Option<i64>,
    quantity: i64,
    quantity_canceled: i64,
    total: i64,
}

/// A refund of an order, from the ledger.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct CountedRefund {
    pub(super) order_id: i64,
    amount: i64,
    created_at: DateTime<Utc>,
}

/// What an order contributes to the figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OrderContribution {
    /// By day, sorted.
    pub(super) days: Vec<order_figure::Model>,
    /// By line, sorted.
    pub(super) lines: Vec<order_line_figure::Model>,
}

/// How a contribution is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContributionContext {
    /// The time zone of the days.
    pub(super) time_zone: Tz,
    /// The time at which it is computed.
    pub(super) now: DateTime<Utc>,
}

impl CountedLine {
    /// Returns the value of the units that are not canceled, in minor units, rounded up.
    fn remaining_value(&self) -> i64 {
        let canceled = i128::from(self.total) * i128::from(self.quantity_canceled) / i128::from(self.quantity.max(1));
        self.total - i64::try_from(canceled).unwrap_or(0)
    }
}

impl CountedOrder {
    fn channel(&self) -> String {
        match (self.actor_kind.as_deref(), self.actor_id) {
            (Some("api_key"), Some(id)) => format!("{API_KEY_CHANNEL_PREFIX}{id}"),
            (Some("account"), actor_id) if actor_id != self.account_id => STAFF_CHANNEL.to_owned(),
            (Some("system"), _) => SYSTEM_CHANNEL.to_owned(),
            _ => STOREFRONT_CHANNEL.to_owned(),
        }
    }

    /// Returns whether it is the customer's first order. What was once stored counts if the order no longer says whose it
    /// is; and a customer who had ordered before does not become new because the earlier order was anonymized.
    fn is_first_order(&self, stored: Option<&OrderFigures>) -> bool {
        match stored.map(|figures| figures.new_customers == 1) {
            Some(is_first) if !self.has_customer => is_first,
            Some(false) => false,
            _ => !self.has_earlier_order,
        }
    }

    /// Computes what the order contributes. `stored` are its figures of the day of its placement, if it has been counted.
    pub(super) fn contribution(
        &self,
        lines: &[CountedLine],
        refunds: &[CountedRefund],
        stored: Option<&OrderFigures>,
        context: ContributionContext,
    ) -> OrderContribution {
        let is_counted = self.status != Status::Canceled.to_value();
        let placed_on = day_of(self.placed_at, context.time_zone);
        let is_first = self.is_first_order(stored);
        let mut figures = OrderFigures {
            canceled_orders: i64::from(!is_counted),
            new_customers: i64::from(is_first),
            returning_orders: i64::from(!is_first),
            ..OrderFigures::default()
        };
        let mut by_day: BTreeMap<NaiveDate, OrderFigures> = BTreeMap::new();
        let mut line_rows = Vec::new();
        if is_counted {
            let canceled_units: i64 = lines.iter().map(|line| line.quantity_canceled).sum();
            let owed = self.payment_amount.filter(|_| canceled_units > 0).unwrap_or(self.total);
            figures.orders = 1;
            figures.units = lines.iter().map(|line| line.quantity - line.quantity_canceled).sum();
            figures.gross_sales = self.list_subtotal;
            figures.discounts = self.discount;
            figures.shipping = self.shipping;
            figures.tax = self.tax;
            figures.canceled_sales = (self.total - owed).clamp(0, self.total);
            figures.total_sales = self.total - figures.canceled_sales;
            for refund in refunds {
                by_day.entry(day_of(refund.created_at, context.time_zone)).or_default().refunds += refund.amount;
            }
            line_rows.extend(lines.iter().filter_map(|line| self.line_row(line, placed_on, context.now)));
        }
        by_day.entry(placed_on).or_default().add(&figures);
        let channel = self.channel();
        let country = self.country.as_deref().filter(|code| code.len() == 2).unwrap_or_default();
        let to_row =
            |(day, figures): (NaiveDate, OrderFigures)| self.day_row(day, figures, (&channel, country), context.now);
        OrderContribution { days: by_day.into_iter().map(to_row).collect(), lines: line_rows }
    }

    fn line_row(&self, line: &CountedLine, day: NaiveDate, now: DateTime<Utc>) -> Option<order_line_figure::Model> {
        let units = line.quantity - line.quantity_canceled;
        Some(order_line_figure::Model {
            order_line_id: line.id,
            order_id: self.id,
            product_id: line.product_id?,
            day,
            units: Some(units).filter(|units| *units > 0)?,
            sales: line.remaining_value(),
            created_at: now,
        })
    }

    fn day_row(
        &self,
        day: NaiveDate,
        figures: OrderFigures,
        (channel, country): (&str, &str),
        now: DateTime<Utc>,
    ) -> order_figure::Model {
        order_figure::Model {
            order_id: self.id,
            day,
            channel: channel.to_owned(),
            country: country.to_owned(),
            orders: figures.orders,
            canceled_orders: figures.canceled_orders,
            units: figures.units,
            new_customers: figures.new_customers,
            returning_orders: figures.returning_orders,
            gross_sales: figures.gross_sales,
            discounts: figures.discounts,
            shipping: figures.shipping,
            tax: figures.tax,
            canceled_sales: figures.canceled_sales,
            total_sales: figures.total_sales,
            refunds: figures.refunds,
            created_at: now,
        }
    }
}

impl OrderContribution {
    /// Returns whether both contribute the same, whenever they were computed.
    pub(super) fn is_equal(&self, other: &Self) -> bool {
        self.without_times() == other.without_times()
    }

    fn without_times(&self) -> Self {
        let mut contribution = self.clone();
        for row in &mut contribution.days {
            row.created_at = DateTime::UNIX_EPOCH;
        }
        for row in &mut contribution.lines {
            row.created_at = DateTime::UNIX_EPOCH;
        }
        contribution
    }

    /// Returns the figures of the day on which the order was placed.
    pub(super) fn placement(&self) -> Option<OrderFigures> {
        let row = self.days.iter().find(|row| row.orders + row.canceled_orders == 1)?;
        Some(OrderFigures {
            new_customers: row.new_customers,
            returning_orders: row.returning_orders,
            ..OrderFigures::default()
        })
    }
}
