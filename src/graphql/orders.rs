//! Orders: what was bought, as it was then, and how it came to its end.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

pub mod loader;
pub mod line;
pub mod told;
pub mod money;
pub mod list;
pub mod buy;
pub mod change;
pub mod guest;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use self::{
    line::{Fulfilment, OrderLine},
    loader::{FulfilmentsOf, HistoryOf, LinesOf, OrderKey, PaymentsOf, RefundsOf},
    money::{Payment, Refund},
    told::OrderEntry,
};
use super::{
    context::{Scope, scope},
    customer::Customer,
    guard::Can,
    postal::PostalAddress,
    shop::CurrencyCode,
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    customer::{Reach, Written},
    identity::Permission,
    order::{self, Status},
};

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub enum OrderStatus {
    /// It was placed; the shop has not taken it on, or it is not paid.
    Pending,
    /// The shop will send it.
    Confirmed,
    /// A part of it is on its way.
    Processing,
    /// All of it is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It will never be sent.
    Cancelled,
    /// All the money has gone back.
    Refunded,
}

/// Where an order's money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::PaymentStatus")]
pub enum PaymentStatus {
    /// Nobody knows yet.
    Pending,
    /// It is promised: by a bank, or to be paid at the door.
    Authorised,
    /// The shop has it.
    Paid,
    /// A part of it has gone back.
    PartiallyRefunded,
    /// All of it has gone back.
    Refunded,
    /// It will never come.
    Voided,
}

/// How much of an order is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::FulfilmentStatus")]
pub enum FulfilmentStatus {
    /// Nothing.
    Unfulfilled,
    /// A part.
    Partial,
    /// Everything.
    Fulfilled,
}

/// What was bought at once: names, prices, taxes and addresses as they were then. Seen by whoever bought it, by whoever
/// has its token, and by staff.
#[derive(Debug, Clone)]
pub struct Order {
    /// The row.
    pub row: Arc<order::Order>,
    /// Whether the caller placed the order in this request or proved access with its token.
    has_token: bool,
}

impl From<order::Order> for Order {
    fn from(row: order::Order) -> Self {
        Self { row: Arc::new(row), has_token: false }
    }
}

impl Order {
    /// An order that the caller may see.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn find(scope: &Scope, key: i64) -> Result<Option<Self>> {
        let Some(reach) = Reach::of(scope.caller, Permission::OrderRead) else { return Ok(None) };
        Ok(scope.load(OrderKey { key, reach }).await?.map(Self::from))
    }

    /// Returns an order to a caller who proved access with its token.
    #[must_use]
    pub fn with_token(row: order::Order) -> Self {
        Self { row: Arc::new(row), has_token: true }
    }

    /// One that was just made or changed by the caller.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn own(scope: &Scope, key: i64) -> Result<Self> {
        let found = order::find::by_key(&scope.db, &[key], Reach::All).await?.remove(&key);
        found.map(Self::with_token).ok_or_else(|| Error::fault("finding an order", "it is not there"))
    }
}

