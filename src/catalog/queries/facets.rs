//! Facets: alternative filter values with the number of products each would match. One statement per facet,
//! as text: the conditions of a filter, grouped.

use sea_orm::{ConnectionTrait, QueryResult};

use super::product_filter::{ExcludedFacet, IN_STOCK_CONDITION, ON_SALE_CONDITION, ResolvedCatalogFilter};
use crate::{
    base::Result,
    catalog::CategoryTree,
    infra::{SqlBuilder, cache::CachedWeight},
};

/// A facet value with its number of products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The value as displayed.
    pub value: String,
    /// Number of products.
    pub count: i64,
}

/// The facet of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFacetCount {
    /// Option name.
    pub name: String,
    /// Option values.
    pub values: Vec<FacetCount>,
}

/// A price range with its number of products, from `min` (inclusive) to `max` (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBucket {
    /// Lower bound in minor units.
    pub min: i64,
    /// Upper bound in minor units; `None` for the last range.
    pub max: Option<i64>,
    /// Number of products.
    pub count: i64,
}

/// The numbers of products for which a condition holds, and for which it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlagCount {
    /// Number of products for which it holds.
    pub holds: i64,
    /// Number of the other products.
    pub fails: i64,
}

/// The facets of the yes-or-no conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlagCounts {
    /// Whether a variant can be bought now.
    pub in_stock: FlagCount,
    /// Whether the product is on sale now.
    pub on_sale: FlagCount,
}

impl FlagCount {
    const fn add(&mut self, holds: bool, count: i64) {
        if holds {
            self.holds += count;
        } else {
            self.fails += count;
        }
    }
}

impl CachedWeight for FacetCount {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.value.len()
    }
}

impl CachedWeight for OptionFacetCount {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.values.weight_bytes()
    }
}

impl CachedWeight for PriceBucket {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl CachedWeight for FlagCounts {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Maximum number of price ranges.
const MAX_PRICE_BUCKETS: usize = 6;

/// Counts the matching products by vendor, ignoring the vendor filter.
pub async fn count_by_vendor(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    limit: usize,
) -> Result<Vec<FacetCount>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT MIN(p.vendor) AS value, COUNT(*) AS many");
    filter.push_from_clause(&mut sql, &ExcludedFacet::Vendors);
    filter.push_category_condition(&mut sql);
    sql.push(" AND p.vendor_normalized IS NOT NULL GROUP BY p.vendor_normalized ORDER BY many DESC, p.vendor_normalized LIMIT ");
    sql.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    load_counts(db, filter, sql).await
}

/// Counts the matching products by tag, ignoring the tag filter.
pub async fn count_by_tag(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    limit: usize,
) -> Result<Vec<FacetCount>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT MIN(g.tag) AS value, COUNT(*) AS many FROM product_tag AS g WHERE g.product_id IN (SELECT p.id");
    filter.push_from_clause(&mut sql, &ExcludedFacet::Tags);
    filter.push_category_condition(&mut sql);
    sql.push(") GROUP BY g.tag_normalized ORDER BY many DESC, g.tag_normalized LIMIT ");
    sql.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    load_counts(db, filter, sql).await
}

async fn load_counts(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    sql: SqlBuilder,
) -> Result<Vec<FacetCount>> {
    let parse_row =
        |row: &QueryResult| Ok(FacetCount { value: row.try_get("", "value")?, count: row.try_get("", "many")? });
    load_rows(db, filter, sql).await?.iter().map(parse_row).collect()
}

async fn load_rows(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    sql: SqlBuilder,
) -> Result<Vec<QueryResult>> {
    if filter.matches_nothing {
        return Ok(Vec::new());
    }
    Ok(db.query_all_raw(sql.into_statement()).await?)
}

/// Counts the matching products by option value. The values of a filtered option are counted without its own filter, so
/// that its other values remain selectable; the filters on other options apply.
pub async fn count_by_option(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    limit: usize,
) -> Result<Vec<OptionFacetCount>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let filtered_options: Vec<String> = filter.option_names().map(str::to_owned).collect();
    push_option_counts(&mut sql, filter, &filtered_options, None);
    for name in &filtered_options {
        sql.push(" UNION ALL ");
        push_option_counts(&mut sql, filter, &filtered_options, Some(name));
    }
    sql.push(" ORDER BY name_normalized, many DESC, value_normalized");
    let mut options: Vec<(String, OptionFacetCount)> = Vec::new();
    for row in load_rows(db, filter, sql).await? {
        let name_normalized: String = row.try_get("", "name_normalized")?;
        let value = FacetCount { value: row.try_get("", "value")?, count: row.try_get("", "many")? };
        match options.last_mut() {
            Some((last_key, option)) if *last_key == name_normalized => {
                if option.values.len() < limit {
                    option.values.push(value);
                }
            }
            _ => options
                .push((name_normalized, OptionFacetCount { name: row.try_get("", "name")?, values: vec![value] })),
        }
    }
    Ok(options.into_iter().map(|(_, option)| option).collect())
}

