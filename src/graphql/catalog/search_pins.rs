//! Pinned products of search texts, managed by staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};

use super::product::Product;
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    catalog::{
        queries::search_rules,
        search::{
            entity::search_pin,
            pin_admin::{self, SearchPinPatch},
            tier::MAX_PINNED_PRODUCTS,
        },
    },
    graphql::{
        context::request_context,
        guard::RequirePermission,
        input::{parse_target, reject_null},
        loader::ProductKey,
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
    },
    identity::Permission,
};

/// Products that staff have pinned for a search text: they are its first results.
#[derive(Debug, Clone)]
pub struct SearchPin(search_pin::Model);

impl From<search_pin::Model> for SearchPin {
    fn from(row: search_pin::Model) -> Self {
        Self(row)
    }
}

/// Products that staff have pinned for a search text: they are its first results.
#[Object]
impl SearchPin {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::SearchPin, self.0.id).encode().into()
    }

    /// Search text. It applies to searches with the same words in the same order, whatever their case, accents and
    /// punctuation.
    async fn query(&self) -> &str {
        &self.0.query
    }

    /// Products, the first result first; without deleted ones.
    #[graphql(complexity = "MAX_PINNED_PRODUCTS * child_complexity")]
    async fn products(&self, ctx: &Context<'_>) -> Result<Vec<Product>> {
        let product_ids = self.0.pinned_ids();
        let mut found = request_context(ctx).load_many(product_ids.iter().copied().map(ProductKey)).await?;
        let rows = product_ids.into_iter().filter_map(|product_id| found.remove(&ProductKey(product_id)));
        Ok(rows.filter_map(|rows| rows.first().cloned()).map(Product::from).collect())
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// All search texts with pinned products.
#[derive(Debug, Clone, Copy)]
pub struct SearchPinList;

edge!(
    /// Pinned products of a search text with their cursor.
    SearchPinEdge { cursor = "Cursor of the search text.", node: SearchPin = "Pinned products of the search text." }
);

connection!(
    /// Page of search texts with pinned products, by text.
    SearchPinConnection(SearchPinList) {
        nodes: Vec<SearchPin> = "Search texts of the page.",
        edges: Vec<SearchPinEdge> = "Search texts of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of search texts with pinned products, across all pages.",
    }
);

paged_list!(
    SearchPinList,
    search_pin::Model,
    |_list, db, request| search_rules::list_search_pins(db, request),
    |_, row| row.cursor(),
    |_list, db| search_rules::count_search_pins(db)
);

/// Input of `searchPinCreate`.
#[derive(Debug, InputObject)]
pub struct SearchPinCreateInput {
    /// Search text, one line of at most 200 characters and 12 words.
    query: String,
    /// IDs of the products, 1 to 20, the first result first.
    product_ids: Vec<ID>,
}

/// Input of `searchPinUpdate`. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct SearchPinUpdateInput {
    /// Search text, one line of at most 200 characters and 12 words.
    query: MaybeUndefined<String>,
    /// IDs of the products, which replace the previous ones: 1 to 20, the first result first.
    product_ids: MaybeUndefined<Vec<ID>>,
}

payload!(
    /// Payload of `searchPinCreate` and `searchPinUpdate`.
    SearchPinPayload {
        /// Pinned products of the search text after the change; null if nothing was written.
        search_pin: SearchPin
    }
);

payload!(
    /// Payload of `searchPinDelete`.
    SearchPinDeletePayload {
        /// ID of the deleted object; null if nothing was deleted.
        deleted_id: ID
    }
);

/// Queries of pinned products.
#[derive(Debug, Default)]
pub struct SearchPinQuery;

#[Object]
impl SearchPinQuery {
    /// Search texts with pinned products, by text, paginated. At most 2,000. One search text: `node`.
    #[graphql(
        guard = "RequirePermission(Permission::CatalogWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    #[expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]
    async fn search_pins(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<Option<SearchPinConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        Ok(Some(SearchPinConnection::new(SearchPinList, page_request)))
    }
}

/// Mutations of pinned products.
#[derive(Debug, Default)]
pub struct SearchPinMutation;

#[Object]
impl SearchPinMutation {
    /// Pins products for a search text: by relevance they come first, in this order, whether or not they have its words.
    /// Those that are not visible, or do not satisfy the other conditions of a filter, are left out. `NOT_FOUND` for a
    /// product that does not exist; `ALREADY_EXISTS` if the text has pinned products; `ILLEGAL_TRANSITION` if 2,000 texts
    /// have.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_pin_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Search text with the products to pin.")] input: SearchPinCreateInput,
    ) -> Result<Option<SearchPinPayload>> {
        let context = request_context(ctx);
        let created = async {
            let SearchPinCreateInput { query, product_ids } = input;
            let patch = SearchPinPatch { query: Some(query), product_ids: Some(parse_product_ids(&product_ids)?) };
            pin_admin::create_search_pin(&context.db, patch).await
        };
        SearchPinPayload::from_result(context.apply_search_rules(created.await).await)
    }

    /// Updates a search text or its pinned products; errors as for `searchPinCreate`.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_pin_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the object.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: SearchPinUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<SearchPinPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target = parse_target(&id, NodeType::SearchPin, (), expected_version)?;
            let SearchPinUpdateInput { query, product_ids } = input;
            let query = reject_null(query, false, "input.query")?;
            let product_ids = reject_null(product_ids, false, "input.productIds")?;
            let product_ids = product_ids.map(|ids| parse_product_ids(&ids)).transpose()?;
            pin_admin::update_search_pin(&context.db, target, SearchPinPatch { query, product_ids }).await
        };
        SearchPinPayload::from_result(context.apply_search_rules(updated.await).await)
    }

    /// Unpins the products of a search text.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_pin_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the object.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<SearchPinDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let target = parse_target(&id, NodeType::SearchPin, (), expected_version)?;
            pin_admin::delete_search_pin(&context.db, target).await
        };
        let deleted = context.apply_search_rules(deleted.await).await;
        SearchPinDeletePayload::from_result(deleted.map(|pin_id| GlobalId::new(NodeType::SearchPin, pin_id).encode()))
    }
}

fn parse_product_ids(ids: &[ID]) -> Result<Vec<i64>> {
    let parse =
        |(index, id): (usize, &ID)| GlobalId::decode_as(id, NodeType::Product, &format!("input.productIds.{index}"));
    ids.iter().enumerate().map(parse).collect()
}
