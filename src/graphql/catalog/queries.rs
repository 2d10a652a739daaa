//! Product list, and the queries of products.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use macros::BatchedObject;
use tokio::sync::OnceCell;

use super::{
    facets::{FacetCache, ProductFacets},
    filter::{ProductFilter, ProductSortInput},
    product::Product,
    search::ProductSearch,
    variant::Variant,
    variant_list::VariantBy,
};
use crate::{
    base::{
        Error, GlobalId, Result,
        global_id::NodeType,
        pagination::{Page, PageRequest},
    },
    catalog::{
        CategoryKey,
        cache_tags::CATALOG,
        product_filter::ResolvedCatalogFilter,
        product_queries::{self, ProductRow, ProductSort},
        projection::ProductColumns,
        search::suggest::VisibleCorrections,
    },
    graphql::{
        batched::{Batched, BatchedList, Selection},
        context::{RequestContext, request_context},
        input::find_conflicting_argument,
        pagination::{CountedList, PagedList, compute_connection_cost, connection, cost_per_list},
    },
};

/// Complexity of the corrections of a search.
const SEARCH_COST: usize = 20;

/// Filtered and sorted products.
#[derive(Debug)]
pub struct ProductList {
    filter: Arc<ResolvedCatalogFilter>,
    sort: ProductSort,
    /// Columns required by the selected product fields and cursors.
    columns: ProductColumns,
    facet_cache: FacetCache,
    search_text: Option<String>,
    corrections: OnceCell<VisibleCorrections>,
}

/// Product with its cursor.
#[derive(Debug, SimpleObject, BatchedObject)]
pub struct ProductEdge {
    /// Cursor of the product in this sort order.
    cursor: String,
    /// Product.
    node: Batched<Product>,
}

connection!(
    /// Page of products with list-level fields.
    ProductConnection(ProductList) {
        nodes: BatchedList<Product> = "Products of the page.",
        edges: BatchedList<ProductEdge> = "Products of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of products that match the filter, across all pages.",
        fields {
            /// Facets of the filtered products: values for further filtering with their product counts.
            async fn facets(&self) -> ProductFacets<'_> {
                let ProductList { filter, facet_cache, .. } = self.0.list();
                ProductFacets { filter, cache: facet_cache }
            }

            /// Search of the filter, with the words that were corrected; null without a search.
            #[graphql(complexity = "cost_per_list(SEARCH_COST)")]
            async fn search(&self) -> Option<ProductSearch<'_>> {
                self.0.list().search_text.as_ref().map(|_| ProductSearch(self.0.list()))
            }
        }
    }
);

impl ProductList {
    /// Resolves the filter and sort order of a list within a category, if one is given, and selects the columns.
    ///
    /// # Errors
    /// Returns a user error if the filter or the sort order is invalid.
    pub async fn resolve(
        ctx: &Context<'_>,
        category_id: Option<i64>,
        filter: ProductFilter,
        sort: ProductSortInput,
    ) -> Result<Self> {
        let context = request_context(ctx);
        let mut filter = filter.into_catalog_filter(context.app_state.config.shop.currency, context.caller)?;
        filter.categories.extend(category_id.map(CategoryKey::Id));
        let search_text = filter.search.clone();
        let filter = Arc::new(filter.resolve(&context.db, &context.category_tree()).await?);
        let sort = ProductSort::from(sort).resolve(&filter, search_text.is_some())?;
        let selection = Selection::of_field(ctx);
        let mut columns = selection.nested_columns::<Product>("nodes");
        // Cursors are built from the columns of the sort order.
        selection.visit_named("edges", &mut |edges| {
            columns = columns.union(edges.nested_columns::<Product>("node")).union(sort.cursor_columns());
        });
        selection.visit_named("pageInfo", &mut |_| columns = columns.union(sort.cursor_columns()));
        Ok(Self {
            filter,
            sort,
            columns,
            facet_cache: FacetCache::default(),
            search_text,
            corrections: OnceCell::const_new(),
        })
    }

    /// Returns the search text.
    #[must_use]
    pub fn search_text(&self) -> Option<&str> {
        self.search_text.as_deref()
    }

