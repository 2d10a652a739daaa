//! The statement of facets, as text: products that match all conditions are read once, and grouped by each facet. A facet
//! of which the filter has a condition ignores that condition, so it reads its products itself, in the same statement.
//!
//! On PostgreSQL the rows of the search index have the vendor, tags and option values of their products. If such values are
//! counted, the statement returns these properties of many products in each row, which
//! [`FacetCounter`](super::facet_counter::FacetCounter) counts: appending values to each other is cheaper for the database
//! than splitting and grouping them, and few rows are cheaper for the server than a row for each product.

use super::{
    facet_counter::{PRODUCTS_ROW, VALUE_SEPARATOR},
    facets::{CountedFacet, CountedFacets, MAX_FACET_VALUES, generate_price_boundaries},
    product_filter::{ExcludedFacet, IN_STOCK_CONDITION, ON_SALE_CONDITION, ResolvedCatalogFilter},
};
use crate::infra::SqlBuilder;

/// Maximum number of products in a row, by which the memory for one row is bounded: they have ids next to each other.
const MAX_PRODUCTS_PER_ROW: i64 = 2_048;
/// That of a search, which matches few of the products that have ids next to each other.
const MAX_FOUND_PRODUCTS_PER_ROW: i64 = 16_384;

/// The statement of some facets, under construction.
pub(super) struct FacetStatement<'a> {
    pub(super) sql: SqlBuilder,
    filter: &'a ResolvedCatalogFilter,
    /// Whether the products are read from the search index: those of a search, and all. Other filters may select few
    /// products by an index of `product`.
    is_read_from_search_index: bool,
    /// Facets whose products are returned and have to be counted.
    pub(super) returned: CountedFacets,
}

impl<'a> FacetStatement<'a> {
    /// Returns the statement of facets, appended to an empty one.
    pub(super) fn build(sql: SqlBuilder, filter: &'a ResolvedCatalogFilter, facets: CountedFacets) -> Self {
        let selects_all = filter.is_only_category() && filter.category_ids.is_none();
        let is_read_from_search_index = filter.is_in_search_index(&sql) && (filter.has_search() || selects_all);
        let returned = CountedFacets::default();
        let mut statement = Self { sql, filter, is_read_from_search_index, returned };
        let shared = facets.filter(|facet| statement.own_condition(facet).is_none());
        if statement.sql.is_postgres() && shared.iter().any(CountedFacet::has_values) {
            statement.returned = shared;
            statement.push_returned_products();
        } else if shared != CountedFacets::default() {
            statement.push_matches();
        }
        let mut is_first = statement.returned == CountedFacets::default();
        for facet in facets.filter(|facet| !statement.returned.contains(facet)).iter() {
            statement.sql.push(if is_first { " " } else { " UNION ALL " });
            statement.push_facet(facet);
            is_first = false;
        }
        statement
    }

    /// Returns the condition of the filter that a facet ignores, if the filter has it.
    fn own_condition(&self, facet: CountedFacet) -> Option<ExcludedFacet> {
        let conditions = self.filter.conditions();
        let (is_set, excluded) = match facet {
            CountedFacet::Categories => (false, ExcludedFacet::None),
            CountedFacet::Prices => (conditions.price_range != (None, None), ExcludedFacet::Price),
            CountedFacet::Vendors => (!conditions.vendors.is_empty(), ExcludedFacet::Vendors),
            CountedFacet::Tags => (!conditions.tags.any.is_empty(), ExcludedFacet::Tags),
            CountedFacet::Options => (!conditions.options.is_empty(), ExcludedFacet::Options),
            CountedFacet::Flags => {
                (conditions.in_stock.is_some() || conditions.on_sale.is_some(), ExcludedFacet::Flags)
            }
        };
        is_set.then_some(excluded)
    }

