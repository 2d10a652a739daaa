//! Product filters, as conditions of one statement. As text, because pages, counts and facets share them.

use sea_orm::{ActiveEnum, DbBackend};

use super::pinned_products;
use crate::{
    base::text,
    catalog::{CatalogFilter, PublicationStatus, catalog_filter::TagCondition, search},
    identity::{Caller, Permission},
    infra::SqlBuilder,
};

/// Condition for what everyone may see. Must equal the condition of the partial indexes, so that they are used.
pub const PUBLISHED_CONDITION: &str = "p.status = 'active' AND p.deleted_at IS NULL";
/// Condition for products of which a variant can be bought now.
pub(super) const IN_STOCK_CONDITION: &str = "p.in_stock";
/// Condition for products on sale now.
pub(super) const ON_SALE_CONDITION: &str = "p.sale_price IS NOT NULL";
/// Condition for what staff may see: everything that is not deleted.
const NOT_DELETED_CONDITION: &str = "p.deleted_at IS NULL";

/// The columns of the search index that conditions and facets read (PostgreSQL).
pub(super) const SEARCH_INDEX_COLUMNS: &str = "s.product_id AS id, s.document, s.name, s.ranked_at, s.status, \
    s.deleted_at, s.category_id, s.current_price, s.sale_price, s.in_stock, s.featured, s.facet_values";

/// Maximum number of categories that are looked up in the index of words. Each costs a lookup: 25 took a quarter of the time
/// of reading the matches, 50 half, and 150 twice (15,000 matches among 1,000,000 products).
const MAX_INDEXED_CATEGORIES: usize = 50;

/// Which products a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProductVisibility {
    /// Published products only.
    #[default]
    Shopper,
    /// Unpublished products too.
    Staff,
}

impl ProductVisibility {
    /// Returns the visibility for a caller: callers with the `CatalogWrite` permission see unpublished products.
    #[must_use]
    pub fn for_caller(caller: Caller) -> Self {
        if caller.permissions().has(Permission::CatalogWrite) { Self::Staff } else { Self::Shopper }
    }

    /// Returns the condition on the product `p`.
    #[must_use]
    pub const fn sql_condition(self) -> &'static str {
        match self {
            Self::Shopper => PUBLISHED_CONDITION,
            Self::Staff => NOT_DELETED_CONDITION,
        }
    }
}

/// The part of a filter that a facet ignores to count its own alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExcludedFacet {
    /// Ignores nothing.
    None,
    /// Ignores the price range.
    Price,
    /// Ignores the vendors.
    Vendors,
    /// Ignores the tags of which any matches.
    Tags,
    /// Ignores the options.
    Options,
    /// Ignores whether products are in stock and on sale.
    Flags,
}

/// A validated filter, ready to be converted to SQL.
#[derive(Debug, Clone)]
pub struct ResolvedCatalogFilter {
    /// Ids of the category and its subtree; `None` for all categories.
    pub category_ids: Option<Vec<i64>>,
    /// Index of the category in the tree.
    pub category_index: Option<usize>,
    /// The parsed search.
    pub search_query: Option<search::SearchQuery>,
    /// The conditions.
    pub(in crate::catalog) filter: CatalogFilter,
    /// Whether no product can match.
    pub matches_nothing: bool,
}

impl ResolvedCatalogFilter {
    /// Returns whether it filters by nothing but the category.
    #[must_use]
    pub fn is_only_category(&self) -> bool {
        self.search_query.is_none()
            && CatalogFilter { categories: Vec::new(), ..self.filter.clone() } == CatalogFilter::default()
    }

    /// Returns whether it filters published products by a search and availability only.
    #[must_use]
    pub fn is_only_search(&self) -> bool {
        let without_search = CatalogFilter { search: None, in_stock: None, ..self.filter.clone() };
        self.has_search() && self.category_ids.is_none() && without_search == CatalogFilter::default()
    }

