//! Facets: the alternatives a shopper has, with how many products each would leave. One statement a facet.

use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    filter::{Except, Wanted},
    tree::Tree,
};
use crate::{base::Result, infra::Sql};

/// One alternative and what it would leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The value, as most products write it.
    pub value: String,
    /// How many products.
    pub count: i64,
}

/// One option with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionCount {
    /// The option's name.
    pub name: String,
    /// Its values.
    pub values: Vec<Count>,
}

/// A range of prices and what it would leave: from `min`, up to but not including `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceCount {
    /// In minor units.
    pub min: i64,
    /// In minor units; `None` for the last range.
    pub max: Option<i64>,
    /// How many products.
    pub count: i64,
}

/// At most so many price ranges are told.
const RANGES: usize = 6;

/// The makers of what is wanted, whoever's products were asked for.
///
/// # Errors
/// When the database cannot be asked.
pub async fn vendors(db: &impl ConnectionTrait, wanted: &Wanted, first: usize) -> Result<Vec<Count>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT MIN(p.vendor) AS value, COUNT(*) AS many");
    wanted.from(&mut sql, &Except::Vendors);
    wanted.and_category(&mut sql);
    sql.push(" AND p.vendor_key IS NOT NULL GROUP BY p.vendor_key ORDER BY many DESC, p.vendor_key LIMIT ");
    sql.bind(i64::try_from(first).unwrap_or(i64::MAX));
    counts(db, wanted, sql).await
}

/// The tags of what is wanted, whatever tags were asked for.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tags(db: &impl ConnectionTrait, wanted: &Wanted, first: usize) -> Result<Vec<Count>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT MIN(g.tag) AS value, COUNT(*) AS many FROM product_tag AS g WHERE g.product_id IN (SELECT p.id");
    wanted.from(&mut sql, &Except::Tags);
    wanted.and_category(&mut sql);
    sql.push(") GROUP BY g.tag_key ORDER BY many DESC, g.tag_key LIMIT ");
    sql.bind(i64::try_from(first).unwrap_or(i64::MAX));
    counts(db, wanted, sql).await
}

async fn counts(db: &impl ConnectionTrait, wanted: &Wanted, sql: Sql) -> Result<Vec<Count>> {
    let read = |row: &QueryResult| Ok(Count { value: row.try_get("", "value")?, count: row.try_get("", "many")? });
    rows(db, wanted, sql).await?.iter().map(read).collect()
}

async fn rows(db: &impl ConnectionTrait, wanted: &Wanted, sql: Sql) -> Result<Vec<QueryResult>> {
    if wanted.nothing {
        return Ok(Vec::new());
    }
    Ok(db.query_all_raw(sql.statement()).await?)
}

/// Every option of what is wanted. The values of an option that was asked for are counted as if it had not been, so
/// that a shopper sees the way to another size; the other options as they would narrow further.
///
/// # Errors
/// When the database cannot be asked.
pub async fn options(db: &impl ConnectionTrait, wanted: &Wanted, first: usize) -> Result<Vec<OptionCount>> {
    let mut sql = Sql::new(db.get_database_backend());
    let asked: Vec<String> = wanted.option_names().map(str::to_owned).collect();
    option_counts(&mut sql, wanted, &asked, None);
    for name in &asked {
        sql.push(" UNION ALL ");
        option_counts(&mut sql, wanted, &asked, Some(name));
    }
    sql.push(" ORDER BY name_key, many DESC, value_key");
    let mut options: Vec<(String, OptionCount)> = Vec::new();
    for row in rows(db, wanted, sql).await? {
        let key: String = row.try_get("", "name_key")?;
        let value = Count { value: row.try_get("", "value")?, count: row.try_get("", "many")? };
        match options.last_mut() {
            Some((known, option)) if *known == key => {
                if option.values.len() < first {
                    option.values.push(value);
                }
            }
            _ => options.push((key, OptionCount { name: row.try_get("", "name")?, values: vec![value] })),
        }
    }
    Ok(options.into_iter().map(|(_, option)| option).collect())
}

