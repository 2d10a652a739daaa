//! Category creation: one category under a parent, or whole paths for imports.

mod content;
mod service;
mod ordering;
mod delete;

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveValue::NotSet, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use serde::{Deserialize, Serialize};

use super::{
    cache_tags::{CATEGORIES, category_tag},
    category_tree,
    entity::category,
};
use crate::{
    base::{Error, Result, text},
    infra::{Tx, cache::CacheTag, eq_any, outbox::Event},
};

pub use delete::{delete_category, restore_category};
pub use ordering::move_category;
pub use service::{CategoryPatch, NewCategory, create_category, update_category};

/// Name of the category for products without a category.
pub const UNCATEGORIZED_NAME: &str = "Uncategorised";
/// Maximum length of a category's name in characters.
pub const MAX_CATEGORY_NAME_LENGTH: usize = 200;
/// Maximum depth of the tree; limited because the path of each category is stored and indexed.
pub const MAX_CATEGORY_DEPTH: usize = 100;
/// Maximum length of a generated slug in characters, without a uniqueness suffix.
const MAX_CATEGORY_SLUG_LENGTH: usize = 80;
/// Number of ids allocated per block, and of rows inserted together.
const ID_BLOCK_SIZE: usize = 500;

/// Event emitted when the category tree changes.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct CategoriesChanged {
    /// Ids of created and restored categories.
    pub made: Vec<i64>,
    /// Ids of updated and moved categories.
    pub changed: Vec<i64>,
    /// Ids of deleted categories.
    pub gone: Vec<i64>,
}

impl Event for CategoriesChanged {
    const KIND: &'static str = "CategoriesChanged";

    fn aggregate(&self) -> String {
        "category_tree:1".into()
    }

    fn cache_tags(&self) -> Vec<CacheTag> {
        let rows = [&self.made, &self.changed, &self.gone].into_iter().flatten().copied().map(category_tag);
        rows.chain([CATEGORIES]).collect()
    }
}

/// Index of all categories by parent and normalized name, for a transaction that creates many.
///
/// Locks the category tree until the transaction ends, so that concurrent imports cannot create the same category
/// twice.
#[derive(Debug)]
pub struct CategoryIndex<'tx> {
    tx: &'tx Tx,
    by_name: HashMap<(Option<i64>, String), CategoryPath>,
    slugs: HashSet<String>,
    child_counts: HashMap<Option<i64>, i32>,
    id_block: std::vec::IntoIter<i64>,
    pending_rows: Vec<category::ActiveModel>,
    created_ids: Vec<i64>,
}

#[derive(Debug, Clone)]
struct CategoryPath {
    id: i64,
    path: String,
}

/// Columns read into the index: id, parent id, normalized name, slug, path, and deletion time.
type CategoryIndexRow = (i64, Option<i64>, String, String, String, Option<chrono::DateTime<chrono::Utc>>);

impl<'tx> CategoryIndex<'tx> {
    /// Locks the category tree and reads all categories.
    pub async fn load(tx: &'tx Tx) -> Result<Self> {
        category_tree::lock_category_tree(tx).await?;
        Self::load_locked(tx).await
    }

    /// Reads all categories of a category tree that this transaction has locked.
    pub(super) async fn load_locked(tx: &'tx Tx) -> Result<Self> {
        let rows: Vec<CategoryIndexRow> = category::Entity::find()
            .select_only()
            .columns([
                category::Column::Id,
                category::Column::ParentId,
                category::Column::NameNormalized,
                category::Column::Slug,
                category::Column::Path,
                category::Column::DeletedAt,
            ])
            .into_tuple()
            .all(tx)
            .await?;
        let mut index = Self {
            tx,
            by_name: HashMap::with_capacity(rows.len()),
            slugs: HashSet::with_capacity(rows.len()),
            child_counts: HashMap::new(),
            id_block: Vec::new().into_iter(),
            pending_rows: Vec::new(),
            created_ids: Vec::new(),
        };
        for (id, parent_id, name_normalized, slug, path, deleted_at) in rows {
            index.slugs.insert(slug);
            if deleted_at.is_none() {
                *index.child_counts.entry(parent_id).or_default() += 1;
                index.by_name.insert((parent_id, name_normalized), CategoryPath { id, path });
            }
        }
        Ok(index)
    }

    /// Returns the id of the category at a path of names, if it exists.
    #[must_use]
    pub fn find_by_path(&self, path: &[String]) -> Option<i64> {
        let mut category_id = None;
        for name in path {
            category_id = Some(self.by_name.get(&(category_id, text::normalize_text(name)))?.id);
        }
        category_id
    }

    /// Returns the id of the category at a path of names, creating the missing categories.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the path is empty or too deep, or a name is invalid.
    pub async fn ensure_path(&mut self, path: &[String]) -> Result<i64> {
        if path.len() > MAX_CATEGORY_DEPTH {
            let message = format!("a category is at most {MAX_CATEGORY_DEPTH} levels deep; this one is {}", path.len());
            return Err(Error::bad_input("category", message));
        }
        // Validates all names first: an invalid name must not leave a partial path behind.
        path.iter().try_for_each(|name| validate_category_name(name))?;
        let mut current: Option<CategoryPath> = None;
        for name in path {
            let parent_id = current.as_ref().map(|category_path| category_path.id);
            let name_normalized = text::normalize_text(name);
            current = Some(match self.by_name.get(&(parent_id, name_normalized.clone())) {
                Some(category_path) => category_path.clone(),
                None => self.create_category(name, name_normalized, current.as_ref(), path).await?,
            });
        }
        current
            .map(|category_path| category_path.id)
            .ok_or_else(|| Error::bad_input("category", "a category needs a name"))
    }

