//! Pages of lists: connection types, page information, and the cost of a page.

use async_graphql::{Context, SimpleObject};
use tokio::sync::OnceCell;

use super::context::{RequestContext, request_context};
use crate::base::{
    Error, Result,
    pagination::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page, PageRequest},
};

/// Bits above this shift are complexity of the whole list; bits below it are multiplied by the page size.
const PER_LIST_SHIFT: u32 = 32;
/// Complexity of counting a whole list.
pub const TOTAL_COUNT_COST: usize = cost_per_list(200);

/// Returns the complexity of a field computed once per list, independent of the page size.
#[must_use]
pub const fn cost_per_list(points: usize) -> usize {
    points << PER_LIST_SHIFT
}

/// Returns the complexity of a page: the cost per item times the page size, plus the cost of list-level fields once.
#[must_use]
pub fn compute_connection_cost(first: Option<i32>, last: Option<i32>, child_cost: usize) -> usize {
    let item_count = first.or(last).map_or(DEFAULT_PAGE_SIZE, |item_count| usize::try_from(item_count).unwrap_or(0));
    let per_item = child_cost & (cost_per_list(1) - 1);
    per_item.saturating_mul(item_count.max(1)).saturating_add(child_cost >> PER_LIST_SHIFT)
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

/// List that is read in pages.
pub trait PagedList: Send + Sync {
    /// Row of the list.
    type Row: Clone + Send + Sync;

    /// Loads a page. Statements: 1.
    ///
    /// # Errors
    /// Returns a user error if the cursor of the request does not belong to the list.
    fn load_page(
        &self,
        context: &RequestContext,
        request: &PageRequest,
    ) -> impl Future<Output = Result<Page<Self::Row>>> + Send;

    /// Returns the cursor of a row.
    fn cursor(&self, row: &Self::Row) -> String;
}

/// Returns the first or the last items of a list without pages; all of them by default.
///
/// # Errors
/// Returns a user error if a number is out of range or both are given.
pub fn limit_list<T>(items: &[T], first: Option<i32>, last: Option<i32>) -> Result<&[T]> {
    let parse = |name: &str, number: i32| match usize::try_from(number) {
        Ok(count) if count <= MAX_PAGE_SIZE => Ok(count),
        _ => Err(Error::bad_input(name, format!("`{name}` must be from 0 to {MAX_PAGE_SIZE}; it is {number}"))),
    };
    Ok(match (first, last) {
        (None, None) => items,
        (Some(first), None) => &items[..parse("first", first)?.min(items.len())],
        (None, Some(last)) => &items[items.len().saturating_sub(parse("last", last)?)..],
        (Some(_), Some(_)) => return Err(Error::bad_input("last", "give either `first` or `last`")),
    })
}

/// List whose rows are counted across all pages.
pub trait CountedList: PagedList {
    /// Counts the rows of all pages. Statements: 1.
    fn count(&self, context: &RequestContext) -> impl Future<Output = Result<i64>> + Send;
}

/// Page of a list. The page and the number of all rows are each loaded once, when the first field needs them.
#[derive(Debug)]
pub struct LazyPage<L: PagedList> {
    list: L,
    request: PageRequest,
    page: OnceCell<Page<L::Row>>,
    total_count: OnceCell<i64>,
}

impl<L: PagedList> LazyPage<L> {
    /// Creates a page without loading it.
    #[must_use]
    pub const fn new(list: L, request: PageRequest) -> Self {
        Self { list, request, page: OnceCell::const_new(), total_count: OnceCell::const_new() }
    }

    /// Returns the list.
    pub const fn list(&self) -> &L {
        &self.list
    }

    async fn page(&self, ctx: &Context<'_>) -> Result<&Page<L::Row>> {
        self.page.get_or_try_init(|| self.list.load_page(request_context(ctx), &self.request)).await
    }

    /// Returns the nodes of the page.
    pub async fn nodes<Node: From<L::Row>, Nodes: FromIterator<Node>>(&self, ctx: &Context<'_>) -> Result<Nodes> {
        Ok(self.page(ctx).await?.rows.iter().cloned().map(Node::from).collect())
    }

    /// Returns the nodes of the page with their cursors.
    pub async fn edges<Edge: From<(String, L::Row)>, Edges: FromIterator<Edge>>(
        &self,
        ctx: &Context<'_>,
    ) -> Result<Edges> {
        let rows = self.page(ctx).await?.rows.iter();
        Ok(rows.map(|row| Edge::from((self.list.cursor(row), row.clone()))).collect())
    }

    /// Returns the pagination information of the page.
    pub async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        let page = self.page(ctx).await?;
        Ok(PageInfo {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(|row| self.list.cursor(row)),
            end_cursor: page.rows.last().map(|row| self.list.cursor(row)),
        })
    }

    /// Returns the number of rows of all pages.
    pub async fn total_count(&self, ctx: &Context<'_>) -> Result<i64>
    where
        L: CountedList,
    {
        self.total_count.get_or_try_init(|| self.list.count(request_context(ctx))).await.copied()
    }
}

/// Declares how a list is read in pages: its type and that of its rows, a page, the cursor of a row, and optionally the
/// number of all rows.
macro_rules! paged_list {
    (
        $list:ty, $row:ty,
        |$self:ident, $db:ident, $request:ident| $load_page:expr,
        $cursor:expr
        $(, |$counted:ident, $count_db:ident| $count:expr)?
    ) => {
        impl $crate::graphql::pagination::PagedList for $list {
            type Row = $row;

            async fn load_page(
                &self,
                context: &$crate::graphql::context::RequestContext,
                $request: &$crate::base::pagination::PageRequest,
            ) -> $crate::base::Result<$crate::base::pagination::Page<$row>> {
                let ($self, $db) = (self, &context.db);
                $load_page.await
            }

            fn cursor(&self, row: &$row) -> String {
                let cursor: fn(&Self, &$row) -> String = $cursor;
                cursor(self, row)
            }
        }

        $(
            impl $crate::graphql::pagination::CountedList for $list {
                async fn count(&self, context: &$crate::graphql::context::RequestContext) -> $crate::base::Result<i64> {
                    let ($counted, $count_db) = (self, &context.db);
                    $count.await
                }
            }
        )?
    };
}

/// Declares the connection type of a list, with the descriptions of its fields. `total_count` and
/// further `fields` are optional.
macro_rules! connection {
    (
        $(#[$doc:meta])*
        $name:ident($list:ty) {
            nodes: $nodes:ty = $nodes_doc:tt,
            edges: $edges:ty = $edges_doc:tt,
            page_info = $page_info_doc:tt,
            $(total_count = $total_count_doc:tt,)?
            $(fields { $($fields:tt)* })?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name($crate::graphql::pagination::LazyPage<$list>);

        impl $name {
            /// Creates a page that is loaded when the first field needs it.
            #[must_use]
            pub const fn new(list: $list, request: $crate::base::pagination::PageRequest) -> Self {
                Self($crate::graphql::pagination::LazyPage::new(list, request))
            }
        }

        $(#[$doc])*
        #[async_graphql::Object]
        impl $name {
            #[doc = $nodes_doc]
            async fn nodes(&self, ctx: &async_graphql::Context<'_>) -> $crate::base::Result<$nodes> {
                self.0.nodes(ctx).await
            }

            #[doc = $edges_doc]
            async fn edges(&self, ctx: &async_graphql::Context<'_>) -> $crate::base::Result<$edges> {
                self.0.edges(ctx).await
            }

            #[doc = $page_info_doc]
            async fn page_info(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> $crate::base::Result<$crate::graphql::pagination::PageInfo> {
                self.0.page_info(ctx).await
            }

            $(
                #[doc = $total_count_doc]
                #[graphql(complexity = "crate::graphql::pagination::TOTAL_COUNT_COST")]
                async fn total_count(&self, ctx: &async_graphql::Context<'_>) -> $crate::base::Result<i64> {
                    self.0.total_count(ctx).await
                }
            )?

            $($($fields)*)?
        }
    };
}

/// Declares the edge type of a connection: a node with its cursor.
macro_rules! edge {
    ($(#[$doc:meta])* $name:ident { cursor = $cursor_doc:tt, node: $node:ty = $node_doc:tt }) => {
        $(#[$doc])*
        #[derive(Debug, async_graphql::SimpleObject)]
        pub struct $name {
            #[doc = $cursor_doc]
            cursor: String,
            #[doc = $node_doc]
            node: $node,
        }

        impl<Row: Into<$node>> From<(String, Row)> for $name {
            fn from((cursor, row): (String, Row)) -> Self {
                Self { cursor, node: row.into() }
            }
        }
    };
}
pub(crate) use {connection, edge, paged_list};
