//! Initialization of the database: current schema and matching currency.

use sea_orm::ConnectionTrait;

use super::{Config, Db, Tx, config::ShopMode};
use crate::base::{Clock, Result};

/// Applies pending migrations where that is safe, and checks the currency.
///
/// In production on PostgreSQL another version may be running on the same database; there the operator runs the
/// migrations.
///
/// # Errors
/// Returns a message for the operator.
pub async fn ensure_initialized(db: &Db, config: &Config) -> Result<(), String> {
    let migration_failed =
        |error: sea_orm::DbErr| format!("the database's schema could not be brought up to date: {error}");
    let pending_count = db.count_pending_migrations().await.map_err(migration_failed)?;
    if pending_count > 0 {
        if config.shop.mode == ShopMode::Production && db.sql().is_postgres() {
            return Err(format!("the database lacks {pending_count} migrations: run `savannah migrate` first"));
        }
        // The timeouts of requests are too short for migrations.
        let unlimited_db = Db::connect(&config.database.without_limits(), Clock::default()).await?;
        unlimited_db.migrate_schema(None).await.map_err(migration_failed)?;
        unlimited_db.close().await;
        tracing::info!(migrations = pending_count, "migrations applied");
    }
    ensure_currency(db, config.shop.currency.code()).await
}

/// Locks the shop row for the transaction, so that initialization runs one at a time.
pub async fn lock_shop(tx: &Tx) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("SELECT id FROM shop");
    if sql.is_postgres() {
        sql.push(" FOR UPDATE");
    }
    tx.query_all_raw(sql.into_statement()).await?;
    Ok(())
}

/// Stores the currency or compares it: prices are stored without currency, so it must never change.
async fn ensure_currency(db: &Db, code: &str) -> Result<(), String> {
    let currency_read = db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("INSERT INTO shop (id, currency, created_at, updated_at) VALUES (1, ").bind(code).push(", ");
        sql.bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (id) DO NOTHING");
        tx.execute_raw(sql.into_statement()).await?;
        let mut sql = tx.sql();
        sql.push("SELECT currency FROM shop");
        let row = tx.query_one_raw(sql.into_statement()).await?;
        Ok(row.map_or(Ok(code.to_owned()), |row| row.try_get("", "currency"))?)
    });
    let stored_currency: String = currency_read.await.map_err(|error| error.log_message())?;
    if stored_currency == code {
        return Ok(());
    }
    Err(format!(
        "the prices in the database are in {stored_currency}, but shop.currency says {code}: set SAVANNAH_SHOP__CURRENCY={stored_currency}"
    ))
}
