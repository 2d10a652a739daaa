//! Counting of the products that a statement of facets returns.

use std::collections::HashMap;

use sea_orm::{DbErr, FromQueryResult, QueryResult};

use super::facets::{CountedFacet, CountedFacets, FacetRow, generate_price_boundaries};

/// What the column `facet` of a group of products is, plus their flags; of a counted value it is less.
pub(super) const PRODUCTS_ROW: i32 = 8;
/// Separates the values of products: the record separator of ASCII.
pub(super) const VALUE_SEPARATOR: char = '\u{1e}';
/// Separates the parts of a value: the unit separator of ASCII.
const PART_SEPARATOR: char = '\u{1f}';

/// Counts of products, and the values that the database has counted.
#[derive(Debug)]
pub(super) struct FacetCounter {
    counted: Vec<FacetRow>,
    categories: HashMap<i64, i64>,
    price_boundaries: Vec<i64>,
    price_ranges: Vec<i64>,
    flags: [i64; 4],
    /// By kind, option, value, and both as displayed.
    values: HashMap<String, i64>,
}

impl Default for FacetCounter {
    fn default() -> Self {
        let price_boundaries = generate_price_boundaries();
        Self {
            counted: Vec::new(),
            categories: HashMap::new(),
            price_ranges: vec![0; price_boundaries.len() + 1],
            price_boundaries,
            flags: [0; 4],
            values: HashMap::new(),
        }
    }
}

impl FacetCounter {
    /// Adds a row: a group of products, or a value that the database has counted.
    pub(super) fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        let facet: i32 = row.try_get("", "facet")?;
        let Ok(flags) = usize::try_from(facet - PRODUCTS_ROW) else {
            self.counted.push(FacetRow::from_query_result(row, "")?);
            return Ok(());
        };
        let category_ids: Vec<i64> = row.try_get("", "category_ids")?;
        let prices: Vec<i64> = row.try_get("", "prices")?;
        self.add_products(flags, &category_ids, &prices, &row.try_get::<String>("", "value")?);
        Ok(())
    }

    /// Adds products that have the same flags; their other properties are independent of each other.
    fn add_products(&mut self, flags: usize, category_ids: &[i64], prices: &[i64], values: &str) {
        self.flags[flags] += i64::try_from(category_ids.len()).unwrap_or(i64::MAX);
        for category_id in category_ids {
            *self.categories.entry(*category_id).or_default() += 1;
        }
        for price in prices {
            self.price_ranges[self.price_boundaries.partition_point(|boundary| boundary <= price)] += 1;
        }
        for value in values.split(VALUE_SEPARATOR).filter(|value| !value.is_empty()) {
            match self.values.get_mut(value) {
                Some(count) => *count += 1,
                None => {
                    self.values.insert(value.to_owned(), 1);
                }
            }
        }
    }

    /// Returns the values that the database has counted, and those of the facets whose products were returned.
    pub(super) fn into_rows(self, returned: CountedFacets) -> Vec<FacetRow> {
        let Self { counted, categories, price_ranges, flags, values, .. } = self;
        let numbered =
            |facet: CountedFacet, number, many| FacetRow { facet: facet as i32, number, many, ..FacetRow::default() };
        let categories = categories.into_iter().map(|(id, many)| numbered(CountedFacet::Categories, id, many));
        let prices = (0..).zip(price_ranges).map(|(index, many)| numbered(CountedFacet::Prices, index, many));
        let flags = (0..).zip(flags).map(|(flags, many)| numbered(CountedFacet::Flags, flags, many));
        let of_products = categories.chain(prices).chain(flags).chain(group_values(&values));
        let is_returned = |row: &FacetRow| row.many > 0 && returned.iter().any(|facet| facet as i32 == row.facet);
        counted.into_iter().chain(of_products.filter(is_returned)).collect()
    }
}

/// Adds the numbers of values that differ only in how they are displayed; the first of these texts is displayed.
fn group_values(values: &HashMap<String, i64>) -> impl Iterator<Item = FacetRow> {
    let mut grouped: HashMap<(i32, &str, &str), FacetRow> = HashMap::new();
    for (value, many) in values {
        let mut parts = value.split(PART_SEPARATOR);
        let [kind, option_key, value_key, option_name, value] = [(); 5].map(|()| parts.next().unwrap_or_default());
        let facet = match kind {
            "v" => CountedFacet::Vendors,
            "t" => CountedFacet::Tags,
            _ => CountedFacet::Options,
        } as i32;
        let row = grouped.entry((facet, option_key, value_key)).or_insert_with(|| FacetRow {
            facet,
            option_key: option_key.to_owned(),
            option_name: option_name.to_owned(),
            value_key: value_key.to_owned(),
            value: value.to_owned(),
            number: 0,
            many: 0,
        });
        row.many += many;
        for (shown, candidate) in [(&mut row.option_name, option_name), (&mut row.value, value)] {
            if candidate < shown.as_str() {
                candidate.clone_into(shown);
            }
        }
    }
    grouped.into_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_counted_by_the_facets_that_were_returned() {
        let mut counter = FacetCounter::default();
        let tag = |shown: &str| format!("t\u{1f}\u{1f}red\u{1f}\u{1f}{shown}");
        let size = "o\u{1f}size\u{1f}m\u{1f}Size\u{1f}M";
        counter.add_products(3, &[7], &[150], &[tag("red").as_str(), size].join("\u{1e}"));
        counter.add_products(0, &[7, 8], &[150, 0], &[tag("Red").as_str(), ""].join("\u{1e}"));
        let returned = CountedFacets::ALL.filter(|facet| facet != CountedFacet::Vendors);
        let describe =
            |row: FacetRow| format!("{} {}{}{} {}", row.facet, row.option_name, row.value, row.number, row.many);
        let mut rows: Vec<String> = counter.into_rows(returned).into_iter().map(describe).collect();
        rows.sort();
        assert_eq!(rows, ["0 7 2", "0 8 1", "1 0 1", "1 7 2", "3 Red0 2", "4 SizeM0 1", "5 0 2", "5 3 1"]);
        assert_eq!(FacetCounter::default().into_rows(CountedFacets::ALL).len(), 0);
    }
}
