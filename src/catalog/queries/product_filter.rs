//! Product filters, as conditions of one statement. As text, because pages, counts and facets share them.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, ConnectionTrait};

use crate::{
    base::{Error, Result, pagination, text},
    catalog::{CategoryTree, PublicationStatus, search},
    identity::{Caller, Permission},
    infra::SqlBuilder,
};

/// Condition for what everyone may see. Must equal the condition of the partial indexes, so that they are used.
pub const PUBLISHED_CONDITION: &str = "p.status = 'active' AND p.deleted_at IS NULL";
/// Condition for what staff may see: everything that is not deleted.
const NOT_DELETED_CONDITION: &str = "p.deleted_at IS NULL";

/// Which products a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// Maximum number of values in one list of a filter.
const MAX_FILTER_VALUES: usize = 100;
/// Maximum number of options in a filter: each adds a query to the option facet.
const MAX_FILTER_OPTIONS: usize = 10;

/// Identifies a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryKey {
    /// By id.
    Id(i64),
    /// By URL slug.
    Slug(String),
}

/// Filter of products. Conditions are combined with AND; `None` and empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CatalogFilter {
    /// Categories, each including its subtree; a product must be in all of them.
    pub categories: Vec<CategoryKey>,
    /// Search text.
    pub search: Option<String>,
    /// Range of the current price in minor units, inclusive.
    pub price_range: (Option<i64>, Option<i64>),
    /// Whether any variant can be bought now.
    pub in_stock: Option<bool>,
    /// Whether the product is on sale now.
    pub on_sale: Option<bool>,
    /// Whether the product is featured.
    pub featured: Option<bool>,
    /// Vendors, any of which matches.
    pub vendors: Vec<String>,
    /// Tags that the product must or must not have.
    pub tags: TagCondition,
    /// Ids, one of which must be the product's.
    pub ids: Option<Vec<i64>>,
    /// URL slugs, one of which must be the product's.
    pub slugs: Option<Vec<String>>,
    /// SKUs, one of which a variant must have.
    pub skus: Option<Vec<String>>,
    /// Options with values: one variant must have, for each option, one of its values.
    pub options: Vec<(String, Vec<String>)>,
    /// Time of creation: from (inclusive), to (exclusive).
    pub created_range: ProductDateRange,
    /// Time of the last change: from (inclusive), to (exclusive).
    pub updated_range: ProductDateRange,
    /// Publication statuses, for staff only; published products if empty.
    pub status: Vec<PublicationStatus>,
}

/// Tags that a product must or must not have. Empty lists do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagCondition {
    /// Any of these.
    pub any: Vec<String>,
    /// All of these.
    pub all: Vec<String>,
    /// None of these.
    pub none: Vec<String>,
}

/// A time range, unbounded where `None`.
pub type ProductDateRange = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

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
    filter: CatalogFilter,
    /// Whether no product can match.
    pub matches_nothing: bool,
}

impl CatalogFilter {
    /// Validates the filter and parses its search text. Statements: 1 with a search, else none.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the search or a list is too long, or a time is out of range.
    pub async fn resolve(self, db: &impl ConnectionTrait, tree: &CategoryTree) -> Result<ResolvedCatalogFilter> {
        self.validate()?;
        let search_query = match &self.search {
            Some(search_text) => Some(search::SearchQuery::parse(db, search_text).await?),
            None => None,
        };
        let tree_lookup = (!self.categories.is_empty()).then(|| find_common_category(tree, &self.categories));
        let category_index = tree_lookup.flatten();
        Ok(ResolvedCatalogFilter {
            category_ids: category_index
                .map(|category_index| tree.subtree(category_index).iter().map(|node| node.id).collect()),
            category_index,
            // A missing category, categories without a common one, or a search without words, matches nothing.
            matches_nothing: tree_lookup == Some(None) || search_query == Some(None),
            search_query: search_query.flatten(),
            filter: Self { options: merge_options(self.options), ..self },
        })
    }