/// The values of all options but those `asked` for; or of one of these alone. A value counts where a variant has it
/// together with everything else that was asked for: that is what choosing it too would leave.
fn option_counts(sql: &mut Sql, wanted: &Wanted, asked: &[String], alone: Option<&str>) {
    sql.push("SELECT o.name_key, o.value_key, MIN(o.name) AS name, MIN(o.value) AS value, COUNT(DISTINCT o.product_id) AS many");
    sql.push(" FROM variant_option AS o JOIN variant AS v ON v.id = o.variant_id AND v.deleted_at IS NULL");
    sql.push(" WHERE o.product_id IN (SELECT p.id");
    wanted.from(sql, &Except::Options);
    wanted.and_category(sql);
    sql.push(")");
    wanted.and_choices(sql, alone);
    match alone {
        Some(name) => sql.push(" AND o.name_key = ").bind(name),
        None => sql.push(" AND NOT (").any_text("o.name_key", asked.iter().map(String::as_str)).push(")"),
    };
    sql.push(" GROUP BY o.name_key, o.value_key");
}

/// The categories one step below the one asked for (or the roots of the tree) with the products in and below each.
/// `(place in the tree, products)`, the fullest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn categories(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    tree: &Tree,
    first: usize,
) -> Result<Vec<(usize, i64)>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT p.category_id AS category, COUNT(*) AS many");
    wanted.from(&mut sql, &Except::Nothing);
    wanted.and_category(&mut sql);
    sql.push(" GROUP BY p.category_id");
    let mut below = vec![0; tree.nodes().len()];
    for row in rows(db, wanted, sql).await? {
        if let Some(place) = tree.find(row.try_get("", "category")?) {
            below[place] = row.try_get("", "many")?;
        }
    }
    let total = |place: usize| (place, below[place..place + tree.node(place).size].iter().sum::<i64>());
    let mut counts: Vec<(usize, i64)> = match wanted.category {
        Some(place) => tree.children(place).map(total).collect(),
        None => tree.roots().map(total).collect(),
    };
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(place, count)| (std::cmp::Reverse(*count), *place));
    counts.truncate(first);
    Ok(counts)
}

/// The prices of what is wanted in at most six ranges with round ends, whatever price was asked for.
///
/// # Errors
/// When the database cannot be asked.
pub async fn prices(db: &impl ConnectionTrait, wanted: &Wanted) -> Result<Vec<PriceCount>> {
    let ends = round_prices();
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT bucket, COUNT(*) AS many FROM (SELECT CASE");
    for (number, end) in ends.iter().enumerate() {
        sql.push(&format!(" WHEN p.price_now < {end} THEN {number}"));
    }
    sql.push(&format!(" ELSE {} END AS bucket", ends.len()));
    wanted.from(&mut sql, &Except::Price);
    wanted.and_category(&mut sql);
    sql.push(") AS priced GROUP BY bucket ORDER BY bucket");
    let mut ranges = Vec::new();
    for row in rows(db, wanted, sql).await? {
        let bucket: i32 = row.try_get("", "bucket")?;
        let bucket = usize::try_from(bucket).unwrap_or_default();
        let min = bucket.checked_sub(1).and_then(|below| ends.get(below)).copied().unwrap_or(0);
        ranges.push(PriceCount { min, max: ends.get(bucket).copied(), count: row.try_get("", "many")? });
    }
    Ok(fewer(ranges))
}

/// 1, 2, 5, 10, 20, 50, … in minor units.
fn round_prices() -> Vec<i64> {
    (0..15).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power))).collect()
}

/// Joins the two neighbours that hold the least until few enough are left.
fn fewer(mut ranges: Vec<PriceCount>) -> Vec<PriceCount> {
    while ranges.len() > RANGES {
        let sums = ranges.windows(2).map(|pair| pair[0].count + pair[1].count);
        let Some((least, _)) = sums.enumerate().min_by_key(|(_, sum)| *sum) else { break };
        let upper = ranges.remove(least + 1);
        ranges[least].max = upper.max;
        ranges[least].count += upper.count;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_until_six_are_left() {
        let range = |min, max, count| PriceCount { min, max: Some(max), count };
        let ranges = (0..9).map(|n| range(n, n + 1, n + 1)).collect();
        let fewer = fewer(ranges);
        assert_eq!(fewer.len(), RANGES);
        assert_eq!(fewer.iter().map(|range| range.count).sum::<i64>(), 45);
        assert!(fewer.windows(2).all(|pair| pair[0].max == Some(pair[1].min)));
    }
}
