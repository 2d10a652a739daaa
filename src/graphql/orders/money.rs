//! Payments and refunds of orders.

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    super::{context::scope, guard::Can, shop::CurrencyCode},
    line::{OrderLineQuantity, parts},
    loader::RefundedOf,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    identity::Permission,
    order, payment,
};

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment::PaymentState")]
pub enum PaymentState {
    /// Nobody has answered yet.
    Pending,
    /// The money is promised.
    Authorised,
    /// The money was taken.
    Captured,
    /// It was refused.
    Failed,
    /// It was let go.
    Voided,
}

/// A payment of an order.
#[derive(Debug, Clone)]
pub struct Payment(pub payment::Payment);

/// A payment of an order.
#[Object]
impl Payment {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Payment, self.0.id).encode().into()
    }

    /// By whose hands: `manual`.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// What the provider knows it by. Staff only.
    #[graphql(guard = "Can(Permission::OrderRead)")]
    async fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// How far it has come.
    async fn status(&self) -> PaymentState {
        self.0.status.into()
    }

    /// How much is to be paid.
    async fn amount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.amount)
    }

    /// How much was taken.
    async fn captured_amount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.captured)
    }

    /// How much has gone back.
    async fn refunded_amount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.refunded)
    }

    /// The currency of all amounts.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// Where the buyer goes on to pay; null when there is nothing to do there.
    async fn action_url(&self) -> Option<&str> {
        self.0.action_url.as_deref()
    }

    /// Why it was refused; null when it was not.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum RefundState {
    /// The provider has not given the money back yet.
    Pending,
    /// The money has gone back.
    Done,
    /// The provider refused.
    Failed,
}

/// Money that goes back, and the units it is for. One of 0.00 tells of units that were canceled, or came back, before they
/// were paid.
#[derive(Debug, Clone)]
pub struct Refund(pub order::entity::Refund);

/// Money that goes back, and the units it is for. One of 0.00 tells of units that were canceled, or came back, before they
/// were paid.
#[Object]
impl Refund {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Refund, self.0.id).encode().into()
    }

    /// How much.
    async fn amount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.amount)
    }

    /// The currency of the amount.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// How far it has come.
    async fn status(&self) -> RefundState {
        match self.0.status.as_str() {
            "pending" => RefundState::Pending,
            "done" => RefundState::Done,
            _ => RefundState::Failed,
        }
    }

    /// What it is for; empty for an amount of its own. Two statements for any number.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLineQuantity>> {
        let scope = scope(ctx);
        let rows = scope.load(RefundedOf(self.0.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        parts(scope, self.0.order_id, &rows).await
    }

    /// How much of it is for the cost of shipping.
    async fn shipping(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.shipping)
    }

    /// Why the provider refused it; null when it did not. `refundRetry` asks again. Staff only.
    #[graphql(guard = "Can(Permission::OrderRead)")]
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Why; null when nobody said.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
