//! A page of products, and what can be said about the whole list.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use tokio::sync::OnceCell;

use super::{
    context::{Scope, scope},
    facets::ProductFacets,
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
    wanted: Wanted,
    order: Order,
    window: Window,
    /// What is asked of its products, and of their places.
    columns: ProductColumns,
    /// Read when the first field asks for it, and then once.
    page: OnceCell<Page<Row>>,
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

/// What a page costs for each thing asked of a product.
#[must_use]
pub fn cost(first: Option<i32>, last: Option<i32>) -> usize {
    let size = first.or(last).map_or(page::DEFAULT, |size| usize::try_from(size).unwrap_or(0));
    size.max(1)
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
        Ok(Self { wanted, order, window, columns, page: OnceCell::new() })
    }

    async fn page(&self, scope: &Scope) -> Result<&Page<Row>> {
        self.page.get_or_try_init(|| list::page(&scope.db, &self.wanted, self.order, &self.window, self.columns)).await
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
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        list::count(&scope(ctx).db, &self.wanted).await
    }

    /// The alternatives a shopper has from here, with how many products each would leave.
    async fn facets(&self) -> ProductFacets<'_> {
        ProductFacets { wanted: &self.wanted }
    }
}
