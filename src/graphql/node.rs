//! Global object identification (`node`, `nodes`).

use async_graphql::{Context, ID, Interface, Object};

use super::{
    catalog::{category::Category, product::Product, variant::Variant},
    context::request_context,
    customer::{Customer, address::Address},
    identity::account::Account,
    loader::{ProductKey, VariantKey},
    order::Order,
};
use crate::base::{Error, GlobalId, Result, global_id::NodeType, pagination};

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

async fn find_node(ctx: &Context<'_>, id: GlobalId) -> Result<Option<Node>> {
    let context = request_context(ctx);
    Ok(match id.node_type {
        NodeType::Category => Category::find(&context.category_tree(), id.key).map(Node::Category),
        NodeType::Product => {
            let rows = context.load(ProductKey(id.key)).await?;
            rows.and_then(|rows| rows.first().cloned()).map(|row| Node::Product(Product::from(row)))
        }
        NodeType::Variant => {
            let rows = context.load(VariantKey(id.key)).await?;
            rows.and_then(|rows| rows.first().cloned()).map(|row| Node::Variant(Variant::from(row)))
        }
        NodeType::Account => Account::find(context, id.key).await?.map(Node::Account),
        NodeType::Customer => Customer::find(context, id.key).await?.map(Node::Customer),
        NodeType::Address => Address::find(context, id.key).await?.map(Node::Address),
        NodeType::Order => Order::find(context, id.key).await?.map(Node::Order),
        // Other types are reached through their parents.
        _ => None,
    })
}
