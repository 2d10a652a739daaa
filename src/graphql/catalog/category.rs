//! Categories: the tree is cached in memory; only counts, products and descriptions are read from the database.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use macros::batched_object;

use super::{
    filter::{ProductFilter, ProductSortInput},
    image::ImageObject,
    product::Product,
    queries::{ProductConnection, ProductList},
    seo::Seo,
};
use crate::{
    base::{
        Error, GlobalId, Result,
        global_id::NodeType,
        pagination::{self, PageRequest},
    },
    catalog::{
        CategoryTree, cache_tags::category_tag, category_row, category_tree::CategoryNode, loader::CategorySlice,
    },
    graphql::{
        batched::{Batched, BatchedList},
        context::{RequestContext, request_context},
        input::find_conflicting_argument,
        loader::{CategoryRowOf, CountOf},
        pagination::compute_connection_cost,
    },
    infra::cache::CacheRecorder,
};

/// Maximum `offset`.
const MAX_OFFSET: i32 = 10_000;

/// Product category. Fields of the tree are resolved from memory, without database access.
#[derive(Debug, Clone)]
pub struct Category {
    /// Tree of the request.
    #[expect(
        clippy::redundant_allocation,
        reason = "the reference count of the tree is shared by all requests, whose threads would compete for it"
    )]
    category_tree: Arc<Arc<CategoryTree>>,
    index: usize,
}

impl Category {
    /// Creates the category at an index of the tree.
    #[must_use]
    pub fn from_index(category_tree: &Arc<CategoryTree>, index: usize) -> Self {
        Self { category_tree: Arc::new(Arc::clone(category_tree)), index }
    }

    /// Returns another category of the same tree.
    fn at(&self, index: usize) -> Self {
        Self { category_tree: Arc::clone(&self.category_tree), index }
    }

    /// Returns the category with the ID, if the tree contains it.
    #[must_use]
    pub fn find(category_tree: &Arc<CategoryTree>, id: i64) -> Option<Self> {
        category_tree.find_index(id).map(|index| Self::from_index(category_tree, index))
    }

    /// Returns the tree node.
    fn node(&self) -> &CategoryNode {
        self.category_tree.node(self.index)
    }

    /// Records what a cached response with the category depends on.
    fn record_row(&self, recorder: &CacheRecorder, _: &RequestContext) {
        recorder.record_tags([category_tag(self.node().id)]);
    }

    /// Returns the categories at indexes of the same tree.
    fn list_categories(&self, indexes: impl IntoIterator<Item = usize>) -> BatchedList<Self> {
        BatchedList::unlimited(indexes.into_iter().map(|index| self.at(index)))
    }
}

/// Product category. Fields of the tree are resolved from memory, without database access.
#[batched_object(cached_as = Self::record_row)]
#[Object]
impl Category {
    /// Global ID.
    pub fn id(&self) -> ID {
        ID(GlobalId::new(NodeType::Category, self.node().id).encode())
    }

    /// Display name.
    fn name(&self) -> &str {
        &self.node().name
    }

    /// URL slug, unique across categories.
    fn slug(&self) -> &str {
        &self.node().slug
    }

