//! Pages of search results, as text. Statements: 1 for each page.
//!
//! By relevance, the tiers of a search are read one after another (`search_tiers`); by another order, its index is walked
//! first. The shape of a statement decides how it is executed, not statistics: `LIMIT` in a walk, `MATERIALIZED` and
//! lateral subqueries with `OFFSET 0` (PostgreSQL) or `CROSS JOIN` (SQLite). The search text is read from a row, so that
//! PostgreSQL plans the statement the same way for every text, and keeps the plan.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::{
    product_filter::{PUBLISHED_CONDITION, ResolvedCatalogFilter, SEARCH_INDEX_COLUMNS},
    product_queries::{self, ProductRow, ProductSortKey, ProductWindow},
    search_tiers::TierStatement,
    tiered_pages,
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

/// Maximum number of matches that a probe gathers; if there are more, it is a walk's turn.
pub const MAX_PROBED_MATCHES: usize = 500;

/// What the number of products of a walk is if there was none, because a probe has gathered all matches.
pub(super) const NOT_WALKED: i64 = -1;

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

/// Returns a page of the products that match a filter. Statements: 1; 2 if what filled the first page of a search before
/// does not fill this one.
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
        Some(query) if !ways.is_ranked(filter) && (is_relevance || query.pinned_ids().is_empty()) => query,
        _ => return product_queries::load_product_page(db, filter, window).await,
    };
    let keyset = window.sort.keyset().resolve(window.request)?;
    let page = SearchPage::new(filter, query, &keyset, window);
    if is_relevance {
        return tiered_pages::load_tiered_page(db, ways, page, window.request).await;
    }
    let way = ways.find(page.list, None);
    let statement = build_ordered_page(db.get_database_backend(), page, way).into_statement();
    let rows = db.query_all_raw(statement).await?;
    if way != SearchWay::Gather && window.request.cursor.is_none() {
        let walked: i64 = rows.first().map_or(Ok(NOT_WALKED), |row| row.try_get_by(0))?;
        ways.learn(page.list, None, usize::try_from(walked).is_ok_and(|walked| walked >= keyset.row_limit()));
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
    let Some(query) = filter.search_query.as_ref().filter(|_| !ways.is_ranked(filter)) else { return Ok(None) };
    let keyset = window.sort.keyset().resolve(window.request)?;
    let page = SearchPage::new(filter, query, &keyset, window);
    if window.sort.sort_key == ProductSortKey::Relevance {
        let statement = TierStatement::build(backend, ways, page, ways.find_last_tier(page.list))?;
        return Ok(Some(statement.sql.into_statement()));
    }
    Ok(Some(build_ordered_page(backend, page, ways.find(page.list, None)).into_statement()))
}

impl<'a> SearchPage<'a> {
    fn new(
        filter: &'a ResolvedCatalogFilter,
        query: &'a SearchQuery,
        keyset: &'a KeysetPage<'a>,
        window: &ProductWindow<'_>,
    ) -> Self {
        let sort_tag = window.sort.sort_key.cursor_tag();
        let list = SearchedList::new(filter, sort_tag, keyset.is_descending());
        Self { list, query, keyset, columns: window.columns }
    }
}

/// Returns the statement of a page in an order that has an index: few matches are gathered; otherwise its first products
/// are walked, then all matches gathered.
fn build_ordered_page(backend: DbBackend, page: SearchPage<'_>, way: SearchWay) -> SqlBuilder {
    let SearchPage { list, query, keyset, columns } = page;
    let mut sql = SqlBuilder::new(backend);
    push_given(&mut sql, query);
    let push_matches = |sql: &mut SqlBuilder| {
        sql.push(if sql.is_postgres() {
            "SELECT s.product_id AS id FROM product_search AS s WHERE s.document @@ (SELECT words FROM given)"
        } else {
            "SELECT rowid AS id FROM product_search WHERE product_search MATCH (SELECT words FROM given)"
        });
    };
    if way == SearchWay::Probe {
        let [start, end] = probe_frame(backend, "probe", "id");
        sql.push(&start);
        push_matches(&mut sql);
        sql.push(&end);
    }
    sql.push(", walk AS MATERIALIZED (SELECT p.id FROM (SELECT p.* FROM product AS p WHERE ").push(PUBLISHED_CONDITION);
    match way {
        SearchWay::Probe => sql.push(" AND ").push(&has_more("probe")),
        SearchWay::Walk => &mut sql,
        SearchWay::Gather | SearchWay::Rank => sql.push(" AND false"),
    };
    keyset.push_condition(&mut sql);
    keyset.push_order_with_limit(&mut sql, MAX_WALKED_DOCUMENTS);
    sql.push(") AS p");
    push_document_and_where(&mut sql);
    sql.push(" AND ");
    list.filter.push_product_conditions(&mut sql);
    keyset.push_order_and_limit(&mut sql);
    sql.push("), found AS MATERIALIZED (");
    if way == SearchWay::Probe {
        sql.push("SELECT id FROM probe WHERE NOT ").push(&has_more("probe")).push(" UNION ALL ");
    }
    push_matches(&mut sql);
    sql.push(&format!(" AND (SELECT COUNT(*) FROM walk) < {}", keyset.row_limit()));
    if way == SearchWay::Probe {
        sql.push(" AND ").push(&has_more("probe"));
    }
    sql.push("), gathered AS MATERIALIZED (SELECT p.id FROM found AS c");
    push_product(&mut sql, list.filter, "c.id");
    sql.push(" WHERE true");
    keyset.push_condition(&mut sql);
    keyset.push_order_and_limit(&mut sql);
    sql.push(") SELECT ").push(&count_walked("walk", (way == SearchWay::Probe).then_some("probe")));
    sql.push(", ").push(&columns.select_list("p"));
    sql.push(" FROM (SELECT id FROM walk UNION SELECT id FROM gathered) AS f JOIN product AS p ON p.id = f.id");
    keyset.push_order_and_limit(&mut sql);
    sql
}

