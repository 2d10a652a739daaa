//! The rows in the database that the input refers to.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    input::{CategoryInput, ProductPatch, ProductSelector, VariantSelector, WriteMode},
    sku::{self, SkuAllocator, SkuOwner, SkuRequest},
};
use crate::{
    base::{Result, text},
    catalog::{
        entity::{category, product, variant},
        loader::{self, VariantOption},
        queries::sku_lookup::{VariantOfSku, load_variants_of_skus},
    },
    infra::{Tx, eq_any, sql_builder::group_by_owner},
};

/// Maximum length of a generated slug in characters.
const MAX_GENERATED_SLUG_LENGTH: usize = 80;
/// Highest number appended to a slug that is taken.
const MAX_SLUG_SUFFIX: u32 = 20;

/// Rows by id.
type RowsById<T> = HashMap<i64, T>;

/// The loaded rows. Statements: 7 at most, for any number of products.
#[derive(Debug, Default)]
pub(super) struct ExistingRows {
    products: RowsById<product::Model>,
    /// All variants of a product, including deleted ones, in order.
    variants: RowsById<Vec<variant::Model>>,
    option_names: RowsById<Vec<String>>,
    variant_options: RowsById<Vec<VariantOption>>,
    active_category_ids: HashSet<i64>,
    product_ids_by_slug: HashMap<String, i64>,
    product_ids_by_variant: RowsById<i64>,
    /// The owners of SKUs.
    pub(super) skus: SkuAllocator,
}

impl ExistingRows {
    pub(super) async fn load(tx: &Tx, mode: WriteMode, patches: &[ProductPatch]) -> Result<Self> {
        let mut rows = Self::default();
        if mode == WriteMode::Repair {
            let requests: Vec<SkuRequest> = patches.iter().flat_map(request_skus).collect();
            rows.load_sku_owners(tx, requests.iter().map(|request| request.sku.as_str()), []).await?;
            let alternatives = sku::collect_alternatives(&requests, &rows.skus.owners);
            if !alternatives.is_empty() {
                rows.load_sku_owners(tx, alternatives.iter().map(String::as_str), []).await?;
            }
            let slugs: BTreeSet<&str> = patches.iter().filter_map(ProductPatch::slug).collect();
            let slugs = slugs.into_iter().map(str::to_owned);
            rows.load_products(tx, eq_any(tx, product::Column::Slug, slugs)).await?;
            return Ok(rows);
        }
        rows.load_selected_variants(tx, patches).await?;
        rows.load_slug_owners(tx, patches).await?;
        let product_ids: HashSet<i64> =
            patches.iter().filter_map(|patch| rows.resolve_product_id(&patch.selector)).collect();
        if !product_ids.is_empty() {
            rows.load_products(tx, eq_any(tx, product::Column::Id, product_ids)).await?;
        }
        if patches.iter().any(|patch| !patch.options.is_unchanged()) && !rows.variants.is_empty() {
            let variant_ids: Vec<i64> = rows.variants.values().flatten().map(|row| row.id).collect();
            rows.variant_options = loader::load_variant_options(tx, &variant_ids).await?;
        }
        rows.load_categories(tx, patches).await?;
        Ok(rows)
    }

    /// Loads the owners of the SKUs and the variants that edits refer to.
    async fn load_selected_variants(&mut self, tx: &Tx, patches: &[ProductPatch]) -> Result<()> {
        let mut variant_ids = HashSet::new();
        let mut skus = HashSet::new();
        for patch in patches {
            match &patch.selector {
                ProductSelector::ByVariantId { variant_id, .. } => variant_ids.extend([*variant_id]),
                ProductSelector::Sku(sku) => skus.extend([sku.trim()]),
                _ => {}
            }
            for variant in &patch.variants {
                skus.extend(variant.sku.value().map(|sku| sku.trim()));
                if let VariantSelector::Id(variant_id) | VariantSelector::Delete(variant_id) = variant.selector {
                    variant_ids.insert(variant_id);
                }
            }
        }
        self.load_sku_owners(tx, skus, variant_ids).await
    }