/// What was bought at once: names, prices, taxes and addresses as they were then. Seen by whoever bought it, by whoever
/// has its token, and by staff.
#[Object]
impl Order {
    /// The lasting id.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Order, self.row.id).encode().into()
    }

    /// What people call it: `K7QX-3M9T`. It tells nothing of other orders.
    async fn number(&self) -> &str {
        &self.row.number
    }

    /// Secret that gives a guest access to the order, together with its number. Null unless the caller bought the order,
    /// gave the token, or has the permission `order:write`.
    async fn token(&self, ctx: &Context<'_>) -> Option<&str> {
        let caller = scope(ctx).caller;
        let is_buyer = caller.account().is_ok_and(|account| self.row.account_id == Some(account));
        let shown = self.has_token || is_buyer || caller.permissions().has(Permission::OrderWrite);
        shown.then_some(self.row.token.as_str())
    }

    /// How far it has come.
    async fn status(&self) -> OrderStatus {
        self.row.status.into()
    }

    /// Where its money is.
    async fn payment_status(&self) -> PaymentStatus {
        self.row.payment_status.into()
    }

    /// How much of it is on its way.
    async fn fulfilment_status(&self) -> FulfilmentStatus {
        self.row.fulfilment_status.into()
    }

    /// Whether its buyer can still cancel it: nothing has been shipped.
    async fn cancellable(&self) -> bool {
        self.row.status.is_cancellable_by_buyer()
    }

    /// Counts changes: hand it to the next change as `expectedVersion` to be told when others were faster.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Who bought it; null for a guest's. One statement for any number.
    async fn customer(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.row.account_id {
            Some(account) => Customer::find(scope(ctx), account).await,
            None => Ok(None),
        }
    }

    /// Where mail about it goes.
    async fn email(&self) -> Option<&str> {
        self.row.email.as_deref()
    }

    /// Where short messages about it go, in E.164.
    async fn phone(&self) -> Option<&str> {
        self.row.phone.as_deref()
    }

    /// In which language its buyer is written to: `en`.
    async fn language(&self) -> &str {
        &self.row.language
    }

    /// What was bought, at most 200 lines. One statement for any number of orders.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLine>> {
        let scope = scope(ctx);
        let lines = scope.load(LinesOf(self.row.id)).await?.unwrap_or_default();
        scope.spend(ctx, lines.len())?;
        Ok(lines.iter().cloned().map(OrderLine).collect())
    }

    /// All lines at regular prices.
    async fn subtotal(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.subtotal)
    }

    /// What sales took off that.
    async fn discount(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.discount)
    }

    /// What sending costs.
    async fn shipping(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.shipping)
    }

    /// All tax.
    async fn tax(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.tax)
    }

    /// As much of the tax as the prices contain, so that it is not added to them.
    async fn tax_included(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.tax - self.row.tax_added)
    }

    /// What is to be paid: `subtotal - discount + shipping + tax - taxIncluded`.
    async fn total(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.total)
    }

    /// The currency of all amounts.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// How it is sent, by the name that had then; null when nothing was to choose.
    async fn shipping_method(&self) -> Option<&str> {
        self.row.shipping_name.as_deref()
    }

    /// Where it goes.
    async fn shipping_address(&self) -> Result<Option<PostalAddress>> {
        Ok(self.row.shipping_address.clone().map(Written::kept).transpose()?.map(PostalAddress))
    }

    /// Where the bill goes.
    async fn billing_address(&self) -> Result<Option<PostalAddress>> {
        Ok(self.row.billing_address.clone().map(Written::kept).transpose()?.map(PostalAddress))
    }

    /// What its buyer wanted known; null when nothing.
    async fn note(&self) -> Option<&str> {
        self.row.note.as_deref()
    }

    /// Its parcels. One statement for any number of orders.
    async fn fulfilments(&self, ctx: &Context<'_>) -> Result<Vec<Fulfilment>> {
        let scope = scope(ctx);
        let rows = scope.load(FulfilmentsOf(self.row.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Fulfilment).collect())
    }

    /// Its payments. One statement for any number of orders.
    async fn payments(&self, ctx: &Context<'_>) -> Result<Vec<Payment>> {
        let scope = scope(ctx);
        let rows = scope.load(PaymentsOf(self.row.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Payment).collect())
    }

    /// What of its money has gone back, or is on its way. One statement for any number of orders.
    async fn refunds(&self, ctx: &Context<'_>) -> Result<Vec<Refund>> {
        let scope = scope(ctx);
        let rows = scope.load(RefundsOf(self.row.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(Refund).collect())
    }

    /// What has happened to it, from the beginning; staff see their own notes too. One statement for any number of
    /// orders.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<OrderEntry>> {
        let scope = scope(ctx);
        let rows = scope.load(HistoryOf(self.row.id)).await?.unwrap_or_default();
        scope.spend(ctx, rows.len())?;
        let staff = scope.caller.permissions().has(Permission::OrderRead);
        Ok(rows.iter().filter(|row| staff || row.is_public).cloned().map(OrderEntry).collect())
    }

    /// What staff can do with it from here. Staff only.
    #[graphql(guard = "Can(Permission::OrderRead)")]
    async fn possible_steps(&self) -> Vec<OrderStep> {
        self.row.status.possible(self.row.payment_status).map(OrderStep::from).collect()
    }

    /// Until when it waits for its payment; null when it does not.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// When it was placed.
    async fn placed_at(&self) -> DateTime<Utc> {
        self.row.placed_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}

/// What can be done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderStep {
    /// Take it on.
    Confirm,
    /// Send it, or a part of it.
    Fulfil,
    /// Say that it has arrived.
    Deliver,
    /// Cancel it: before it is shipped, or when the parcel came back and no money was captured.
    Cancel,
    /// Give its money back.
    Refund,
}

impl From<order::lifecycle::Step> for OrderStep {
    fn from(step: order::lifecycle::Step) -> Self {
        use order::lifecycle::Step;
        match step {
            Step::Confirm => Self::Confirm,
            Step::Fulfil { .. } => Self::Fulfil,
            Step::Deliver => Self::Deliver,
            Step::Cancel => Self::Cancel,
            Step::Refund => Self::Refund,
        }
    }
}
