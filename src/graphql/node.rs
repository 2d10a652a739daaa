//! Anything by its id.

use async_graphql::{Context, ID, Interface, Object};

use super::{
    address::Address,
    category::Category,
    context::scope,
    customer::Customer,
    loader::{ProductKey, VariantKey},
    orders::Order,
    product::Product,
    variant::Variant,
};
use crate::base::{Error, GlobalId, Result, id::Kind, page};

/// Anything that has an id of its own.
#[derive(Debug, Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The lasting id, the same wherever the thing appears."))]
pub enum Node {
    /// A category of the tree.
    Category(Category),
    /// A product.
    Product(Product),
    /// A variant of a product.
    Variant(Variant),
    /// Somebody who has an account; for themselves and for staff.
    Customer(Customer),
    /// An order; for whoever bought it and for staff.
    Order(Order),
    /// An address; for its owner and for staff.
    Address(Address),
}

/// The nodes' part of the query root.
#[derive(Debug, Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id; null when it is not there or not yours to see. One statement at most.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id that the shop gave out.")] id: ID,
    ) -> Result<Option<Node>> {
        find(ctx, GlobalId::decode(&id, "id")?).await
    }

    /// Many things by their ids, in the order asked for, null for each that is not there. One statement for each type.
    #[graphql(complexity = "ids.len() * child_complexity")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids that the shop gave out.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > page::MAX {
            return Err(Error::bad_input("ids", format!("at most {} ids; there are {}", page::MAX, ids.len())));
        }
        let decode = |(at, id): (usize, &ID)| GlobalId::decode(id, &format!("ids.{at}"));
        let ids = ids.iter().enumerate().map(decode).collect::<Result<Vec<_>>>()?;
        futures_util::future::try_join_all(ids.into_iter().map(|id| find(ctx, id))).await
    }
}

async fn find(ctx: &Context<'_>, id: GlobalId) -> Result<Option<Node>> {
    let scope = scope(ctx);
    Ok(match id.kind {
        Kind::Category => Category::find(&scope.tree(), id.key).map(Node::Category),
        Kind::Product => {
            let found = scope.load(ProductKey(id.key)).await?;
            found.and_then(|found| found.first().cloned()).map(|row| Node::Product(Product::from(row)))
        }
        Kind::Variant => {
            let found = scope.load(VariantKey(id.key)).await?;
            found.and_then(|found| found.first().cloned()).map(|row| Node::Variant(Variant::from(row)))
        }
        Kind::Customer => Customer::find(scope, id.key).await?.map(Node::Customer),
        Kind::Address => Address::find(scope, id.key).await?.map(Node::Address),
        Kind::Order => Order::find(scope, id.key).await?.map(Node::Order),
        // The others are reached through what they belong to.
        _ => None,
    })
}
