//! What the database has of the products, slugs, skus and categories that edits name.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{ByKey, Part, ProductEdit, Which, fit::slug_tries};
use crate::{
    base::Result,
    catalog::{
        entity::{product, variant},
        loader::{self, Choice},
    },
    infra::Tx,
};

/// What is there. Eight statements, however many edits.
#[derive(Debug, Default)]
pub(super) struct Found {
    products: ByKey<product::Model>,
    /// All variants of a product, those that are gone too, in order.
    variants: ByKey<Vec<variant::Model>>,
    options: ByKey<Vec<String>>,
    choices: ByKey<Vec<Choice>>,
    categories: HashSet<i64>,
    slugs: HashMap<String, i64>,
    /// The variant that has a sku, and its product.
    skus: HashMap<String, (i64, i64)>,
    /// The variants among these that are deleted, by themselves or with their product.
    deleted: HashSet<i64>,
    /// The products of variants.
    owners: ByKey<i64>,
}

impl Found {
    pub(super) async fn load(tx: &Tx, edits: &[ProductEdit]) -> Result<Self> {
        let mut found = Self::default();
        found.read_variants(tx, edits).await?;
        found.read_slugs(tx, edits).await?;
        let keys: HashSet<i64> = edits.iter().filter_map(|one| found.key(&one.which)).collect();
        if !keys.is_empty() {
            found.read_products(tx, keys, edits.iter().any(|one| one.options.is_some())).await?;
        }
        let homes = found.products.values().filter(|row| row.deleted_at.is_some()).map(|row| row.category_id);
        let wanted: HashSet<i64> = edits.iter().filter_map(|one| one.category).chain(homes).collect();
        if !wanted.is_empty() {
            let mut sql = tx.sql();
            sql.push("SELECT id FROM category WHERE deleted_at IS NULL AND ").any("id", wanted);
            for row in tx.query_all_raw(sql.statement()).await? {
                found.categories.insert(row.try_get("", "id")?);
            }
        }
        Ok(found)
    }

    /// Who has the skus and the keys of variants that are named.
    async fn read_variants(&mut self, tx: &Tx, edits: &[ProductEdit]) -> Result<()> {
        let mut keys = HashSet::new();
        let mut skus = HashSet::new();
        for one in edits {
            match &one.which {
                Which::OfVariant(key, _) => drop(keys.insert(*key)),
                Which::Named(_, Some(sku)) => drop(skus.insert(sku.trim())),
                _ => {}
            }
            for variant in &one.variants {
                skus.extend(variant.sku.as_deref().map(str::trim));
                if let Part::Key(key) | Part::Gone(key) = variant.which {
                    keys.insert(key);
                }
            }
        }
        let mut sql = tx.sql();
        sql.push("SELECT v.id, v.product_id, v.sku, COALESCE(v.deleted_at, p.deleted_at) IS NOT NULL AS deleted ");
        sql.push("FROM variant AS v JOIN product AS p ON p.id = v.product_id WHERE ");
        sql.any_text("v.sku", skus).push(" OR ").any("v.id", keys);
        for row in tx.query_all_raw(sql.statement()).await? {
            let (key, owner): (i64, i64) = (row.try_get("", "id")?, row.try_get("", "product_id")?);
            self.skus.insert(row.try_get("", "sku")?, (key, owner));
            self.owners.insert(key, owner);
            if row.try_get("", "deleted")? {
                self.deleted.insert(key);
            }
        }
        Ok(())
    }

