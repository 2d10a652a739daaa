//! Writes of fulfillments.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::entity::{fulfillment, fulfillment_line};
use crate::{base::Result, infra::Tx};

/// A quantity of an order line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineQuantity {
    /// Id of the order line.
    pub line_id: i64,
    /// Number of units.
    pub quantity: i64,
}

/// A fulfillment to insert.
#[derive(Debug, Clone, Default)]
pub struct NewFulfillment {
    /// Shipped quantities of order lines.
    pub lines: Vec<LineQuantity>,
    /// Name of the carrier.
    pub carrier: Option<String>,
    /// Tracking number of the carrier.
    pub tracking_number: Option<String>,
    /// Tracking URL.
    pub tracking_url: Option<String>,
}

/// Inserts a fulfillment of an order with its lines; returns its id.
pub async fn insert_fulfillment(tx: &Tx, order_id: i64, new_fulfillment: NewFulfillment) -> Result<i64> {
    let NewFulfillment { lines, carrier, tracking_number, tracking_url } = new_fulfillment;
    let row = fulfillment::ActiveModel {
        order_id: Set(order_id),
        carrier: Set(carrier),
        tracking_number: Set(tracking_number),
        tracking_url: Set(tracking_url),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let fulfillment_id = row.insert(tx).await?.id;
    let to_row = |line: &LineQuantity| fulfillment_line::ActiveModel {
        fulfillment_id: Set(fulfillment_id),
        order_line_id: Set(line.line_id),
        quantity: Set(line.quantity),
    };
    tx.insert_rows(&lines.iter().map(to_row).collect::<Vec<_>>()).await?;
    Ok(fulfillment_id)
}

/// Marks the fulfillments of an order as delivered.
pub async fn mark_fulfillments_delivered(tx: &Tx, order_id: i64) -> Result<()> {
    let changes =
        fulfillment::ActiveModel { delivered_at: Set(Some(tx.now())), updated_at: Set(tx.now()), ..Default::default() };
    fulfillment::Entity::update_many()
        .set(changes)
        .filter(fulfillment::Column::DeliveredAt.is_null())
        .filter(fulfillment::Column::OrderId.eq(order_id))
        .exec(tx)
        .await?;
    Ok(())
}
