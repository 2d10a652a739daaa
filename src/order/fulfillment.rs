//! Writes of fulfillments.

use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    base::{Error, Result},
    infra::Tx,
};

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
pub async fn insert_fulfillment(tx: &Tx, order_id: i64, fulfillment: NewFulfillment) -> Result<i64> {
    let NewFulfillment { lines, carrier, tracking_number, tracking_url } = fulfillment;
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO fulfillment (order_id, carrier, tracking_number, tracking_url, created_at, updated_at) VALUES (",
    );
    sql.bind(order_id).push(", ").bind(carrier).push(", ").bind(tracking_number).push(", ").bind(tracking_url);
    sql.push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(") RETURNING id");
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let fulfillment_id: i64 =
        row.map_or_else(|| Err(Error::internal("sending an order", "no parcel")), |row| Ok(row.try_get_by(0)?))?;
    let columns = [("fulfillment_id", "bigint"), ("order_line_id", "bigint"), ("quantity", "bigint")];
    let rows = lines.iter().map(|(line, quantity)| json!([fulfillment_id, line, quantity])).collect();
    let mut sql = tx.sql();
    sql.insert_rows("fulfillment_line", &columns, rows);
    tx.execute_raw(sql.into_statement()).await?;
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