    /// Returns whether it filters published products by a search, and by nothing that may select few products by an index
    /// of its own: a vendor, a tag, an option, keys.
    #[must_use]
    pub fn is_search_first(&self) -> bool {
        let CatalogFilter { vendors, tags, ids, slugs, skus, options, status, .. } = &self.filter;
        self.has_search()
            && (vendors.is_empty() && *tags == TagCondition::default() && options.is_empty() && status.is_empty())
            && (ids.is_none() && slugs.is_none() && skus.is_none())
    }

    /// Returns whether it contains a search.
    #[must_use]
    pub fn has_search(&self) -> bool {
        self.search_query.is_some()
    }

    /// Returns the conditions.
    #[must_use]
    pub const fn conditions(&self) -> &CatalogFilter {
        &self.filter
    }

    /// Returns the normalized names of the options it filters by.
    pub fn option_names(&self) -> impl Iterator<Item = &str> {
        self.filter.options.iter().map(|(name, _)| name.as_str())
    }

    /// Returns whether the rows of the search index have all columns that the conditions use (PostgreSQL).
    pub(super) fn is_in_search_index(&self, sql: &SqlBuilder) -> bool {
        let CatalogFilter { vendors, slugs, created_range, updated_range, .. } = &self.filter;
        (sql.is_postgres() && vendors.is_empty() && slugs.is_none())
            && (*created_range == (None, None) && *updated_range == (None, None))
    }

    /// Returns whether it has conditions besides the search, and the rows of the search index have their columns.
    pub(super) fn is_filtered_in_search_index(&self, sql: &SqlBuilder) -> bool {
        let CatalogFilter { price_range, in_stock, on_sale, featured, .. } = &self.filter;
        let is_filtered = self.category_ids.is_some()
            || *price_range != (None, None)
            || [in_stock, on_sale, featured].into_iter().any(Option::is_some);
        is_filtered && self.is_in_search_index(sql)
    }

    /// Appends ` FROM … AS p … WHERE …` with all conditions. The matches of a search are read from the search index instead
    /// of the products where it has all columns.
    pub(super) fn push_matches_clause(&self, sql: &mut SqlBuilder, excluded: &ExcludedFacet) {
        if self.has_search() && self.is_in_search_index(sql) {
            self.push_search_index_clause(sql, excluded);
        } else {
            self.push_from_clause(sql, excluded);
            self.push_category_condition(sql);
        }
    }

    /// Appends ` FROM … AS p WHERE …` with all conditions, which reads [`SEARCH_INDEX_COLUMNS`] of the search index
    /// (PostgreSQL).
    pub(super) fn push_search_index_clause(&self, sql: &mut SqlBuilder, excluded: &ExcludedFacet) {
        sql.push(" FROM (SELECT ").push(SEARCH_INDEX_COLUMNS).push(" FROM product_search AS s) AS p WHERE ");
        if let Some(query) = &self.search_query {
            sql.push("(p.document @@ ").bind(query.to_match_expression(DbBackend::Postgres)).push("::text::tsquery");
            if !query.pinned_ids().is_empty() {
                pinned_products::push_or_pinned(sql, query, "p.id");
            }
            sql.push(")");
            self.push_indexed_categories(sql);
            sql.push(" AND ");
        }
        self.push_visibility(sql);
        self.push_conditions(sql, excluded);
        self.push_category_condition(sql);
    }

    /// Appends ` AND p.document …` if it filters by few categories: each document has the id of its category as a word, so
    /// that the index of words finds the matches of a search in these categories without reading all others (PostgreSQL).
    pub(super) fn push_indexed_categories(&self, sql: &mut SqlBuilder) {
        let category_ids = self.category_ids.as_deref().unwrap_or_default();
        if (1..=MAX_INDEXED_CATEGORIES).contains(&category_ids.len()) {
            let words: Vec<String> = category_ids.iter().map(|category_id| format!("'#{category_id}'")).collect();
            sql.push(" AND p.document @@ ").bind(words.join(" | ")).push("::text::tsquery");
        }
    }