    /// Appends the products that match all conditions in groups of neighbors, with what facets count them by (PostgreSQL).
    fn push_returned_products(&mut self) {
        self.sql.push(&format!("SELECT CAST({PRODUCTS_ROW} + (products & 3) AS INT) AS facet"));
        self.sql.push(", '' AS option_key, '' AS option_name, '' AS value_key, COALESCE(string_agg(value, ");
        self.sql.bind(VALUE_SEPARATOR.to_string()).push("), '') AS value, CAST(0 AS BIGINT) AS number");
        self.sql.push(
            ", CAST(0 AS BIGINT) AS many, array_agg(category_id) AS category_ids, array_agg(current_price) AS prices",
        );
        self.sql.push(" FROM (SELECT ").push(&flags_expression());
        let products_per_row = if self.filter.has_search() { MAX_FOUND_PRODUCTS_PER_ROW } else { MAX_PRODUCTS_PER_ROW };
        self.sql.push(&format!(" + (p.id / {products_per_row}) * 4 AS products, p.category_id, p.current_price, "));
        self.sql.push(if self.is_read_from_search_index {
            "p.facet_values"
        } else {
            "(SELECT s.facet_values FROM product_search AS s WHERE s.product_id = p.id)"
        });
        self.sql.push(" AS value");
        self.push_products(&ExcludedFacet::None);
        // `OFFSET 0` hides from the planner how many products there are: it expects few groups, and does not sort the
        // products by group.
        self.sql.push(" OFFSET 0) AS returned GROUP BY products");
    }

    /// Appends the products that match all conditions, read once for all facets that ignore none of them.
    fn push_matches(&mut self) {
        self.sql.push(
            "WITH matched AS MATERIALIZED (SELECT p.id, p.category_id, p.current_price, p.in_stock, p.sale_price",
        );
        if !self.sql.is_postgres() {
            self.sql.push(", p.vendor, p.vendor_normalized");
        }
        self.push_products(&ExcludedFacet::None);
        self.sql.push(")");
    }

    /// Appends ` FROM … WHERE …`: the products `p` that match the conditions.
    fn push_products(&mut self, excluded: &ExcludedFacet) {
        if self.is_read_from_search_index {
            self.filter.push_search_index_clause(&mut self.sql, excluded);
        } else {
            self.filter.push_matches_clause(&mut self.sql, excluded);
        }
    }

    /// Appends ` FROM … WHERE …`: the products `p` that a facet counts.
    fn push_source(&mut self, facet: CountedFacet) {
        match self.own_condition(facet) {
            Some(excluded) => self.push_products(&excluded),
            None => {
                self.sql.push(" FROM matched AS p WHERE true");
            }
        }
    }

    /// Appends the rows of a facet.
    fn push_facet(&mut self, facet: CountedFacet) {
        self.sql.push(&format!(
            "SELECT {} AS facet, option_key, option_name, value_key, value, number, many{} FROM (",
            facet as i32,
            if self.returned == CountedFacets::default() { "" } else { ", NULL::BIGINT[], NULL::BIGINT[]" }
        ));
        self.push_grouped(facet);
        self.sql.push(") AS counted");
    }

