//! Facets: alternative filter values with the number of products each would match. One statement for any number of facets,
//! as text: the products of a filter are read once, and grouped by each facet.

use sea_orm::FromQueryResult;

use super::{facet_counter::FacetCounter, facet_statement::FacetStatement, product_filter::ResolvedCatalogFilter};
use crate::{
    base::{Result, pagination::MAX_PAGE_SIZE},
    catalog::CategoryTree,
    infra::{Db, SqlBuilder, cache::CachedWeight},
};

/// What products are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedFacet {
    /// Child categories of the filtered category, or root categories.
    Categories = 0,
    /// Ranges of the current price.
    Prices = 1,
    /// Vendors.
    Vendors = 2,
    /// Tags.
    Tags = 3,
    /// Option values.
    Options = 4,
    /// Availability and sale.
    Flags = 5,
}

impl CountedFacet {
    const ALL: [Self; 6] = [Self::Categories, Self::Prices, Self::Vendors, Self::Tags, Self::Options, Self::Flags];

    /// Returns whether it counts by values that staff enter, of which a product may have several.
    pub(super) const fn has_values(self) -> bool {
        matches!(self, Self::Vendors | Self::Tags | Self::Options)
    }
}

/// Set of facets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountedFacets(u8);

impl CountedFacets {
    /// All facets.
    pub const ALL: Self = Self(0b11_1111);

    /// Adds a facet.
    pub const fn insert(&mut self, facet: CountedFacet) {
        self.0 |= 1 << facet as u8;
    }

    /// Returns whether it contains a facet.
    #[must_use]
    pub const fn contains(self, facet: CountedFacet) -> bool {
        self.0 & (1 << facet as u8) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = CountedFacet> {
        CountedFacet::ALL.into_iter().filter(move |facet| self.contains(*facet))
    }

    /// Returns those that satisfy a condition.
    pub(super) fn filter(self, is_included: impl Fn(CountedFacet) -> bool) -> Self {
        let mut included = Self::default();
        for facet in self.iter().filter(|facet| is_included(*facet)) {
            included.insert(facet);
        }
        included
    }
}

impl From<CountedFacet> for CountedFacets {
    fn from(facet: CountedFacet) -> Self {
        let mut facets = Self::default();
        facets.insert(facet);
        facets
    }
}

/// The values of facets with their numbers of products; those of other facets are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FacetCounts {
    /// Categories as indexes in the tree, by descending number.
    pub categories: Vec<(usize, i64)>,
    /// At most six ranges of the current price, ascending.
    pub prices: Vec<PriceBucket>,
    /// Vendors, by descending number.
    pub vendors: Vec<FacetCount>,
    /// Tags, by descending number.
    pub tags: Vec<FacetCount>,
    /// Options with their values. The values of a filtered option are counted without its own filter, so that its other
    /// values remain selectable; the filters on other options apply.
    pub options: Vec<OptionFacetCount>,
    /// Availability and sale, each without its own condition but with that of the other.
    pub flags: FlagCounts,
}

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

impl CachedWeight for FacetCounts {
    fn weight_bytes(&self) -> usize {
        let Self { categories, prices, vendors, tags, options, flags } = self;
        categories.weight_bytes()
            + prices.weight_bytes()
            + vendors.weight_bytes()
            + tags.weight_bytes()
            + options.weight_bytes()
            + size_of_val(flags)
    }
}

/// Maximum number of values of a facet, and of each option.
pub(super) const MAX_FACET_VALUES: usize = MAX_PAGE_SIZE;
/// Maximum number of price ranges.
const MAX_PRICE_BUCKETS: usize = 6;

/// A value of a facet with its number of products.
#[derive(Debug, Default, FromQueryResult)]
pub(super) struct FacetRow {
    /// The number of the [`CountedFacet`].
    pub(super) facet: i32,
    /// The normalized name of the option.
    pub(super) option_key: String,
    /// The name of the option.
    pub(super) option_name: String,
    /// The normalized value.
    pub(super) value_key: String,
    /// The value as displayed.
    pub(super) value: String,
    /// The id of the category, the index of the price range, or 2 if available plus 1 if on sale.
    pub(super) number: i64,
    /// Number of products.
    pub(super) many: i64,
}

