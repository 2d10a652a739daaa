//! Pages of search results, as text. Statements: 1 for each page.
//!
//! By relevance, the tiers of a search are read one after another (`search_tiers`); by another order, its index is walked
//! first. The shape of a statement decides how it is executed, not statistics: `LIMIT` in a walk, `MATERIALIZED` and
//! lateral subqueries with `OFFSET 0` (PostgreSQL) or `CROSS JOIN` (SQLite). The search text is read from a row, so that
//! PostgreSQL plans the statement the same way for every text, and keeps the plan.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::{
    product_filter::{PUBLISHED_CONDITION, ResolvedCatalogFilter},
    product_queries::{self, ProductRow, ProductSortKey, ProductWindow},
    search_tiers,
};
use crate::{
    base::{Result, pagination::Page},
    catalog::{
        projection::ProductColumns,
        search::{
            SearchQuery,
            way::{SearchWay, SearchWays, SearchedList},
        },
    },
    infra::{SqlBuilder, keyset::KeysetPage},
};

/// Maximum number of products whose names a walk reads.
pub const MAX_WALKED_PRODUCTS: usize = 5_000;

/// Maximum number of products whose documents a walk reads: a document costs as much as a few names.
pub const MAX_WALKED_DOCUMENTS: usize = 500;

/// A page of search results.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchPage<'a> {
    /// The list.
    pub(super) list: SearchedList<'a>,
    /// The search.
    pub(super) query: &'a SearchQuery,
    /// The part of the list that is requested.
    pub(super) keyset: &'a KeysetPage<'a>,
    /// The columns to read.
    pub(super) columns: ProductColumns,
}

/// Returns a page of the products that match a filter. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub(in crate::catalog) async fn load_search_page(
    db: &impl ConnectionTrait,
    ways: &SearchWays,
    filter: &ResolvedCatalogFilter,
    window: &ProductWindow<'_>,
) -> Result<Page<ProductRow>> {
    let is_relevance = window.sort.sort_key == ProductSortKey::Relevance;
    let query = match &filter.search_query {
        // In another order, pinned products are among the matches.
        Some(query) if ways.choose(filter) != SearchWay::Rank && (is_relevance || query.pinned_ids().is_empty()) => {
            query
        }
        _ => return product_queries::load_product_page(db, filter, window).await,
    };
    let keyset = window.sort.keyset().resolve(window.request)?;
    let page = SearchPage::new(filter, query, &keyset, window);
    if is_relevance {
        return search_tiers::load_tiered_page(db, ways, page, window.request).await;
    }
    let is_walked = !ways.is_gathered(page.list, None);
    let statement = build_ordered_page(db.get_database_backend(), page, is_walked).into_statement();
    let rows = db.query_all_raw(statement).await?;
    if is_walked && window.request.cursor.is_none() {
        let walked: i64 = rows.first().map_or(Ok(0), |row| row.try_get_by(0))?;
        if usize::try_from(walked).unwrap_or(usize::MAX) < keyset.row_limit() {
            ways.remember_gathered(page.list, None);
        }
    }
    let to_row = |row: &QueryResult| ProductRow::read(row, window.columns, 1, 0);
    Ok(Page::from_rows(rows.iter().map(to_row).collect::<Result<Vec<_>>>()?, window.request))
}

/// Returns the statement of a page of a search without further filters, to explain its plan.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub fn build_search_page(
    backend: DbBackend,
    ways: &SearchWays,
    filter: &ResolvedCatalogFilter,
    window: &ProductWindow<'_>,
) -> Result<Option<Statement>> {
    let Some(query) = filter.search_query.as_ref().filter(|_| filter.is_only_search()) else { return Ok(None) };
    let keyset = window.sort.keyset().resolve(window.request)?;
    let page = SearchPage::new(filter, query, &keyset, window);
    if window.sort.sort_key == ProductSortKey::Relevance {
        return Ok(Some(search_tiers::build_tiered_page(backend, ways, page)?));
    }
    let is_walked = !ways.is_gathered(page.list, None);
    Ok(Some(build_ordered_page(backend, page, is_walked).into_statement()))
}

impl<'a> SearchPage<'a> {
    fn new(
        filter: &'a ResolvedCatalogFilter,
        query: &'a SearchQuery,
        keyset: &'a KeysetPage<'a>,
        window: &ProductWindow<'_>,
    ) -> Self {
        let sort_tag = window.sort.sort_key.cursor_tag();
        let list = SearchedList { filter, sort_tag, descending: keyset.is_descending() };
        Self { list, query, keyset, columns: window.columns }
    }
}

