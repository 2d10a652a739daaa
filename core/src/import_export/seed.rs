//! Seeding of a large, deterministic demo catalog.

use chrono::DateTime;
use demo_data::{DemoProduct, DemoStatus, DemoVariant};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::Progress;
use crate::{
    base::{Error, Money, Patch, Result},
    catalog::{CategoryInput, ProductPatch, PublicationStatus, SaleInput, VariantPatch, category::CategoryIndex},
    infra::Db,
    inventory,
};
pub use demo_data::CatalogGenerator;

/// The number of products per transaction.
const SEED_BATCH_SIZE: u64 = 500;
/// The maximum number of decimal places of a price.
const MAX_DECIMALS: u32 = 4;

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
    let generator = CatalogGenerator::new(products, categories);
    let decimals = Money::decimal_places(currency);
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
        let demo_products = (start..end).map(|index| generator.generate_product(index));
        let batch: Vec<ProductPatch> = demo_products.map(|product| to_product_patch(product, decimals)).collect();
        let report = db.write(async |tx| inventory::import_products(tx, currency, &batch).await).await?;
        if let Some(message) = report.rejected.first() {
            return Err(Error::internal("seeding demo products", message.reason.as_str()));
        }
        progress.add_items(batch.len());
        start = end;
    }
    Ok(())
}

/// Converts a generated product, with prices in a currency with `decimals` decimal places.
#[must_use]
pub fn to_product_patch(product: DemoProduct, decimals: u32) -> ProductPatch {
    ProductPatch {
        name: Patch::Set(product.name),
        description: Patch::Set(product.description_html),
        vendor: Patch::Set(product.vendor),
        category: Patch::Set(CategoryInput::Path(product.category_path)),
        tags: Patch::Set(product.tags),
        status: Patch::Set(match product.status {
            DemoStatus::Active => PublicationStatus::Active,
            DemoStatus::Draft => PublicationStatus::Draft,
            DemoStatus::Archived => PublicationStatus::Archived,
        }),
        featured: Patch::Set(product.featured),
        options: Patch::Set(product.options.into_iter().map(Into::into).collect()),
        variants: product.variants.into_iter().map(|variant| to_variant_patch(variant, decimals)).collect(),
        ..ProductPatch::for_slug(product.slug)
    }
}

fn to_variant_patch(variant: DemoVariant, decimals: u32) -> VariantPatch {
    let to_time = |seconds: u64| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0);
    let mut patch = VariantPatch {
        sku: Patch::Set(variant.sku),
        options: Patch::Set(variant.options),
        price: Patch::Set(to_amount(variant.price, decimals)),
        sale_price: Patch::Clear,
        on_hand: Patch::from_provided(i64::try_from(variant.on_hand).ok()),
        weight_grams: Patch::from_provided(i64::try_from(variant.weight_grams).ok()),
        ..VariantPatch::default()
    };
    if let Some(sale) = variant.sale {
        patch.set_sale(SaleInput {
            price: to_amount(sale.price, decimals),
            starts_at: sale.period.and_then(|(start, _)| to_time(start)),
            ends_at: sale.period.and_then(|(_, end)| to_time(end)),
        });
    }
    patch
}

/// Converts whole units of a currency to an amount with its decimal places.
fn to_amount(units: u64, decimals: u32) -> Decimal {
    let decimals = decimals.min(MAX_DECIMALS);
    let minor_units = units.saturating_mul(10_u64.pow(decimals));
    Decimal::new(i64::try_from(minor_units).unwrap_or(i64::MAX), decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_the_decimals_of_the_currency() {
        let generator = CatalogGenerator::new(10, 1);
        for decimals in [0, 2, 3] {
            let inputs = (0..10).map(|index| to_product_patch(generator.generate_product(index), decimals));
            let mut variants = inputs.flat_map(|input| input.variants);
            assert!(variants.all(|variant| variant.price.value().is_some_and(|price| price.scale() == decimals)));
        }
    }
}
