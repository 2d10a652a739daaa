//! Statements of analytics as text.

use sea_orm::ConnectionTrait;

use super::entity::counted_sale;
use crate::{base::Result, infra::Tx};

/// Inserts the units of order lines, or sets those that differ. Statements: 1, none without rows.
///
/// As text, because it is a bulk insert with a conditional conflict clause.
pub(super) async fn upsert_counted_sales(tx: &Tx, rows: &[counted_sale::ActiveModel]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.insert_models(rows).push(
        " ON CONFLICT (order_line_id) DO UPDATE SET units = excluded.units, updated_at = excluded.updated_at \
         WHERE counted_sale.units <> excluded.units",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}
