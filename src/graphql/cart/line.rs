//! Lines of a cart.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use rust_decimal::Decimal;

use super::{
    super::{
        context::{Scope, scope},
        int,
        loader::VariantKey,
        tax::AppliedTax,
        variant::Variant,
    },
    Core,
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    cart::Line,
    pricing::{Offer, PricedLine},
};

/// So many of one variant. A variant has one line in a cart.
#[derive(Debug, Clone)]
pub struct CartLine {
    pub(super) cart: Arc<Core>,
    pub(super) place: usize,
    pub(super) line: Line,
    pub(super) offer: Offer,
}

impl CartLine {
    async fn priced<'a>(&'a self, scope: &Scope) -> Result<&'a PricedLine> {
        let missing = || Error::fault("pricing a cart's line", "it is not among the priced ones");
        self.cart.priced(scope).await?.1.lines.get(self.place).ok_or_else(missing)
    }
}

/// So many of one variant. A variant has one line in a cart.
#[Object]
impl CartLine {
    /// The id of the variant: what the line is changed and removed by.
    async fn variant_id(&self) -> ID {
        GlobalId::new(Kind::Variant, self.line.variant_id).encode().into()
    }

    /// The variant; null when the shop does not sell it any more. One statement for any number.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let found = scope(ctx).load(VariantKey(self.line.variant_id)).await?;
        Ok(found.and_then(|found| found.first().cloned()).map(Variant::from))
    }

    /// The shop's own number for the variant.
    async fn sku(&self) -> &str {
        &self.offer.sku
    }

    /// What the product is called.
    async fn name(&self) -> &str {
        &self.offer.name
    }

    /// The variant's options in words: `M / Red`; `Default` for the only variant of a simple product.
    async fn variant_name(&self) -> &str {
        &self.offer.variant_name
    }

    /// Where a picture of it is; null when there is none.
    async fn image(&self) -> Option<&str> {
        self.offer.image.as_deref()
    }

    /// How many.
    async fn quantity(&self) -> i32 {
        int(self.line.quantity)
    }

    /// The regular price of one.
    async fn list_price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.offer.list)
    }

    /// What one costs now.
    async fn unit_price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.offer.unit)
    }

    /// What one cost when it was put into the cart, or last changed there.
    async fn unit_price_when_added(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.line.unit_price)
    }

    /// All of them at the regular price.
    async fn list_total(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.priced(scope).await?.list_total))
    }

    /// What a sale takes off that.
    async fn discount(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.priced(scope).await?.discount))
    }

    /// The tax on it, in the price or on top of it.
    async fn tax(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.priced(scope).await?.tax))
    }

    /// How it is taxed; null where it is not.
    async fn tax_rate(&self, ctx: &Context<'_>) -> Result<Option<AppliedTax>> {
        Ok(self.priced(scope(ctx)).await?.tax_rate.clone().map(Into::into))
    }

    /// What is paid for it, with its tax.
    async fn total(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.priced(scope).await?.total))
    }
}