/// Appends the counts of the values of all options that are not filtered, or of `only_option` alone. A value counts
/// where one variant has it and satisfies all other option filters: the result of selecting it too.
fn push_option_counts(
    sql: &mut SqlBuilder,
    filter: &ResolvedCatalogFilter,
    filtered_options: &[String],
    only_option: Option<&str>,
) {
    sql.push("SELECT o.name_normalized, o.value_normalized, MIN(o.name) AS name, MIN(o.value) AS value, COUNT(DISTINCT o.product_id) AS many");
    sql.push(" FROM variant_option AS o JOIN variant AS v ON v.id = o.variant_id AND v.deleted_at IS NULL");
    sql.push(" WHERE o.product_id IN (SELECT p.id");
    filter.push_from_clause(sql, &ExcludedFacet::Options);
    filter.push_category_condition(sql);
    sql.push(")");
    filter.push_option_conditions(sql, only_option);
    match only_option {
        Some(name) => sql.push(" AND o.name_normalized = ").bind(name),
        None => sql
            .push(" AND NOT (")
            .eq_any_text("o.name_normalized", filtered_options.iter().map(String::as_str))
            .push(")"),
    };
    sql.push(" GROUP BY o.name_normalized, o.value_normalized");
}

/// Counts the matching products in the subtree of each child of the filtered category, or of each root. Returns `(index
/// in the tree, number of products)`, largest number first.
pub async fn count_by_category(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    tree: &CategoryTree,
    limit: usize,
) -> Result<Vec<(usize, i64)>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT p.category_id AS category, COUNT(*) AS many");
    filter.push_from_clause(&mut sql, &ExcludedFacet::None);
    filter.push_category_condition(&mut sql);
    sql.push(" GROUP BY p.category_id");
    let mut direct_counts = vec![0; tree.nodes().len()];
    for row in load_rows(db, filter, sql).await? {
        if let Some(index) = tree.find_index(row.try_get("", "category")?) {
            direct_counts[index] = row.try_get("", "many")?;
        }
    }
    let sum_subtree =
        |index: usize| (index, direct_counts[index..index + tree.node(index).subtree_size].iter().sum::<i64>());
    let mut counts: Vec<(usize, i64)> = match filter.category_index {
        Some(index) => tree.children(index).map(sum_subtree).collect(),
        None => tree.roots().map(sum_subtree).collect(),
    };
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(index, count)| (std::cmp::Reverse(*count), *index));
    counts.truncate(limit);
    Ok(counts)
}