    /// Appends the rows of a facet, grouped by it.
    fn push_grouped(&mut self, facet: CountedFacet) {
        match facet {
            CountedFacet::Categories => {
                self.sql.push("SELECT '' AS option_key, '' AS option_name, '' AS value_key, '' AS value");
                self.sql.push(", p.category_id AS number, COUNT(*) AS many");
                self.push_source(facet);
                self.sql.push(" GROUP BY p.category_id");
            }
            CountedFacet::Prices => {
                self.sql.push("SELECT '' AS option_key, '' AS option_name, '' AS value_key, '' AS value");
                self.sql.push(", CAST(bucket AS BIGINT) AS number, COUNT(*) AS many FROM (SELECT CASE");
                let boundaries = generate_price_boundaries();
                for (index, boundary) in boundaries.iter().enumerate() {
                    self.sql.push(&format!(" WHEN p.current_price < {boundary} THEN {index}"));
                }
                self.sql.push(&format!(" ELSE {} END AS bucket", boundaries.len()));
                self.push_source(facet);
                self.sql.push(") AS priced GROUP BY bucket");
            }
            CountedFacet::Vendors => {
                self.sql.push("SELECT '' AS option_key, '' AS option_name, p.vendor_normalized AS value_key");
                self.sql.push(", MIN(p.vendor) AS value, CAST(0 AS BIGINT) AS number, COUNT(*) AS many");
                self.push_source(facet);
                self.sql.push(" AND p.vendor_normalized IS NOT NULL GROUP BY p.vendor_normalized");
                self.push_most_frequent("p.vendor_normalized");
            }
            CountedFacet::Tags => {
                self.sql.push("SELECT '' AS option_key, '' AS option_name, g.tag_normalized AS value_key");
                self.sql.push(", MIN(g.tag) AS value, CAST(0 AS BIGINT) AS number, COUNT(*) AS many");
                self.sql.push(" FROM product_tag AS g WHERE g.product_id IN (SELECT p.id");
                self.push_source(facet);
                self.sql.push(") GROUP BY g.tag_normalized");
                self.push_most_frequent("g.tag_normalized");
            }
            CountedFacet::Options => self.push_options(),
            CountedFacet::Flags => {
                self.sql.push("SELECT '' AS option_key, '' AS option_name, '' AS value_key, '' AS value");
                self.sql.push(", CAST(flags AS BIGINT) AS number, COUNT(*) AS many FROM (SELECT ");
                self.sql.push(&flags_expression()).push(" AS flags");
                self.push_source(facet);
                self.sql.push(") AS flagged GROUP BY flags");
            }
        }
    }

    fn push_most_frequent(&mut self, key: &str) {
        self.sql.push(&format!(" ORDER BY many DESC, {key} LIMIT {MAX_FACET_VALUES}"));
    }

    fn push_options(&mut self) {
        let filtered_options: Vec<String> = self.filter.option_names().map(str::to_owned).collect();
        self.push_option_values(&filtered_options, None);
        for name in &filtered_options {
            self.sql.push(" UNION ALL ");
            self.push_option_values(&filtered_options, Some(name));
        }
    }

    /// Appends the counts of the values of all options that are not filtered, or of `only_option` alone. A value counts
    /// where one variant has it and satisfies all other option filters: the result of selecting it too.
    fn push_option_values(&mut self, filtered_options: &[String], only_option: Option<&str>) {
        self.sql.push("SELECT o.name_normalized AS option_key, MIN(o.name) AS option_name");
        self.sql.push(", o.value_normalized AS value_key, MIN(o.value) AS value, CAST(0 AS BIGINT) AS number");
        self.sql.push(", COUNT(DISTINCT o.product_id) AS many FROM variant_option AS o");
        self.sql.push(" JOIN variant AS v ON v.id = o.variant_id AND v.deleted_at IS NULL");
        self.sql.push(" WHERE o.product_id IN (SELECT p.id");
        self.push_source(CountedFacet::Options);
        self.sql.push(")");
        self.filter.push_option_conditions(&mut self.sql, only_option);
        match only_option {
            Some(name) => self.sql.push(" AND o.name_normalized = ").bind(name),
            None => self
                .sql
                .push(" AND NOT (")
                .eq_any_text("o.name_normalized", filtered_options.iter().map(String::as_str))
                .push(")"),
        };
        self.sql.push(" GROUP BY o.name_normalized, o.value_normalized");
    }
}

/// Returns the expression of the flags of a product: 2 if available plus 1 if on sale.
fn flags_expression() -> String {
    format!("CASE WHEN {IN_STOCK_CONDITION} THEN 2 ELSE 0 END + CASE WHEN {ON_SALE_CONDITION} THEN 1 ELSE 0 END")
}
