//! Initialization of the database: current schema and matching currency.

use sea_orm::{EntityTrait, QuerySelect, Set};
use uuid::Uuid;

use super::{Config, Db, RedisClient, Tx, config::ShopMode, entity::shop};
use crate::base::{Clock, Result};

/// The id of the only row of `shop`.
const SHOP_ID: i16 = 1;

/// Applies pending migrations where that is safe, and checks the currency.
///
/// In production on PostgreSQL another version may be running on the same database; there the operator runs the
/// migrations.
///
/// # Errors
/// Returns a message for the operator.
pub async fn ensure_initialized(db: &Db, config: &Config) -> Result<(), String> {
    let migration_failed = |error: sea_orm::DbErr| format!("the database's schema could not be migrated: {error}");
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
    shop::Entity::find().lock_exclusive().all(tx).await?;
    Ok(())
}

/// Creates the Redis client of an initialized database.
///
/// # Errors
/// Returns a message for the operator if the URL is invalid or the database cannot be read. An unavailable Redis server
/// is no error.
pub async fn connect_redis(db: &Db, config: &Config) -> Result<RedisClient, String> {
    let shop_row = shop::Entity::find_by_id(SHOP_ID).one(db).await.map_err(|error| error.to_string())?;
    let database_id = shop_row.map(|shop| shop.database_id).ok_or("the database is not initialized")?;
    RedisClient::connect(&config.redis, &database_id).await
}

/// Stores the currency or compares it: prices are stored without currency, so it must never change.
async fn ensure_currency(db: &Db, code: &str) -> Result<(), String> {
    let currency_read = db.write(async |tx| {
        let row = shop::ActiveModel {
            id: Set(SHOP_ID),
            currency: Set(code.to_owned()),
            database_id: Set(Uuid::now_v7().simple().to_string()),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        };
        shop::Entity::insert(row).on_conflict_do_nothing().exec_without_returning(tx).await?;
        let stored = shop::Entity::find_by_id(SHOP_ID).one(tx).await?;
        Ok(stored.map_or_else(|| code.to_owned(), |shop| shop.currency))
    });
    let stored_currency = currency_read.await.map_err(|error| error.log_message())?;
    if stored_currency == code {
        return Ok(());
    }
    Err(format!(
        "the prices in the database are in {stored_currency}, but shop.currency is {code}: set SAVANNAH_SHOP__CURRENCY={stored_currency}"
    ))
}
