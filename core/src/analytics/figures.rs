//! The figures of a day, a period, a channel or a country. Pure. `docs/ANALYTICS.md` defines each.

use sea_orm::FromQueryResult;

/// The figures of orders, in the order of their columns. Amounts are in minor units of the shop's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromQueryResult)]
pub struct OrderFigures {
    /// Orders that were placed and are not canceled.
    pub orders: i64,
    /// Orders that were placed and are canceled.
    pub canceled_orders: i64,
    /// Ordered units that are not canceled, of orders that are not canceled.
    pub units: i64,
    /// First orders of customers, canceled or not.
    pub new_customers: i64,
    /// Further orders of customers, canceled or not.
    pub returning_orders: i64,
    /// List prices of the ordered units, before discounts.
    pub gross_sales: i64,
    /// Discounts.
    pub discounts: i64,
    /// Shipping.
    pub shipping: i64,
    /// Taxes, included in prices or added to them.
    pub tax: i64,
    /// Value of units that were canceled before they were paid.
    pub canceled_sales: i64,
    /// What the buyers owe or have paid: the totals of the orders less `canceled_sales`.
    pub total_sales: i64,
    /// Amounts refunded on the days, whenever their orders were placed.
    pub refunds: i64,
}

impl OrderFigures {
    /// The names of the columns, in order.
    pub const COLUMNS: [&str; 12] = [
        "orders",
        "canceled_orders",
        "units",
        "new_customers",
        "returning_orders",
        "gross_sales",
        "discounts",
        "shipping",
        "tax",
        "canceled_sales",
        "total_sales",
        "refunds",
    ];

    /// Returns the values in the order of the columns.
    #[must_use]
    pub const fn values(&self) -> [i64; Self::COLUMNS.len()] {
        let Self {
            orders,
            canceled_orders,
            units,
            new_customers,
            returning_orders,
            gross_sales,
            discounts,
            shipping,
            tax,
            canceled_sales,
            total_sales,
            refunds,
        } = *self;
        [
            orders,
            canceled_orders,
            units,
            new_customers,
            returning_orders,
            gross_sales,
            discounts,
            shipping,
            tax,
            canceled_sales,
            total_sales,
            refunds,
        ]
    }

    /// Adds other figures.
    pub fn add(&mut self, other: &Self) {
        self.orders += other.orders;
        self.canceled_orders += other.canceled_orders;
        self.units += other.units;
        self.new_customers += other.new_customers;
        self.returning_orders += other.returning_orders;
        self.gross_sales += other.gross_sales;
        self.discounts += other.discounts;
        self.shipping += other.shipping;
        self.tax += other.tax;
        self.canceled_sales += other.canceled_sales;
        self.total_sales += other.total_sales;
        self.refunds += other.refunds;
    }

    /// Returns the total sales less the refunds, which may be negative.
    #[must_use]
    pub const fn net_sales(&self) -> i64 {
        self.total_sales - self.refunds
    }

    /// Returns the total sales per order, rounded half up; `None` without orders.
    #[must_use]
    pub const fn average_order_value(&self) -> Option<i64> {
        if self.orders == 0 { None } else { Some((self.total_sales * 2 + self.orders) / (self.orders * 2)) }
    }
}

/// The figures of carts that were filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromQueryResult)]
pub struct CartFigures {
    /// Carts created in the period that were filled.
    pub carts: i64,
    /// Those of them that were ordered.
    pub ordered_carts: i64,
}

impl CartFigures {
    /// Adds other figures.
    pub const fn add(&mut self, other: &Self) {
        self.carts += other.carts;
        self.ordered_carts += other.ordered_carts;
    }

    /// Returns the part of the carts that was ordered, in basis points; `None` without carts.
    #[must_use]
    pub const fn conversion_bps(&self) -> Option<i64> {
        if self.carts == 0 { None } else { Some((self.ordered_carts * 20_000 + self.carts) / (self.carts * 2)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_is_rounded_and_absent_without_orders() {
        let average =
            |total_sales, orders| OrderFigures { orders, total_sales, ..OrderFigures::default() }.average_order_value();
        assert_eq!(
            [average(0, 0), average(100, 3), average(5, 2), average(200, 3)],
            [None, Some(33), Some(3), Some(67)]
        );
    }

    #[test]
    fn conversion_is_in_basis_points() {
        let conversion = |carts, ordered_carts| CartFigures { carts, ordered_carts }.conversion_bps();
        assert_eq!([conversion(0, 0), conversion(3, 1), conversion(3, 3)], [None, Some(3333), Some(10_000)]);
    }

    #[test]
    fn added_figures_are_the_sums_of_all_columns() {
        let one = OrderFigures {
            orders: 1,
            canceled_orders: 2,
            units: 3,
            new_customers: 4,
            returning_orders: 5,
            gross_sales: 6,
            discounts: 7,
            shipping: 8,
            tax: 9,
            canceled_sales: 10,
            total_sales: 11,
            refunds: 12,
        };
        let mut sum = one;
        sum.add(&one);
        assert_eq!(one.values(), std::array::from_fn(|index| i64::try_from(index).unwrap_or(0) + 1));
        assert_eq!(sum.values(), one.values().map(|value| value * 2));
    }
}