    /// Who has the slugs that are said, and those that could be made of a name.
    async fn read_slugs(&mut self, tx: &Tx, edits: &[ProductEdit]) -> Result<()> {
        let named = |one: &ProductEdit| match &one.which {
            Which::Named(Some(slug), _) => Some(slug.clone()),
            _ => None,
        };
        let said = edits.iter().flat_map(|one| named(one).into_iter().chain(one.slug.clone()));
        let mut slugs: HashSet<String> = said.collect();
        let nameless = edits.iter().filter(|one| one.slug.is_none() && named(one).is_none());
        slugs.extend(nameless.filter_map(|one| one.name.as_deref()).flat_map(slug_tries));
        if slugs.is_empty() {
            return Ok(());
        }
        let mut sql = tx.sql();
        sql.push("SELECT slug, id FROM product WHERE ").any_text("slug", slugs.iter().map(String::as_str));
        for row in tx.query_all_raw(sql.statement()).await? {
            self.slugs.insert(row.try_get("", "slug")?, row.try_get("", "id")?);
        }
        Ok(())
    }

    /// The rows, held until the transaction ends: whoever counts stock or follows the clock changes them too. Orders may
    /// name them meanwhile: what foreign keys refer to stays.
    async fn read_products(&mut self, tx: &Tx, keys: HashSet<i64>, values: bool) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("SELECT p.* FROM product AS p WHERE ").any("p.id", keys).push(" ORDER BY p.id");
        if sql.postgres() {
            sql.push(" FOR NO KEY UPDATE");
        }
        for row in tx.query_all_raw(sql.statement()).await? {
            let row = product::Model::from_query_result(&row, "")?;
            self.products.insert(row.id, row);
        }
        let keys: Vec<i64> = self.products.keys().copied().collect();
        let mut sql = tx.sql();
        sql.push("SELECT v.* FROM variant AS v WHERE ").any("v.product_id", keys.iter().copied());
        sql.push(" ORDER BY v.product_id, v.position, v.id");
        for row in tx.query_all_raw(sql.statement()).await? {
            let row = variant::Model::from_query_result(&row, "")?;
            self.variants.entry(row.product_id).or_default().push(row);
        }
        self.options = loader::option_names(tx, &keys).await?;
        if values {
            let all: Vec<i64> = self.variants.values().flatten().map(|row| row.id).collect();
            self.choices = loader::choices(tx, &all).await?;
        }
        Ok(())
    }

    /// The key of the product that is meant, if there is one.
    fn key(&self, which: &Which) -> Option<i64> {
        match which {
            Which::Key(key, _) => Some(*key),
            Which::OfVariant(key, _) => self.owners.get(key).copied(),
            Which::Named(Some(slug), _) => self.slugs.get(slug).copied(),
            Which::Named(None, Some(sku)) => self.skus.get(sku.trim()).map(|(_, owner)| *owner),
            Which::New | Which::Named(None, None) => None,
        }
    }

    /// The product that is meant, gone or not.
    pub(super) fn product(&self, which: &Which) -> Option<&product::Model> {
        self.products.get(&self.key(which)?)
    }

    /// All its variants, those that are gone too.
    pub(super) fn variants(&self, product: i64) -> &[variant::Model] {
        self.variants.get(&product).map_or(&[], Vec::as_slice)
    }

    /// The names of its options.
    pub(super) fn options(&self, product: i64) -> &[String] {
        self.options.get(&product).map_or(&[], Vec::as_slice)
    }

    /// The values of a variant's options.
    pub(super) fn values(&self, variant: i64) -> impl Iterator<Item = &str> {
        self.choices.get(&variant).into_iter().flatten().map(|choice| choice.value.as_str())
    }

    /// Whether a category is there.
    pub(super) fn has_category(&self, key: i64) -> bool {
        self.categories.contains(&key)
    }

    /// The product that has a slug.
    pub(super) fn of_slug(&self, slug: &str) -> Option<i64> {
        self.slugs.get(slug).copied()
    }

    /// Whether a variant that has a sku is deleted, by itself or with its product.
    pub(super) fn is_deleted(&self, variant: i64) -> bool {
        self.deleted.contains(&variant)
    }

    /// The variant that has a sku.
    pub(super) fn of_sku(&self, sku: &str) -> Option<i64> {
        self.skus.get(sku).map(|(key, _)| *key)
    }
}
