//! Orders: items, prices and addresses as of the purchase, and their progress.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod loader;
pub mod status;
pub mod line;
pub mod shipping_line;
pub mod history;
pub mod payments;
pub mod payment_method;
pub mod refunds;
pub mod checkout_attempt;
pub mod queries;
pub mod checkout;
pub mod mutations;
pub mod guest_erasure;
pub mod link_request;

use std::sync::Arc;

use async_graphql::{Context, ID, MergedObject, Object};
use chrono::{DateTime, Utc};

use self::{
    history::OrderHistoryEntry,
    line::{Fulfillment, OrderLine},
    loader::{FulfillmentsOf, HistoryOf, LinesOf, OrderKey, PaymentsOf, RefundsOf},
    payments::OrderPayment,
    refunds::Refund,
    shipping_line::ShippingLine,
    status::{FulfillmentStatusEnum, OrderActionEnum, OrderPaymentStatus, OrderStatus},
};
use super::{
    batched::Batched,
    context::{RequestContext, request_context},
    cost::Cost,
    customer::{Customer, postal_address::PostalAddressObject},
    guard::RequirePermission,
    notification::log::NotificationConnection,
    pagination::limit_list,
    scalars::{LanguageScalar, MoneyObject},
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    customer::OwnerScope,
    identity::{Caller, Permission},
    notification::{fill_url_template, queries::NotificationListFilter},
    order::{self, Status, entity::OrderHistoryRow},
    payment::{self, PaymentState, select_current_payment},
};