/// Returns the statement of a page in an order that has an index: its first products are walked, then all matches gathered.
fn build_ordered_page(backend: DbBackend, page: SearchPage<'_>, is_walked: bool) -> SqlBuilder {
    let SearchPage { list, query, keyset, columns } = page;
    let mut sql = SqlBuilder::new(backend);
    push_given(&mut sql, query);
    sql.push(", walk AS MATERIALIZED (SELECT p.id FROM (SELECT p.* FROM product AS p WHERE ").push(PUBLISHED_CONDITION);
    sql.push(if is_walked { "" } else { " AND false" });
    keyset.push_condition(&mut sql);
    keyset.push_order_with_limit(&mut sql, MAX_WALKED_DOCUMENTS);
    sql.push(") AS p");
    push_document_and_where(&mut sql);
    sql.push(" AND ");
    list.filter.push_product_conditions(&mut sql);
    keyset.push_order_and_limit(&mut sql);
    let gate = format!("(SELECT COUNT(*) FROM walk) < {}", keyset.row_limit());
    sql.push("), found AS MATERIALIZED (");
    if sql.is_postgres() {
        sql.push("SELECT s.product_id AS id FROM product_search AS s WHERE ").push(&gate);
        sql.push(" AND s.document @@ (SELECT words FROM given)");
    } else {
        sql.push("SELECT rowid AS id FROM product_search WHERE ").push(&gate);
        sql.push(" AND product_search MATCH (SELECT words FROM given)");
    }
    sql.push("), gathered AS MATERIALIZED (SELECT p.id FROM found AS c");
    push_product(&mut sql, list.filter, "c.id");
    sql.push(" WHERE true");
    keyset.push_condition(&mut sql);
    keyset.push_order_and_limit(&mut sql);
    sql.push(") SELECT (SELECT COUNT(*) FROM walk), ").push(&columns.select_list("p"));
    sql.push(" FROM (SELECT id FROM walk UNION SELECT id FROM gathered) AS f JOIN product AS p ON p.id = f.id");
    keyset.push_order_and_limit(&mut sql);
    sql
}

/// Appends `WITH given AS …`: a row with the words for the index, and the text that names and SKUs are compared with.
pub(super) fn push_given(sql: &mut SqlBuilder, query: &SearchQuery) {
    let (name, name_end) = (query.normalized_text.as_str(), format!("{}{}", query.normalized_text, char::MAX));
    sql.push("WITH given AS MATERIALIZED (SELECT ");
    if sql.is_postgres() {
        sql.bind(query.to_match_expression(DbBackend::Postgres)).push("::text::tsquery AS words, ");
        sql.bind(name).push("::text COLLATE \"C\" AS name, ");
        sql.bind(name_end).push("::text COLLATE \"C\" AS name_end, ").bind(name).push("::text AS sku)");
    } else {
        let words = query.to_match_expression(DbBackend::Sqlite);
        let name_words = format!("{{name}} : ({words})");
        sql.bind(words).push(" AS words, ").bind(name_words).push(" AS name_words, ").bind(name).push(" AS name, ");
        sql.bind(name_end).push(" AS name_end, ").bind(name).push(" AS sku)");
    }
}

/// Appends a join with the product `p` of an id, if it satisfies a filter.
pub(super) fn push_product(sql: &mut SqlBuilder, filter: &ResolvedCatalogFilter, id: &str) {
    if sql.is_postgres() {
        sql.push(" CROSS JOIN LATERAL (SELECT p.* FROM product AS p WHERE p.id = ").push(id).push(" AND ");
        filter.push_product_conditions(sql);
        sql.push(" OFFSET 0) AS p");
    } else {
        sql.push(" CROSS JOIN product AS p ON p.id = ").push(id).push(" AND ");
        filter.push_product_conditions(sql);
    }
}

/// Appends a join with the document of `p` (PostgreSQL), or the condition on it (SQLite), and ` WHERE true`.
pub(super) fn push_document_and_where(sql: &mut SqlBuilder) {
    if sql.is_postgres() {
        push_document_lookup(sql, "p.id");
        sql.push(" WHERE true");
    } else {
        sql.push(" WHERE +p.id IN (");
        push_fts_match(sql, "words");
        sql.push(")");
    }
}

/// Appends a join with the document of a product, if it matches (PostgreSQL).
pub(super) fn push_document_lookup(sql: &mut SqlBuilder, id: &str) {
    sql.push(" CROSS JOIN LATERAL (SELECT s.product_id FROM product_search AS s WHERE s.product_id = ").push(id);
    sql.push(" AND s.document @@ (SELECT words FROM given) OFFSET 0) AS s");
}

/// Appends the selection of the rows of the index that match a column of the search text (SQLite).
pub(super) fn push_fts_match(sql: &mut SqlBuilder, column: &str) {
    sql.push("SELECT rowid FROM product_search WHERE product_search MATCH (SELECT ").push(column).push(" FROM given)");
}
