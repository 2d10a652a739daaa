//! Loading of pages of a search by relevance, and what they show about the search for the next page.

use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    product_queries::ProductRow,
    search_pages::{NOT_WALKED, SearchPage},
    search_tiers::{SearchStep, TierStatement},
};
use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    catalog::search::{tier::SearchTier, way::SearchWays},
};

/// Returns a page of a search by relevance. Statements: 1; 2 if the tiers that filled the first page before do not fill
/// this one.
pub(super) async fn load_tiered_page(
    db: &impl ConnectionTrait,
    ways: &SearchWays,
    page: SearchPage<'_>,
    request: &PageRequest,
) -> Result<Page<ProductRow>> {
    let backend = db.get_database_backend();
    let load = async |last_tier| -> Result<_> {
        let TierStatement { sql, steps, is_complete, .. } = TierStatement::build(backend, ways, page, last_tier)?;
        let rows = db.query_all_raw(sql.into_statement()).await?;
        Ok((rows, steps, is_complete))
    };
    let (mut rows, mut steps, is_complete) = load(ways.find_last_tier(page.list)).await?;
    if !is_complete && rows.len() < page.keyset.row_limit() {
        (rows, steps, _) = load(None).await?;
    }
    if request.cursor.is_none() {
        learn_from_walks(ways, page, &steps, &rows)?;
        learn_last_tier(ways, page, &rows)?;
    }
    let first_index = 1 + steps.iter().filter(|step| step.is_walk).count();
    let to_row = |row: &QueryResult| ProductRow::read(row, page.columns, first_index, row.try_get_by(0)?);
    let rows = rows.iter().map(to_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(rows, request))
}

/// Learns from the walks of the tiers that the page has reached. Behind the tier, each row has the number of products of
/// each walk.
fn learn_from_walks(ways: &SearchWays, page: SearchPage<'_>, steps: &[SearchStep], rows: &[QueryResult]) -> Result<()> {
    let limit = page.keyset.row_limit();
    let tiers: Vec<i32> = rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?;
    for (index, step) in steps.iter().filter(|step| step.is_walk).enumerate() {
        let is_before = |rank: &&i32| page.list.is_tier_before(**rank, step.tier.rank());
        let earlier_count = tiers.iter().filter(is_before).count();
        if earlier_count < limit {
            let walked: i64 = rows.first().map_or(Ok(NOT_WALKED), |row| row.try_get_by(1 + index))?;
            let is_filled = usize::try_from(walked).is_ok_and(|walked| earlier_count + walked >= limit);
            ways.learn(page.list, Some(step.tier), is_filled);
        }
    }
    Ok(())
}

/// Learns which tier filled the page, if it is full.
fn learn_last_tier(ways: &SearchWays, page: SearchPage<'_>, rows: &[QueryResult]) -> Result<()> {
    let is_full = rows.len() >= page.keyset.row_limit();
    let last_rank: Option<i32> = rows.last().filter(|_| is_full).map(|row| row.try_get_by(0)).transpose()?;
    ways.learn_last_tier(page.list, last_rank.and_then(|rank| SearchTier::from_rank(rank.into())));
    Ok(())
}
