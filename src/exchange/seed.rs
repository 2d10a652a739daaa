//! A large, plausible catalog made quickly, the same every time.

use iso_currency::Currency;

use super::{Progress, generate::Generator, import::store};
use crate::{
    base::{Error, Money, Result},
    catalog::{ProductDraft, category::Book},
    infra::Db,
};

/// How many products one transaction takes.
const BATCH: u64 = 500;

/// Makes `categories` categories and `products` products. What is there of them already is kept up to date.
///
/// # Errors
/// When the database refuses.
pub async fn seed(db: &Db, currency: Currency, (products, categories): (u64, u64), progress: &Progress) -> Result<()> {
    let generator = Generator::new(products, categories, Money::decimals(currency));
    let plant = db.write(async |tx| {
        let mut book = Book::open(tx).await?;
        for number in 0..categories {
            let path = generator.category(number);
            if !path.is_empty() {
                book.ensure(&path).await?;
            }
        }
        book.close().await
    });
    plant.await?;
    let mut from = 0;
    while from < products {
        let to = products.min(from + BATCH);
        let batch: Vec<ProductDraft> = (from..to).map(|number| generator.product(number)).collect();
        let saved = db.write(async |tx| store(tx, currency, &batch).await).await?;
        if let Some((_, reason)) = saved.refused.first() {
            return Err(Error::fault("making demo products", reason.as_str()));
        }
        progress.add(batch.len());
        from = to;
    }
    Ok(())
}
