//! Lines of orders, and the parcels they go in.

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    super::{
        context::{Scope, scope},
        int,
        loader::VariantKey,
        shop::CurrencyCode,
        variant::Variant,
    },
    loader::{LinesOf, ParcelOf},
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    order::{self, entity::Part},
};

/// What was bought, as it was then.
#[derive(Debug, Clone)]
pub struct OrderLine(pub order::Line);

/// What was bought, as it was then.
#[Object]
impl OrderLine {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::OrderLine, self.0.id).encode().into()
    }

    /// The variant as it is now; null when the shop does not show it any more. One statement for any number.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let Some(key) = self.0.variant_id else { return Ok(None) };
        let found = scope(ctx).load(VariantKey(key)).await?;
        Ok(found.and_then(|found| found.first().cloned()).map(Variant::from))
    }

    /// The shop's number for it then.
    async fn sku(&self) -> &str {
        &self.0.sku
    }

    /// What the product was called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The variant's options in words, as they were.
    async fn variant_name(&self) -> &str {
        &self.0.variant_name
    }

    /// Where a picture of it was; null when there was none.
    async fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// How many.
    async fn quantity(&self) -> i32 {
        int(self.0.quantity)
    }

    /// How many have been sent off.
    async fn quantity_fulfilled(&self) -> i32 {
        int(self.0.fulfilled)
    }

    /// How many the buyer does not pay for: their money was refunded, or they were canceled before it was captured.
    async fn quantity_refunded(&self) -> i32 {
        int(self.0.refunded)
    }

    /// How many were canceled before they were shipped.
    async fn quantity_canceled(&self) -> i32 {
        int(self.0.cancelled)
    }

    /// How many were shipped and came back into stock.
    async fn quantity_returned(&self) -> i32 {
        int(self.0.returned)
    }

    /// How many are still to be sent.
    async fn quantity_unfulfilled(&self) -> i32 {
        int(self.0.unsent())
    }

    /// The regular price of one.
    async fn list_price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.unit_list)
    }

    /// What one cost.
    async fn unit_price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.unit_price)
    }

    /// What a sale took off the regular prices of all of them.
    async fn discount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.discount)
    }

    /// The tax, in the price or on top of it.
    async fn tax(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.tax)
    }

    /// What the tax is called; null where there is none.
    async fn tax_name(&self) -> Option<&str> {
        self.0.tax_name.as_deref()
    }

    /// The rate of the tax in percent: `16.00`.
    async fn tax_percent(&self) -> Decimal {
        Decimal::new(self.0.tax_rate.into(), 2)
    }

    /// What was to be paid for it, with its tax.
    async fn total(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.total)
    }

    /// The currency of all amounts.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }
}

/// So many units of a line.
#[derive(Debug, SimpleObject)]
pub struct OrderLineQuantity {
    /// The line.
    line: OrderLine,
    /// How many.
    quantity: i32,
}

/// The lines of parts of an order. One statement for any number of orders.
pub(super) async fn parts(scope: &Scope, order: i64, parts: &[Part]) -> Result<Vec<OrderLineQuantity>> {
    let lines = scope.load(LinesOf(order)).await?.unwrap_or_default();
    let one = |part: &Part| {
        let line = lines.iter().find(|line| line.id == part.order_line_id)?;
        Some(OrderLineQuantity { line: OrderLine(line.clone()), quantity: int(part.quantity) })
    };
    Ok(parts.iter().filter_map(one).collect())
}

/// A parcel of an order.
#[derive(Debug, Clone)]
pub struct Fulfilment(pub order::entity::Fulfilment);

/// A parcel of an order.
#[Object]
impl Fulfilment {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Fulfilment, self.0.id).encode().into()
    }

    /// What is in it. Two statements for any number.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLineQuantity>> {
        let scope = scope(ctx);
        let rows = scope.load(ParcelOf(self.0.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        parts(scope, self.0.order_id, &rows).await
    }

    /// Who carries it; null when nobody said.
    async fn carrier(&self) -> Option<&str> {
        self.0.carrier.as_deref()
    }

    /// What the carrier knows it by; null when nobody said.
    async fn tracking_number(&self) -> Option<&str> {
        self.0.tracking_number.as_deref()
    }

    /// Where its way can be seen; null when nobody said.
    async fn tracking_url(&self) -> Option<&str> {
        self.0.tracking_url.as_deref()
    }

    /// When it went off.
    async fn shipped_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it arrived; null while it has not.
    async fn delivered_at(&self) -> Option<DateTime<Utc>> {
        self.0.delivered_at
    }
}
