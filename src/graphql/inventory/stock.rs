//! Stock levels, movements and locations, for staff.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    customer::OwnerScope,
    graphql::{
        catalog::variant::Variant,
        context::{RequestContext, request_context},
        customer::postal_address::PostalAddressObject,
        guard::RequirePermission,
        loader::{LocationsKey, VariantKey},
        order::{Order, loader::OrderNumberKey},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        scalars::clamp_to_i32,
    },
    identity::Permission,
    inventory::{
        entity::StockMovementReason,
        location,
        queries::{self, StockMovementRow},
        stock_level::StockLevelRow,
    },
};

/// Stock location.
#[derive(Debug, Clone)]
pub struct Location(pub location::StockLocation);

impl From<location::StockLocation> for Location {
    fn from(row: location::StockLocation) -> Self {
        Self(row)
    }
}

/// Stock location, such as a store or a warehouse. Staff only.
#[Object]
impl Location {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Location, self.0.id).encode().into()
    }

    /// Name, unique across locations.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is the default location.
    #[graphql(name = "default")]
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Whether staff can change its stock.
    async fn active(&self) -> bool {
        self.0.active
    }

    /// Postal address; null if there is none.
    async fn address(&self) -> Result<Option<PostalAddressObject>> {
        PostalAddressObject::from_json(self.0.address.clone())
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// Stock level of a variant at a location.
#[derive(Debug, Clone, Copy)]
pub struct StockLevel(pub StockLevelRow);

impl From<StockLevelRow> for StockLevel {
    fn from(row: StockLevelRow) -> Self {
        Self(row)
    }
}

/// Stock level of a variant at a location. Staff only.
#[Object]
impl StockLevel {
    /// Variant; null if it was deleted.
    async fn variant(&self, ctx: &Context<'_>) -> Result<Option<Variant>> {
        let rows = request_context(ctx).load(VariantKey(self.0.variant_id)).await?;
        Ok(rows.and_then(|rows| rows.first().cloned()).map(Variant::from))
    }

    /// Location.
    async fn location(&self, ctx: &Context<'_>) -> Result<Location> {
        load_location(request_context(ctx), self.0.location_id).await
    }

    /// On-hand quantity.
    async fn on_hand(&self) -> i32 {
        clamp_to_i32(self.0.on_hand)
    }

    /// Reserved quantity.
    async fn reserved(&self) -> i32 {
        clamp_to_i32(self.0.reserved)
    }

    /// Available quantity: on hand minus reserved.
    async fn available(&self) -> i32 {
        clamp_to_i32(self.0.available())
    }

    /// Threshold of available stock at or below which the level is low; null if there is none.
    async fn low_stock_threshold(&self) -> Option<i32> {
        self.0.low_stock_threshold.map(clamp_to_i32)
    }

    /// Stock movements at the location, newest first.
    #[graphql(complexity = "compute_connection_cost(first, last, child_complexity)")]
    async fn movements(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<StockMovementConnection> {
        Ok(StockMovementConnection::new(LevelMovements(self.0), PageRequest::new(first, after, last, before)?))
    }
}

/// Reason of a stock movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StockMovementReason")]
pub enum StockReason {
    /// Opening balance.
    Opening,
    /// Stock count.
    Count,
    /// Receipt from a supplier.
    Received,
    /// Damage.
    Damaged,
    /// Loss.
    Lost,
    /// Correction of an earlier movement.
    Correction,
    /// Shipment of an order.
    Sold,
    /// Customer return.
    Returned,
    /// Transfer from or to another location.
    Transfer,
}

/// Stock movement.
#[derive(Debug, Clone)]
pub struct StockMovement(StockMovementRow);

impl From<StockMovementRow> for StockMovement {
    fn from(row: StockMovementRow) -> Self {
        Self(row)
    }
}

/// Stock movement. The sum of all quantity changes is the on-hand quantity.
#[Object]
impl StockMovement {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::StockMovement, self.0.id).encode().into()
    }

    /// Quantity change; negative for a decrease.
    async fn delta(&self) -> i32 {
        clamp_to_i32(self.0.delta)
    }

    /// On-hand quantity after the movement.
    async fn on_hand(&self) -> i32 {
        clamp_to_i32(self.0.on_hand)
    }

    /// Reason of the movement.
    async fn reason(&self) -> StockReason {
        self.0.reason.into()
    }

    /// Reference, such as `order K7QX-3M9T`; null if there is none.
    async fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// Order that the movement ships or returns; null if there is none or the caller may not see it.
    async fn order(&self, ctx: &Context<'_>) -> Result<Option<Order>> {
        let context = request_context(ctx);
        let number = self.0.reference.as_deref().and_then(|reference| reference.strip_prefix("order "));
        let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead);
        let (Some(number), Some(owner_scope)) = (number, owner_scope) else { return Ok(None) };
        let key = OrderNumberKey { number: number.into(), owner_scope };
        Ok(context.load(key).await?.map(Order::from))
    }

    /// Time of the movement.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// Stock movements of a stock level, newest first.