    /// Description as plain text; null if there is none.
    fn description(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Option<String> {
        row.and_then(|row| row.description.clone())
    }

    /// Description as sanitized HTML; null if there is none.
    fn description_html(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Option<String> {
        row.and_then(|row| row.description_html.clone())
    }

    /// Image; null if there is none.
    fn image(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Option<Batched<ImageObject>> {
        let row = row?;
        row.image.clone().map(|url| Batched(ImageObject::new(url, row.image_alt.clone())))
    }

    /// Title and description for search engines.
    fn seo(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Batched<Seo> {
        let row = row.as_deref();
        Batched(Seo::new(
            row.and_then(|row| row.seo_title.as_deref()),
            row.and_then(|row| row.seo_description.as_deref()),
            &self.node().name,
            row.and_then(|row| row.description.as_deref()),
        ))
    }

    /// Creation time.
    fn created_at(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Result<DateTime<Utc>> {
        row.map(|row| row.created_at).ok_or_else(missing_row)
    }

    /// Time of the last update; a move or a new position is one, changes of products are not.
    fn updated_at(&self, #[load(CategoryRowOf(self.node().id))] row: LoadedCategory) -> Result<DateTime<Utc>> {
        row.map(|row| row.updated_at).ok_or_else(missing_row)
    }

    /// Depth in the tree; 0 for a root category.
    fn level(&self) -> usize {
        self.node().depth
    }

    /// Position among its siblings, from 0.
    fn position(&self) -> i32 {
        self.node().position
    }

    /// Version number, incremented by every update of the category; pass it as `expectedVersion`.
    fn version(&self) -> i32 {
        self.node().version
    }

    /// Parent category; null for a root category.
    fn parent(&self) -> Option<Batched<Category>> {
        self.node().parent_index.map(|index| Batched(self.at(index)))
    }

    /// Direct subcategories, in order.
    fn children(&self) -> BatchedList<Category> {
        self.list_categories(self.category_tree.children(self.index))
    }

    /// Ancestors from the root to the parent (breadcrumb); empty for a root category.
    fn ancestors(&self) -> BatchedList<Category> {
        self.list_categories(self.category_tree.ancestors(self.index))
    }

    /// All descendants, parents before their children.
    fn descendants(&self) -> BatchedList<Category> {
        self.list_categories(self.index + 1..self.index + self.node().subtree_size)
    }

    /// Products in the category and its descendants: featured products first, then newest first. Use
    /// `productConnection` for pages by cursor, filters, sort orders and facets.
    #[graphql(complexity = "usize::try_from(limit.unwrap_or(20)).unwrap_or(0) * child_complexity")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of products (0-100, default 20).")] limit: Option<i32>,
        #[graphql(desc = "Number of products to skip (0-10,000, default 0).")] offset: Option<i32>,
    ) -> Result<BatchedList<Product>> {
        let limit = pagination::validate_page_size("limit", limit)?;
        let offset = offset.unwrap_or(0);
        let Some(offset) = usize::try_from(offset).ok().filter(|_| offset <= MAX_OFFSET) else {
            let message =
                format!("`offset` must be from 0 to {MAX_OFFSET}; go further with `productConnection` and its cursors");
            return Err(Error::bad_input("offset", message));
        };
        if limit == 0 {
            return Ok(BatchedList::limited([]));
        }
        let slice = CategorySlice { category_id: self.node().id, limit, offset };
        let rows = request_context(ctx).load(slice).await?.unwrap_or_default();
        Ok(BatchedList::limited(rows.into_iter().map(Product::from)))
    }

    /// Products in the category and its descendants that match the filter, sorted and paginated.
    #[graphql(complexity = "compute_connection_cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "these are the arguments of a connection")]
    async fn product_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND. `category` selects within this category.")]
        filter: Option<ProductFilter>,
        #[graphql(desc = "Sort order; `BEST_MATCH` by default.")] sort: Option<ProductSortInput>,
    ) -> Result<ProductConnection> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let (filter, sort) = (filter.unwrap_or_default(), sort.unwrap_or_default());
        let list = ProductList::resolve(ctx, Some(self.node().id), filter, sort).await?;
        Ok(ProductConnection::new(list, page_request))
    }

    /// Number of products in the category and its descendants.
    fn product_count(&self, #[load(CountOf(self.node().id))] count: Option<i64>) -> i64 {
        count.unwrap_or(0)
    }
}

/// Row of a category.
type LoadedCategory = Option<Arc<category_row::Model>>;

fn missing_row() -> Error {
    Error::internal("finding a category", "row not found")
}

/// Category queries.
#[derive(Debug, Default)]
pub struct CategoryQuery;

#[Object]
impl CategoryQuery {
    /// Category by ID or slug; null if it does not exist.
    async fn category(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the category.")] id: Option<ID>,
        #[graphql(desc = "Slug of the category.")] slug: Option<String>,
    ) -> Result<Option<Batched<Category>>> {
        let category_tree = &request_context(ctx).category_tree();
        match (&id, &slug) {
            (Some(id), None) => {
                Ok(Category::find(category_tree, GlobalId::decode_as(id, NodeType::Category, "id")?).map(Batched))
            }
            (None, Some(slug)) => Ok(category_tree
                .find_index_by_slug(slug)
                .map(|index| Batched(Category::from_index(category_tree, index)))),
            _ => {
                let arguments = [("id", id.is_some()), ("slug", slug.is_some())];
                Err(Error::bad_input(
                    find_conflicting_argument(arguments),
                    "give either the `id` or the `slug` of a category",
                ))
            }
        }
    }

    /// Root categories, in order.
    async fn categories(&self, ctx: &Context<'_>) -> BatchedList<Category> {
        let tree = request_context(ctx).category_tree();
        // Only the tree of this category is used; there may be no category.
        Category::from_index(&tree, 0).list_categories(tree.roots())
    }
}
