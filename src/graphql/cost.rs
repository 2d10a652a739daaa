//! Amounts of carts, orders and their lines.

use async_graphql::SimpleObject;
use macros::BatchedObject;

use super::{batched::Batched, context::RequestContext, scalars::MoneyObject};
use crate::{
    order::{OrderLineRow, OrderRow},
    pricing::{PricedLine, Totals},
};

/// Amounts of a cart or an order: `total = subtotal + shipping + tax - taxIncluded`.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct Cost {
    /// Sum of all lines at current prices: `listSubtotal - discount`.
    subtotal: Batched<MoneyObject>,
    /// Sum of all lines at regular prices.
    list_subtotal: Batched<MoneyObject>,
    /// Discount from sale prices.
    discount: Batched<MoneyObject>,
    /// Shipping cost; 0 until a shipping method is selected.
    shipping: Batched<MoneyObject>,
    /// Total tax on goods and shipping. For a cart, at the rates of the shipping country, or of the shop's country until
    /// a shipping address is set.
    tax: Batched<MoneyObject>,
    /// Part of `tax` that the prices already include, so it is not added to the total.
    tax_included: Batched<MoneyObject>,
    /// Amount to pay.
    total: Batched<MoneyObject>,
}

/// Amounts of a cart or order line.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct LineCost {
    /// Price per unit.
    unit_price: Batched<MoneyObject>,
    /// Regular price per unit.
    list_price: Batched<MoneyObject>,
    /// Price of all units: `listSubtotal - discount`.
    subtotal: Batched<MoneyObject>,
    /// Regular price of all units.
    list_subtotal: Batched<MoneyObject>,
    /// Discount from sale prices.
    discount: Batched<MoneyObject>,
    /// Tax, included in the prices or added to them.
    tax: Batched<MoneyObject>,
    /// Total including tax.
    total: Batched<MoneyObject>,
}

impl Cost {
    /// Returns the amounts of a priced cart.
    #[must_use]
    pub fn of_totals(context: &RequestContext, totals: &Totals) -> Batched<Self> {
        let Totals { list_subtotal, discount, shipping, tax, tax_included, total } = *totals;
        let money = |minor_units| context.money(minor_units);
        Batched(Self {
            subtotal: money(totals.subtotal()),
            list_subtotal: money(list_subtotal),
            discount: money(discount),
            shipping: money(shipping),
            tax: money(tax),
            tax_included: money(tax_included),
            total: money(total),
        })
    }

    /// Returns the amounts of an order.
    #[must_use]
    pub fn of_order(context: &RequestContext, order: &OrderRow) -> Batched<Self> {
        let totals = Totals {
            list_subtotal: order.list_subtotal,
            discount: order.discount,
            shipping: order.shipping,
            tax: order.tax,
            tax_included: order.tax - order.tax_excluded_total,
            total: order.total,
        };
        Self::of_totals(context, &totals)
    }
}

impl LineCost {
    /// Returns the amounts of a priced cart line.
    #[must_use]
    pub fn of_cart_line(context: &RequestContext, line: &PricedLine) -> Batched<Self> {
        let PricedLine { variant, quantity: _, tax_rate: _, list_total, discount, tax, total } = line;
        let money = |minor_units| context.money(minor_units);
        Batched(Self {
            unit_price: money(variant.unit_price),
            list_price: money(variant.list_price),
            subtotal: money(list_total - discount),
            list_subtotal: money(*list_total),
            discount: money(*discount),
            tax: money(*tax),
            total: money(*total),
        })
    }

    /// Returns the amounts of an order line.
    #[must_use]
    pub fn of_order_line(context: &RequestContext, line: &OrderLineRow) -> Batched<Self> {
        let money = |minor_units| context.money(minor_units);
        let subtotal = line.total - line.tax_excluded_total;
        Batched(Self {
            unit_price: money(line.unit_price),
            list_price: money(line.unit_list_price),
            subtotal: money(subtotal),
            list_subtotal: money(subtotal + line.discount),
            discount: money(line.discount),
            tax: money(line.tax),
            total: money(line.total),
        })
    }
}
