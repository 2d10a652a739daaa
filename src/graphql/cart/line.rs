//! Cart lines.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use super::{
    attributes::{AttributeObject, to_attributes},
    data::CartData,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    cart::CartLineRow,
    graphql::{
        batched::Batched,
        catalog::{image::ImageObject, variant::Variant},
        context::{RequestContext, request_context},
        cost::LineCost,
        loader::VariantKey,
        pricing::tax::AppliedTax,
        scalars::{MoneyObject, clamp_to_i32},
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

    /// Image of the variant, or the product's first one, with the product name as its alternative text; null for none.
    async fn image(&self) -> Option<Batched<ImageObject>> {
        let SellableVariant { image, name, .. } = &self.sellable_variant;
        image.clone().map(|url| Batched(ImageObject::new(url, Some(name.clone()))))
    }

    /// Quantity.
    async fn quantity(&self) -> i32 {
        clamp_to_i32(self.line.quantity)
    }

    /// Amounts of the line.
    async fn cost(&self, ctx: &Context<'_>) -> Result<Batched<LineCost>> {
        let context = request_context(ctx);
        Ok(LineCost::of_cart_line(context, self.load_priced_line(context).await?))
    }

    /// Price per unit when the line was added or last updated.
    async fn unit_price_when_added(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.line.unit_price)
    }

    /// Applied tax rate; null if the line is untaxed.
    async fn tax_rate(&self, ctx: &Context<'_>) -> Result<Option<AppliedTax>> {
        Ok(self.load_priced_line(request_context(ctx)).await?.tax_rate.clone().map(Into::into))
    }
}