/// Order mutations.
#[derive(Debug, Default, MergedObject)]
pub struct OrderMutations(
    checkout::CheckoutMutation,
    mutations::OrderMutation,
    guest_erasure::GuestMutation,
    link_request::OrderLinkMutation,
);

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

    /// Returns the access token if the caller may see it.
    fn visible_token(&self, caller: Caller) -> Option<&str> {
        let is_buyer = caller.require_account_id().is_ok_and(|account_id| self.row.account_id == Some(account_id));
        let is_visible = self.has_token || is_buyer || caller.permissions().has(Permission::OrderWrite);
        is_visible.then_some(self.row.guest_access_token.as_str())
    }

    /// Returns the last change to a status. Changes of the status are visible to the buyer.
    async fn find_status_change(&self, context: &RequestContext, status: Status) -> Result<Option<OrderHistoryRow>> {
        let rows = context.load(HistoryOf(self.row.id)).await?.unwrap_or_default();
        Ok(rows.iter().rev().find(|row| row.is_public && row.to_status == Some(status)).cloned())
    }

    async fn sum_payments(
        &self,
        ctx: &Context<'_>,
        to_amount: impl Fn(&payment::Payment) -> i64,
    ) -> Result<Batched<MoneyObject>> {
        let context = request_context(ctx);
        let payments = context.load(PaymentsOf(self.row.id)).await?.unwrap_or_default();
        Ok(context.money(payments.iter().map(to_amount).sum()))
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
        self.visible_token(request_context(ctx).caller)
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
    async fn language(&self) -> LanguageScalar {
        LanguageScalar(self.row.language)
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

    /// Captured payments, including what was refunded since.
    async fn paid(&self, ctx: &Context<'_>) -> Result<Batched<MoneyObject>> {
        self.sum_payments(ctx, |payment| payment.captured).await
    }

    /// Refunded amount.
    async fn refunded(&self, ctx: &Context<'_>) -> Result<Batched<MoneyObject>> {
        self.sum_payments(ctx, |payment| payment.refunded).await
    }

    /// Amount still to be paid: the payment of an order that has not ended, unless it was captured.
    async fn outstanding(&self, ctx: &Context<'_>) -> Result<Batched<MoneyObject>> {
        let context = request_context(ctx);
        let payments = context.load(PaymentsOf(self.row.id)).await?.unwrap_or_default();
        let is_open = !matches!(self.row.status, Status::Canceled | Status::Refunded);
        let current = select_current_payment(&payments).filter(|_| is_open);
        let unpaid = current.filter(|payment| payment.status != PaymentState::Captured);
        Ok(context.money(unpaid.map_or(0, |payment| payment.amount)))
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

    /// Fulfillments of the order, oldest first.
    async fn fulfillments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100); all by default.")] first: Option<i32>,
        #[graphql(desc = "Returns the last n items (0-100), instead of `first`.")] last: Option<i32>,
    ) -> Result<Vec<Fulfillment>> {
        let context = request_context(ctx);
        let rows = context.load(FulfillmentsOf(self.row.id)).await?.unwrap_or_default();
        let rows = limit_list(&rows, first, last)?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Fulfillment).collect())
    }

    /// Payments of the order, oldest first.
    async fn payments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100); all by default.")] first: Option<i32>,
        #[graphql(desc = "Returns the last n items (0-100), instead of `first`.")] last: Option<i32>,
    ) -> Result<Vec<OrderPayment>> {
        let context = request_context(ctx);
        let rows = context.load(PaymentsOf(self.row.id)).await?.unwrap_or_default();
        let rows = limit_list(&rows, first, last)?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(OrderPayment).collect())
    }

    /// Completed and pending refunds of the order, oldest first.
    async fn refunds(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100); all by default.")] first: Option<i32>,
        #[graphql(desc = "Returns the last n items (0-100), instead of `first`.")] last: Option<i32>,
    ) -> Result<Vec<Refund>> {
        let context = request_context(ctx);
        let rows = context.load(RefundsOf(self.row.id)).await?.unwrap_or_default();
        let rows = limit_list(&rows, first, last)?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Refund).collect())
    }

    /// Order history, oldest first; internal notes are visible to staff only.
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100); all by default.")] first: Option<i32>,
        #[graphql(desc = "Returns the last n items (0-100), instead of `first`.")] last: Option<i32>,
    ) -> Result<Vec<OrderHistoryEntry>> {
        let context = request_context(ctx);
        let rows = context.load(HistoryOf(self.row.id)).await?.unwrap_or_default();
        let is_staff = context.caller.permissions().has(Permission::OrderRead);
        let visible: Vec<&OrderHistoryRow> = rows.iter().filter(|row| is_staff || row.is_public).collect();
        let rows = limit_list(&visible, first, last)?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().map(|row| OrderHistoryEntry((*row).clone())).collect())
    }

    /// Notifications about the order, newest first. Staff only.
    #[graphql(
        guard = "RequirePermission(Permission::NotificationWrite)",
        complexity = "super::pagination::compute_connection_cost(first, last, child_complexity)"
    )]
    async fn notifications(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<Option<NotificationConnection>> {
        let filter = NotificationListFilter { order_id: Some(self.row.id), ..NotificationListFilter::default() };
        Ok(Some(NotificationConnection::new(filter, PageRequest::new(first, after, last, before)?)))
    }

    /// Actions that staff can take in the current status. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn available_actions(&self) -> Option<Vec<OrderActionEnum>> {
        Some(
            self.row
                .status
                .available_actions(self.row.payment_status)
                .filter_map(OrderActionEnum::from_action)
                .collect(),
        )
    }

    /// Payment deadline; null if no payment is awaited.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// URL of the order's status page in the storefront, which grants access to the order. Null unless the caller may
    /// see the token and the setting `notification.order_url` is given.
    async fn status_url(&self, ctx: &Context<'_>) -> Option<String> {
        let context = request_context(ctx);
        let token = self.visible_token(context.caller)?;
        let pattern = &context.app_state.config.notification.order_url;
        fill_url_template(pattern, &[("number", self.row.number.as_str()), ("token", token)])
    }

    /// Time of confirmation; null if the order was not confirmed.
    async fn confirmed_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        let entry = self.find_status_change(request_context(ctx), Status::Confirmed).await?;
        Ok(entry.map(|entry| entry.created_at))
    }

    /// Time of cancellation; null unless the order is canceled.
    async fn canceled_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        let entry = self.find_status_change(request_context(ctx), Status::Canceled).await?;
        Ok(entry.map(|entry| entry.created_at))
    }

    /// Reason of the cancellation; null if none was given or the order is not canceled.
    async fn cancel_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let entry = self.find_status_change(request_context(ctx), Status::Canceled).await?;
        Ok(entry.and_then(|entry| entry.note))
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
