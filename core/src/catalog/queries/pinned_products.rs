//! Parts of the statements of a search with pinned products, as text. Without pinned products they append nothing.

use super::search_pages::SearchPage;
use crate::{
    base::{Error, Result, pagination::CursorValue},
    catalog::search::{SearchQuery, tier::SearchTier},
    infra::SqlBuilder,
};

/// Appends ` WHEN p.id = … THEN …` for each pinned product: its rank.
pub(super) fn push_ranks(sql: &mut SqlBuilder, query: &SearchQuery) {
    for (product_id, rank) in query.pinned_ids().iter().zip(SearchTier::pinned_ranks()) {
        sql.push(" WHEN p.id = ").bind(*product_id).push(&format!(" THEN {rank}"));
    }
}

/// Appends ` OR column is the id of a pinned product`.
pub(super) fn push_or_pinned(sql: &mut SqlBuilder, query: &SearchQuery, column: &str) {
    sql.push(" OR ").eq_any(column, query.pinned_ids().iter().copied());
}

/// Returns the tier in the cursor of a page.
///
/// # Errors
/// Returns `BadUserInput` if there is no such tier.
pub(super) fn cursor_tier(page: SearchPage<'_>) -> Result<Option<SearchTier>> {
    let unknown = || Error::bad_input("after", "this is not a cursor of this list");
    cursor_rank(page).map(|rank| SearchTier::from_rank(rank).ok_or_else(unknown)).transpose()
}

/// Returns the rank of the tier in the cursor of a page.
fn cursor_rank(page: SearchPage<'_>) -> Option<i64> {
    match page.keyset.cursor()?.values.first()? {
        CursorValue::Int(rank) => Some(*rank),
        _ => None,
    }
}

/// Appends the set of the pinned products that satisfy the filter, with their ranks, and the set of those and of the
/// products that have the search text as a SKU.
pub(super) fn push_pinned_sets(sql: &mut SqlBuilder, SearchPage { list, query, .. }: SearchPage<'_>) {
    if query.pinned_ids().is_empty() {
        return;
    }
    sql.push(", pin AS MATERIALIZED (SELECT p.id AS product_id, CASE");
    push_ranks(sql, query);
    sql.push(" END AS tier FROM product AS p WHERE ");
    sql.eq_any("p.id", query.pinned_ids().iter().copied()).push(" AND ");
    list.filter.push_product_conditions(sql);
    sql.push("), pin_or_sku AS MATERIALIZED (SELECT product_id FROM pin UNION SELECT product_id FROM sku_match)");
}

/// Returns the condition on `p` that no variant has the search text as its SKU and that it is not pinned.
pub(super) fn other_sku(query: &SearchQuery) -> &'static str {
    if query.pinned_ids().is_empty() {
        "p.id NOT IN (SELECT product_id FROM sku_match)"
    } else {
        "p.id NOT IN (SELECT product_id FROM pin_or_sku)"
    }
}

/// Returns ` AND …`: the condition on `p` that it is not pinned.
pub(super) fn not_pinned(query: &SearchQuery) -> &'static str {
    if query.pinned_ids().is_empty() { "" } else { " AND p.id NOT IN (SELECT product_id FROM pin)" }
}

/// Appends the first pinned products with their ranks, after the cursor if it is in their tier. A condition follows.
pub(super) fn push_pinned_page(sql: &mut SqlBuilder, page: SearchPage<'_>, is_cursor_tier: bool) {
    if page.query.pinned_ids().is_empty() {
        // They were unpinned since the previous page.
        sql.push("SELECT p.id, 0 AS tier FROM product AS p WHERE false AND ");
        return;
    }
    let (operator, direction) = if page.list.descending { ("<", " DESC") } else { (">", "") };
    sql.push("SELECT id, tier FROM (SELECT product_id AS id, tier FROM pin");
    if let Some(rank) = cursor_rank(page).filter(|_| is_cursor_tier) {
        sql.push(&format!(" WHERE tier {operator} {rank}"));
    }
    sql.push(&format!(" ORDER BY tier{direction} LIMIT {}) AS first_pins WHERE ", page.keyset.row_limit()));
}
