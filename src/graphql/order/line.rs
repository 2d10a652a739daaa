//! Order lines and fulfillments.

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::loader::{LinesOf, ParcelOf};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    graphql::{
        batched::Batched,
        cart::attributes::{AttributeObject, to_attributes},
        catalog::{image::ImageObject, variant::Variant},
        context::{RequestContext, request_context},
        cost::LineCost,
        loader::VariantKey,
        pricing::tax::AppliedTax,
        scalars::clamp_to_i32,
    },
    order::{self, entity::LineQuantityRow},
};

/// Order line: a snapshot of the variant at the time of the order.
#[derive(Debug, Clone)]
pub struct OrderLine(pub order::OrderLineRow);

/// Order line: a snapshot of the variant at the time of the order.
#[Object]
impl OrderLine {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::OrderLine, self.0.id).encode().into()
    }

    /// Current variant; null if it is no longer visible.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let Some(variant_id) = self.0.variant_id else { return Ok(None) };
        let rows = request_context(ctx).load(VariantKey(variant_id)).await?;
        Ok(rows.and_then(|rows| rows.first().cloned()).map(Variant::from))
    }

    /// SKU at the time of the order.
    async fn sku(&self) -> &str {
        &self.0.sku
    }

    /// Product name at the time of the order.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Option values of the variant at the time of the order.
    async fn variant_name(&self) -> &str {
        &self.0.variant_name
    }

    /// Image at the time of the order, with the product name as its alternative text; null for none.
    async fn image(&self) -> Option<Batched<ImageObject>> {
        self.0.image.clone().map(|url| Batched(ImageObject::new(url, Some(self.0.name.clone()))))
    }

    /// Attributes of the line, ordered by key; at most 20.
    async fn attributes(&self, ctx: &Context<'_>) -> Result<Vec<AttributeObject>> {
        let attributes = to_attributes(&self.0.attributes);
        request_context(ctx).charge_list_values(ctx, attributes.len())?;
        Ok(attributes)
    }

    /// Quantity ordered.
    async fn quantity(&self) -> i32 {
        clamp_to_i32(self.0.quantity)
    }

    /// Quantity shipped.
    async fn quantity_fulfilled(&self) -> i32 {
        clamp_to_i32(self.0.quantity_fulfilled)
    }

    /// Quantity that the buyer does not pay for: refunded, or canceled before capture.
    async fn quantity_refunded(&self) -> i32 {
        clamp_to_i32(self.0.quantity_refunded)
    }

    /// Quantity canceled before shipment.
    async fn quantity_canceled(&self) -> i32 {
        clamp_to_i32(self.0.quantity_canceled)
    }

    /// Quantity returned to stock after shipment.
    async fn quantity_returned(&self) -> i32 {
        clamp_to_i32(self.0.quantity_returned)
    }

    /// Quantity not yet shipped.
    async fn quantity_unfulfilled(&self) -> i32 {
        clamp_to_i32(self.0.unshipped_quantity())
    }

    /// Amounts of the line.
    async fn cost(&self, ctx: &Context<'_>) -> Batched<LineCost> {
        LineCost::of_order_line(request_context(ctx), &self.0)
    }

    /// Applied tax rate; null if the line is untaxed.
    async fn tax_rate(&self) -> Option<AppliedTax> {
        let name = self.0.tax_name.clone()?;
        Some(AppliedTax::new(name, self.0.tax_rate_bps, self.0.tax_included))
    }
}

/// Order line and quantity.
#[derive(Debug, SimpleObject)]
pub struct OrderLineQuantity {
    /// Order line.
    line: OrderLine,
    /// Quantity.
    quantity: i32,
}

/// Loads order lines with quantities, batched across orders.
pub(super) async fn load_line_quantities(
    context: &RequestContext,
    order_id: i64,
    rows: &[LineQuantityRow],
) -> Result<Vec<OrderLineQuantity>> {
    let lines = context.load(LinesOf(order_id)).await?.unwrap_or_default();
    let to_line_quantity = |row: &LineQuantityRow| {
        let line = lines.iter().find(|line| line.id == row.order_line_id)?;
        Some(OrderLineQuantity { line: OrderLine(line.clone()), quantity: clamp_to_i32(row.quantity) })
    };
    Ok(rows.iter().filter_map(to_line_quantity).collect())
}

/// Fulfillment: a shipment of order lines.
#[derive(Debug, Clone)]
pub struct Fulfillment(pub order::entity::FulfillmentRow);

/// Fulfillment: a shipment of order lines.
#[Object]
impl Fulfillment {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Fulfillment, self.0.id).encode().into()
    }

    /// Lines in the shipment.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLineQuantity>> {
        let context = request_context(ctx);
        let rows = context.load(ParcelOf(self.0.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        load_line_quantities(context, self.0.order_id, &rows).await
    }

    /// Carrier; null if not given.
    async fn carrier(&self) -> Option<&str> {
        self.0.carrier.as_deref()
    }

    /// Tracking number; null if not given.
    async fn tracking_number(&self) -> Option<&str> {
        self.0.tracking_number.as_deref()
    }

    /// Tracking URL; null if not given.
    async fn tracking_url(&self) -> Option<&str> {
        self.0.tracking_url.as_deref()
    }

    /// Time of shipment.
    async fn shipped_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of delivery; null until delivered.
    async fn delivered_at(&self) -> Option<DateTime<Utc>> {
        self.0.delivered_at
    }
}
