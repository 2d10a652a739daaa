//! Statements that read sums of daily figures.
//!
//! As text, because they add up all columns of a group.

use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    analytics::{
        figures::{CartFigures, OrderFigures},
        period::DayPeriod,
    },
    base::Result,
    infra::{SqlBuilder, sql_builder::query_rows},
};

/// The figures of a day.
#[derive(Debug, FromQueryResult)]
pub(in crate::analytics) struct DayFigures {
    pub(in crate::analytics) day: NaiveDate,
    #[sea_orm(nested)]
    pub(in crate::analytics) figures: OrderFigures,
}

/// The figures of carts of a day.
#[derive(Debug, FromQueryResult)]
pub(in crate::analytics) struct DayCarts {
    pub(in crate::analytics) day: NaiveDate,
    #[sea_orm(nested)]
    pub(in crate::analytics) figures: CartFigures,
}

/// The figures of a channel or a country.
#[derive(Debug, Clone, FromQueryResult)]
pub struct FigureGroup {
    /// The channel, or the country; empty without a country.
    pub key: String,
    /// The figures.
    #[sea_orm(nested)]
    pub figures: OrderFigures,
}

/// The figures of a day, channel and country.
#[derive(Debug, Clone, FromQueryResult)]
pub struct DetailedFigures {
    /// The day.
    pub day: NaiveDate,
    /// The channel.
    pub channel: String,
    /// The country; empty for none.
    pub country: String,
    /// The figures.
    #[sea_orm(nested)]
    pub figures: OrderFigures,
}

/// The sales of a product.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ProductSales {
    /// Id of the product.
    pub product_id: i64,
    /// Units that count as sold.
    pub units: i64,
    /// Their value in minor units.
    pub sales: i64,
}

/// What the figures of a channel or a country are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureGrouping {
    /// By channel.
    Channel,
    /// By country.
    Country,
}

/// Appends the sums of columns.
fn push_sums(sql: &mut SqlBuilder, columns: &[&str]) {
    let sums: Vec<String> = columns.iter().map(|column| format!("CAST(SUM({column}) AS BIGINT) AS {column}")).collect();
    sql.push(&sums.join(", "));
}

/// Appends the condition that a day is in a period.
fn push_period(sql: &mut SqlBuilder, period: DayPeriod) {
    sql.push(" WHERE day BETWEEN ").bind(period.from).push(" AND ").bind(period.to);
}

/// Loads the figures of the days on which there are any. Statements: 1.
pub(in crate::analytics) async fn load_days(db: &impl ConnectionTrait, period: DayPeriod) -> Result<Vec<DayFigures>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT day, ");
    push_sums(&mut sql, &OrderFigures::COLUMNS);
    sql.push(" FROM daily_figure");
    push_period(&mut sql, period);
    sql.push(" GROUP BY day ORDER BY day");
    query_rows(db, sql).await
}

/// Loads the figures by channel or country, those with most sales first. Statements: 1.
pub async fn load_groups(
    db: &impl ConnectionTrait,
    period: DayPeriod,
    grouping: FigureGrouping,
) -> Result<Vec<FigureGroup>> {
    let column = match grouping {
        FigureGrouping::Channel => "channel",
        FigureGrouping::Country => "country",
    };
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push(column).push(" AS key, ");
    push_sums(&mut sql, &OrderFigures::COLUMNS);
    sql.push(" FROM daily_figure");
    push_period(&mut sql, period);
    sql.push(" GROUP BY ").push(column).push(" ORDER BY SUM(total_sales) DESC, ").push(column);
    query_rows(db, sql).await
}

/// Loads the figures of the carts of the days on which there are any. Statements: 1.
pub(in crate::analytics) async fn load_carts(db: &impl ConnectionTrait, period: DayPeriod) -> Result<Vec<DayCarts>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT day, carts, ordered_carts FROM daily_cart_figure");
    push_period(&mut sql, period);
    sql.push(" ORDER BY day");
    query_rows(db, sql).await
}

/// Loads the products of which most units were sold. Statements: 1.
pub async fn load_best_sellers(db: &impl ConnectionTrait, period: DayPeriod, limit: u32) -> Result<Vec<ProductSales>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT product_id, ");
    push_sums(&mut sql, &["units", "sales"]);
    sql.push(" FROM daily_product_figure");
    push_period(&mut sql, period);
    sql.push(" GROUP BY product_id HAVING SUM(units) > 0 ORDER BY SUM(units) DESC, SUM(sales) DESC, product_id LIMIT ");
    sql.push(&limit.to_string());
    query_rows(db, sql).await
}

/// Loads the figures of a period by day, channel and country, in order. Statements: 1.
pub(in crate::analytics) async fn load_detailed_figures(
    db: &impl ConnectionTrait,
    period: DayPeriod,
) -> Result<Vec<DetailedFigures>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT day, channel, country, ").push(&OrderFigures::COLUMNS.join(", ")).push(" FROM daily_figure");
    push_period(&mut sql, period);
    sql.push(" ORDER BY day, channel, country");
    query_rows(db, sql).await
}
