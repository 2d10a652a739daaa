//! Seeding of a large, deterministic demo catalog.

use iso_currency::Currency;

use super::{Progress, demo_data::CatalogGenerator};
use crate::{
    base::{Error, Money, Result},
    catalog::{ProductPatch, category::CategoryIndex},
    infra::Db,
    inventory,
};

/// The number of products per transaction.
const SEED_BATCH_SIZE: u64 = 500;

/// Size of a demo catalog.
#[derive(Debug, Clone, Copy)]
pub struct DemoCatalogSize {
    /// Number of products.
    pub products: u64,
    /// Number of categories.
    pub categories: u64,
}

/// Creates or updates the categories and products of a demo catalog.
pub async fn seed_demo_catalog(db: &Db, currency: Currency, size: DemoCatalogSize, progress: &Progress) -> Result<()> {
    let DemoCatalogSize { products, categories } = size;
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
        let batch: Vec<ProductPatch> = (start..end).map(|index| generator.generate_product(index)).collect();
        let report = db.write(async |tx| inventory::import_products(tx, currency, &batch).await).await?;
        if let Some(message) = report.rejected.first() {
            return Err(Error::internal("seeding demo products", message.reason.as_str()));
        }
        progress.add_items(batch.len());
        start = end;
    }
    Ok(())
}
