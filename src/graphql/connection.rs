//! Product connection: a page of products with list-level fields.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use macros::BatchedObject;
use tokio::sync::OnceCell;

use super::{
    batched::{Batched, BatchedList, Selection},
    context::{RequestContext, request_context},
    facets::{FacetCache, ProductFacets},
    filter::{ProductFilter, ProductOrder},
    product::Product,
};
use crate::{
    base::{
        Result,
        pagination::{self, Page, PageRequest},
    },
    catalog::{
        product_filter::ResolvedCatalogFilter,
        product_queries::{self, ProductRow, ProductSort},
        projection::ProductColumns,
    },
};

/// Page of products with list-level fields.
#[derive(Debug)]
pub struct ProductConnection {
    filter: Arc<ResolvedCatalogFilter>,
    order: ProductSort,
    page_request: PageRequest,
    /// Columns required by the selected product fields and cursors.
    columns: ProductColumns,
    /// Loaded once, when the first field needs it.
    page: OnceCell<Page<ProductRow>>,
    total_count: OnceCell<i64>,
    facet_cache: FacetCache,
}

/// Product with its cursor.
#[derive(Debug, SimpleObject, BatchedObject)]
pub struct ProductEdge {
    /// Cursor of the product in this sort order.
    cursor: String,
    /// Product.
    node: Batched<Product>,
}

/// Pagination information.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more items follow the page.
    has_next_page: bool,
    /// Whether items precede the page. In forward pagination: whether the page started at a cursor.
    has_previous_page: bool,
    /// Cursor of the first item; null for an empty page.
    start_cursor: Option<String>,
    /// Cursor of the last item; null for an empty page.
    end_cursor: Option<String>,
}

impl PageInfo {
    /// Creates the page information from the rows and their cursors.
    pub fn from_page<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(&cursor),
            end_cursor: page.rows.last().map(&cursor),
        }
    }
}

/// Complexity of counting a whole list.
pub const TOTAL_COUNT_COST: usize = 200;
/// Complexity of one facet of a list.
pub const FACET_COST: usize = 400;
/// Bits above this shift are complexity of the whole list; bits below it are multiplied by the page size.
const PER_LIST_SHIFT: u32 = 32;

/// Returns the complexity of a field computed once per list, independent of the page size.
#[must_use]
pub const fn cost_per_list(points: usize) -> usize {
    points << PER_LIST_SHIFT
}

/// Returns the complexity of a page: the cost per item times the page size, plus the cost of list-level fields once.
#[must_use]
pub fn compute_connection_cost(first: Option<i32>, last: Option<i32>, child_cost: usize) -> usize {
    let item_count =
        first.or(last).map_or(pagination::DEFAULT_PAGE_SIZE, |item_count| usize::try_from(item_count).unwrap_or(0));
    let per_item = child_cost & (cost_per_list(1) - 1);
    per_item.saturating_mul(item_count.max(1)).saturating_add(child_cost >> PER_LIST_SHIFT)
}

impl ProductConnection {
    /// Resolves the filter and sort order and selects the columns.
    ///
    /// # Errors
    /// Returns a user error if the filter or the sort order is invalid.
    pub async fn create(
        ctx: &Context<'_>,
        page_request: PageRequest,
        filter: ProductFilter,
        order: ProductOrder,
    ) -> Result<Self> {
        let context = request_context(ctx);
        let filter = filter.into_catalog_filter(context.app_state.config.shop.currency, context.caller)?;
        let has_search = filter.search.is_some();
        let resolved_filter = filter.resolve(&context.db, &context.category_tree()).await?;
        let order = ProductSort::from(order).resolve(&resolved_filter, has_search)?;
        let selection = Selection::of_field(ctx);
        let mut columns = selection.nested_columns::<Product>("nodes");
        // Cursors are built from the columns of the sort order.
        selection.visit_named("edges", &mut |edges| {
            columns = columns.union(edges.nested_columns::<Product>("node")).union(order.cursor_columns());
        });
        selection.visit_named("pageInfo", &mut |_| columns = columns.union(order.cursor_columns()));
        let resolved_filter = Arc::new(resolved_filter);
        let (page, total_count) = (OnceCell::new(), OnceCell::new());
        Ok(Self {
            filter: resolved_filter,
            order,
            page_request,
            columns,
            page,
            total_count,
            facet_cache: FacetCache::default(),
        })
    }

    async fn page(&self, context: &RequestContext) -> Result<&Page<ProductRow>> {
        self.page.get_or_try_init(|| self.load_page(context)).await
    }

    async fn load_page(&self, context: &RequestContext) -> Result<Page<ProductRow>> {
        let (order, columns) = (self.order, self.columns);
        if self.filter.search_query.is_none() {
            return product_queries::load_product_page(&context.db, &self.filter, order, &self.page_request, columns)
                .await;
        }
        let (filter, page_request) = (Arc::clone(&self.filter), self.page_request.clone());
        context
            .run_expensive_read(|db| async move {
                product_queries::load_product_page(&db, &filter, order, &page_request, columns).await
            })
            .await
    }
}

/// Page of products with list-level fields.
#[Object]
impl ProductConnection {
    /// Products of the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<BatchedList<Product>> {
        let page = self.page(request_context(ctx)).await?;
        Ok(BatchedList::limited(page.rows.iter().map(|row| Product::from(Arc::clone(&row.product)))))
    }

    /// Products of the page with their cursors.
    async fn edges(&self, ctx: &Context<'_>) -> Result<BatchedList<ProductEdge>> {
        let page = self.page(request_context(ctx)).await?;
        let edge = |row: &ProductRow| ProductEdge {
            cursor: row.cursor(self.order),
            node: Batched(Product::from(Arc::clone(&row.product))),
        };
        Ok(BatchedList::limited(page.rows.iter().map(edge)))
    }

    /// Pagination information.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::from_page(self.page(request_context(ctx)).await?, |row| row.cursor(self.order)))
    }

    /// Number of products that match the filter, across all pages.
    #[graphql(complexity = "cost_per_list(TOTAL_COUNT_COST)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        let filter = Arc::clone(&self.filter);
        let load_count = || {
            request_context(ctx)
                .run_expensive_read(|db| async move { product_queries::count_products(&db, &filter).await })
        };
        self.total_count.get_or_try_init(load_count).await.copied()
    }

    /// Facets of the filtered products: values for further filtering with their product counts.
    async fn facets(&self) -> ProductFacets<'_> {
        ProductFacets { filter: &self.filter, cache: &self.facet_cache }
    }
}
