//! Fields of the subscription root.

use async_graphql::{Context, ID, Subscription};

use super::{
    events::{CartEvent, JobEvent, LowStockEvent, OrderEvent, ProductEvent, StockEvent},
    phase::{EventPhase, EventStream},
    topic::Topic,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    cart::{self, cart_row},
    customer::OwnerScope,
    graphql::{
        admin::jobs::{Job, JobKey},
        cart::Cart,
        catalog::{product::Product, variant::Variant},
        context::{RequestContext, request_context},
        guard::{Public, RequireLogin, RequirePermission},
        inventory::stock::StockLevel,
        loader::{LevelsOf, ProductKey, VariantKey},
        order::Order,
        row_loader::RowKey,
    },
    identity::Permission,
    infra::jobs::events::JobFailed,
    inventory::{StockChanged, StockLow},
    order::{OrderPlaced, OrderUpdated, entity::orders},
};

/// Maximum number of variants that a subscription follows.
const MAX_FOLLOWED_VARIANTS: usize = 100;

/// Root subscription type.
#[derive(Debug, Default)]
pub struct SubscriptionRoot;

/// Live updates, over WebSocket (`graphql-transport-ws`) or server-sent events. `after` continues after an event
/// whose `cursor` the client has: it is given every event since, once; without it, new events only.
#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// Changes of an order: its status, payment, fulfillments and notes. For its buyer, for guests with its token, and
    /// for staff.
    #[graphql(guard = "Public")]
    async fn order_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Secret token of the order, for guests.")] guest_access_token: Option<String>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<OrderEvent>> {
        let order_id = GlobalId::decode_as(&id, NodeType::Order, "id")?;
        let order = find_order(request_context(ctx), order_id, guest_access_token.as_deref()).await?;
        let order = order.ok_or_else(|| Error::not_found("id", "order"))?;
        EventPhase::of(ctx)
            .stream(vec![Topic::Order(order_id)], after.as_deref(), |cursor| Some(OrderEvent { order, cursor }))
    }

    /// New and changed orders of the caller.
    #[graphql(guard = "RequireLogin")]
    async fn my_orders_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<OrderEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        let account_id = context.caller.require_account_id()?;
        let placed = phase.parse_event::<OrderPlaced>().map(|event| event.order);
        let order_id = placed.or_else(|| phase.parse_event::<OrderUpdated>().map(|event| event.order));
        let order = match order_id {
            Some(order_id) => find_order(context, order_id, None).await?,
            None => None,
        };
        phase.stream(vec![Topic::OrdersOfAccount(account_id)], after.as_deref(), |cursor| {
            Some(OrderEvent { order: order?, cursor })
        })
    }

    /// New orders. Requires the permission `order:read`.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn order_placed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<OrderEvent>> {
        let phase = EventPhase::of(ctx);
        let order = match phase.parse_event::<OrderPlaced>() {
            Some(OrderPlaced { order, account: _ }) => find_order(request_context(ctx), order, None).await?,
            None => None,
        };
        phase.stream(vec![Topic::NewOrders], after.as_deref(), |cursor| Some(OrderEvent { order: order?, cursor }))
    }

    /// Changes of a cart: its lines, its details and its status.
    #[graphql(guard = "Public")]
    async fn cart_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Secret ID of the cart.")] id: ID,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<CartEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        let row = match phase {
            EventPhase::Start(_) => cart::find_cart_by_token(&context.db, &id, context.caller).await?,
            EventPhase::Deliver(_) => find_changed_cart(context, phase, &id).await?,
        };
        let row = row.ok_or_else(|| Error::not_found("id", "cart"))?;
        phase.stream(vec![Topic::Cart(row.id)], after.as_deref(), |cursor| {
            Some(CartEvent { cart: Cart::from(row), cursor })
        })
    }

    /// Changes of the stock of variants: what is on hand or reserved, or how it is tracked.
    #[graphql(guard = "Public")]
    async fn stock_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "IDs of the variants; at most 100.")] variant_ids: Vec<ID>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<StockEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        if variant_ids.is_empty() || variant_ids.len() > MAX_FOLLOWED_VARIANTS {
            let message = format!("give from 1 to {MAX_FOLLOWED_VARIANTS} variants; there are {}", variant_ids.len());
            return Err(Error::bad_input("variantIds", message));
        }
        let decode =
            |(index, id): (usize, &ID)| GlobalId::decode_as(id, NodeType::Variant, &format!("variantIds.{index}"));
        let followed = variant_ids.iter().enumerate().map(decode).collect::<Result<Vec<_>>>()?;
        let mut changed = phase.parse_event::<StockChanged>().map(|event| event.variants).unwrap_or_default();
        changed.retain(|variant_id| followed.contains(variant_id));
        let rows = context.load_many(changed.iter().copied().map(VariantKey)).await?;
        let to_variant = |variant_id: &i64| rows.get(&VariantKey(*variant_id))?.first().cloned().map(Variant::from);
        let variants: Vec<Variant> = changed.iter().filter_map(to_variant).collect();
        context.charge_list_values(ctx, variants.len())?;
        let topics = followed.into_iter().map(Topic::Stock).collect();
        phase.stream(topics, after.as_deref(), |cursor| {
            (!variants.is_empty()).then_some(StockEvent { variants, cursor })
        })
    }

    /// Changes of a product and its variants, also of their prices.
    #[graphql(guard = "Public")]
    async fn product_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<ProductEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        let product_id = GlobalId::decode_as(&id, NodeType::Product, "id")?;
        let rows = context.load(ProductKey(product_id)).await?;
        let product = rows.and_then(|rows| rows.first().cloned()).map(Product::from);
        if product.is_none() && matches!(phase, EventPhase::Start(_)) {
            return Err(Error::not_found("id", "product"));
        }
        phase
            .stream(vec![Topic::Product(product_id)], after.as_deref(), |cursor| Some(ProductEvent { product, cursor }))
    }

    /// Stock levels that fell to their low-stock threshold. Requires the permission `stock:write`.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn low_stock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<LowStockEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        let mut stock_level = None;
        if let Some(StockLow { variant, location, available: _ }) = phase.parse_event::<StockLow>() {
            let levels = context.load(LevelsOf(variant)).await?.unwrap_or_default();
            stock_level = levels.iter().find(|level| level.location_id == location).copied().map(StockLevel);
        }
        phase.stream(vec![Topic::LowStock], after.as_deref(), |cursor| Some(LowStockEvent { stock_level, cursor }))
    }

    /// Background jobs that failed for good and need a decision. Requires the permission `job:write`.
    #[graphql(guard = "RequirePermission(Permission::JobWrite)")]
    async fn job_failed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cursor of the last event received.")] after: Option<String>,
    ) -> Result<EventStream<JobEvent>> {
        let (context, phase) = (request_context(ctx), EventPhase::of(ctx));
        let job = match phase.parse_event::<JobFailed>() {
            Some(JobFailed { job }) => context.load(JobKey(job)).await?.map(Job::from),
            None => None,
        };
        phase.stream(vec![Topic::FailedJobs], after.as_deref(), |cursor| Some(JobEvent { job, cursor }))
    }
}

/// Returns an order if the caller may see it or has its token. The row is loaded without the caller's scope, so that
/// all subscribers of an event share the load; access is checked on the row.
async fn find_order(context: &RequestContext, order_id: i64, token: Option<&str>) -> Result<Option<Order>> {
    let Some(row) = context.load(RowKey::<orders::Entity>::new(order_id)).await? else { return Ok(None) };
    if token.is_some_and(|token| row.has_token(token)) {
        return Ok(Some(Order::with_token(row)));
    }
    let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderRead);
    let is_visible = owner_scope.is_some_and(|owner_scope| owner_scope.covers_owner(row.account_id));
    Ok(is_visible.then(|| Order::from(row)))
}

/// Returns the cart of the event if it still has the token and the caller may see it; the load is shared.
async fn find_changed_cart(
    context: &RequestContext,
    phase: &EventPhase,
    token: &str,
) -> Result<Option<cart_row::Model>> {
    let Some(event) = phase.parse_event::<cart::CartChanged>() else { return Ok(None) };
    let row = context.load(RowKey::<cart_row::Entity>::new(event.cart)).await?;
    Ok(row.filter(|row| cart::access::is_accessible(row, token, context.caller)))
}
