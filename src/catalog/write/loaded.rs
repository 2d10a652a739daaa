//! Existing products, slugs, SKUs and categories that product edits refer to.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{ProductPatch, ProductSelector, RowsById, VariantSelector, validate::generate_slug_candidates};
use crate::{
    base::Result,
    catalog::{
        entity::{product, variant},
        loader::{self, VariantOption},
    },
    infra::Tx,
};

/// The loaded rows. Statements: 8 for any number of edits.
#[derive(Debug, Default)]
pub(super) struct LoadedProducts {
    products: RowsById<product::Model>,
    /// All variants of a product, including deleted ones, in order.
    variants: RowsById<Vec<variant::Model>>,
    option_names: RowsById<Vec<String>>,
    variant_options: RowsById<Vec<VariantOption>>,
    category_ids: HashSet<i64>,
    product_ids_by_slug: HashMap<String, i64>,
    /// Variant id and product id by SKU.
    variants_by_sku: HashMap<String, (i64, i64)>,
    /// Ids of variants that are deleted, by themselves or with their product.
    deleted_variant_ids: HashSet<i64>,
    /// Product id by variant id.
    product_ids_by_variant: RowsById<i64>,
}

impl LoadedProducts {
    pub(super) async fn load(tx: &Tx, patches: &[ProductPatch]) -> Result<Self> {
        let mut loaded = Self::default();
        loaded.load_sku_owners(tx, patches).await?;
        loaded.load_slug_owners(tx, patches).await?;
        let product_ids: HashSet<i64> =
            patches.iter().filter_map(|patch| loaded.resolve_product_id(&patch.selector)).collect();
        if !product_ids.is_empty() {
            loaded.load_products(tx, product_ids, patches.iter().any(|patch| patch.options.is_some())).await?;
        }
        let former_category_ids =
            loaded.products.values().filter(|row| row.deleted_at.is_some()).map(|row| row.category_id);
        let category_ids: HashSet<i64> =
            patches.iter().filter_map(|patch| patch.category_id).chain(former_category_ids).collect();
        if !category_ids.is_empty() {
            let mut sql = tx.sql();
            sql.push("SELECT id FROM category WHERE deleted_at IS NULL AND ").eq_any("id", category_ids);
            for row in tx.query_all_raw(sql.into_statement()).await? {
                loaded.category_ids.insert(row.try_get("", "id")?);
            }
        }
        Ok(loaded)
    }

    /// Loads the owners of the SKUs and the variants that the edits refer to.
    async fn load_sku_owners(&mut self, tx: &Tx, patches: &[ProductPatch]) -> Result<()> {
        let mut variant_ids = HashSet::new();
        let mut skus = HashSet::new();
        for patch in patches {
            match &patch.selector {
                ProductSelector::ByVariantId(variant_id, _) => drop(variant_ids.insert(*variant_id)),
                ProductSelector::BySlugOrSku(_, Some(sku)) => drop(skus.insert(sku.trim())),
                _ => {}
            }
            for variant in &patch.variants {
                skus.extend(variant.sku.as_deref().map(str::trim));
                if let VariantSelector::Id(variant_id) | VariantSelector::Delete(variant_id) = variant.selector {
                    variant_ids.insert(variant_id);
                }
            }
        }
        let mut sql = tx.sql();
        sql.push("SELECT v.id, v.product_id, v.sku, COALESCE(v.deleted_at, p.deleted_at) IS NOT NULL AS deleted ");
        sql.push("FROM variant AS v JOIN product AS p ON p.id = v.product_id WHERE ");
        sql.eq_any_text("v.sku", skus).push(" OR ").eq_any("v.id", variant_ids);
        for row in tx.query_all_raw(sql.into_statement()).await? {
            let (variant_id, product_id): (i64, i64) = (row.try_get("", "id")?, row.try_get("", "product_id")?);
            self.variants_by_sku.insert(row.try_get("", "sku")?, (variant_id, product_id));
            self.product_ids_by_variant.insert(variant_id, product_id);
            if row.try_get("", "deleted")? {
                self.deleted_variant_ids.insert(variant_id);
            }
        }
        Ok(())
    }

