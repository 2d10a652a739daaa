//! Removal of personal data from finished orders.
//!
//! As SQL text, because the orders are locked in one order by the statement that changes them, and their addresses are
//! patched inside of the database.

use sea_orm::ConnectionTrait;

use crate::{
    base::Result,
    infra::{Batch, SqlBuilder, Tx},
};

/// JSON patch that removes personal data from an address; the country stays because taxes depend on it.
const ANONYMIZED_ADDRESS_JSON: &str = r#"{"firstName": "", "lastName": "", "company": null, "line1": "", "line2": null, "city": "",
    "region": null, "postalCode": null, "phone": null}"#;

/// The orders to anonymize.
#[derive(Debug, Clone, Copy)]
pub enum AnonymizedOrders<'a> {
    /// The orders of an account.
    Account(i64),
    /// The orders of all erased accounts.
    ErasedAccounts,
    /// The orders of a guest, by e-mail address in lowercase.
    Guest(&'a str),
}

impl AnonymizedOrders<'_> {
    fn push_condition(self, sql: &mut SqlBuilder) {
        match self {
            Self::Account(account_id) => {
                sql.push("JOIN account AS a ON a.id = o.account_id WHERE a.id = ").bind(account_id)
            }
            Self::ErasedAccounts => sql.push("JOIN account AS a ON a.id = o.account_id WHERE a.deleted_at IS NOT NULL"),
            Self::Guest(email) => sql.push("WHERE o.account_id IS NULL AND lower(o.email) = ").bind(email),
        };
    }
}

/// Removes personal data from finished orders, the attributes of their lines and the notes of their histories. Returns
/// the ids of the orders. Statements: 2 on PostgreSQL, 3 on SQLite.
pub async fn anonymize_finished_orders(tx: &Tx, orders: AnonymizedOrders<'_>) -> Result<Vec<i64>> {
    let anonymized_ids = anonymize_rows(tx, orders).await?;
    let mut batch = Batch::default();
    let mut sql = tx.sql();
    sql.push("UPDATE order_line SET attributes = '{}' WHERE attributes <> '{}' AND ");
    sql.eq_any("order_id", anonymized_ids.iter().copied());
    batch.add(sql);
    let mut sql = tx.sql();
    sql.push("UPDATE order_history SET note = NULL WHERE note IS NOT NULL AND ");
    sql.push("(event_type = 'note' OR actor_kind IN ('account', 'anonymous')) AND ")
        .eq_any("order_id", anonymized_ids.iter().copied());
    tx.query_batch(batch, sql).await?;
    Ok(anonymized_ids)
}

async fn anonymize_rows(tx: &Tx, orders: AnonymizedOrders<'_>) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    let (lock_clause, merge_expression) = if sql.is_postgres() {
        (" ORDER BY o.id FOR NO KEY UPDATE OF o)", ["shipping_address || ", "billing_address || "])
    } else {
        (" ORDER BY o.id)", ["json_patch(shipping_address, ", "json_patch(billing_address, "])
    };
    let merge_end = if sql.is_postgres() { "::jsonb" } else { ")" };
    sql.push("UPDATE orders SET email = NULL, phone = NULL, customer_name_normalized = '', note = NULL");
    for (column, merge_expression) in ["shipping_address", "billing_address"].into_iter().zip(merge_expression) {
        sql.push(&format!(", {column} = {merge_expression}'{ANONYMIZED_ADDRESS_JSON}'{merge_end}"));
    }
    sql.push(", version = version + 1, updated_at = ").bind(tx.now()).push(", anonymized_at = ").bind(tx.now());
    sql.push(" WHERE id IN (SELECT o.id FROM orders AS o ");
    orders.push_condition(&mut sql);
    sql.push(" AND o.anonymized_at IS NULL AND o.status IN ('delivered', 'canceled', 'refunded')");
    sql.push(lock_clause).push(" RETURNING id");
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?)
}
