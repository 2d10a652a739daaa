//! Shops of thousands of products, written without the checks of a product's write.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use savannah::{
    base::text,
    catalog::{
        PublicationStatus, product, queries::search_index::store_search_documents, search::SearchDocument, variant,
    },
};
use sea_orm::{ActiveModelTrait, IntoActiveModel};

use super::{TestApp, catalog_model::SeededRng, parse_datetime};

/// The number of products of a random shop: more than a walk reads.
const RANDOM_PRODUCT_COUNT: usize = 6_000;

/// A product of a shop.
#[derive(Debug, Clone)]
pub struct ShopProduct {
    pub id: i64,
    pub name: String,
    /// Words that are searched besides the name and the SKU.
    pub other_words: Vec<String>,
    pub sku: String,
    pub created_at: DateTime<Utc>,
    pub is_active: bool,
    pub in_stock: bool,
    /// In minor units.
    pub price: i64,
}

impl ShopProduct {
    fn to_model(&self) -> product::Model {
        product::Model {
            id: self.id,
            slug: format!("p{}", self.id),
            name: self.name.clone(),
            name_normalized: text::normalize_for_search(&self.name),
            category_id: 1,
            status: if self.is_active { PublicationStatus::Active } else { PublicationStatus::Draft },
            sku: self.sku.clone(),
            price: self.price,
            current_price: self.price,
            max_current_price: self.price,
            in_stock: self.in_stock,
            ranked_at: self.created_at,
            version: 1,
            created_at: self.created_at,
            updated_at: self.created_at,
            ..product::Model::default()
        }
    }

    fn to_variant(&self) -> variant::Model {
        variant::Model {
            id: self.id,
            product_id: self.id,
            sku: self.sku.clone(),
            name: "Default".to_owned(),
            price: self.price,
            version: 1,
            created_at: self.created_at,
            updated_at: self.created_at,
            ..variant::Model::default()
        }
    }

    fn to_document(&self) -> SearchDocument {
        let mut document = SearchDocument::default();
        document.add_name(&self.name);
        document.add_text(&self.sku);
        document.add_text(&self.other_words.join(" "));
        document
    }
}

/// Inserts the products of an empty shop into one category.
pub async fn insert_products(app: &TestApp, products: &[ShopProduct]) {
    app.create_categories(std::iter::once(vec!["Things".to_owned()])).await;
    for products in products.chunks(1_000) {
        let write = app.db.write(async |tx| {
            let rows: Vec<_> =
                products.iter().map(|product| product.to_model().into_active_model().reset_all()).collect();
            tx.insert_rows(&rows).await?;
            let rows: Vec<_> =
                products.iter().map(|product| product.to_variant().into_active_model().reset_all()).collect();
            tx.insert_rows(&rows).await?;
            let documents: BTreeMap<i64, SearchDocument> =
                products.iter().map(|product| (product.id, product.to_document())).collect();
            store_search_documents(tx, &documents).await
        });
        write.await.unwrap_or_else(|error| panic!("products not saved: {}", error.log_message()));
    }
    if app.db.backend() == sea_orm::DbBackend::Postgres {
        app.execute_sql("ANALYZE").await.expect("statistics");
    }
}

/// Returns a shop of random products: words in the names or elsewhere, of all products or of the oldest or newest only,
/// times that do not follow the ids, names that many products have.
pub fn generate_shop(rng: &mut SeededRng) -> Vec<ShopProduct> {
    const NAMES: [&str; 6] = ["Basket", "Lamp", "Chair", "Bask", "Rug", "Kettle"];
    const COLORS: [&str; 4] = ["red", "blue", "banana", "basalt"];
    let generate = |number: usize| {
        let age = rng.next_below(4_000);
        let mut name = (*rng.pick(&NAMES)).to_owned();
        if !rng.one_in(3) {
            name = format!("{name} {}", rng.pick(&COLORS));
        }
        if rng.one_in(4) {
            name = format!("Large {name}");
        }
        if age > 3_900 {
            name.push_str(" antique");
        }
        if age < 60 && rng.one_in(3) {
            name.push_str(" novel");
        }
        // A word of one letter, with which other words begin.
        if number % 17 == 3 {
            name = if number.is_multiple_of(2) { format!("B {name}") } else { format!("{name} b") };
        }
        let mut other_words = vec![format!("s{number}"), (*rng.pick(&["cotton", "wood", "steel"])).to_owned()];
        if rng.one_in(50) {
            other_words.push("basket".to_owned());
        }
        if age > 3_950 {
            other_words.push("museum".to_owned());
        }
        ShopProduct {
            id: i64::try_from(number).expect("few") + 1,
            name,
            other_words,
            sku: if number % 997 == 5 { format!("Rug Red-{number}") } else { format!("S{number}") },
            created_at: parse_datetime("2026-10-01T00:00:00Z") - TimeDelta::seconds(i64::try_from(age).expect("few")),
            is_active: !rng.one_in(20),
            in_stock: !rng.one_in(3),
            price: i64::try_from(rng.next_below(50)).expect("few") * 100,
        }
    };
    (0..RANDOM_PRODUCT_COUNT).map(generate).collect()
}