    /// Loads the owners of the slugs that are given or may be generated from a name.
    async fn load_slug_owners(&mut self, tx: &Tx, patches: &[ProductPatch]) -> Result<()> {
        let selector_slug = |patch: &ProductPatch| match &patch.selector {
            ProductSelector::BySlugOrSku(Some(slug), _) => Some(slug.clone()),
            _ => None,
        };
        let requested_slugs =
            patches.iter().flat_map(|patch| selector_slug(patch).into_iter().chain(patch.slug.clone()));
        let mut slugs: HashSet<String> = requested_slugs.collect();
        let patches_without_slug =
            patches.iter().filter(|patch| patch.slug.is_none() && selector_slug(patch).is_none());
        slugs.extend(patches_without_slug.filter_map(|patch| patch.name.as_deref()).flat_map(generate_slug_candidates));
        if slugs.is_empty() {
            return Ok(());
        }
        let mut sql = tx.sql();
        sql.push("SELECT slug, id FROM product WHERE ").eq_any_text("slug", slugs.iter().map(String::as_str));
        for row in tx.query_all_raw(sql.into_statement()).await? {
            self.product_ids_by_slug.insert(row.try_get("", "slug")?, row.try_get("", "id")?);
        }
        Ok(())
    }

    /// Loads and locks the products until the transaction ends, because stock updates and scheduled price changes write
    /// them too. Concurrent orders may still reference them: the lock does not conflict with foreign-key checks.
    async fn load_products(&mut self, tx: &Tx, product_ids: HashSet<i64>, with_option_values: bool) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("SELECT p.* FROM product AS p WHERE ").eq_any("p.id", product_ids).push(" ORDER BY p.id");
        if sql.is_postgres() {
            sql.push(" FOR NO KEY UPDATE");
        }
        for row in tx.query_all_raw(sql.into_statement()).await? {
            let row = product::Model::from_query_result(&row, "")?;
            self.products.insert(row.id, row);
        }
        let product_ids: Vec<i64> = self.products.keys().copied().collect();
        let mut sql = tx.sql();
        sql.push("SELECT v.* FROM variant AS v WHERE ").eq_any("v.product_id", product_ids.iter().copied());
        sql.push(" ORDER BY v.product_id, v.position, v.id");
        for row in tx.query_all_raw(sql.into_statement()).await? {
            let row = variant::Model::from_query_result(&row, "")?;
            self.variants.entry(row.product_id).or_default().push(row);
        }
        self.option_names = loader::load_option_names(tx, &product_ids).await?;
        if with_option_values {
            let variant_ids: Vec<i64> = self.variants.values().flatten().map(|row| row.id).collect();
            self.variant_options = loader::load_variant_options(tx, &variant_ids).await?;
        }
        Ok(())
    }

    /// Returns the id of the selected product, if there is one.
    fn resolve_product_id(&self, selector: &ProductSelector) -> Option<i64> {
        match selector {
            ProductSelector::Id(id, _) => Some(*id),
            ProductSelector::ByVariantId(id, _) => self.product_ids_by_variant.get(id).copied(),
            ProductSelector::BySlugOrSku(Some(slug), _) => self.product_ids_by_slug.get(slug).copied(),
            ProductSelector::BySlugOrSku(None, Some(sku)) => {
                self.variants_by_sku.get(sku.trim()).map(|(_, product_id)| *product_id)
            }
            ProductSelector::New | ProductSelector::BySlugOrSku(None, None) => None,
        }
    }

    /// Returns the selected product, deleted or not.
    pub(super) fn find_product(&self, selector: &ProductSelector) -> Option<&product::Model> {
        self.products.get(&self.resolve_product_id(selector)?)
    }

    /// Returns all variants of a product, including deleted ones.
    pub(super) fn variants(&self, product_id: i64) -> &[variant::Model] {
        self.variants.get(&product_id).map_or(&[], Vec::as_slice)
    }

    /// Returns the option names of a product.
    pub(super) fn option_names(&self, product_id: i64) -> &[String] {
        self.option_names.get(&product_id).map_or(&[], Vec::as_slice)
    }

    /// Returns the option values of a variant.
    pub(super) fn option_values(&self, variant_id: i64) -> impl Iterator<Item = &str> {
        self.variant_options.get(&variant_id).into_iter().flatten().map(|option| option.value.as_str())
    }

    /// Returns whether an active category exists.
    pub(super) fn has_category(&self, category_id: i64) -> bool {
        self.category_ids.contains(&category_id)
    }

    /// Returns the id of the product with a slug.
    pub(super) fn find_product_id_by_slug(&self, slug: &str) -> Option<i64> {
        self.product_ids_by_slug.get(slug).copied()
    }

    /// Returns whether a variant is deleted, by itself or with its product.
    pub(super) fn is_variant_deleted(&self, variant_id: i64) -> bool {
        self.deleted_variant_ids.contains(&variant_id)
    }

    /// Returns the id of the variant with a SKU.
    pub(super) fn find_variant_id_by_sku(&self, sku: &str) -> Option<i64> {
        self.variants_by_sku.get(sku).map(|(variant_id, _)| *variant_id)
    }
}