#[derive(Debug)]
pub struct LevelMovements(StockLevelRow);

edge!(
    /// Stock movement with its cursor.
    StockMovementEdge { cursor = "Cursor of the stock movement.", node: StockMovement = "Stock movement." }
);

connection!(
    /// Page of stock movements.
    StockMovementConnection(LevelMovements) {
        nodes: Vec<StockMovement> = "Movements of the page.",
        edges: Vec<StockMovementEdge> = "Movements of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of movements at the location, across all pages.",
    }
);

paged_list!(
    LevelMovements,
    StockMovementRow,
    |level, db, request| queries::list_movements(db, level.0.key(), request),
    |_, row| row.cursor(),
    |level, db| queries::count_movements(db, level.0.key())
);

/// Stock levels at or below their low-stock threshold.
#[derive(Debug)]
pub struct LowStockLevels;

edge!(
    /// Stock level with its cursor.
    StockLevelEdge { cursor = "Cursor of the stock level.", node: StockLevel = "Stock level." }
);

connection!(
    /// Page of stock levels at or below their low-stock threshold.
    StockLevelConnection(LowStockLevels) {
        nodes: Vec<StockLevel> = "Stock levels of the page.",
        edges: Vec<StockLevelEdge> = "Stock levels of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of stock levels at or below their threshold, across all pages.",
    }
);

paged_list!(
    LowStockLevels,
    StockLevelRow,
    |_levels, db, request| queries::list_low_stock(db, request),
    |_, row| queries::encode_low_stock_cursor(row),
    |_levels, db| queries::count_low_stock(db)
);

/// Stock queries.
#[derive(Debug, Default)]
pub struct StockQuery;

#[Object]
impl StockQuery {
    /// Stock locations, default location first. Staff only.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn locations(&self, ctx: &Context<'_>) -> Result<Option<Vec<Location>>> {
        let context = request_context(ctx);
        let locations = location::list_locations(&context.db).await?;
        context.charge_list_values(ctx, locations.len())?;
        Ok(Some(locations.into_iter().map(Location).collect()))
    }

    /// Stock levels at or below their low-stock threshold. Staff only.
    #[graphql(
        guard = "RequirePermission(Permission::StockWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn low_stock(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<Option<StockLevelConnection>> {
        Ok(Some(StockLevelConnection::new(LowStockLevels, PageRequest::new(first, after, last, before)?)))
    }
}

async fn load_location(context: &RequestContext, location_id: i64) -> Result<Location> {
    let locations = context.load(LocationsKey).await?.unwrap_or_default();
    let location = locations.iter().find(|location| location.id == location_id).cloned();
    location.map(Location).ok_or_else(|| Error::internal("finding a location", "row not found"))
}
