//! Facets of a list of products.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use rust_decimal::Decimal;
use tokio::sync::OnceCell;

use super::{
    category::Category,
    connection::{FACET, per_list},
    context::scope,
};
use crate::{
    base::{Result, page},
    catalog::{
        facet::{self, Count, OptionCount, PriceCount},
        filter::Wanted,
    },
};

/// The facets of one list that were computed: each once, however often it is asked for.
#[derive(Debug, Default)]
pub struct Facets {
    categories: OnceCell<Vec<(usize, i64)>>,
    prices: OnceCell<Vec<PriceCount>>,
    vendors: OnceCell<Vec<Count>>,
    tags: OnceCell<Vec<Count>>,
    options: OnceCell<Vec<OptionCount>>,
}

/// Computes a facet with as many values as can be asked for, unless it is known.
macro_rules! computed {
    ($facets:expr, $scope:expr, $cell:ident, |$db:ident, $wanted:ident| $read:expr) => {{
        let $wanted = Arc::clone($facets.wanted);
        let read = || $scope.read_expensive(|$db| async move { $read.await });
        $facets.known.$cell.get_or_try_init(read).await
    }};
}

/// The alternatives a shopper has from here, with how many products each would leave. Each facet respects the other
/// parts of the filter, but not its own: the makers are counted whichever maker was chosen.
#[derive(Debug)]
pub struct ProductFacets<'a> {
    /// What is wanted.
    pub wanted: &'a Arc<Wanted>,
    /// What is known of it.
    pub known: &'a Facets,
}

/// A value and how many products it would leave.
#[derive(Debug, SimpleObject)]
pub struct ValueFacet {
    /// The value, as a filter takes it.
    value: String,
    /// How many products.
    count: i64,
}

/// A category and how many products it would leave.
#[derive(Debug, SimpleObject)]
pub struct CategoryFacet {
    /// The category.
    category: Category,
    /// How many products, in it and in everything below it.
    count: i64,
}

/// A range of prices and how many products it would leave.
#[derive(Debug, SimpleObject)]
pub struct PriceRangeFacet {
    /// From this price on.
    min: Decimal,
    /// Up to, but not including, this price; null for the last range.
    max: Option<Decimal>,
    /// How many products.
    count: i64,
}

/// An option and how many products each of its values would leave.
#[derive(Debug, SimpleObject)]
pub struct OptionFacet {
    /// The option: `Size`.
    name: String,
    /// Its values, the fullest first.
    values: Vec<ValueFacet>,
}

/// How many values of a facet are told when nothing is said.
const FIRST: i32 = 50;

fn values(counts: &[Count], first: usize) -> Vec<ValueFacet> {
    let facet = |Count { value, count }: &Count| ValueFacet { value: value.clone(), count: *count };
    counts.iter().take(first).map(facet).collect()
}

/// The alternatives a shopper has from here, with how many products each would leave. Each facet respects the other
/// parts of the filter, but not its own: the makers are counted whichever maker was chosen.
#[Object]
impl ProductFacets<'_> {
    /// The categories one step below the one filtered by, or the roots of the tree; the fullest first. One statement.
    #[graphql(complexity = "per_list(FACET + child_complexity)")]
    async fn categories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<CategoryFacet>> {
        let scope = scope(ctx);
        let first = page::size("first", Some(first))?;
        let tree = scope.tree();
        let counts =
            computed!(self, scope, categories, |db, wanted| facet::categories(&db, &wanted, &tree, page::MAX))?;
        let facet = |(place, count): &(usize, i64)| CategoryFacet {
            category: Category::at(&scope.tree(), *place),
            count: *count,
        };
        Ok(counts.iter().take(first).map(facet).collect())
    }

    /// At most six ranges of what a buyer pays now, with round ends, lowest first. One statement.
    #[graphql(complexity = "per_list(FACET + child_complexity)")]
    async fn price_ranges(&self, ctx: &Context<'_>) -> Result<Vec<PriceRangeFacet>> {
        let scope = scope(ctx);
        let amount = |minor| scope.amount(minor);
        let ranges = computed!(self, scope, prices, |db, wanted| facet::prices(&db, &wanted))?;
        let facet = |PriceCount { min, max, count }: &PriceCount| PriceRangeFacet {
            min: amount(*min),
            max: max.map(amount),
            count: *count,
        };
        Ok(ranges.iter().map(facet).collect())
    }

    /// Who makes them, the fullest first. One statement.
    #[graphql(complexity = "per_list(FACET + child_complexity)")]
    async fn vendors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        let first = page::size("first", Some(first))?;
        let counts = computed!(self, scope(ctx), vendors, |db, wanted| facet::vendors(&db, &wanted, page::MAX))?;
        Ok(values(counts, first))
    }

    /// Their tags, the fullest first. One statement.
    #[graphql(complexity = "per_list(FACET + child_complexity)")]
    async fn tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        let first = page::size("first", Some(first))?;
        let counts = computed!(self, scope(ctx), tags, |db, wanted| facet::tags(&db, &wanted, page::MAX))?;
        Ok(values(counts, first))
    }

    /// Their options, each with its values. The values of an option that the filter asks for are counted as if it did
    /// not. One statement.
    #[graphql(complexity = "per_list(FACET + child_complexity)")]
    async fn options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many values of each option, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<OptionFacet>> {
        let first = page::size("first", Some(first))?;
        let options = computed!(self, scope(ctx), options, |db, wanted| facet::options(&db, &wanted, page::MAX))?;
        let facet = |OptionCount { name, values: counts }: &OptionCount| OptionFacet {
            name: name.clone(),
            values: values(counts, first),
        };
        Ok(options.iter().map(facet).collect())
    }
}
