//! Categories: the tree comes from memory, only counts, products and texts from the database.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    context::{Scope, scope},
    loader::{CategoryText, CountOf},
    product::Product,
    quick::{Quick, QuickList},
    surplus,
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind, page},
    catalog::{Tree, loader::Slice, tree::Node},
};

/// How far `offset` may skip.
const OFFSET_LIMIT: i32 = 10_000;

/// A category of the shop's tree. Everything about the tree itself is answered from memory, at no cost in SQL.
#[derive(Debug, Clone)]
pub struct Category {
    tree: Arc<Tree>,
    place: usize,
}

impl Category {
    /// The category at a place of the tree.
    #[must_use]
    pub fn at(tree: &Arc<Tree>, place: usize) -> Self {
        Self { tree: Arc::clone(tree), place }
    }

    /// The category of a key, if it is in the tree.
    #[must_use]
    pub fn find(tree: &Arc<Tree>, key: i64) -> Option<Self> {
        tree.find(key).map(|place| Self::at(tree, place))
    }

    /// What the tree says of it.
    pub(super) fn node(&self) -> &Node {
        self.tree.node(self.place)
    }

    /// The category it lies in.
    pub(super) fn above(&self) -> Option<Self> {
        self.node().parent.map(|place| Self::at(&self.tree, place))
    }

    /// Those that lie directly in it.
    pub(super) fn below(&self) -> Vec<Self> {
        self.all(self.tree.children(self.place))
    }

    /// Those on the way from the root to it.
    pub(super) fn trail(&self) -> Vec<Self> {
        self.all(self.tree.ancestors(self.place).into_iter())
    }

    /// Those that lie anywhere in it.
    pub(super) fn all_below(&self) -> Vec<Self> {
        self.all(self.place + 1..self.place + self.node().size)
    }

    fn all(&self, places: impl Iterator<Item = usize>) -> Vec<Self> {
        places.map(|place| Self::at(&self.tree, place)).collect()
    }
}

/// A list of categories, paid for.
fn paid(scope: &Scope, ctx: &Context<'_>, list: Vec<Category>) -> Result<QuickList<Category>> {
    scope.spend(ctx, list.len())?;
    Ok(QuickList(list))
}

/// A category of the shop's tree. Everything about the tree itself is answered from memory, at no cost in SQL.
#[Object]
impl Category {
    /// The lasting id.
    pub async fn id(&self) -> ID {
        GlobalId::new(Kind::Category, self.node().id).encode().into()
    }

    /// What shoppers read.
    async fn name(&self) -> &str {
        &self.node().name
    }

    /// The category's lasting name in addresses; unique in the shop.
    async fn slug(&self) -> &str {
        &self.node().slug
    }

    /// A text about the category, if it has one. One statement for any number of categories.
    async fn description(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        scope(ctx).load(CategoryText(self.node().id)).await
    }

    /// How deep it lies: 0 for a root.
    async fn level(&self) -> usize {
        self.node().level
    }

    /// Its place among its siblings, from 0.
    async fn position(&self) -> i32 {
        self.node().position
    }

    /// Rises with every change of the category itself. Hand it in as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.node().version
    }

    /// The category it lies in; null for a root.
    async fn parent(&self) -> Option<Self> {
        self.above()
    }

    /// The categories that lie directly in it, in order.
    async fn children(&self, ctx: &Context<'_>) -> Result<QuickList<Category>> {
        paid(scope(ctx), ctx, self.below())
    }

    /// The way from the root to its parent: a breadcrumb. Empty for a root.
    async fn ancestors(&self, ctx: &Context<'_>) -> Result<QuickList<Category>> {
        paid(scope(ctx), ctx, self.trail())
    }

    /// Everything below it on all levels, parents before their children.
    async fn descendants(&self, ctx: &Context<'_>) -> Result<QuickList<Category>> {
        paid(scope(ctx), ctx, self.all_below())
    }

    /// The products in it and in everything below it, featured ones first, then the newest. For long lists, filters and
    /// orders use `products(filter: { category: … })`. One statement for any number of categories.
    #[graphql(complexity = "usize::try_from(limit.unwrap_or(20)).unwrap_or(0) * child_complexity")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 0 to 100; 20 when not said.")] limit: Option<i32>,
        #[graphql(desc = "How many to skip, from 0 to 10,000; none when not said.")] offset: Option<i32>,
    ) -> Result<QuickList<Product>> {
        let limit = page::size("limit", limit)?;
        let offset = offset.unwrap_or(0);
        let Some(offset) = usize::try_from(offset).ok().filter(|_| offset <= OFFSET_LIMIT) else {
            let message =
                format!("`offset` must be from 0 to {OFFSET_LIMIT}; go further with `products` and its cursors");
            return Err(Error::bad_input("offset", message));
        };
        if limit == 0 {
            return Ok(QuickList(Vec::new()));
        }
        let slice = Slice { category: self.node().id, limit, offset };
        let rows = scope(ctx).load(slice).await?.unwrap_or_default();
        Ok(QuickList(rows.into_iter().map(Product::from).collect()))
    }

    /// How many products there are in it and in everything below it. One statement for any number of categories.
    async fn product_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(scope(ctx).load(CountOf(self.node().id)).await?.unwrap_or(0))
    }
}

/// The categories' part of the query root.
#[derive(Debug, Default)]
pub struct CategoryQuery;

#[Object]
impl CategoryQuery {
    /// One category, by its id or by its slug; null when it is not there.
    async fn category(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: Option<ID>,
        #[graphql(desc = "The category's slug.")] slug: Option<String>,
    ) -> Result<Option<Quick<Category>>> {
        let tree = &scope(ctx).tree();
        match (&id, &slug) {
            (Some(id), None) => Ok(Category::find(tree, GlobalId::key(id, Kind::Category, "id")?).map(Quick)),
            (None, Some(slug)) => Ok(tree.find_slug(slug).map(|place| Quick(Category::at(tree, place)))),
            _ => {
                let given = [("id", id.is_some()), ("slug", slug.is_some())];
                Err(Error::bad_input(surplus(given), "give the `id` or the `slug` of a category, one of the two"))
            }
        }
    }

    /// The roots of the category tree, in order.
    async fn categories(&self, ctx: &Context<'_>) -> Result<QuickList<Category>> {
        let scope = scope(ctx);
        paid(scope, ctx, scope.tree().roots().map(|place| Category::at(&scope.tree(), place)).collect())
    }
}
