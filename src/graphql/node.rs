//! Global object identification (`node`, `nodes`).

use async_graphql::{Context, ID, Interface, Object};
use sea_orm::EntityTrait;

use super::{
    admin::{
        audit_log::AuditEntry,
        jobs::{Job, JobKey},
    },
    catalog::{
        category::Category, product::Product, search_pins::SearchPin, search_ranking::SearchRanking,
        search_synonyms::SearchSynonymGroup, variant::Variant,
    },
    context::{RequestContext, request_context},
    customer::{Customer, address::Address},
    identity::{account::Account, api_key::ApiKey},
    inventory::stock::Location,
    loader::{ProductKey, VariantKey},
    media::object::Media,
    notification::log::NotificationObject,
    operations::OperationVersion,
    order::{
        Order,
        line::{Fulfillment, OrderLine},
        payments::OrderPayment,
        refunds::Refund,
    },
    pricing::{shipping::ShippingMethod, tax::TaxRate},
    received_webhook::ReceivedWebhook,
    row_loader::RowKey,
    webhook::{delivery::WebhookDelivery, endpoint::WebhookEndpoint},
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination},
    catalog::search::{
        entity::{search_pin, search_synonym_group},
        ranking,
    },
    identity::{Permission, entity::api_key},
    infra::entity::audit_log,
    inventory::entity::location,
    media::entity::media,
    notification::notification,
    operations::entity::operation_version,
    order::entity::{fulfillment, order_line},
    payment::entity::{payment, received_webhook, refund},
    pricing::{shipping_method, tax_rate},
    webhook::entity::{webhook_delivery, webhook_endpoint},
};

/// Object with a global ID.
#[derive(Debug, Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Global ID, unique across all types."))]
pub enum Node {
    /// Product category.
    Category(Category),
    /// Product.
    Product(Product),
    /// Product variant.
    Variant(Variant),
    /// Account; visible to itself and to staff.
    Account(Account),
    /// Customer; visible to its account and to staff.
    Customer(Customer),
    /// Order; visible to its buyer and to staff.
    Order(Order),
    /// Saved address; visible to its owner and to staff.
    Address(Address),
    /// Line of a visible order.
    OrderLine(OrderLine),
    /// Fulfillment of a visible order.
    Fulfillment(Fulfillment),
    /// Payment of a visible order.
    Payment(OrderPayment),
    /// Refund of a visible order.
    Refund(Refund),
    /// Stock location; visible to staff.
    Location(Location),
    /// Shipping method; visible to staff.
    ShippingMethod(ShippingMethod),
    /// Tax rate; visible to staff.
    TaxRate(TaxRate),
    /// Notification; visible to staff.
    Notification(NotificationObject),
    /// Background job; visible to staff.
    Job(Job),
    /// API key; visible to staff.
    ApiKey(ApiKey),
    /// Audit log entry; visible to staff.
    AuditEntry(AuditEntry),
    /// Published version of an app; visible to staff.
    OperationVersion(OperationVersion),
    /// Webhook received from a payment provider; visible to staff.
    ReceivedWebhook(ReceivedWebhook),
    /// Webhook endpoint; visible to staff.
    WebhookEndpoint(WebhookEndpoint),
    /// Webhook delivery; visible to staff.
    WebhookDelivery(WebhookDelivery),
    /// Picture of the shop; visible to staff.
    Media(Media),
    /// Synonyms of the search; visible to staff.
    SearchSynonymGroup(SearchSynonymGroup),
    /// Pinned products of a search text; visible to staff.
    SearchPin(SearchPin),
    /// Ranking of search results; visible to staff.
    SearchRanking(SearchRanking),
}

/// Node queries.
#[derive(Debug, Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Object by global ID; null if it does not exist or the caller may not see it.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Global ID.")] id: ID) -> Result<Option<Node>> {
        find_node(ctx, GlobalId::decode(&id, "id")?).await
    }

    /// Objects by global ID, in the given order; null for each that does not exist or that the caller may not see.
    #[graphql(complexity = "ids.len() * child_complexity")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global IDs, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > pagination::MAX_PAGE_SIZE {
            return Err(Error::bad_input(
                "ids",
                format!("at most {} ids; there are {}", pagination::MAX_PAGE_SIZE, ids.len()),
            ));
        }
        let decode = |(index, id): (usize, &ID)| GlobalId::decode(id, &format!("ids.{index}"));
        let ids = ids.iter().enumerate().map(decode).collect::<Result<Vec<_>>>()?;
        futures_util::future::try_join_all(ids.into_iter().map(|id| find_node(ctx, id))).await
    }
}

