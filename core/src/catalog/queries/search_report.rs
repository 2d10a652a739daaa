//! Counts of searches, as text: they are added to those that are stored, up to a number of texts a day, and summed over
//! days.

use std::collections::HashMap;

use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, FromQueryResult, Set};

use crate::{
    base::Result,
    catalog::search::entity::daily_search_count,
    infra::{Db, SqlBuilder, sql_builder::query_rows},
};

/// Number of texts of a day from which on no further ones are stored. Instances that store at the same time may exceed it
/// by what they have counted.
const MAX_TEXTS_PER_DAY: i64 = 10_000;

/// Number of searches of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchCount {
    /// All searches.
    pub searches: i64,
    /// Those that found nothing.
    pub without_results: i64,
}

/// A search text with its number of searches.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct SearchReportRow {
    /// The words of the text, normalized and separated by spaces.
    pub query: String,
    /// Number of searches.
    pub search_count: i64,
    /// Number of searches that found nothing.
    pub empty_count: i64,
}

/// The part of the counts that is reported.
#[derive(Debug, Clone, Copy)]
pub struct SearchReportFilter {
    /// The first and the last day.
    pub days: (NaiveDate, NaiveDate),
    /// Whether only searches that found nothing are reported.
    pub without_results: bool,
    /// Maximum number of texts.
    pub limit: usize,
}

/// Adds counts to those that are stored. Texts beyond the number of a day are not stored. Statements: 1 if there are any.
pub(in crate::catalog) async fn store_search_counts(
    db: &Db,
    counts: &HashMap<(NaiveDate, String), SearchCount>,
) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    db.write(async |tx| {
        let to_row = |((day, query), count): (&(NaiveDate, String), &SearchCount)| daily_search_count::ActiveModel {
            day: Set(*day),
            query: Set(query.clone()),
            search_count: Set(count.searches),
            empty_count: Set(count.without_results),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        };
        let mut sql = tx.sql();
        // In one order, so that instances that store their counts at the same time do not wait for each other in a circle.
        sql.with_models(&counts.iter().map(to_row).collect::<Vec<_>>());
        sql.push(
            ", stored AS (SELECT d.day, COUNT(*) AS text_count FROM daily_search_count AS d \
             WHERE d.day IN (SELECT g.day FROM given AS g) GROUP BY d.day) \
             INSERT INTO daily_search_count (day, query, search_count, empty_count, created_at, updated_at) \
             SELECT g.day, g.query, g.search_count, g.empty_count, g.created_at, g.updated_at FROM given AS g \
             LEFT JOIN stored AS s ON s.day = g.day WHERE COALESCE(s.text_count, 0) < ",
        );
        sql.push(&MAX_TEXTS_PER_DAY.to_string())
            .push(" OR EXISTS (SELECT 1 FROM daily_search_count AS d WHERE d.day = g.day AND d.query = g.query)");
        sql.push(
            " ORDER BY g.day, g.query ON CONFLICT (day, query) DO UPDATE SET search_count = daily_search_count.search_count + \
             excluded.search_count, empty_count = daily_search_count.empty_count + excluded.empty_count, \
             updated_at = excluded.updated_at",
        );
        tx.execute_raw(sql.into_statement()).await?;
        Ok(())
    })
    .await
}

/// Returns the most frequent searches of a period, or those that found nothing most often. Statements: 1.
pub async fn load_search_report(
    db: &impl ConnectionTrait,
    SearchReportFilter { days: (first_day, last_day), without_results, limit }: SearchReportFilter,
) -> Result<Vec<SearchReportRow>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT c.query, CAST(SUM(c.search_count) AS BIGINT) AS search_count");
    sql.push(", CAST(SUM(c.empty_count) AS BIGINT) AS empty_count FROM daily_search_count AS c WHERE c.day >= ");
    sql.bind(first_day).push(" AND c.day <= ").bind(last_day).push(" GROUP BY c.query");
    if without_results {
        sql.push(" HAVING SUM(c.empty_count) > 0");
    }
    let order = if without_results { "empty_count DESC, search_count DESC" } else { "search_count DESC" };
    sql.push(&format!(" ORDER BY {order}, query LIMIT {limit}"));
    query_rows(db, sql).await
}
