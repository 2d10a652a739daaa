//! Seeding of a large, deterministic demo catalog.

use chrono::DateTime;
use demo_data::{DemoProduct, DemoStatus, DemoVariant};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{Progress, import::store_product_batch};
use crate::{
    base::{Error, Money, Result},
    catalog::{ProductInput, PublicationStatus, SaleInput, VariantInput, category::CategoryIndex},
    infra::Db,
};
pub use demo_data::CatalogGenerator;

/// The number of products per transaction.
const SEED_BATCH_SIZE: u64 = 500;
/// The maximum number of decimal places of a price.
const MAX_DECIMALS: u32 = 4;

/// Creates or updates `categories` categories and `products` products.
pub async fn seed_demo_catalog(
    db: &Db,
    currency: Currency,
    (products, categories): (u64, u64),
    progress: &Progress,
) -> Result<()> {
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
        let batch: Vec<ProductInput> = demo_products.map(|product| to_product_input(product, decimals)).collect();
        let summary = db.write(async |tx| store_product_batch(tx, currency, &batch).await).await?;
        if let Some((_, reason)) = summary.rejected.first() {
            return Err(Error::internal("seeding demo products", reason.as_str()));
        }
        progress.add_items(batch.len());
        start = end;
    }
    Ok(())
}

/// Converts a generated product, with prices in a currency with `decimals` decimal places.
#[must_use]
pub fn to_product_input(product: DemoProduct, decimals: u32) -> ProductInput {
    ProductInput {
        slug: product.slug,
        name: Some(product.name),
        description_html: Some(product.description_html),
        vendor: Some(product.vendor),
        category_path: Some(product.category_path),
        tags: Some(product.tags),
        status: Some(match product.status {
            DemoStatus::Active => PublicationStatus::Active,
            DemoStatus::Draft => PublicationStatus::Draft,
            DemoStatus::Archived => PublicationStatus::Archived,
        }),
        featured: Some(product.featured),
        options: product.options,
        variants: product.variants.into_iter().map(|variant| to_variant_input(variant, decimals)).collect(),
        ..ProductInput::default()
    }
}

fn to_variant_input(variant: DemoVariant, decimals: u32) -> VariantInput {
    let to_time = |seconds: u64| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0);
    let sale = variant.sale.map(|sale| SaleInput {
        price: to_amount(sale.price, decimals),
        starts_at: sale.period.and_then(|(start, _)| to_time(start)),
        ends_at: sale.period.and_then(|(_, end)| to_time(end)),
    });
    VariantInput {
        sku: Some(variant.sku),
        options: variant.options,
        price: Some(to_amount(variant.price, decimals)),
        sale: Some(sale),
        on_hand: i64::try_from(variant.on_hand).ok(),
        weight_grams: i64::try_from(variant.weight_grams).ok(),
        ..VariantInput::default()
    }
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
            let inputs = (0..10).map(|index| to_product_input(generator.generate_product(index), decimals));
            let mut variants = inputs.flat_map(|input| input.variants);
            assert!(variants.all(|variant| variant.price.is_some_and(|price| price.scale() == decimals)));
        }
    }
}
