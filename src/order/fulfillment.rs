//! Writes of fulfillments.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};

use super::entity::{fulfillment, fulfillment_line};
use crate::{base::Result, infra::Tx};

/// A fulfillment to insert.
#[derive(Debug, Clone, Default)]
pub struct NewFulfillment {
    /// Order line ids with quantities.
    pub lines: Vec<(i64, i64)>,
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
    let to_row = |(order_line_id, quantity): &(i64, i64)| fulfillment_line::ActiveModel {
        fulfillment_id: Set(fulfillment_id),
        order_line_id: Set(*order_line_id),
        quantity: Set(*quantity),
    };
    tx.insert_rows(&lines.iter().map(to_row).collect::<Vec<_>>()).await?;
    Ok(fulfillment_id)
}

/// Marks the fulfillments of an order as delivered.
pub async fn mark_fulfillments_delivered(tx: &Tx, order_id: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE fulfillment SET delivered_at = ").bind(tx.now()).push(", updated_at = ").bind(tx.now());
    sql.push(" WHERE delivered_at IS NULL AND order_id = ").bind(order_id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}