    fn validate(&self) -> Result<()> {
        if self.search.as_ref().is_some_and(|search_text| search_text.chars().count() > search::MAX_SEARCH_TEXT_LENGTH)
        {
            let message = format!("a search has at most {} characters", search::MAX_SEARCH_TEXT_LENGTH);
            return Err(Error::bad_input("filter.search", message));
        }
        let lists = [
            ("filter.vendors", self.vendors.len(), MAX_FILTER_VALUES),
            ("filter.tags.any", self.tags.any.len(), MAX_FILTER_VALUES),
            ("filter.tags.all", self.tags.all.len(), MAX_FILTER_VALUES),
            ("filter.tags.none", self.tags.none.len(), MAX_FILTER_VALUES),
            ("filter.ids", self.ids.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.slugs", self.slugs.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.skus", self.skus.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.options", self.options.len(), MAX_FILTER_OPTIONS),
        ];
        let values = self.options.iter().map(|(_, values)| ("filter.options.values", values.len(), MAX_FILTER_VALUES));
        for (field, count, limit) in lists.into_iter().chain(values) {
            if count > limit {
                return Err(Error::bad_input(field, format!("at most {limit}; there are {count}")));
            }
        }
        for (field, (from, to)) in [("filter.createdAt", self.created_range), ("filter.updatedAt", self.updated_range)]
        {
            if [from, to].iter().flatten().any(|moment| !pagination::is_storable_time(moment)) {
                return Err(Error::bad_input(field, "the year must be from 1 to 9999"));
            }
        }
        Ok(())
    }
}

/// Returns the category whose subtree is the common part of the categories' subtrees.
fn find_common_category(tree: &CategoryTree, categories: &[CategoryKey]) -> Option<usize> {
    let mut indexes = categories.iter().map(|category| match category {
        CategoryKey::Id(category_id) => tree.find_index(*category_id),
        CategoryKey::Slug(slug) => tree.find_index_by_slug(slug),
    });
    let contains = |outer: usize, inner: usize| (outer..outer + tree.subtree(outer).len()).contains(&inner);
    let first = indexes.next()??;
    indexes.try_fold(first, |common, index| match index? {
        index if contains(common, index) => Some(index),
        index if contains(index, common) => Some(common),
        _ => None,
    })
}

/// Merges repeated options: any of their values matches.
fn merge_options(options: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for (name, values) in options.into_iter().filter(|(_, values)| !values.is_empty()) {
        let (name, values) = (text::normalize_text(&name), values.iter().map(|value| text::normalize_text(value)));
        match merged.iter_mut().find(|(existing, _)| *existing == name) {
            Some((_, existing)) => existing.extend(values),
            None => merged.push((name, values.collect())),
        }
    }
    merged
}

impl ResolvedCatalogFilter {
    /// Returns whether it filters by nothing but the category.
    #[must_use]
    pub fn is_only_category(&self) -> bool {
        self.search_query.is_none()
            && CatalogFilter { categories: Vec::new(), ..self.filter.clone() } == CatalogFilter::default()
    }

    /// Returns whether it contains a search.
    #[must_use]
    pub fn has_search(&self) -> bool {
        self.search_query.is_some()
    }

    /// Returns the normalized names of the options it filters by.
    pub fn option_names(&self) -> impl Iterator<Item = &str> {
        self.filter.options.iter().map(|(name, _)| name.as_str())
    }

    /// Appends ` FROM product AS p … WHERE …` with all conditions except the category.
    pub fn push_from_clause(&self, sql: &mut SqlBuilder, excluded: &ExcludedFacet) {
        sql.push(" FROM product AS p");
        if let Some(search_query) = &self.search_query {
            if sql.is_postgres() {
                sql.push(" JOIN product_search AS s ON s.product_id = p.id AND s.document @@ ");
                sql.bind(search_query.to_match_expression(sea_orm::DbBackend::Postgres)).push("::text::tsquery");
            } else {
                sql.push(" JOIN product_search AS s ON s.rowid = p.id AND product_search MATCH ");
                sql.bind(search_query.to_match_expression(sea_orm::DbBackend::Sqlite));
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
        for (column, flag) in
            [("p.in_stock", in_stock), ("p.sale_price IS NOT NULL", on_sale), ("p.featured", featured)]
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