    /// Appends ` FROM product AS p … WHERE …` with all conditions except the category.
    pub fn push_from_clause(&self, sql: &mut SqlBuilder, excluded: &ExcludedFacet) {
        sql.push(" FROM product AS p");
        if let Some(search_query) = &self.search_query {
            let has_pins = !search_query.pinned_ids().is_empty();
            if sql.is_postgres() {
                sql.push(" JOIN product_search AS s ON s.product_id = p.id AND ").push(if has_pins { "(" } else { "" });
                sql.push("s.document @@ ").bind(search_query.to_match_expression(DbBackend::Postgres));
                sql.push("::text::tsquery");
                if has_pins {
                    pinned_products::push_or_pinned(sql, search_query, "s.product_id");
                    sql.push(")");
                }
            } else if has_pins {
                // The index of words can be read by one condition only, so the pinned products are added to its rows.
                sql.push(" JOIN (SELECT rowid AS id FROM product_search WHERE product_search MATCH ");
                sql.bind(search_query.to_match_expression(DbBackend::Sqlite))
                    .push(" UNION SELECT value FROM json_each(");
                sql.bind_ints(search_query.pinned_ids().iter().copied()).push(")) AS s ON s.id = p.id");
            } else {
                sql.push(" JOIN product_search AS s ON s.rowid = p.id AND product_search MATCH ");
                sql.bind(search_query.to_match_expression(DbBackend::Sqlite));
            }
        }
        sql.push(" WHERE ");
        self.push_visibility(sql);
        self.push_conditions(sql, excluded);
    }

    /// Appends the condition on the status: published, or the given ones. Uses the conditions of the partial indexes.
    fn push_visibility(&self, sql: &mut SqlBuilder) {
        let status = &self.filter.status;
        if status.is_empty() {
            sql.push(PUBLISHED_CONDITION);
            return;
        }
        sql.push(NOT_DELETED_CONDITION).push(" AND ");
        if !status.contains(&PublicationStatus::Active) {
            sql.push("p.status <> 'active' AND ");
        }
        let status_values: Vec<String> = status.iter().map(ActiveEnum::to_value).collect();
        sql.eq_any_text("p.status", status_values.iter().map(String::as_str));
    }

    /// Appends all conditions on a product `p` except the search.
    pub(super) fn push_product_conditions(&self, sql: &mut SqlBuilder) {
        self.push_visibility(sql);
        self.push_conditions(sql, &ExcludedFacet::None);
        self.push_category_condition(sql);
    }

    /// Appends ` AND p.category_id …` if it filters by a category.
    pub fn push_category_condition(&self, sql: &mut SqlBuilder) {
        match self.category_ids.as_deref() {
            None => {}
            Some([category_id]) => {
                sql.push(" AND p.category_id = ").bind(*category_id);
            }
            Some(category_ids) => {
                sql.push(" AND ").eq_any("p.category_id", category_ids.iter().copied());
            }
        }
    }

    fn push_conditions(&self, sql: &mut SqlBuilder, excluded: &ExcludedFacet) {
        let CatalogFilter {
            categories: _,
            search: _,
            search_language: _,
            price_range,
            in_stock,
            on_sale,
            featured,
            vendors,
            tags,
            ids: _,
            slugs: _,
            skus: _,
            options,
            created_range,
            updated_range,
            status: _,
        } = &self.filter;
        if *excluded != ExcludedFacet::Price {
            push_range(sql, "p.current_price", *price_range, "<=");
        }
        let flags = if *excluded == ExcludedFacet::Flags { [&None, &None] } else { [in_stock, on_sale] };
        for (column, flag) in
            [IN_STOCK_CONDITION, ON_SALE_CONDITION, "p.featured"].into_iter().zip(flags.into_iter().chain([featured]))
        {
            match flag {
                Some(true) => sql.push(" AND (").push(column).push(")"),
                Some(false) => sql.push(" AND NOT (").push(column).push(")"),
                None => sql,
            };
        }
        if !vendors.is_empty() && *excluded != ExcludedFacet::Vendors {
            sql.push(" AND ").eq_any_text("p.vendor_normalized", normalize_all(vendors).iter().map(String::as_str));
        }
        push_tag_conditions(sql, tags, *excluded != ExcludedFacet::Tags);
        push_key_conditions(sql, &self.filter);
        if !options.is_empty() && *excluded != ExcludedFacet::Options {
            sql.push(" AND EXISTS (SELECT 1 FROM variant AS v WHERE v.product_id = p.id AND v.deleted_at IS NULL");
            self.push_option_conditions(sql, None);
            sql.push(")");
        }
        push_range(sql, "p.created_at", *created_range, "<");
        push_range(sql, "p.updated_at", *updated_range, "<");
    }