    async fn create_category(
        &mut self,
        name: &str,
        name_normalized: String,
        parent: Option<&CategoryPath>,
        path: &[String],
    ) -> Result<CategoryPath> {
        let parent_id = parent.map(|parent| parent.id);
        let id = self.next_id().await?;
        let slug = self.choose_free_slug(name, path);
        let category_path = CategoryPath { id, path: format!("{}{id}/", parent.map_or("/", |parent| &parent.path)) };
        let position = self.child_counts.entry(parent_id).or_default();
        let row = category::ActiveModel {
            id: Set(id),
            parent_id: Set(parent_id),
            name: Set(name.trim().to_owned()),
            name_normalized: Set(name_normalized.clone()),
            slug: Set(slug.clone()),
            description: NotSet,
            description_html: NotSet,
            seo_title: NotSet,
            seo_description: NotSet,
            image: NotSet,
            image_alt: NotSet,
            position: Set(*position),
            path: Set(category_path.path.clone()),
            version: Set(1),
            created_at: Set(self.tx.now()),
            updated_at: Set(self.tx.now()),
            deleted_at: Set(None),
        };
        *position += 1;
        self.pending_rows.push(row);
        self.slugs.insert(slug);
        self.by_name.insert((parent_id, name_normalized), category_path.clone());
        self.created_ids.push(id);
        Ok(category_path)
    }

    async fn next_id(&mut self) -> Result<i64> {
        if let Some(id) = self.id_block.next() {
            return Ok(id);
        }
        // Unused ids of a block leave harmless gaps. SQLite allocates the ids after the last stored one, so pending
        // rows are inserted before the next block is allocated.
        self.flush_pending().await?;
        self.id_block = self.tx.allocate_ids("category", ID_BLOCK_SIZE).await?;
        self.id_block.next().ok_or_else(|| Error::internal("allocating a category id", "no id returned"))
    }

    /// Inserts the pending categories, so that products can reference them.
    pub async fn flush_pending(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.pending_rows);
        if !rows.is_empty() {
            category::Entity::insert_many(rows).exec_without_returning(self.tx).await?;
        }
        Ok(())
    }

    /// Returns a free slug: `mugs`, else `kitchen-mugs`, else `mugs-2` and so on.
    fn choose_free_slug(&self, name: &str, path: &[String]) -> String {
        let base_slug = Some(text::slugify(name, MAX_CATEGORY_SLUG_LENGTH))
            .filter(|slug| !slug.is_empty())
            .unwrap_or_else(|| "category".into());
        let name_index = path.iter().rposition(|segment| segment == name).unwrap_or_default();
        let parent = name_index.checked_sub(1).and_then(|parent| path.get(parent));
        let qualified_slug = parent.map(|parent| text::slugify(&format!("{parent} {name}"), MAX_CATEGORY_SLUG_LENGTH));
        let numbered_slugs = (2..).map(|number| format!("{base_slug}-{number}"));
        let candidates = std::iter::once(base_slug.clone()).chain(qualified_slug).chain(numbered_slugs);
        candidates.into_iter().find(|slug| !self.slugs.contains(slug)).unwrap_or(base_slug)
    }

    /// Inserts the pending categories, emits [`CategoriesChanged`] and returns the number of created categories.
    pub async fn finish(mut self) -> Result<usize> {
        self.flush_pending().await?;
        let count = self.created_ids.len();
        if count > 0 {
            category_tree::bump_tree_version(self.tx).await?;
            self.tx.emit_event(CategoriesChanged { made: self.created_ids, ..CategoriesChanged::default() }).await?;
        }
        Ok(count)
    }
}

/// Validates the name of a category.
fn validate_category_name(name: &str) -> Result<()> {
    let length = name.trim().chars().count();
    if length == 0 || length > MAX_CATEGORY_NAME_LENGTH {
        return Err(Error::bad_input(
            "category",
            format!(
                "a category's name has 1 to {MAX_CATEGORY_NAME_LENGTH} characters; `{}` has {length}",
                name.trim().chars().take(40).collect::<String>()
            ),
        ));
    }
    if text::normalize_text(name).is_empty() {
        return Err(Error::bad_input(
            "category",
            format!("a category's name needs a letter or a sign that can be seen; `{name}` has none"),
        ));
    }
    Ok(())
}

/// Returns categories by id, deleted or not. Statements: 1.
pub async fn load_category_rows(
    db: &impl ConnectionTrait,
    category_ids: &[i64],
) -> Result<HashMap<i64, category::Model>> {
    let by_id = eq_any(db, category::Column::Id, category_ids.iter().copied());
    let rows = category::Entity::find().filter(by_id).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
