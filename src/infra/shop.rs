//! A database that a shop can be run on: its schema current, its currency the one that the prices are in.

use sea_orm::ConnectionTrait;

use super::{Config, Db, Tx, config::Mode};
use crate::base::{Clock, Result};

/// Brings the schema up to date where that is safe to do unasked, and agrees on the currency.
///
/// In production on PostgreSQL another version of the shop may be running on the same database: there a person says when.
///
/// # Errors
/// A sentence for the operator.
pub async fn make_ready(db: &Db, config: &Config) -> Result<(), String> {
    let failed = |why: sea_orm::DbErr| format!("the database's schema could not be brought up to date: {why}");
    let pending = db.count_pending_migrations().await.map_err(failed)?;
    if pending > 0 {
        if config.shop.mode == Mode::Production && db.sql().postgres() {
            return Err(format!("the database lacks {pending} migrations: run `savannah migrate` first"));
        }
        // What a request may take is not what an upgrade takes.
        let unlimited = Db::open(&config.database.without_limits(), Clock::default()).await?;
        unlimited.change_schema(None).await.map_err(failed)?;
        unlimited.close().await;
        tracing::info!(migrations = pending, "the database's schema is up to date");
    }
    agree_on_currency(db, config.shop.currency.code()).await
}

/// Waits for everybody else who prepares the shop in a transaction.
///
/// # Errors
/// When the database refuses.
pub async fn lock(tx: &Tx) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("SELECT id FROM shop");
    if sql.postgres() {
        sql.push(" FOR UPDATE");
    }
    tx.query_all_raw(sql.statement()).await?;
    Ok(())
}

/// Prices are stored without their currency, so it may never change unnoticed.
async fn agree_on_currency(db: &Db, code: &str) -> Result<(), String> {
    let agreed = db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("INSERT INTO shop (id, currency, created_at, updated_at) VALUES (1, ").bind(code).push(", ");
        sql.bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (id) DO NOTHING");
        tx.execute_raw(sql.statement()).await?;
        let mut sql = tx.sql();
        sql.push("SELECT currency FROM shop");
        let row = tx.query_one_raw(sql.statement()).await?;
        Ok(row.map_or(Ok(code.to_owned()), |row| row.try_get("", "currency"))?)
    });
    let kept: String = agreed.await.map_err(|why| why.log())?;
    if kept == code {
        return Ok(());
    }
    Err(format!(
        "the prices in the database are in {kept}, but shop.currency says {code}: set SAVANNAH_SHOP__CURRENCY={kept}"
    ))
}
