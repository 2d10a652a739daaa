//! Cart lines.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    attributes::{AttributeObject, to_attributes},
    data::CartData,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    cart::CartLineRow,
    graphql::{
        catalog::variant::Variant,
        context::{RequestContext, request_context},
        loader::VariantKey,
        pricing::tax::AppliedTax,
        scalars::clamp_to_i32,
    },
    pricing::{PricedLine, SellableVariant},
};

/// Cart line: a variant with attributes, and its quantity. Lines with the same variant and attributes are one line.
#[derive(Debug, Clone)]
pub struct CartLine {
    pub(super) cart: Arc<CartData>,
    pub(super) index: usize,
    pub(super) line: CartLineRow,
    pub(super) sellable_variant: SellableVariant,
}

impl CartLine {
    async fn load_priced_line<'a>(&'a self, context: &RequestContext) -> Result<&'a PricedLine> {
        let missing_line = || Error::internal("pricing a cart's line", "it has not been priced");
        self.cart.load_pricing(context).await?.1.lines.get(self.index).ok_or_else(missing_line)
    }
}

/// Cart line: a variant with attributes, and its quantity. Lines with the same variant and attributes are one line.
#[Object]
impl CartLine {
    /// Global ID, which identifies the line in the cart mutations.
    async fn id(&self) -> ID {
        GlobalId::new(NodeType::CartLine, self.line.id).encode().into()
    }

    /// Attributes of the line, ordered by key; at most 20.
    async fn attributes(&self, ctx: &Context<'_>) -> Result<Vec<AttributeObject>> {
        let attributes = to_attributes(&self.line.attributes);
        request_context(ctx).charge_list_values(ctx, attributes.len())?;
        Ok(attributes)
    }

    /// Time when the line was added.
    async fn added_at(&self) -> DateTime<Utc> {
        self.line.created_at
    }

    /// ID of the variant.
    async fn variant_id(&self) -> ID {
        GlobalId::new(NodeType::Variant, self.line.variant_id).encode().into()
    }

    /// Variant; null if it is no longer sold.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let rows = request_context(ctx).load(VariantKey(self.line.variant_id)).await?;
        Ok(rows.and_then(|rows| rows.first().cloned()).map(Variant::from))
    }

    /// SKU of the variant.
    async fn sku(&self) -> &str {
        &self.sellable_variant.sku
    }

    /// Product name.
    async fn name(&self) -> &str {
        &self.sellable_variant.name
    }

    /// Option values of the variant: `M / Red`; `Default` for the only variant of a product without options.
    async fn variant_name(&self) -> &str {
        &self.sellable_variant.variant_name
    }

    /// URL of the image; null for none.
    async fn image(&self) -> Option<&str> {
        self.sellable_variant.image.as_deref()
    }

    /// Quantity.
    async fn quantity(&self) -> i32 {
        clamp_to_i32(self.line.quantity)
    }

    /// Regular price per unit.
    async fn list_price(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.sellable_variant.list_price)
    }

    /// Current price per unit.
    async fn unit_price(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.sellable_variant.unit_price)
    }

    /// Price per unit when the line was added or last updated.
    async fn unit_price_when_added(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.line.unit_price)
    }

    /// Total at the regular price.
    async fn list_total(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let context = request_context(ctx);
        Ok(context.decimal_amount(self.load_priced_line(context).await?.list_total))
    }

    /// Sale discount of the line.
    async fn discount(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let context = request_context(ctx);
        Ok(context.decimal_amount(self.load_priced_line(context).await?.discount))
    }

    /// Tax of the line, included in the price or added to it.
    async fn tax(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let context = request_context(ctx);
        Ok(context.decimal_amount(self.load_priced_line(context).await?.tax))
    }

    /// Applied tax rate; null if the line is untaxed.
    async fn tax_rate(&self, ctx: &Context<'_>) -> Result<Option<AppliedTax>> {
        Ok(self.load_priced_line(request_context(ctx)).await?.tax_rate.clone().map(Into::into))
    }

    /// Total of the line including tax.
    async fn total(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let context = request_context(ctx);
        Ok(context.decimal_amount(self.load_priced_line(context).await?.total))
    }
}
