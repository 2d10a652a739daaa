//! A page of products, and what can be said about the whole list.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use tokio::sync::OnceCell;

use super::{
    context::{Scope, scope},
    facets::{Facets, ProductFacets},
    filter::{ProductFilter, ProductOrder},
    product::Product,
    quick::{Asked, Quick, QuickList, product_columns},
};
use crate::{
    base::{
        Result,
        page::{self, Page, Window},
    },
    catalog::{
        columns::ProductColumns,
        filter::Wanted,
        list::{self, Order, Row},
    },
};

/// A page of products, and what can be said about the whole list.
#[derive(Debug)]
pub struct ProductConnection {
    wanted: Arc<Wanted>,
    order: Order,
    window: Window,
    /// What is asked of its products, and of their places.
    columns: ProductColumns,
    /// Read when the first field asks for it, and then once.
    page: OnceCell<Page<Row>>,
    total: OnceCell<i64>,
    facets: Facets,
}

/// A product and its place in a list.
#[derive(Debug, SimpleObject)]
pub struct ProductEdge {
    /// Where the product stands in this order; the next page comes `after` it.
    pub(super) cursor: String,
    /// The product.
    pub(super) node: Quick<Product>,
}

/// Where a page lies in its list.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more follow.
    has_next_page: bool,
    /// Whether there are some before. Paging forwards, this says that the page began at a cursor.
    has_previous_page: bool,
    /// The cursor of the first one of the page; null when it is empty.
    start_cursor: Option<String>,
    /// The cursor of the last one of the page; null when it is empty.
    end_cursor: Option<String>,
}

impl PageInfo {
    /// Of a page whose rows have these cursors.
    pub fn of<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(&cursor),
            end_cursor: page.rows.last().map(&cursor),
        }
    }
}

/// The complexity of counting a whole list.
pub const COUNT: usize = 200;
/// The complexity of one facet of a list.
pub const FACET: usize = 400;
/// Above these bits a complexity is that of a whole list, below it is multiplied by the size of the page.
const PER_LIST: u32 = 32;

/// The complexity of something that is computed once for a list, whatever the size of its page.
#[must_use]
pub const fn per_list(points: usize) -> usize {
    points << PER_LIST
}

/// The complexity of a page: of everything asked of each thing on it, and once of what is asked of the whole list.
#[must_use]
pub fn cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let size = first.or(last).map_or(page::DEFAULT, |size| usize::try_from(size).unwrap_or(0));
    let per_item = child & (per_list(1) - 1);
    per_item.saturating_mul(size.max(1)).saturating_add(child >> PER_LIST)
}

impl ProductConnection {
    /// Understands what is wanted.
    ///
    /// # Errors
    /// When it cannot be.
    pub async fn open(ctx: &Context<'_>, window: Window, filter: ProductFilter, order: ProductOrder) -> Result<Self> {
        let scope = scope(ctx);
        let filter = filter.read(scope.shared.config.shop.currency, scope.caller)?;
        let searched = filter.search.is_some();
        let wanted = filter.understand(&scope.db, &scope.tree()).await?;
        let order = Order::from(order).settle(&wanted, searched)?;
        let asked = Asked::of(&ctx.item.node.selection_set.node, &ctx.query_env.fragments);
        let edges = asked.named("edges").flat_map(|edges| edges.below.named("node"));
        let columns = asked.named("nodes").chain(edges).map(|products| product_columns(&products.below));
        let columns = columns.fold(ProductColumns { id: true, ..ProductColumns::default() }, ProductColumns::or);
        // A place is made of the order's columns.
        let placed = asked.any(&["edges", "pageInfo"]);
        let columns = if placed { columns.or(order.keys()) } else { columns };
        let wanted = Arc::new(wanted);
        let (page, total) = (OnceCell::new(), OnceCell::new());
        Ok(Self { wanted, order, window, columns, page, total, facets: Facets::default() })
    }

    async fn page(&self, scope: &Scope) -> Result<&Page<Row>> {
        self.page.get_or_try_init(|| self.read_page(scope)).await
    }

    async fn read_page(&self, scope: &Scope) -> Result<Page<Row>> {
        let (order, columns) = (self.order, self.columns);
        if self.wanted.query.is_none() {
            return list::page(&scope.db, &self.wanted, order, &self.window, columns).await;
        }
        let (wanted, window) = (Arc::clone(&self.wanted), self.window.clone());
        scope.read_expensive(|db| async move { list::page(&db, &wanted, order, &window, columns).await }).await
    }
}

/// A page of products, and what can be said about the whole list.
#[Object]
impl ProductConnection {
    /// The products of the page. One statement for the page, whatever is asked of it.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<QuickList<Product>> {
        let page = self.page(scope(ctx)).await?;
        Ok(QuickList(page.rows.iter().map(|row| Product::from(Arc::clone(&row.product))).collect()))
    }

    /// The products of the page, each with its cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<QuickList<ProductEdge>> {
        let page = self.page(scope(ctx)).await?;
        let edge = |row: &Row| ProductEdge {
            cursor: row.cursor(self.order),
            node: Quick(Product::from(Arc::clone(&row.product))),
        };
        Ok(QuickList(page.rows.iter().map(edge).collect()))
    }

    /// Where the page lies in the list.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::of(self.page(scope(ctx)).await?, |row| row.cursor(self.order)))
    }

    /// How many products the filter wants on all pages together. One statement; in proportion to their number when
    /// there is a filter besides the category.
    #[graphql(complexity = "per_list(COUNT)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        let wanted = Arc::clone(&self.wanted);
        let count = || scope(ctx).read_expensive(|db| async move { list::count(&db, &wanted).await });
        self.total.get_or_try_init(count).await.copied()
    }

    /// The alternatives a shopper has from here, with how many products each would leave.
    async fn facets(&self) -> ProductFacets<'_> {
        ProductFacets { wanted: &self.wanted, known: &self.facets }
    }
}
