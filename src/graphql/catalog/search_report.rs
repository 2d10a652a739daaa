//! Report of searches, for staff.

use async_graphql::{Context, Object, SimpleObject};

use crate::{
    analytics::period::DayPeriod,
    base::{Error, Result},
    catalog::search::report::{self, SearchReportFilter, SearchReportRow},
    graphql::{
        context::request_context,
        guard::RequirePermission,
        scalars::{CalendarDate, clamp_to_i32},
    },
    identity::Permission,
};

/// Complexity of a report, without its rows.
const REPORT_COST: usize = 200;
/// Default number of search texts.
const DEFAULT_SEARCHES: i32 = 20;
/// Maximum number of search texts.
const MAX_SEARCHES: usize = 100;
/// Maximum number of days of a report.
const MAX_REPORT_DAYS: i64 = 92;

/// Search text with its number of searches.
#[derive(Debug, SimpleObject)]
pub struct TopSearch {
    /// Words of the search text, without case, accents and punctuation; at most 100 characters.
    query: String,
    /// Number of searches.
    searches: i32,
    /// Number of these searches that found nothing.
    searches_without_results: i32,
}

impl From<SearchReportRow> for TopSearch {
    fn from(SearchReportRow { query, search_count, empty_count }: SearchReportRow) -> Self {
        Self { query, searches: clamp_to_i32(search_count), searches_without_results: clamp_to_i32(empty_count) }
    }
}

/// Queries of the report of searches.
#[derive(Debug, Default)]
pub struct SearchReportQuery;

#[Object]
impl SearchReportQuery {
    /// Most frequent searches of shoppers over a period of at most 92 days, by descending number. Only first pages of lists
    /// count. Nothing of who searched is stored; texts that may be email addresses, phone numbers or other numbers of
    /// persons are not counted. Days are those of the shop's time zone. Figures follow within minutes. `BAD_USER_INPUT` if
    /// a day is invalid, or the period ends before it begins or is too long.
    #[graphql(
        guard = "RequirePermission(Permission::CatalogWrite)",
        complexity = "usize::try_from(first).unwrap_or(0).saturating_mul(child_complexity).saturating_add(REPORT_COST)"
    )]
    async fn top_searches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "First day.")] from: CalendarDate,
        #[graphql(desc = "Last day, inclusive.")] to: CalendarDate,
        #[graphql(desc = "Maximum number of search texts (0-100).", default_with = "DEFAULT_SEARCHES")] first: i32,
        #[graphql(
            desc = "Returns only search texts that found nothing, by descending number of searches without results.",
            default
        )]
        without_results: bool,
    ) -> Result<Option<Vec<TopSearch>>> {
        let period = DayPeriod::parse(&from.0, &to.0)?;
        if period.day_count() > MAX_REPORT_DAYS {
            let message = format!("the period has {} days; at most {MAX_REPORT_DAYS}", period.day_count());
            return Err(Error::bad_input("to", message));
        }
        let Some(limit) = usize::try_from(first).ok().filter(|limit| *limit <= MAX_SEARCHES) else {
            return Err(Error::bad_input("first", format!("`first` must be from 0 to {MAX_SEARCHES}")));
        };
        let filter = SearchReportFilter { days: (period.from, period.to), without_results, limit };
        let load = |db| async move { report::load_search_report(&db, filter).await };
        let rows = request_context(ctx).run_expensive_read(load).await?;
        Ok(Some(rows.into_iter().map(TopSearch::from).collect()))
    }
}