    /// Returns the words of the search with the corrections that the caller may see.
    pub async fn corrections(&self, context: &RequestContext) -> Result<&VisibleCorrections> {
        let (filter, visibility) = (Arc::clone(&self.filter), context.visibility);
        let load = || {
            context.run_expensive_read(move |db| async move {
                VisibleCorrections::load(&db, filter.search_query.as_ref(), visibility).await
            })
        };
        self.corrections.get_or_try_init(load).await
    }
}

impl PagedList for ProductList {
    type Row = ProductRow;

    async fn load_page(&self, context: &RequestContext, request: &PageRequest) -> Result<Page<ProductRow>> {
        let (sort, columns) = (self.sort, self.columns);
        if self.filter.search_query.is_none() {
            return product_queries::load_product_page(&context.db, &self.filter, sort, request, columns).await;
        }
        let (filter, request) = (Arc::clone(&self.filter), request.clone());
        context
            .run_expensive_read(|db| async move {
                product_queries::load_product_page(&db, &filter, sort, &request, columns).await
            })
            .await
    }

    fn cursor(&self, row: &ProductRow) -> String {
        row.cursor(self.sort)
    }
}

impl CountedList for ProductList {
    async fn count(&self, context: &RequestContext) -> Result<i64> {
        let filter = Arc::clone(&self.filter);
        context.run_expensive_read(|db| async move { product_queries::count_products(&db, &filter).await }).await
    }
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        row.product.into()
    }
}

impl From<(String, ProductRow)> for ProductEdge {
    fn from((cursor, row): (String, ProductRow)) -> Self {
        Self { cursor, node: Batched(row.into()) }
    }
}

/// The products of a page, whose size is limited.
impl<T> FromIterator<T> for BatchedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::limited(items)
    }
}

/// Product queries.
#[derive(Debug, Default)]
pub struct ProductQuery;

#[Object]
impl ProductQuery {
    /// Product by ID, slug or SKU of a variant; null if it does not exist or the caller may not see it. Unpublished
    /// products are visible to staff only.
    async fn product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: Option<ID>,
        #[graphql(desc = "Slug of the product.")] slug: Option<String>,
        #[graphql(desc = "Exact SKU of one of its variants.")] sku: Option<String>,
    ) -> Result<Option<Batched<Product>>> {
        let lookup = match (&id, &slug, &sku) {
            (Some(id), None, None) => {
                product_queries::ProductLookup::Id(GlobalId::decode_as(id, NodeType::Product, "id")?)
            }
            (None, Some(slug), None) => product_queries::ProductLookup::Slug(slug),
            (None, None, Some(sku)) => product_queries::ProductLookup::Sku(sku),
            _ => {
                let message = "give exactly one of the `id`, the `slug` and a `sku` of a product";
                let arguments = [("id", id.is_some()), ("slug", slug.is_some()), ("sku", sku.is_some())];
                return Err(Error::bad_input(find_conflicting_argument(arguments), message));
            }
        };
        let context = request_context(ctx);
        let columns = Selection::of_field(ctx).columns::<Product>();
        let row = product_queries::find_product(&context.db, lookup, context.visibility, columns).await?;
        if row.is_none() {
            // A new product, or another one after an edit, can match the lookup.
            context.record_cache_tag(CATALOG);
        }
        Ok(row.map(|row| Batched(Product::from(row))))
    }

    /// Variant by ID, SKU or barcode; null if it does not exist or the caller may not see it. Variants of unpublished
    /// products are visible to staff only.
    async fn variant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the variant.")] by: VariantBy,
    ) -> Result<Option<Batched<Variant>>> {
        let context = request_context(ctx);
        let row = product_queries::find_variant(&context.db, &by.into_lookup()?, context.visibility).await?;
        if row.is_none() {
            context.record_cache_tag(CATALOG);
        }
        Ok(row.map(|row| Batched(Variant::from(row))))
    }

    /// Products that match the filter, sorted and paginated.
    #[graphql(complexity = "compute_connection_cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "these are the arguments of a connection")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<ProductFilter>,
        #[graphql(desc = "Sort order; `BEST_MATCH` by default.")] sort: Option<ProductSortInput>,
    ) -> Result<ProductConnection> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let list = ProductList::resolve(ctx, None, filter.unwrap_or_default(), sort.unwrap_or_default()).await?;
        Ok(ProductConnection::new(list, page_request))
    }
}