/// Counts the matching products in at most six price ranges with round bounds, ignoring the price filter.
pub async fn count_by_price(db: &impl ConnectionTrait, filter: &ResolvedCatalogFilter) -> Result<Vec<PriceBucket>> {
    let boundaries = generate_price_boundaries();
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT bucket, COUNT(*) AS many FROM (SELECT CASE");
    for (index, boundary) in boundaries.iter().enumerate() {
        sql.push(&format!(" WHEN p.current_price < {boundary} THEN {index}"));
    }
    sql.push(&format!(" ELSE {} END AS bucket", boundaries.len()));
    filter.push_from_clause(&mut sql, &ExcludedFacet::Price);
    filter.push_category_condition(&mut sql);
    sql.push(") AS priced GROUP BY bucket ORDER BY bucket");
    let mut buckets = Vec::new();
    for row in load_rows(db, filter, sql).await? {
        let bucket: i32 = row.try_get("", "bucket")?;
        let bucket = usize::try_from(bucket).unwrap_or_default();
        let min = bucket.checked_sub(1).and_then(|lower_index| boundaries.get(lower_index)).copied().unwrap_or(0);
        buckets.push(PriceBucket { min, max: boundaries.get(bucket).copied(), count: row.try_get("", "many")? });
    }
    Ok(merge_buckets(buckets))
}

/// Counts the matching products by whether they are in stock, and by whether they are on sale, each ignoring its own
/// condition but not the other.
pub async fn count_by_flags(db: &impl ConnectionTrait, filter: &ResolvedCatalogFilter) -> Result<FlagCounts> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT CASE WHEN ").push(IN_STOCK_CONDITION).push(" THEN 1 ELSE 0 END AS in_stock, CASE WHEN ");
    sql.push(ON_SALE_CONDITION).push(" THEN 1 ELSE 0 END AS on_sale, COUNT(*) AS many");
    filter.push_from_clause(&mut sql, &ExcludedFacet::Flags);
    filter.push_category_condition(&mut sql);
    sql.push(" GROUP BY 1, 2");
    let conditions = filter.conditions();
    let satisfies = |condition: Option<bool>, holds: bool| condition.is_none_or(|condition| condition == holds);
    let mut counts = FlagCounts::default();
    for row in load_rows(db, filter, sql).await? {
        let flag = |name: &str| Ok::<bool, sea_orm::DbErr>(row.try_get::<i32>("", name)? == 1);
        let (in_stock, on_sale, count) = (flag("in_stock")?, flag("on_sale")?, row.try_get("", "many")?);
        if satisfies(conditions.on_sale, on_sale) {
            counts.in_stock.add(in_stock, count);
        }
        if satisfies(conditions.in_stock, in_stock) {
            counts.on_sale.add(on_sale, count);
        }
    }
    Ok(counts)
}

/// Returns 1, 2, 5, 10, 20, 50, … in minor units.
fn generate_price_boundaries() -> Vec<i64> {
    (0..15).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power))).collect()
}

/// Merges the two adjacent ranges with the fewest products until at most [`MAX_PRICE_BUCKETS`] remain.
fn merge_buckets(mut buckets: Vec<PriceBucket>) -> Vec<PriceBucket> {
    while buckets.len() > MAX_PRICE_BUCKETS {
        let sums = buckets.windows(2).map(|pair| pair[0].count + pair[1].count);
        let Some((smallest_index, _)) = sums.enumerate().min_by_key(|(_, sum)| *sum) else { break };
        let upper = buckets.remove(smallest_index + 1);
        buckets[smallest_index].max = upper.max;
        buckets[smallest_index].count += upper.count;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_buckets_merge_until_six_remain() {
        let bucket = |min, max, count| PriceBucket { min, max: Some(max), count };
        let buckets = (0..9).map(|number| bucket(number, number + 1, number + 1)).collect();
        let merged = merge_buckets(buckets);
        assert_eq!(merged.len(), MAX_PRICE_BUCKETS);
        assert_eq!(merged.iter().map(|bucket| bucket.count).sum::<i64>(), 45);
        assert!(merged.windows(2).all(|pair| pair[0].max == Some(pair[1].min)));
    }
}
