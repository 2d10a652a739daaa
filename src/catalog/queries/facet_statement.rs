//! The statement of facets, as text: products that match all conditions are read once, and grouped by each facet. A facet
//! of which the filter has a condition ignores that condition, so it reads its products itself, in the same statement.
//!
//! On PostgreSQL the rows of the search index have the vendor, tags and option values of their products, so that they are
//! counted without reading tags and variants.

use super::{
    facets::{CountedFacet, CountedFacets, MAX_FACET_VALUES, generate_price_boundaries},
    product_filter::{ExcludedFacet, IN_STOCK_CONDITION, ON_SALE_CONDITION, ResolvedCatalogFilter},
};
use crate::infra::SqlBuilder;

/// The statement of some facets, under construction.
pub(super) struct FacetStatement<'a> {
    sql: SqlBuilder,
    filter: &'a ResolvedCatalogFilter,
    /// Whether the products are read from the search index: those of a search, and all. Other filters may select few
    /// products by an index of `product`.
    is_read_from_search_index: bool,
}

impl<'a> FacetStatement<'a> {
    /// Returns the statement of facets, appended to an empty one.
    pub(super) fn build(sql: SqlBuilder, filter: &'a ResolvedCatalogFilter, facets: CountedFacets) -> SqlBuilder {
        let selects_all = filter.is_only_category() && filter.category_ids.is_none();
        let is_read_from_search_index = filter.is_in_search_index(&sql) && (filter.has_search() || selects_all);
        let mut statement = Self { sql, filter, is_read_from_search_index };
        statement.push_matches(facets);
        for (index, facet) in facets.iter().enumerate() {
            statement.sql.push(if index == 0 { " " } else { " UNION ALL " });
            statement.push_facet(facet);
        }
        statement.sql
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

    /// Appends the products that match all conditions, read once for all facets that ignore none of them.
    fn push_matches(&mut self, facets: CountedFacets) {
        if facets.iter().all(|facet| self.own_condition(facet).is_some()) {
            return;
        }
        let counts_values = facets.iter().any(|facet| self.indexed_kind(facet).is_some());
        self.sql.push(
            "WITH matched AS MATERIALIZED (SELECT p.id, p.category_id, p.current_price, p.in_stock, p.sale_price",
        );
        self.sql.push(match (self.sql.is_postgres(), counts_values) {
            (false, _) => ", p.vendor, p.vendor_normalized",
            (true, false) => "",
            (true, true) if self.is_read_from_search_index => ", p.facet_values",
            (true, true) => {
                ", (SELECT s.facet_values FROM product_search AS s WHERE s.product_id = p.id) AS facet_values"
            }
        });
        self.push_products(&ExcludedFacet::None);
        self.sql.push(")");
        if counts_values {
            self.sql.push(", value_counts AS MATERIALIZED (SELECT v.value, COUNT(*) AS many FROM matched AS m");
            self.sql.push(" CROSS JOIN LATERAL unnest(m.facet_values) AS v (value) GROUP BY v.value)");
        }
    }

    /// Returns the kind of the values of a facet in the search index, if they are counted there.
    fn indexed_kind(&self, facet: CountedFacet) -> Option<&'static str> {
        let kind = match facet {
            CountedFacet::Vendors => "v",
            CountedFacet::Tags => "t",
            CountedFacet::Options => "o",
            CountedFacet::Categories | CountedFacet::Prices | CountedFacet::Flags => return None,
        };
        (self.sql.is_postgres() && self.own_condition(facet).is_none()).then_some(kind)
    }

    /// Appends the rows of the values of a kind, each with the number of its products. Values that differ only in how they
    /// are displayed are one.
    fn push_indexed_values(&mut self, kind: &str) {
        let part = |number: u8| format!("split_part(c.value, chr(31), {number})");
        let [option_key, value_key, option_name, value] = [2, 3, 4, 5].map(part);
        self.sql.push(&format!("SELECT {option_key} AS option_key, MIN({option_name}) AS option_name"));
        self.sql.push(&format!(", {value_key} COLLATE \"C\" AS value_key, MIN({value}) AS value"));
        self.sql.push(", CAST(0 AS BIGINT) AS number, CAST(SUM(c.many) AS BIGINT) AS many FROM value_counts AS c");
        self.sql.push(&format!(" WHERE c.value LIKE '{kind}%' GROUP BY {option_key}, {value_key} COLLATE \"C\""));
        if kind != "o" {
            self.push_most_frequent("value_key");
        }
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
            "SELECT {} AS facet, option_key, option_name, value_key, value, number, many FROM (",
            facet as i32
        ));
        match self.indexed_kind(facet) {
            Some(kind) => self.push_indexed_values(kind),
            None => self.push_grouped(facet),
        }
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
                self.sql.push(", CAST(flags AS BIGINT) AS number, COUNT(*) AS many FROM (SELECT CASE WHEN ");
                self.sql.push(IN_STOCK_CONDITION).push(" THEN 2 ELSE 0 END + CASE WHEN ").push(ON_SALE_CONDITION);
                self.sql.push(" THEN 1 ELSE 0 END AS flags");
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
