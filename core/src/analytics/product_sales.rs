//! Units sold of each product in the last 90 days, for the sort order by sales. Kept from the events of orders.

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use super::{entity::counted_sale, queries};
use crate::{
    base::Result,
    infra::{Db, Tx, outbox::DeliveredEvent},
    order::{self, OrderLineRow, OrderPlaced, OrderStatusChanged, Status},
    payment::events::OrderUnitsCanceled,
};

/// The period in which a sale counts.
const SALES_PERIOD: TimeDelta = TimeDelta::days(90);

/// Counts the units of a placed order.
pub async fn count_placed_order(tx: &Tx, delivered: &DeliveredEvent<OrderPlaced>) -> Result<()> {
    count_order(tx, delivered.event.order).await
}

/// Counts the units of an order again after its status changed: those of a canceled order do not count.
pub async fn count_order_after_status_change(tx: &Tx, delivered: &DeliveredEvent<OrderStatusChanged>) -> Result<()> {
    if delivered.event.to == Status::Canceled { count_order(tx, delivered.event.order).await } else { Ok(()) }
}

/// Counts the units of an order again after some were canceled.
pub async fn count_order_after_cancellation(tx: &Tx, delivered: &DeliveredEvent<OrderUnitsCanceled>) -> Result<()> {
    count_order(tx, delivered.event.order).await
}

/// Stores the units of an order that count as sold, by its current state. So an event may be delivered again, and the
/// order of the events does not matter. Statements: 3.
async fn count_order(tx: &Tx, order_id: i64) -> Result<()> {
    let Some(order) = order::queries::find_order_by_id(tx, order_id).await? else { return Ok(()) };
    // Its rows may have been deleted.
    if order.placed_at <= tx.now() - SALES_PERIOD {
        return Ok(());
    }
    let lines = order::queries::load_lines_of_order(tx, order_id).await?;
    let sold_units = |line: &OrderLineRow| match order.status {
        Status::Canceled => 0,
        _ => line.quantity - line.quantity_canceled,
    };
    let to_row = |line: &OrderLineRow| {
        Some(counted_sale::ActiveModel {
            order_line_id: Set(line.id),
            product_id: Set(line.product_id?),
            units: Set(sold_units(line)),
            sold_at: Set(order.placed_at),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        })
    };
    queries::upsert_counted_sales(tx, &lines.iter().filter_map(to_row).collect::<Vec<_>>()).await
}

/// Deletes the sales that no longer count, which subtracts their units.
pub async fn delete_expired_sales(db: &Db) -> Result<()> {
    let expired = counted_sale::Entity::find().filter(counted_sale::Column::SoldAt.lte(db.now() - SALES_PERIOD));
    db.delete_in_batches(counted_sale::Column::OrderLineId, expired).await
}
