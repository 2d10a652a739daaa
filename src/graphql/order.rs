//! Orders: items, prices and addresses as of the purchase, and their progress.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod loader;
pub mod status;
pub mod line;
pub mod shipping_line;
pub mod history;
pub mod payments;
pub mod queries;
pub mod checkout;
pub mod mutations;
pub mod guest_erasure;

use std::sync::Arc;

use async_graphql::{Context, ID, MergedObject, Object};
use chrono::{DateTime, Utc};

use self::{
    history::OrderHistoryEntry,
    line::{Fulfillment, OrderLine},
    loader::{FulfillmentsOf, HistoryOf, LinesOf, OrderKey, PaymentsOf, RefundsOf},
    payments::{OrderPayment, Refund},
    shipping_line::ShippingLine,
    status::{FulfillmentStatusEnum, OrderActionEnum, OrderPaymentStatus, OrderStatus},
};
use super::{
    batched::Batched,
    context::{RequestContext, request_context},
    cost::Cost,
    customer::{Customer, postal_address::PostalAddressObject},
    guard::RequirePermission,
};
use crate::{
    base::{GlobalId, LanguageCode, Result, global_id::NodeType},
    customer::OwnerScope,
    identity::Permission,
    order,
};

/// Order mutations.
#[derive(Debug, Default, MergedObject)]
pub struct OrderMutations(checkout::CheckoutMutation, mutations::OrderMutation, guest_erasure::GuestMutation);

/// Order with names, prices, taxes and addresses as of the purchase. Visible to its buyer, to holders of its token and
/// to staff.
#[derive(Debug, Clone)]
pub struct Order {
    /// Order row.
    pub row: Arc<order::OrderRow>,
    /// Whether the caller placed the order in this request or proved access with its token.
    has_token: bool,
}

impl From<order::OrderRow> for Order {
    fn from(row: order::OrderRow) -> Self {
        Self { row: Arc::new(row), has_token: false }
    }
}

impl Order {
    /// Returns an order if the caller may see it.
    pub async fn find(context: &RequestContext, order_id: i64) -> Result<Option<Self>> {
        let Some(owner_scope) = OwnerScope::for_caller(context.caller, Permission::OrderRead) else { return Ok(None) };
        Ok(context.load(OrderKey { key: order_id, owner_scope }).await?.map(Self::from))
    }

    /// Returns an order to a caller who proved access with its token.
    #[must_use]
    pub fn with_token(row: order::OrderRow) -> Self {
        Self { row: Arc::new(row), has_token: true }
    }

    /// Loads an order that the caller has just placed or changed.
    ///
    /// # Errors
    /// Returns an internal error if the order does not exist.
    pub async fn load_own(context: &RequestContext, order_id: i64) -> Result<Self> {
        order::queries::find_order(&context.db, order_id).await.map(Self::with_token)
    }
}

/// Order with names, prices, taxes and addresses as of the purchase. Visible to its buyer, to holders of its token and
/// to staff.
#[Object]
impl Order {
    /// Global ID.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Order, self.row.id).encode().into()
    }

    /// Order number, such as `K7QX-3M9T`; random, so it reveals nothing about other orders.
    async fn number(&self) -> &str {
        &self.row.number
    }

    /// Secret token for guest access to the order, together with its number. Null unless the caller bought the order,
    /// gave the token, or has the permission `order:write`.
    async fn token(&self, ctx: &Context<'_>) -> Option<&str> {
        let caller = request_context(ctx).caller;
        let is_buyer = caller.require_account_id().is_ok_and(|account_id| self.row.account_id == Some(account_id));
        let is_visible = self.has_token || is_buyer || caller.permissions().has(Permission::OrderWrite);
        is_visible.then_some(self.row.guest_access_token.as_str())
    }

    /// Order status.
    async fn status(&self) -> OrderStatus {
        self.row.status.into()
    }

    /// Payment status.
    async fn payment_status(&self) -> OrderPaymentStatus {
        self.row.payment_status.into()
    }

    /// Fulfillment status.
    async fn fulfillment_status(&self) -> FulfillmentStatusEnum {
        self.row.fulfillment_status.into()
    }

    /// Whether the buyer can still cancel the order: nothing has been shipped.
    async fn cancelable(&self) -> bool {
        self.row.status.is_cancelable_by_buyer()
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Customer who placed the order; null for a guest order.
    async fn customer(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.row.account_id {
            Some(account_id) => Customer::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// Email address for order notifications.
    async fn email(&self) -> Option<&str> {
        self.row.email.as_deref()
    }

    /// Phone number (E.164) for SMS notifications.
    async fn phone(&self) -> Option<&str> {
        self.row.phone.as_deref()
    }

    /// Language of the buyer's notifications.
    async fn language(&self) -> LanguageCode {
        self.row.language
    }

    /// Order lines; at most 200.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLine>> {
        let context = request_context(ctx);
        let lines = context.load(LinesOf(self.row.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, lines.len())?;
        Ok(lines.iter().cloned().map(OrderLine).collect())
    }

    /// Amounts of the order.
    async fn cost(&self, ctx: &Context<'_>) -> Batched<Cost> {
        Cost::of_order(request_context(ctx), &self.row)
    }

    /// Shipping method and price as of the purchase; null if none was required.
    async fn shipping_line(&self) -> Option<ShippingLine> {
        self.row.shipping_method_name.is_some().then(|| ShippingLine(Arc::clone(&self.row)))
    }

    /// Shipping address.
    async fn shipping_address(&self) -> Result<Option<PostalAddressObject>> {
        PostalAddressObject::from_json(self.row.shipping_address.clone())
    }

    /// Billing address.
    async fn billing_address(&self) -> Result<Option<PostalAddressObject>> {
        PostalAddressObject::from_json(self.row.billing_address.clone())
    }

    /// Note of the buyer; null if there is none.
    async fn note(&self) -> Option<&str> {
        self.row.note.as_deref()
    }

    /// Fulfillments of the order.
    async fn fulfillments(&self, ctx: &Context<'_>) -> Result<Vec<Fulfillment>> {
        let context = request_context(ctx);
        let rows = context.load(FulfillmentsOf(self.row.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Fulfillment).collect())
    }

    /// Payments of the order.
    async fn payments(&self, ctx: &Context<'_>) -> Result<Vec<OrderPayment>> {
        let context = request_context(ctx);
        let rows = context.load(PaymentsOf(self.row.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(OrderPayment).collect())
    }

    /// Completed and pending refunds of the order.
    async fn refunds(&self, ctx: &Context<'_>) -> Result<Vec<Refund>> {
        let context = request_context(ctx);
        let rows = context.load(RefundsOf(self.row.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Refund).collect())
    }

    /// Order history, oldest first; internal notes are visible to staff only.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<OrderHistoryEntry>> {
        let context = request_context(ctx);
        let rows = context.load(HistoryOf(self.row.id)).await?.unwrap_or_default();
        context.charge_list_values(ctx, rows.len())?;
        let is_staff = context.caller.permissions().has(Permission::OrderRead);
        Ok(rows.iter().filter(|row| is_staff || row.is_public).cloned().map(OrderHistoryEntry).collect())
    }

    /// Actions that staff can take in the current status. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn available_actions(&self) -> Option<Vec<OrderActionEnum>> {
        Some(self.row.status.available_actions(self.row.payment_status).map(OrderActionEnum::from).collect())
    }

    /// Payment deadline; null if no payment is awaited.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// Order time.
    async fn placed_at(&self) -> DateTime<Utc> {
        self.row.placed_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}
