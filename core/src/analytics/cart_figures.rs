//! Figures of carts: how many were filled, and how many of them were ordered.
//!
//! A schedule reads the events of carts in the order of their positions, and stores the position in the same transaction.
//! There are many events of carts, so there is no delivery for each: several changes of a cart are counted at once.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, FromQueryResult, Set};

use super::{figure_entity::cart_figure, period::day_of, queries, state::AnalyticsState};
use crate::{
    base::Result,
    cart::{CartChanged, CartStatus},
    infra::{Db, Tx, outbox::Event},
};

/// The number of events read in one transaction.
const EVENT_BATCH_SIZE: usize = 2_000;
/// The number of rows deleted in one transaction.
const DELETE_BATCH_SIZE: usize = 1_000;

/// A cart.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct CountedCart {
    id: i64,
    status: String,
    created_at: DateTime<Utc>,
    has_lines: bool,
}

/// Counts the carts whose events were not counted yet. Statements: 3 per batch of events, and 2 if carts changed.
pub async fn count_changed_carts(db: &Db) -> Result<()> {
    loop {
        let event_count = db
            .write(async |tx| {
                let state = AnalyticsState::lock(tx).await?;
                let events = queries::list_events_after(tx, state.cart_position, EVENT_BATCH_SIZE).await?;
                let Some(last) = events.last() else { return Ok(0) };
                let changed = events.iter().filter(|event| event.event_type == CartChanged::KIND);
                let cart_ids: BTreeSet<i64> =
                    changed.filter_map(|event| event.aggregate.strip_prefix("cart:")?.parse().ok()).collect();
                recount_carts(tx, &state, &cart_ids.into_iter().collect::<Vec<_>>()).await?;
                AnalyticsState::set_cart_position(tx, last.position).await?;
                Ok(events.len())
            })
            .await?;
        if event_count < EVENT_BATCH_SIZE {
            return Ok(());
        }
    }
}

/// Stores whether carts count and were ordered, by their current state. An empty cart is not counted before it has been
/// filled. Statements: 2, none without carts.
pub(super) async fn recount_carts(tx: &Tx, state: &AnalyticsState, cart_ids: &[i64]) -> Result<()> {
    if cart_ids.is_empty() {
        return Ok(());
    }
    let to_row = |cart: CountedCart| {
        let is_ordered = cart.status == CartStatus::Ordered.to_value();
        // The lines of a merged cart are in another cart, which counts.
        let is_merged = cart.status == CartStatus::Merged.to_value();
        (cart.has_lines || is_ordered || is_merged).then(|| cart_figure::ActiveModel {
            cart_id: Set(cart.id),
            day: Set(day_of(cart.created_at, state.time_zone)),
            carts: Set(i64::from(!is_merged)),
            ordered_carts: Set(i64::from(is_ordered)),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        })
    };
    let carts = queries::load_carts(tx, cart_ids).await?;
    queries::upsert_cart_figures(tx, &carts.into_iter().filter_map(to_row).collect::<Vec<_>>()).await
}

/// Deletes the figures of carts that were deleted by their retention. They cannot change any more, and their sums stay.
pub async fn delete_figures_of_deleted_carts(db: &Db) -> Result<()> {
    loop {
        let delete_batch = async |tx: &Tx| {
            AnalyticsState::lock(tx).await?;
            queries::delete_figures_of_deleted_carts(tx, DELETE_BATCH_SIZE).await
        };
        if db.write(delete_batch).await? < DELETE_BATCH_SIZE as u64 {
            return Ok(());
        }
    }
}
