//! Facets of a list of products.

use async_graphql::{Context, Object, SimpleObject};
use rust_decimal::Decimal;

use super::{category::Category, context::scope};
use crate::{
    base::{Result, page},
    catalog::{
        facet::{self, Count},
        filter::Wanted,
    },
};

/// The alternatives a shopper has from here, with how many products each would leave. Each facet respects the other
/// parts of the filter, but not its own: the makers are counted whichever maker was chosen.
#[derive(Debug)]
pub struct ProductFacets<'a> {
    /// What is wanted.
    pub wanted: &'a Wanted,
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

fn values(counts: Vec<Count>) -> Vec<ValueFacet> {
    counts.into_iter().map(|Count { value, count }| ValueFacet { value, count }).collect()
}

/// The alternatives a shopper has from here, with how many products each would leave. Each facet respects the other
/// parts of the filter, but not its own: the makers are counted whichever maker was chosen.
#[Object]
impl ProductFacets<'_> {
    /// The categories one step below the one filtered by, or the roots of the tree; the fullest first. One statement.
    async fn categories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<CategoryFacet>> {
        let scope = scope(ctx);
        let first = page::size("first", Some(first))?;
        let counts = facet::categories(&scope.db, self.wanted, &scope.tree(), first).await?;
        let facet = |(place, count)| CategoryFacet { category: Category::at(&scope.tree(), place), count };
        Ok(counts.into_iter().map(facet).collect())
    }

    /// At most six ranges of what a buyer pays now, with round ends, lowest first. One statement.
    async fn price_ranges(&self, ctx: &Context<'_>) -> Result<Vec<PriceRangeFacet>> {
        let scope = scope(ctx);
        let amount = |minor| scope.amount(minor);
        let ranges = facet::prices(&scope.db, self.wanted).await?;
        let facet =
            |facet::PriceCount { min, max, count }| PriceRangeFacet { min: amount(min), max: max.map(amount), count };
        Ok(ranges.into_iter().map(facet).collect())
    }

    /// Who makes them, the fullest first. One statement.
    async fn vendors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        facet::vendors(&scope(ctx).db, self.wanted, page::size("first", Some(first))?).await.map(values)
    }

    /// Their tags, the fullest first. One statement.
    async fn tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        facet::tags(&scope(ctx).db, self.wanted, page::size("first", Some(first))?).await.map(values)
    }

    /// Their options, each with its values. The values of an option that the filter asks for are counted as if it did
    /// not. One statement.
    async fn options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many values of each option, up to 100.", default_with = "FIRST")] first: i32,
    ) -> Result<Vec<OptionFacet>> {
        let options = facet::options(&scope(ctx).db, self.wanted, page::size("first", Some(first))?).await?;
        let facet = |facet::OptionCount { name, values: counts }| OptionFacet { name, values: values(counts) };
        Ok(options.into_iter().map(facet).collect())
    }
}