/// Counts the matching products by facets, each ignoring its own condition of the filter. Statements: 1.
pub(in crate::catalog) async fn count_facets(
    db: &Db,
    filter: &ResolvedCatalogFilter,
    tree: &CategoryTree,
    facets: CountedFacets,
) -> Result<FacetCounts> {
    if filter.matches_nothing || facets == CountedFacets::default() {
        return Ok(FacetCounts::default());
    }
    let FacetStatement { sql, returned, .. } = FacetStatement::build(SqlBuilder::new(db.backend()), filter, facets);
    let counter: FacetCounter = db.fold_rows(sql, FacetCounter::add).await?;
    let mut rows = counter.into_rows(returned);
    // Rows of several facets have no order; it is that of the bytes of the normalized values, as in the databases.
    rows.sort_by(|a, b| {
        (&a.option_key, b.many, &a.value_key, a.number).cmp(&(&b.option_key, a.many, &b.value_key, b.number))
    });
    let rows_of = |facet: CountedFacet| rows.iter().filter(move |row| row.facet == facet as i32);
    let to_counts = |facet: CountedFacet| {
        let to_count = |row: &FacetRow| FacetCount { value: row.value.clone(), count: row.many };
        rows_of(facet).map(to_count).take(MAX_FACET_VALUES).collect::<Vec<_>>()
    };
    Ok(FacetCounts {
        categories: sum_categories(filter, tree, rows_of(CountedFacet::Categories)),
        prices: build_buckets(rows_of(CountedFacet::Prices)),
        vendors: to_counts(CountedFacet::Vendors),
        tags: to_counts(CountedFacet::Tags),
        options: group_options(rows_of(CountedFacet::Options)),
        flags: sum_flags(filter, rows_of(CountedFacet::Flags)),
    })
}

/// Adds the numbers of categories up to the children of the filtered category, or to the roots; largest number first.
fn sum_categories<'a>(
    filter: &ResolvedCatalogFilter,
    tree: &CategoryTree,
    rows: impl Iterator<Item = &'a FacetRow>,
) -> Vec<(usize, i64)> {
    let mut direct_counts = vec![0; tree.nodes().len()];
    for row in rows {
        if let Some(index) = tree.find_index(row.number) {
            direct_counts[index] = row.many;
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
    counts.truncate(MAX_FACET_VALUES);
    counts
}

/// Returns at most six price ranges with round bounds, ascending.
fn build_buckets<'a>(rows: impl Iterator<Item = &'a FacetRow>) -> Vec<PriceBucket> {
    let boundaries = generate_price_boundaries();
    let mut numbered: Vec<(usize, i64)> =
        rows.filter_map(|row| Some((usize::try_from(row.number).ok()?, row.many))).collect();
    numbered.sort_unstable();
    let to_bucket = |(bucket, count): (usize, i64)| {
        let min = bucket.checked_sub(1).and_then(|lower_index| boundaries.get(lower_index)).copied().unwrap_or(0);
        PriceBucket { min, max: boundaries.get(bucket).copied(), count }
    };
    merge_buckets(numbered.into_iter().map(to_bucket).collect())
}

/// Groups values by option; both are sorted.
fn group_options<'a>(rows: impl Iterator<Item = &'a FacetRow>) -> Vec<OptionFacetCount> {
    let mut options: Vec<(&str, OptionFacetCount)> = Vec::new();
    for row in rows {
        let value = FacetCount { value: row.value.clone(), count: row.many };
        match options.last_mut() {
            Some((last_key, option)) if *last_key == row.option_key => {
                if option.values.len() < MAX_FACET_VALUES {
                    option.values.push(value);
                }
            }
            _ => {
                options
                    .push((&row.option_key, OptionFacetCount { name: row.option_name.clone(), values: vec![value] }));
            }
        }
    }
    options.into_iter().map(|(_, option)| option).collect()
}

fn sum_flags<'a>(filter: &ResolvedCatalogFilter, rows: impl Iterator<Item = &'a FacetRow>) -> FlagCounts {
    let conditions = filter.conditions();
    let satisfies = |condition: Option<bool>, holds: bool| condition.is_none_or(|condition| condition == holds);
    let mut counts = FlagCounts::default();
    for row in rows {
        let (in_stock, on_sale) = (row.number & 2 != 0, row.number & 1 != 0);
        if satisfies(conditions.on_sale, on_sale) {
            counts.in_stock.add(in_stock, row.many);
        }
        if satisfies(conditions.in_stock, in_stock) {
            counts.on_sale.add(on_sale, row.many);
        }
    }
    counts
}

/// Returns 1, 2, 5, 10, 20, 50, … in minor units.
pub(super) fn generate_price_boundaries() -> Vec<i64> {
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
