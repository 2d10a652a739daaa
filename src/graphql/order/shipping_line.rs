//! Shipping of an order.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::{
    base::{GlobalId, global_id::NodeType},
    graphql::{batched::Batched, context::request_context, pricing::tax::AppliedTax, scalars::MoneyObject},
    order::OrderRow,
};

/// Shipping method and price of an order, as of the purchase.
#[derive(Debug, Clone)]
pub struct ShippingLine(pub Arc<OrderRow>);

/// Shipping method and price of an order, as of the purchase.
#[Object]
impl ShippingLine {
    /// Name of the shipping method.
    async fn title(&self) -> &str {
        self.0.shipping_method_name.as_deref().unwrap_or_default()
    }

    /// Shipping cost.
    async fn price(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.shipping)
    }

    /// Tax rate of the shipping cost; null if it is not taxed.
    async fn tax_rate(&self) -> Option<AppliedTax> {
        let name = self.0.shipping_tax_name.clone()?;
        Some(AppliedTax::new(name, self.0.shipping_tax_rate_bps, self.0.shipping_tax_included))
    }

    /// ID of the shipping method, which may have been changed or deleted since; null if it is not recorded.
    async fn shipping_method_id(&self) -> Option<ID> {
        self.0.shipping_method_id.map(|method_id| GlobalId::new(NodeType::ShippingMethod, method_id).encode().into())
    }
}
