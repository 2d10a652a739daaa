//! Catalog fixtures: products and categories without an import file.

use chrono::TimeDelta;
use savannah::{
    base::Patch,
    catalog::{CategoryInput, ProductPatch, VariantPatch, category::CategoryIndex, write::WriteReport},
    import_export::seed::{CatalogGenerator, to_product_patch},
    infra::Db,
    inventory,
};

use super::{Backend, TestApp, catalog_model::ModelProduct, parse_datetime};

/// Number of products and categories of the varied catalog.
const PRODUCT_COUNT: usize = 300;
const CATEGORY_COUNT: u64 = 40;
/// Number of products created at the same time.
const BATCH_SIZE: usize = 25;

impl TestApp {
    /// Saves products with their stock.
    pub async fn save_products(&self, product_inputs: &[ProductPatch]) -> WriteReport {
        let currency = self.http_app.state.config.shop.currency;
        let write = self.db.write(async |tx| inventory::import_products(tx, currency, product_inputs).await);
        let saved = write.await.unwrap_or_else(|error| panic!("products not saved: {}", error.log_message()));
        assert_eq!(saved.rejected, []);
        self.run_clock_tick().await;
        saved
    }

    /// Creates categories with their missing ancestors.
    pub async fn create_categories(&self, paths: impl Iterator<Item = Vec<String>>) {
        create_categories(&self.db, paths).await;
        self.run_clock_tick().await;
    }

    /// Returns the ids of all categories with their paths.
    pub async fn query_category_paths(&self) -> Vec<(String, Vec<String>)> {
        let response = self.query("{ categories { id name descendants { id name ancestors { name } } } }").await;
        let mut all = Vec::new();
        for root in response.data_at("/categories").as_array().expect("a list") {
            for category in std::iter::once(root).chain(root["descendants"].as_array().expect("a list")) {
                let above = category["ancestors"].as_array().into_iter().flatten();
                let path =
                    above.chain([category]).map(|category| category["name"].as_str().expect("a name").to_owned());
                all.push((category["id"].as_str().expect("an id").to_owned(), path.collect()));
            }
        }
        all
    }

    /// Connects to the database as another process would.
    pub async fn open_second_database(&self) -> Db {
        Db::connect(&self.http_app.state.config.database, self.clock.clone()).await.expect("a database")
    }

    /// Starts a server with a varied catalog. Returns it with the model of the catalog.
    pub async fn start_with_varied_catalog(backend: Backend) -> (Self, Vec<ModelProduct>) {
        let app = Self::start(backend).await;
        let generator = CatalogGenerator::new(PRODUCT_COUNT as u64, CATEGORY_COUNT);
        app.create_categories((0..CATEGORY_COUNT).map(|number| generator.category_path(number))).await;
        let generate = |index: usize| to_product_patch(generator.generate_product(index as u64), 2);
        let product_inputs: Vec<_> = (0..PRODUCT_COUNT).map(|index| vary_product(index, generate(index))).collect();
        let mut created_times = Vec::new();
        for batch in product_inputs.chunks(BATCH_SIZE) {
            // Times without a fraction, with three and with six digits: all must sort chronologically.
            let created_at = parse_datetime("2026-11-01T09:00:00Z")
                + TimeDelta::microseconds([0, 250_000, 250_001][created_times.len() % 3]);
            let created_at = created_at + TimeDelta::seconds(i64::try_from(created_times.len() / 3).expect("few"));
            app.clock.set(created_at);
            app.save_products(batch).await;
            created_times.push(created_at);
        }
        let later = parse_datetime("2026-11-01T11:00:00Z");
        app.clock.set(later);
        let retouched: Vec<_> = product_inputs.iter().step_by(10).cloned().map(add_retouched_tag).collect();
        app.save_products(&retouched).await;
        app.execute_sql("UPDATE product SET units_sold = length(slug) % 5").await.expect("an update");
        let products = product_inputs.into_iter().enumerate().map(|(index, product_input)| {
            let (product_input, updated) = if index % 10 == 0 {
                (add_retouched_tag(product_input), later)
            } else {
                (product_input, created_times[index / BATCH_SIZE])
            };
            ModelProduct::from_input(index, &product_input, (created_times[index / BATCH_SIZE], updated), later)
        });
        (app, products.filter(|product| product.is_active).collect())
    }
}

/// Creates categories through any database handle.
pub async fn create_categories(db: &Db, paths: impl Iterator<Item = Vec<String>>) {
    let all = db.write(async |tx| {
        let mut category_index = CategoryIndex::load(tx).await?;
        for path in paths.filter(|path| !path.is_empty()) {
            category_index.ensure_path(&path).await?;
        }
        category_index.finish().await
    });
    all.await.unwrap_or_else(|error| panic!("categories not created: {}", error.log_message()));
}

/// Adds cases that the generator lacks: ties, missing vendors, accents, untracked stock.
fn vary_product(index: usize, mut product_input: ProductPatch) -> ProductPatch {
    if index.is_multiple_of(7) {
        product_input.vendor = Patch::Unchanged;
    }
    if index.is_multiple_of(5) {
        product_input.featured = Patch::Set(true);
    }
    if index % 12 == 1 {
        product_input.name = Patch::Set("Café Crème".into());
    } else if index % 12 == 2 {
        product_input.name = product_input.name.map(|name| format!("Ünder {name}"));
    } else if index % 12 == 3 {
        product_input.name = product_input.name.map(|name| name.to_uppercase());
        product_input.vendor = product_input.vendor.map(|vendor| vendor.to_uppercase());
    }
    if index.is_multiple_of(8) {
        product_input.variants.iter_mut().for_each(|variant| variant.on_hand = Patch::Set(0));
    }
    if index.is_multiple_of(17) {
        product_input.variants.iter_mut().for_each(|variant| variant.on_hand = Patch::Unchanged);
    }
    product_input
}

/// Adds a tag: a change that affects only the time of the last update.
fn add_retouched_tag(product_input: ProductPatch) -> ProductPatch {
    let tags = product_input.tags.into_value().into_iter().flatten().chain(["retouched".to_owned()]).collect();
    ProductPatch { tags: Patch::Set(tags), ..product_input }
}

/// Returns the input of a simple product, in stock, with the SKU `SLUG`.
pub fn simple_product(slug: &str, name: &str, price: i64) -> ProductPatch {
    let variant = VariantPatch {
        sku: Patch::Set(slug.to_uppercase()),
        price: Patch::Set(price.into()),
        on_hand: Patch::Set(5),
        ..VariantPatch::default()
    };
    ProductPatch {
        name: Patch::Set(name.into()),
        category: Patch::Set(CategoryInput::Path(vec!["Things".into()])),
        variants: vec![variant],
        ..ProductPatch::for_slug(slug)
    }
}

impl TestApp {
    /// Returns all rows of the catalog tables, sorted.
    pub async fn dump_tables(&self) -> Vec<String> {
        use sea_orm::{FromQueryResult, JsonValue, Statement};
        const CATALOG_TABLES: [&str; 11] = [
            "category",
            "category_product_count",
            "product",
            "product_description",
            "product_option",
            "product_tag",
            "product_image",
            "variant",
            "variant_option",
            "inventory_level",
            "search_term",
        ];
        let mut all = Vec::new();
        for table in CATALOG_TABLES {
            let statement = Statement::from_string(self.db.backend(), format!("SELECT * FROM {table}"));
            let rows = JsonValue::find_by_statement(statement).all(self.db.writer_connection()).await.expect("rows");
            all.extend(rows.iter().map(|row| format!("{table} {row}")));
        }
        all.sort();
        all
    }
}
