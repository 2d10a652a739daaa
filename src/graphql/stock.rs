//! Stock as staff see it.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

pub mod change;

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};

use super::{
    connection::{self, PageInfo},
    context::{Scope, scope},
    guard::Can,
    int,
    loader::{Locations, VariantKey},
    variant::Variant,
};
use crate::{
    base::{
        Error, GlobalId, Result,
        id::Kind,
        page::{Page, Window},
    },
    identity::Permission,
    inventory::{
        ledger::{self, Movement},
        row::Row,
        staff,
    },
};

/// A place where stock lies.
#[derive(Debug, Clone)]
pub struct Location(pub staff::Location);

impl From<staff::Location> for Location {
    fn from(row: staff::Location) -> Self {
        Self(row)
    }
}

/// A place where stock lies: a shop, a warehouse. Staff only.
#[Object]
impl Location {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Location, self.0.id).encode().into()
    }

    /// What it is called; no other has the same name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is the one that is meant where none is named.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }
}

/// How many of a variant there are at a location.
#[derive(Debug, Clone, Copy)]
pub struct StockLevel(pub Row);

impl From<Row> for StockLevel {
    fn from(row: Row) -> Self {
        Self(row)
    }
}

/// How many of a variant there are at a location. Staff only.
#[Object]
impl StockLevel {
    /// Of which variant. One statement for any number; null when it has been removed.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let found = scope(ctx).load(VariantKey(self.0.variant_id)).await?;
        Ok(found.and_then(|found| found.first().cloned()).map(Variant::from))
    }

    /// Where. One statement for any number.
    async fn location(&self, ctx: &Context<'_>) -> Result<Location> {
        place(scope(ctx), self.0.location_id).await
    }

    /// How many lie there.
    async fn on_hand(&self) -> i32 {
        int(self.0.on_hand)
    }

    /// How many of these are promised to buyers.
    async fn reserved(&self) -> i32 {
        int(self.0.reserved)
    }

    /// How many can still be promised.
    async fn available(&self) -> i32 {
        int(self.0.available())
    }

    /// So few or fewer available are low; null when nobody wants to be told.
    async fn low_stock_threshold(&self) -> Option<i32> {
        self.0.low_at.map(int)
    }

    /// What has come and gone there, newest first. One statement.
    #[graphql(complexity = "connection::cost(first, last, child_complexity)")]
    async fn movements(
        &self,
        #[graphql(desc = "How many from the beginning; 20 when nothing is said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
    ) -> Result<StockMovementConnection> {
        let window = Window::new(first, after, last, before)?;
        Ok(StockMovementConnection { of: (self.0.variant_id, Some(self.0.location_id)), window })
    }
}

/// Why stock has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum StockReason {
    /// It was there when the shop began to keep a ledger.
    Opening,
    /// It was counted.
    Count,
    /// It came from a supplier.
    Received,
    /// It broke.
    Damaged,
    /// It is gone, and nobody knows where.
    Lost,
    /// What was written before was wrong.
    Correction,
    /// It was sent to a buyer.
    Sold,
    /// A buyer sent it back.
    Returned,
    /// It was moved from or to another location.
    Transfer,
}

impl StockReason {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Opening, "opening"),
        (Self::Count, "count"),
        (Self::Received, "received"),
        (Self::Damaged, "damaged"),
        (Self::Lost, "lost"),
        (Self::Correction, "correction"),
        (Self::Sold, "sold"),
        (Self::Returned, "returned"),
        (Self::Transfer, "transfer"),
    ];

    /// As it is stored.
    #[must_use]
    pub fn stored(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("correction", |(_, name)| name)
    }

    fn named(name: &str) -> Self {
        Self::ALL.iter().find(|(_, one)| *one == name).map_or(Self::Correction, |(one, _)| *one)
    }
}

/// A line of the ledger. Added up, the changes are what is on hand.
#[Object(name = "StockMovement")]
impl Movement {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::StockMovement, self.id).encode().into()
    }

    /// How many came; below zero, how many went.
    #[graphql(name = "delta")]
    async fn shown_delta(&self) -> i32 {
        int(self.delta)
    }

    /// How many were on hand then.
    #[graphql(name = "onHand")]
    async fn shown_on_hand(&self) -> i32 {
        int(self.on_hand)
    }

    /// Why.
    #[graphql(name = "reason")]
    async fn shown_reason(&self) -> StockReason {
        StockReason::named(&self.reason)
    }

    /// What for: `order K7QX-3M9T`; null when it was for nothing in particular.
    #[graphql(name = "reference")]
    async fn shown_reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// When.
    #[graphql(name = "createdAt")]
    async fn shown_created_at(&self) -> DateTime<Utc> {
        self.created_at
    }
}

/// A page of the ledger.
#[derive(Debug)]
pub struct StockMovementConnection {
    of: (i64, Option<i64>),
    window: Window,
}

/// A page of the ledger.
#[Object]
impl StockMovementConnection {
    /// The movements of the page. One statement.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Movement>> {
        Ok(ledger::page(&scope(ctx).db, self.of, &self.window).await?.rows)
    }

    /// Where the page lies in the ledger. One statement.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::of(&ledger::page(&scope(ctx).db, self.of, &self.window).await?, Movement::cursor))
    }
}

/// A page of what is running low.
#[derive(Debug)]
pub struct StockLevelConnection(Page<Row>);

/// A page of what is running low.
#[Object]
impl StockLevelConnection {
    /// The levels of the page.
    async fn nodes(&self) -> Vec<StockLevel> {
        self.0.rows.iter().copied().map(StockLevel).collect()
    }

    /// Where the page lies in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.0, ledger::low_cursor)
    }
}

/// The stock's part of the query root.
#[derive(Debug, Default)]
pub struct StockQuery;

#[Object]
impl StockQuery {
    /// Where stock lies: the shop's own location first. Staff only. One statement.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn locations(&self, ctx: &Context<'_>) -> Result<Vec<Location>> {
        let scope = scope(ctx);
        let all = staff::locations(&scope.db).await?;
        scope.spend(ctx, all.len())?;
        Ok(all.into_iter().map(Location).collect())
    }

    /// What is running low by its own threshold. Staff only. One statement.
    #[graphql(guard = "Can(Permission::StockWrite)", complexity = "connection::cost(first, last, child_complexity)")]
    async fn low_stock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the beginning; 20 when nothing is said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
    ) -> Result<StockLevelConnection> {
        let window = Window::new(first, after, last, before)?;
        Ok(StockLevelConnection(ledger::low(&scope(ctx).db, &window).await?))
    }
}

async fn place(scope: &Scope, key: i64) -> Result<Location> {
    let all = scope.load(Locations).await?.unwrap_or_default();
    let found = all.iter().find(|one| one.id == key).cloned();
    found.map(Location).ok_or_else(|| Error::fault("finding a location", "it is not there"))
}
