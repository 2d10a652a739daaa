//! Product list, and the queries of products.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use macros::BatchedObject;
use tokio::sync::OnceCell;

use super::{
    facets::{ProductFacets, SelectedFacets},
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
        find::{self, ProductCount, ProductRow, ProductWindow},
        product_filter::ResolvedCatalogFilter,
        product_queries::{self, ProductSort},
        projection::ProductColumns,
        search::{SearchQuery, report, suggest::VisibleCorrections},
    },
    graphql::{
        batched::{Batched, BatchedList, Selection},
        context::{RequestContext, request_context},
        input::find_conflicting_argument,
        pagination::{CountedList, PagedList, compute_connection_cost, connection, cost_per_list},
    },
    infra::cache::CountedSearch,
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
    selected_facets: SelectedFacets,
    product_count: OnceCell<ProductCount>,
    search_text: Option<String>,
    corrections: OnceCell<VisibleCorrections>,
}

/// Precision of a number of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CountPrecision {
    /// There are exactly as many.
    Exact,
    /// There are more: only so many were counted.
    AtLeast,
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
        total_count = "Number of products that match the filter, across all pages; at most 10,000 if `totalCountPrecision` is `AT_LEAST`.",
        fields {
            /// Facets of the filtered products: values for further filtering with their product counts.
            async fn facets(&self) -> ProductFacets<'_> {
                let ProductList { filter, selected_facets, .. } = self.0.list();
                ProductFacets { filter, selected: selected_facets }
            }

            /// Whether `totalCount` is exact: products are counted up to 10,000.
            #[graphql(complexity = "crate::graphql::pagination::TOTAL_COUNT_COST")]
            async fn total_count_precision(&self, ctx: &Context<'_>) -> Result<CountPrecision> {
                let count = self.0.list().product_count(request_context(ctx)).await?;
                Ok(if count.is_exact { CountPrecision::Exact } else { CountPrecision::AtLeast })
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
        filter.search_language.get_or_insert(context.app_state.config.shop.language);
        let rules = context.app_state.search_rules_cache.current();
        let filter = Arc::new(filter.resolve(&context.db, &context.category_tree(), &rules).await?);
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
            selected_facets: SelectedFacets::of_list(ctx),
            product_count: OnceCell::const_new(),
            search_text,
            corrections: OnceCell::const_new(),
        })
    }

    /// Returns the search text.
    #[must_use]
    pub fn search_text(&self) -> Option<&str> {
        self.search_text.as_deref()
    }

    /// Returns whether products match any word of the search only.
    #[must_use]
    pub fn matches_any(&self) -> bool {
        self.filter.search_query.as_ref().is_some_and(SearchQuery::matches_any)
    }

    /// Returns the number of products, counted once.
    async fn product_count(&self, context: &RequestContext) -> Result<ProductCount> {
        let count = || {
            let filter = Arc::clone(&self.filter);
            context.run_expensive_read(|db| async move { find::count_products(&db, &filter).await })
        };
        self.product_count.get_or_try_init(count).await.copied()
    }

    /// Counts the search, if it is the first page of a shopper's list. Without products it has no results, unless other
    /// conditions of the filter excluded them.
    fn count_search(&self, context: &RequestContext, request: &PageRequest, is_empty: bool) {
        let Some(query) = self.filter.search_query.as_ref() else { return };
        let is_first_page = request.cursor.is_none() && !request.backwards && request.size > 0;
        let text = self.search_text().filter(|_| is_first_page).and_then(|text| report::countable_text(text, query));
        if let Some(text) = text {
            let has_results = !is_empty || !self.filter.is_only_search();
            context.count_search(CountedSearch { text, has_results });
        }
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
        let (sort, columns, ways) = (self.sort, self.columns, context.app_state.search_ways.clone());
        if self.filter.search_query.is_none() {
            let window = ProductWindow { sort, request, columns };
            return find::find_page(&context.db, &ways, &self.filter, &window).await;
        }
        let (filter, window_request) = (Arc::clone(&self.filter), request.clone());
        let find = |db| async move {
            find::find_page(&db, &ways, &filter, &ProductWindow { sort, request: &window_request, columns }).await
        };
        let page = context.run_expensive_read(find).await?;
        self.count_search(context, request, page.rows.is_empty());
        Ok(page)
    }

    fn cursor(&self, row: &ProductRow) -> String {
        row.cursor(self.sort)
    }
}

impl CountedList for ProductList {
    async fn count(&self, context: &RequestContext) -> Result<i64> {
        Ok(self.product_count(context).await?.value)
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
