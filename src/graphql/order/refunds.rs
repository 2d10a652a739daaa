//! Refunds of orders.

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};

use super::{
    line::{OrderLineQuantity, load_line_quantities},
    loader::RefundedOf,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    graphql::{batched::Batched, context::request_context, guard::RequirePermission, scalars::MoneyObject},
    identity::Permission,
    payment,
};

/// Status of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment::RefundStatus", name = "RefundStatus")]
pub enum RefundStatusEnum {
    /// The provider has not executed the refund yet.
    Pending,
    /// The amount was refunded.
    Succeeded,
    /// The provider declined the refund.
    Failed,
}

/// Refund of an amount and the units it covers. An amount of 0.00 records units canceled or returned before payment.
#[derive(Debug, Clone)]
pub struct Refund(pub payment::RefundRow);

/// Refund of an amount and the units it covers. An amount of 0.00 records units canceled or returned before payment.
#[Object]
impl Refund {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Refund, self.0.id).encode().into()
    }

    /// Refunded amount.
    async fn amount(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.amount)
    }

    /// Status of the refund.
    async fn status(&self) -> RefundStatusEnum {
        self.0.status.into()
    }

    /// Refunded lines; empty for a refund by amount.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLineQuantity>> {
        let context = request_context(ctx);
        let rows = context.load(RefundedOf(self.0.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        load_line_quantities(context, self.0.order_id, &rows).await
    }

    /// Part of the amount that covers shipping.
    async fn shipping(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.shipping)
    }

    /// Why the provider declined the refund; null otherwise. `refundRetry` retries it. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Reason; null if not given.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
