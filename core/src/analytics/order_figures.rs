//! Figures of orders, kept from their events.
//!
//! Each order has rows of what it contributes to the figures of its days; triggers keep the sums. A handler computes the
//! contribution from the order's current state and replaces the rows if they differ. So an event that is delivered again
//! changes nothing, and the order of the events does not matter.

use std::collections::HashMap;

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{
    figure_entity::{order_figure, order_line_figure},
    order_source::{ContributionContext, OrderContribution},
    queries,
    state::AnalyticsState,
};
use crate::{
    base::Result,
    infra::{Tx, eq_any, outbox::DeliveredEvent, sql_builder::group_by_owner},
    order::{OrderPlaced, OrderUpdated},
};

/// Counts a placed order.
pub async fn count_placed_order(tx: &Tx, delivered: &DeliveredEvent<OrderPlaced>) -> Result<()> {
    count_order(tx, delivered.event.order).await
}

/// Counts an order again after it was changed.
pub async fn count_updated_order(tx: &Tx, delivered: &DeliveredEvent<OrderUpdated>) -> Result<()> {
    count_order(tx, delivered.event.order).await
}

/// Stores what an order contributes. Statements: 7 if nothing changed, at most 11.
async fn count_order(tx: &Tx, order_id: i64) -> Result<()> {
    let state = AnalyticsState::lock(tx).await?;
    let mut order_ids = vec![order_id];
    // A later order may have been counted before, as the customer's first one.
    order_ids.extend(queries::find_later_first_orders(tx, order_id).await?);
    recount_orders(tx, &state, &order_ids).await.map(|_| ())
}

/// Stores what orders contribute, by their current state, and returns how many had changed. The caller has locked the
/// state. Statements: 5, and 1 for each kind of rows to delete or insert.
pub(super) async fn recount_orders(tx: &Tx, state: &AnalyticsState, order_ids: &[i64]) -> Result<usize> {
    let sources = queries::load_orders(tx, order_ids).await?;
    let lines = group_by_owner(queries::load_lines(tx, order_ids).await?, |line| line.order_id);
    let refunds = group_by_owner(queries::load_refunds(tx, order_ids).await?, |refund| refund.order_id);
    let mut stored = load_contributions(tx, order_ids).await?;
    let context = ContributionContext { time_zone: state.time_zone, now: tx.now() };
    let mut changed = Vec::new();
    let mut outdated_ids = Vec::new();
    for source in &sources {
        let of_order =
            |id| (lines.get(id).map_or(&[][..], Vec::as_slice), refunds.get(id).map_or(&[][..], Vec::as_slice));
        let (order_lines, order_refunds) = of_order(&source.id);
        let former = stored.remove(&source.id).unwrap_or_default();
        let current = source.contribution(order_lines, order_refunds, former.placement().as_ref(), context);
        if !current.is_equal(&former) {
            if former != OrderContribution::default() {
                outdated_ids.push(source.id);
            }
            changed.push(current);
        }
    }
    if !outdated_ids.is_empty() {
        let ids = || outdated_ids.iter().copied();
        order_figure::Entity::delete_many().filter(eq_any(tx, order_figure::Column::OrderId, ids())).exec(tx).await?;
        let of_orders = eq_any(tx, order_line_figure::Column::OrderId, ids());
        order_line_figure::Entity::delete_many().filter(of_orders).exec(tx).await?;
    }
    let day_rows = changed.iter().flat_map(|contribution| contribution.days.clone());
    tx.insert_rows(&day_rows.map(|row| row.into_active_model().reset_all()).collect::<Vec<_>>()).await?;
    let line_rows = changed.iter().flat_map(|contribution| contribution.lines.clone());
    tx.insert_rows(&line_rows.map(|row| row.into_active_model().reset_all()).collect::<Vec<_>>()).await?;
    Ok(changed.len())
}

/// Loads what is stored of orders. Statements: 2.
async fn load_contributions(tx: &Tx, order_ids: &[i64]) -> Result<HashMap<i64, OrderContribution>> {
    let mut contributions: HashMap<i64, OrderContribution> = HashMap::new();
    let ids = || order_ids.iter().copied();
    let days = order_figure::Entity::find()
        .filter(eq_any(tx, order_figure::Column::OrderId, ids()))
        .order_by_asc(order_figure::Column::Day);
    for row in days.all(tx).await? {
        contributions.entry(row.order_id).or_default().days.push(row);
    }
    let lines = order_line_figure::Entity::find()
        .filter(eq_any(tx, order_line_figure::Column::OrderId, ids()))
        .order_by_asc(order_line_figure::Column::OrderLineId);
    for row in lines.all(tx).await? {
        contributions.entry(row.order_id).or_default().lines.push(row);
    }
    Ok(contributions)
}
