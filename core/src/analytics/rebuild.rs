//! Rebuild of the figures from the orders and carts, in batches, while the shop sells.
//!
//! Each batch is a transaction under the lock of all figures, so an event that is handled meanwhile is counted before or
//! after it, by the order's state at that time. What is right is not written again: a rebuild that was stopped is started
//! again from the beginning, and soon passes what it had done.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    cart_figures::recount_carts,
    order_figures::recount_orders,
    period::DayPeriod,
    queries::{self, OrderPosition},
    state::AnalyticsState,
};
use crate::{
    base::{Error, Result},
    import_export::Progress,
    infra::Db,
};

/// The number of orders or carts counted in one transaction.
const BATCH_SIZE: usize = 1_000;

/// What to rebuild.
#[derive(Debug, Clone, Copy)]
pub struct RebuildRequest {
    /// The days; `None` for all, and for the carts.
    pub period: Option<DayPeriod>,
    /// The time zone of the days.
    pub time_zone: Tz,
}

/// What was rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RebuildSummary {
    /// Orders that were read.
    pub orders: u64,
    /// Those of them whose figures were missing or wrong.
    pub corrected_orders: u64,
    /// Days whose sums were computed again.
    pub days: u64,
    /// Carts that were read.
    pub carts: u64,
}

impl fmt::Display for RebuildSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, corrected_orders, days, carts } = self;
        write!(formatter, "{orders} orders, {corrected_orders} of them corrected; {days} days; {carts} carts")
    }
}

/// The end of the time in which orders may have been placed, in days after 1970: the year 9999.
const END_OF_TIME: TimeDelta = TimeDelta::days(2_932_532);

/// Returns the times of the orders to rebuild.
fn time_range(request: &RebuildRequest) -> (DateTime<Utc>, DateTime<Utc>) {
    let all_time = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + END_OF_TIME);
    request.period.map_or(all_time, |period| period.time_range(request.time_zone))
}

/// Returns the number of orders to rebuild. Statements: 1.
pub async fn count_orders_to_rebuild(db: &Db, request: &RebuildRequest) -> Result<u64> {
    Ok(u64::try_from(queries::count_orders(db, time_range(request)).await?).unwrap_or(0))
}

/// Rebuilds the figures. Uses the memory of one batch.
///
/// # Errors
/// Returns `BadUserInput` if the time zone is another one than that of the figures and only a part is rebuilt.
pub async fn rebuild_figures(db: &Db, request: &RebuildRequest, progress: &Progress) -> Result<RebuildSummary> {
    let mut summary = RebuildSummary::default();
    let is_complete = request.period.is_none();
    db.write_with_retry(async |tx| {
        let state = AnalyticsState::lock(tx).await?;
        if is_complete {
            return AnalyticsState::begin_rebuild(tx, request.time_zone).await;
        }
        if state.time_zone == request.time_zone && state.rebuild_started_at.is_none() {
            return Ok(());
        }
        let message = format!(
            "the days are those of {}, and a rebuild may be unfinished; rebuild all days for {}",
            state.time_zone, request.time_zone
        );
        Err(Error::bad_input("from", message))
    })
    .await?;
    rebuild_orders(db, request, progress, &mut summary).await?;
    rebuild_days(db, request, &mut summary).await?;
    if is_complete {
        rebuild_carts(db, progress, &mut summary).await?;
        db.write_with_retry(async |tx| {
            AnalyticsState::lock(tx).await?;
            AnalyticsState::finish_rebuild(tx).await
        })
        .await?;
    }
    Ok(summary)
}

async fn rebuild_orders(
    db: &Db,
    request: &RebuildRequest,
    progress: &Progress,
    summary: &mut RebuildSummary,
) -> Result<()> {
    let (start, end) = time_range(request);
    // Ids are positive.
    let mut last = OrderPosition { placed_at: start, id: 0 };
    let mut batch_number: u64 = 0;
    loop {
        let batch = queries::list_orders_after(db, last, end, BATCH_SIZE).await?;
        let Some(last_of_batch) = batch.last() else { return Ok(()) };
        let ids: Vec<i64> = batch.iter().map(|order| order.id).collect();
        let corrected = db
            .write_with_retry(async |tx| {
                let state = AnalyticsState::lock(tx).await?;
                recount_orders(tx, &state, &ids).await
            })
            .await?;
        last = *last_of_batch;
        summary.orders += batch.len() as u64;
        summary.corrected_orders += corrected as u64;
        progress.add_items(batch.len());
        batch_number += 1;
        // The plans of the statements suit the size of the tables, which may have been empty.
        if batch_number.is_power_of_two() {
            db.write(async |tx| queries::collect_statistics(tx).await).await?;
        }
    }
}

/// Computes the sums again, a day in each transaction.
async fn rebuild_days(db: &Db, request: &RebuildRequest, summary: &mut RebuildSummary) -> Result<()> {
    for day in queries::list_counted_days(db, request.period).await? {
        db.write_with_retry(async |tx| {
            AnalyticsState::lock(tx).await?;
            queries::rebuild_sums(tx, day).await
        })
        .await?;
        summary.days += 1;
    }
    Ok(())
}

/// Counts the carts that exist. Those that were deleted by their retention stay in the sums.
async fn rebuild_carts(db: &Db, progress: &Progress, summary: &mut RebuildSummary) -> Result<()> {
    let mut last_id = 0;
    loop {
        let ids = queries::list_carts_after(db, last_id, BATCH_SIZE).await?;
        let Some(last_of_batch) = ids.last() else { return Ok(()) };
        db.write_with_retry(async |tx| {
            let state = AnalyticsState::lock(tx).await?;
            recount_carts(tx, &state, &ids).await
        })
        .await?;
        last_id = *last_of_batch;
        summary.carts += ids.len() as u64;
        progress.add_items(ids.len());
    }
}
