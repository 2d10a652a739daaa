//! Scheduled price changes: products are updated within a second after a sale starts or ends.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    entity::product, events::ProductsChanged, loader, price, product_lock::lock_products, projection::VariantColumns,
};
use crate::{
    base::Result,
    infra::{Db, Tx, eq_any},
};

/// Number of products updated per transaction.
const REFRESH_BATCH_SIZE: u64 = 200;

/// Updates every product whose price is due to change and returns their number. One small read if there is none.
///
/// May run concurrently in any number of instances: the result depends on the time alone.
pub async fn refresh_prices(db: &Db) -> Result<usize> {
    let mut refreshed_count = 0;
    loop {
        let due_ids = find_due_products(db, db.now()).await?;
        if due_ids.is_empty() {
            return Ok(refreshed_count);
        }
        refreshed_count += due_ids.len();
        db.write(async |tx| refresh_product_prices(tx, due_ids).await).await?;
    }
}

async fn find_due_products(db: &Db, now: chrono::DateTime<chrono::Utc>) -> Result<Vec<i64>> {
    let query = product::Entity::find()
        .filter(product::Column::NextPriceChangeAt.lte(now))
        .order_by_asc(product::Column::NextPriceChangeAt)
        .limit(REFRESH_BATCH_SIZE)
        .select_only()
        .column(product::Column::Id);
    Ok(query.into_tuple().all(db).await?)
}

async fn refresh_product_prices(tx: &Tx, mut product_ids: Vec<i64>) -> Result<()> {
    product_ids.sort_unstable();
    if tx.get_database_backend() == DbBackend::Postgres {
        // Edits of the variants lock the products too, so that the variants read next include their changes.
        lock_products(tx, eq_any(tx, product::Column::Id, product_ids.iter().copied()), None).await?;
    }
    let mut variants: HashMap<i64, Vec<_>> = loader::load_variants(tx, &product_ids, VariantColumns::ALL).await?;
    for product_id in &product_ids {
        let derived_prices = price::derive_prices(&variants.remove(product_id).unwrap_or_default(), tx.now());
        let mut row =
            product::ActiveModel { id: Set(*product_id), next_price_change_at: Set(None), ..Default::default() };
        if let Some(price::DerivedPrices {
            sku,
            price,
            sale_price,
            current_price,
            max_current_price,
            discount_percent,
            next_price_change_at,
            sale_ends_at,
        }) = derived_prices
        {
            row.sku = Set(sku);
            row.price = Set(price);
            row.sale_price = Set(sale_price);
            row.current_price = Set(current_price);
            row.max_current_price = Set(max_current_price);
            row.discount_percent = Set(discount_percent);
            row.next_price_change_at = Set(next_price_change_at);
            row.sale_ends_at = Set(sale_ends_at);
        }
        product::Entity::update(row).exec(tx).await?;
    }
    tx.emit_event(ProductsChanged { products: product_ids }).await
}