    /// Loads variants by SKU or id.
    async fn load_sku_owners<'a>(
        &mut self,
        tx: &Tx,
        skus: impl IntoIterator<Item = &'a str>,
        variant_ids: impl IntoIterator<Item = i64>,
    ) -> Result<()> {
        for VariantOfSku { variant_id, product_id, sku, is_deleted } in
            load_variants_of_skus(tx, skus, variant_ids).await?
        {
            self.skus.owners.insert(sku, SkuOwner { variant_id, product_id, is_deleted });
            self.product_ids_by_variant.insert(variant_id, product_id);
        }
        Ok(())
    }

    /// Loads the owners of the slugs that are given or may be generated from a name.
    async fn load_slug_owners(&mut self, tx: &Tx, patches: &[ProductPatch]) -> Result<()> {
        let mut slugs = HashSet::new();
        for patch in patches {
            if let ProductSelector::Slug(slug) = &patch.selector {
                slugs.insert(slug.clone());
            }
            match (patch.slug(), patch.name.value()) {
                (Some(slug), _) => slugs.extend([slug.to_owned()]),
                (None, Some(name)) => slugs.extend(generate_slug_candidates(name)),
                (None, None) => {}
            }
        }
        if slugs.is_empty() {
            return Ok(());
        }
        let query = product::Entity::find()
            .select_only()
            .columns([product::Column::Slug, product::Column::Id])
            .filter(eq_any(tx, product::Column::Slug, slugs));
        self.product_ids_by_slug.extend(query.into_tuple::<(String, i64)>().all(tx).await?);
        Ok(())
    }

    /// Loads products with their variants and option names. Locks the products until the transaction ends, because
    /// stock updates and scheduled price changes write them too. Concurrent orders may still reference them: the lock
    /// does not conflict with foreign-key checks.
    async fn load_products(&mut self, tx: &Tx, condition: Expr) -> Result<()> {
        let query = product::Entity::find().filter(condition).order_by_asc(product::Column::Id);
        for row in query.lock(LockType::NoKeyUpdate).all(tx).await? {
            self.product_ids_by_slug.insert(row.slug.clone(), row.id);
            self.products.insert(row.id, row);
        }
        if self.products.is_empty() {
            return Ok(());
        }
        let product_ids: Vec<i64> = self.products.keys().copied().collect();
        let query = variant::Entity::find()
            .filter(eq_any(tx, variant::Column::ProductId, product_ids.iter().copied()))
            .order_by_asc(variant::Column::ProductId)
            .order_by_asc(variant::Column::Position)
            .order_by_asc(variant::Column::Id);
        self.variants = group_by_owner(query.all(tx).await?, |row: &variant::Model| row.product_id);
        self.option_names = loader::load_option_names(tx, &product_ids).await?;
        Ok(())
    }

    /// Loads which of the categories in the input, and of the deleted products, are active.
    async fn load_categories(&mut self, tx: &Tx, patches: &[ProductPatch]) -> Result<()> {
        let given = patches.iter().filter_map(|patch| match patch.category.value() {
            Some(CategoryInput::Id(category_id)) => Some(*category_id),
            _ => None,
        });
        let deleted_products = self.products.values().filter(|row| row.deleted_at.is_some());
        let category_ids: HashSet<i64> = given.chain(deleted_products.map(|row| row.category_id)).collect();
        if category_ids.is_empty() {
            return Ok(());
        }
        let query = category::Entity::find()
            .select_only()
            .column(category::Column::Id)
            .filter(category::Column::DeletedAt.is_null())
            .filter(eq_any(tx, category::Column::Id, category_ids));
        self.active_category_ids.extend(query.into_tuple::<i64>().all(tx).await?);
        Ok(())
    }

    /// Returns the id of the selected product, if there is one.
    fn resolve_product_id(&self, selector: &ProductSelector) -> Option<i64> {
        match selector {
            ProductSelector::New => None,
            ProductSelector::Id { product_id, .. } => Some(*product_id),
            ProductSelector::ByVariantId { variant_id, .. } => self.product_ids_by_variant.get(variant_id).copied(),
            ProductSelector::Slug(slug) => self.find_product_id_by_slug(slug),
            ProductSelector::Sku(sku) => self.skus.owners.get(sku.trim()).map(|owner| owner.product_id),
        }
    }

    /// Returns the selected product, deleted or not.
    pub(super) fn find_product(&self, selector: &ProductSelector) -> Option<&product::Model> {
        self.products.get(&self.resolve_product_id(selector)?)
    }

    /// Returns the id of the product with a slug.
    pub(super) fn find_product_id_by_slug(&self, slug: &str) -> Option<i64> {
        self.product_ids_by_slug.get(slug).copied()
    }

    /// Returns all variants of a product, including deleted ones.
    pub(super) fn variants(&self, product_id: i64) -> &[variant::Model] {
        self.variants.get(&product_id).map_or(&[], Vec::as_slice)
    }

    /// Returns the option names of a product.
    pub(super) fn option_names(&self, product_id: i64) -> &[String] {
        self.option_names.get(&product_id).map_or(&[], Vec::as_slice)
    }

    /// Returns an option value of a variant; empty if there is none.
    pub(super) fn option_value(&self, variant_id: i64, option_index: usize) -> String {
        let values = self.variant_options.get(&variant_id);
        values.and_then(|values| values.get(option_index)).map_or_else(String::new, |option| option.value.clone())
    }

    /// Returns whether an active category exists.
    pub(super) fn has_category(&self, category_id: i64) -> bool {
        self.active_category_ids.contains(&category_id)
    }
}

/// Returns the valid SKU requests of an imported product.
fn request_skus(patch: &ProductPatch) -> impl Iterator<Item = SkuRequest> {
    let slug = patch.slug().unwrap_or_default();
    patch.variants.iter().filter_map(move |variant| SkuRequest::from_patch(slug, variant).ok())
}

/// Returns the slug candidates for a product name, preferred ones first.
pub(super) fn generate_slug_candidates(name: &str) -> impl Iterator<Item = String> {
    let generated = text::slugify(name, MAX_GENERATED_SLUG_LENGTH);
    let base_slug = if generated.is_empty() { "product".to_owned() } else { generated };
    let numbered = base_slug.clone();
    std::iter::once(base_slug).chain((2..=MAX_SLUG_SUFFIX).map(move |number| format!("{numbered}-{number}")))
}