/// Returns the object of a global ID if it exists and the caller may see it. Objects of one type are loaded together.
pub async fn find_node(ctx: &Context<'_>, id: GlobalId) -> Result<Option<Node>> {
    let context = request_context(ctx);
    let GlobalId { node_type, key } = id;
    Ok(match node_type {
        NodeType::Category => Category::find(&context.category_tree(), key).map(Node::Category),
        NodeType::Product => {
            let rows = context.load(ProductKey(key)).await?;
            rows.and_then(|rows| rows.first().cloned()).map(|row| Node::Product(Product::from(row)))
        }
        NodeType::Variant => {
            let rows = context.load(VariantKey(key)).await?;
            rows.and_then(|rows| rows.first().cloned()).map(|row| Node::Variant(Variant::from(row)))
        }
        NodeType::Account => Account::find(context, key).await?.map(Node::Account),
        NodeType::Customer => Customer::find(context, key).await?.map(Node::Customer),
        NodeType::Address => Address::find(context, key).await?.map(Node::Address),
        NodeType::Order => Order::find(context, key).await?.map(Node::Order),
        NodeType::OrderLine => {
            let row = find_order_row::<order_line::Entity>(context, key, |row| row.order_id).await?;
            row.map(|row| Node::OrderLine(OrderLine(row)))
        }
        NodeType::Fulfillment => {
            let row = find_order_row::<fulfillment::Entity>(context, key, |row| row.order_id).await?;
            row.map(|row| Node::Fulfillment(Fulfillment(row)))
        }
        NodeType::Payment => {
            let row = find_order_row::<payment::Entity>(context, key, |row| row.order_id).await?;
            row.map(|row| Node::Payment(OrderPayment(row)))
        }
        NodeType::Refund => {
            let row = find_order_row::<refund::Entity>(context, key, |row| row.order_id).await?;
            row.map(|row| Node::Refund(Refund(row)))
        }
        NodeType::Location => find_staff_row::<location::Entity>(context, key, Permission::StockWrite)
            .await?
            .map(Into::into)
            .map(Node::Location),
        NodeType::ShippingMethod => find_staff_row::<shipping_method::Entity>(context, key, Permission::ShopWrite)
            .await?
            .map(Into::into)
            .map(Node::ShippingMethod),
        NodeType::TaxRate => find_staff_row::<tax_rate::Entity>(context, key, Permission::ShopWrite)
            .await?
            .map(Into::into)
            .map(Node::TaxRate),
        NodeType::Notification => find_staff_row::<notification::Entity>(context, key, Permission::NotificationWrite)
            .await?
            .map(Into::into)
            .map(Node::Notification),
        NodeType::ApiKey => find_staff_row::<api_key::Entity>(context, key, Permission::ApiKeyWrite)
            .await?
            .map(Into::into)
            .map(Node::ApiKey),
        NodeType::AuditEntry => find_staff_row::<audit_log::Entity>(context, key, Permission::AuditRead)
            .await?
            .map(Into::into)
            .map(Node::AuditEntry),
        NodeType::OperationVersion => {
            find_staff_row::<operation_version::Entity>(context, key, Permission::OperationWrite)
                .await?
                .map(Into::into)
                .map(Node::OperationVersion)
        }
        NodeType::ReceivedWebhook => find_staff_row::<received_webhook::Entity>(context, key, Permission::OrderWrite)
            .await?
            .map(Into::into)
            .map(Node::ReceivedWebhook),
        NodeType::WebhookEndpoint => find_staff_row::<webhook_endpoint::Entity>(context, key, Permission::WebhookWrite)
            .await?
            .map(Into::into)
            .map(Node::WebhookEndpoint),
        NodeType::WebhookDelivery => find_staff_row::<webhook_delivery::Entity>(context, key, Permission::WebhookWrite)
            .await?
            .map(Into::into)
            .map(Node::WebhookDelivery),
        NodeType::Media => find_staff_row::<media::Entity>(context, key, Permission::CatalogWrite)
            .await?
            .map(Into::into)
            .map(Node::Media),
        NodeType::SearchSynonymGroup | NodeType::SearchPin | NodeType::SearchRanking => {
            find_search_node(context, node_type, key).await?
        }
        NodeType::Job if context.caller.require_permission(Permission::JobWrite).is_ok() => {
            context.load(JobKey(key)).await?.map(|row| Node::Job(row.into()))
        }
        // Reached through their parents only.
        NodeType::Job
        | NodeType::StockMovement
        | NodeType::CartLine
        | NodeType::OrderHistoryEntry
        | NodeType::Session => None,
    })
}

/// Returns a row that belongs to an order, if the caller may see the order.
async fn find_order_row<E>(
    context: &RequestContext,
    key: i64,
    order_id: impl Fn(&E::Model) -> i64,
) -> Result<Option<E::Model>>
where
    E: EntityTrait + 'static,
    E::Model: Clone + Send + Sync + 'static,
{
    let Some(row) = context.load(RowKey::<E>::new(key)).await? else { return Ok(None) };
    Ok(Order::find(context, order_id(&row)).await?.map(|_| row))
}

/// Returns a row if the caller has the permission.
async fn find_staff_row<E>(context: &RequestContext, key: i64, permission: Permission) -> Result<Option<E::Model>>
where
    E: EntityTrait + 'static,
    E::Model: Clone + Send + Sync + 'static,
{
    if context.caller.require_permission(permission).is_err() {
        return Ok(None);
    }
    context.load(RowKey::<E>::new(key)).await
}

/// Finds what staff have decided about searches.
async fn find_search_node(context: &RequestContext, node_type: NodeType, key: i64) -> Result<Option<Node>> {
    Ok(match node_type {
        NodeType::SearchSynonymGroup => {
            find_staff_row::<search_synonym_group::Entity>(context, key, Permission::CatalogWrite)
                .await?
                .map(Into::into)
                .map(Node::SearchSynonymGroup)
        }
        NodeType::SearchPin => find_staff_row::<search_pin::Entity>(context, key, Permission::CatalogWrite)
            .await?
            .map(Into::into)
            .map(Node::SearchPin),
        NodeType::SearchRanking
            if key == ranking::RANKING_ID && context.caller.require_permission(Permission::CatalogWrite).is_ok() =>
        {
            Some(Node::SearchRanking(ranking::load_search_ranking(&context.db).await?.into()))
        }
        _ => None,
    })
}