    /// Appends ` AND …`: the variant `v` has a matching value of each filtered option except `excluded_name`.
    pub fn push_option_conditions(&self, sql: &mut SqlBuilder, excluded_name: Option<&str>) {
        for (name, values) in self.filter.options.iter().filter(|(name, _)| excluded_name != Some(name)) {
            sql.push(
                " AND EXISTS (SELECT 1 FROM variant_option AS c WHERE c.variant_id = v.id AND c.name_normalized = ",
            );
            sql.bind(name.as_str())
                .push(" AND ")
                .eq_any_text("c.value_normalized", values.iter().map(String::as_str))
                .push(")");
        }
    }
}

fn normalize_all(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text::normalize_text(text)).collect()
}

/// Appends ` AND …`: the product has the required tags, and none of the unwanted ones.
fn push_tag_conditions(sql: &mut SqlBuilder, tags: &TagCondition, includes_any: bool) {
    let (any, mut all, none) = (normalize_all(&tags.any), normalize_all(&tags.all), normalize_all(&tags.none));
    let conditions = [(" AND EXISTS", any, includes_any), (" AND NOT EXISTS", none, true)];
    for (operator, tags, is_included) in conditions {
        if is_included && !tags.is_empty() {
            sql.push(operator).push(" (SELECT 1 FROM product_tag AS t WHERE t.product_id = p.id AND ");
            sql.eq_any_text("t.tag_normalized", tags.iter().map(String::as_str)).push(")");
        }
    }
    all.sort_unstable();
    all.dedup();
    if !all.is_empty() {
        sql.push(" AND p.id IN (SELECT t.product_id FROM product_tag AS t WHERE ");
        sql.eq_any_text("t.tag_normalized", all.iter().map(String::as_str));
        sql.push(" GROUP BY t.product_id HAVING COUNT(*) = ")
            .bind(i64::try_from(all.len()).unwrap_or(i64::MAX))
            .push(")");
    }
}

/// Appends ` AND …`: the product has one of the ids, one of the slugs, and a variant with one of the SKUs.
fn push_key_conditions(sql: &mut SqlBuilder, filter: &CatalogFilter) {
    if let Some(ids) = &filter.ids {
        sql.push(" AND ").eq_any("p.id", ids.iter().copied());
    }
    if let Some(slugs) = &filter.slugs {
        sql.push(" AND ").eq_any_text("p.slug", slugs.iter().map(String::as_str));
    }
    if let Some(skus) = &filter.skus {
        sql.push(" AND p.id IN (SELECT v.product_id FROM variant AS v WHERE v.deleted_at IS NULL AND ");
        sql.eq_any_text("v.sku", skus.iter().map(String::as_str)).push(")");
    }
}

fn push_range<T: Into<sea_orm::Value>>(
    sql: &mut SqlBuilder,
    column: &str,
    (from, to): (Option<T>, Option<T>),
    upper_operator: &str,
) {
    if let Some(from) = from {
        sql.push(" AND ").push(column).push(" >= ").bind(from);
    }
    if let Some(to) = to {
        sql.push(" AND ").push(column).push(" ").push(upper_operator).push(" ").bind(to);
    }
}