/// Returns the text before and behind the matches of a search for `, probe AS …`, the first of them: one more than a probe
/// gathers. A window function numbers them on PostgreSQL: with `LIMIT` the planner would read the table in the hope to find
/// that many soon.
pub(super) fn probe_frame(backend: DbBackend, probe: &str, columns: &str) -> [String; 2] {
    let limit = MAX_PROBED_MATCHES + 1;
    let start = format!(", {probe} AS MATERIALIZED (");
    if backend == DbBackend::Postgres {
        let numbered = format!("SELECT {columns} FROM (SELECT {columns}, row_number() OVER () AS number FROM (");
        [start + &numbered, format!(") AS m) AS m WHERE number <= {limit})")]
    } else {
        [start, format!(" LIMIT {limit})")]
    }
}

/// Returns the condition that a probe has not gathered all matches.
pub(super) fn has_more(probe: &str) -> String {
    format!("(SELECT COUNT(*) FROM {probe}) > {MAX_PROBED_MATCHES}")
}

/// Returns the number of products that a walk found; [`NOT_WALKED`] if a probe has gathered all matches.
pub(super) fn count_walked(walk: &str, probe: Option<&str>) -> String {
    let count = format!("(SELECT COUNT(*) FROM {walk})");
    probe.map_or_else(
        || count.clone(),
        |probe| format!("CASE WHEN {} THEN {count} ELSE {NOT_WALKED} END", has_more(probe)),
    )
}

/// Appends `WITH given AS …`: a row with the words for the index, and the text that names and SKUs are compared with.
pub(super) fn push_given(sql: &mut SqlBuilder, query: &SearchQuery) {
    let name = query.normalized_text.as_str();
    let prefix = query.name_prefix();
    let prefix_end = format!("{prefix}{}", char::MAX);
    sql.push("WITH given AS MATERIALIZED (SELECT ");
    if sql.is_postgres() {
        sql.bind(query.to_match_expression(DbBackend::Postgres)).push("::text::tsquery AS words, ");
        sql.bind(name).push("::text COLLATE \"C\" AS name, ");
        sql.bind(prefix).push("::text COLLATE \"C\" AS prefix, ");
        sql.bind(prefix_end).push("::text COLLATE \"C\" AS prefix_end, ").bind(name).push("::text AS sku)");
    } else {
        let words = query.to_match_expression(DbBackend::Sqlite);
        let name_words = format!("{{name}} : ({words})");
        sql.bind(words).push(" AS words, ").bind(name_words).push(" AS name_words, ").bind(name).push(" AS name, ");
        sql.bind(prefix).push(" AS prefix, ").bind(prefix_end).push(" AS prefix_end, ").bind(name).push(" AS sku)");
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

/// Appends the selection of the matches that satisfy a filter from the rows of the search index, with whether their names
/// match (PostgreSQL): few of many may, and their products are not read to find that out. A condition follows.
pub(super) fn push_filtered(sql: &mut SqlBuilder, filter: &ResolvedCatalogFilter) {
    sql.push("SELECT p.id, p.ranked_at, p.name @@ (SELECT words FROM given) AS in_name FROM (SELECT ");
    sql.push(SEARCH_INDEX_COLUMNS)
        .push(" FROM product_search AS s) AS p WHERE p.document @@ (SELECT words FROM given)");
    filter.push_indexed_categories(sql);
    sql.push(" AND ");
    filter.push_product_conditions(sql);
    sql.push(" AND ");
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
