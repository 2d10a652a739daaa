//! Seeding of a large, deterministic demo catalog.

use iso_currency::Currency;

use super::{Progress, demo_data::CatalogGenerator, import::store_product_batch};
use crate::{
    base::{Error, Money, Result},
    catalog::{ProductInput, category::CategoryIndex},
    infra::Db,
};

/// The number of products per transaction.
const SEED_BATCH_SIZE: u64 = 500;

/// Creates or updates `categories` categories and `products` products.
pub async fn seed_demo_catalog(
    db: &Db,
    currency: Currency,
    (products, categories): (u64, u64),
    progress: &Progress,
) -> Result<()> {
    let generator = CatalogGenerator::new(products, categories, Money::decimal_places(currency));
    let create_categories = db.write(async |tx| {
        let mut category_index = CategoryIndex::load(tx).await?;
        for index in 0..categories {
            let path = generator.category_path(index);
            if !path.is_empty() {
                category_index.ensure_path(&path).await?;
            }
        }
        category_index.finish().await
    });
    create_categories.await?;
    let mut start = 0;
    while start < products {
        let end = products.min(start + SEED_BATCH_SIZE);
        let batch: Vec<ProductInput> = (start..end).map(|index| generator.generate_product(index)).collect();
        let summary = db.write(async |tx| store_product_batch(tx, currency, &batch).await).await?;
        if let Some((_, reason)) = summary.rejected.first() {
            return Err(Error::internal("seeding demo products", reason.as_str()));
        }
        progress.add_items(batch.len());
        start = end;
    }
    Ok(())
}
