//! Sales that begin and end by the clock: what products show follows within a second.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{columns::VariantColumns, entity::product, loader, price, save::ProductsChanged};
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// How many products are repriced in one transaction.
const BATCH: u64 = 200;

/// Brings every product up to date whose price has changed by the clock. One small read when there is none.
///
/// Any number of instances may do this at once: the outcome depends on the time alone.
///
/// # Errors
/// When the database cannot be asked.
pub async fn reprice(db: &Db) -> Result<usize> {
    let mut all = 0;
    loop {
        let due = due(db, db.now()).await?;
        if due.is_empty() {
            return Ok(all);
        }
        all += due.len();
        db.write(async |tx| again(tx, due).await).await?;
    }
}

async fn due(db: &Db, now: chrono::DateTime<chrono::Utc>) -> Result<Vec<i64>> {
    let keys = product::Entity::find()
        .filter(product::Column::RepriceAt.lte(now))
        .order_by_asc(product::Column::RepriceAt)
        .limit(BATCH)
        .select_only()
        .column(product::Column::Id);
    Ok(keys.into_tuple().all(db).await?)
}

async fn again(tx: &Tx, mut products: Vec<i64>) -> Result<()> {
    products.sort_unstable();
    if tx.sql().postgres() {
        // Whoever is changing their variants changes them too: what is read next must be what came of that.
        let mut sql = tx.sql();
        sql.push("SELECT id FROM product WHERE ").any("id", products.iter().copied());
        sql.push(" ORDER BY id FOR NO KEY UPDATE");
        tx.execute_raw(sql.statement()).await?;
    }
    let mut variants: HashMap<i64, Vec<_>> = loader::variants(tx, &products, VariantColumns::ALL).await?;
    for key in &products {
        let derived = price::derive(&variants.remove(key).unwrap_or_default(), tx.now());
        let mut row = product::ActiveModel { id: Set(*key), reprice_at: Set(None), ..Default::default() };
        if let Some(price::Derived { sku, price, sale_price, price_now, price_max, reprice_at }) = derived {
            row.sku = Set(sku);
            row.price = Set(price);
            row.sale_price = Set(sale_price);
            row.price_now = Set(price_now);
            row.price_max = Set(price_max);
            row.reprice_at = Set(reprice_at);
        }
        product::Entity::update(row).exec(tx).await?;
    }
    tx.emit(ProductsChanged { products }).await
}
