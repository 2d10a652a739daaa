//! Making categories: one under a parent, or whole paths as imports name them.

mod change;
mod place;
mod remove;

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use serde::{Deserialize, Serialize};

use super::{entity::category, tree};
use crate::{
    base::{Error, Result, text},
    infra::{Tx, outbox::Event},
};

pub use change::{CategoryEdit, NewCategory, create, update};
pub use place::shift;
pub use remove::{delete, restore};

/// Where products go of which nobody says where they belong.
pub const UNSORTED: &str = "Uncategorised";
/// The longest name.
pub const NAME_LIMIT: usize = 200;
/// The most levels of the tree: the way to a category is kept with it, in an index.
pub const DEPTH_LIMIT: usize = 100;
/// The longest slug, before what makes it unique.
const SLUG_LIMIT: usize = 80;
/// How many keys are taken at once, and rows written at once.
const KEY_BLOCK: usize = 500;

/// The tree has changed.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct CategoriesChanged {
    /// The new ones.
    pub made: Vec<i64>,
    /// Those that have changed or moved.
    pub changed: Vec<i64>,
    /// Those that are gone.
    pub gone: Vec<i64>,
}

impl Event for CategoriesChanged {
    const KIND: &'static str = "CategoriesChanged";

    fn aggregate(&self) -> String {
        "category_tree:1".into()
    }
}

/// Every category by parent and folded name, for a transaction that makes many.
///
/// It holds the tree's lock until the transaction ends, so two importers cannot make one category twice.
#[derive(Debug)]
pub struct Book<'tx> {
    tx: &'tx Tx,
    by_name: HashMap<(Option<i64>, String), Place>,
    slugs: HashSet<String>,
    children: HashMap<Option<i64>, i32>,
    keys: std::vec::IntoIter<i64>,
    pending: Vec<category::ActiveModel>,
    made: Vec<i64>,
}

#[derive(Debug, Clone)]
struct Place {
    id: i64,
    path: String,
}

/// What of a category its book is made of: key, parent, folded name, slug, path, and when it was deleted.
type Entry = (i64, Option<i64>, String, String, String, Option<chrono::DateTime<chrono::Utc>>);

impl<'tx> Book<'tx> {
    /// Takes the tree's lock and reads all names.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn open(tx: &'tx Tx) -> Result<Self> {
        tree::lock(tx).await?;
        let rows: Vec<Entry> = category::Entity::find()
            .select_only()
            .columns([
                category::Column::Id,
                category::Column::ParentId,
                category::Column::NameKey,
                category::Column::Slug,
                category::Column::Path,
                category::Column::DeletedAt,
            ])
            .into_tuple()
            .all(tx)
            .await?;
        let mut book = Self {
            tx,
            by_name: HashMap::with_capacity(rows.len()),
            slugs: HashSet::with_capacity(rows.len()),
            children: HashMap::new(),
            keys: Vec::new().into_iter(),
            pending: Vec::new(),
            made: Vec::new(),
        };
        for (id, parent, key, slug, path, deleted) in rows {
            book.slugs.insert(slug);
            if deleted.is_none() {
                *book.children.entry(parent).or_default() += 1;
                book.by_name.insert((parent, key), Place { id, path });
            }
        }
        Ok(book)
    }

    /// The category of this name under a parent, if it is there.
    #[must_use]
    pub fn find(&self, path: &[String]) -> Option<i64> {
        let mut at = None;
        for name in path {
            at = Some(self.by_name.get(&(at, text::key(name)))?.id);
        }
        at
    }

    /// The category at the end of a path, made with all that is missing above it.
    ///
    /// # Errors
    /// When a name cannot be one, or the database refuses.
    pub async fn ensure(&mut self, path: &[String]) -> Result<i64> {
        if path.len() > DEPTH_LIMIT {
            let message = format!("a category is at most {DEPTH_LIMIT} levels deep; this one is {}", path.len());
            return Err(Error::bad_input("category", message));
        }
        // All or none: a name that cannot be leaves no half of a path behind.
        path.iter().try_for_each(|name| check_name(name))?;
        let mut at: Option<Place> = None;
        for name in path {
            let parent = at.as_ref().map(|place| place.id);
            let key = text::key(name);
            at = Some(match self.by_name.get(&(parent, key.clone())) {
                Some(place) => place.clone(),
                None => self.make(name, key, at.as_ref(), path).await?,
            });
        }
        at.map(|place| place.id).ok_or_else(|| Error::bad_input("category", "a category needs a name"))
    }

    async fn make(&mut self, name: &str, key: String, above: Option<&Place>, path: &[String]) -> Result<Place> {
        let parent_id = above.map(|above| above.id);
        let id = self.next_key().await?;
        let slug = self.free_slug(name, path);
        let place = Place { id, path: format!("{}{id}/", above.map_or("/", |above| &above.path)) };
        let position = self.children.entry(parent_id).or_default();
        let row = category::ActiveModel {
            id: Set(id),
            parent_id: Set(parent_id),
            name: Set(name.trim().to_owned()),
            name_key: Set(key.clone()),
            slug: Set(slug.clone()),
            description: Set(None),
            position: Set(*position),
            path: Set(place.path.clone()),
            version: Set(1),
            created_at: Set(self.tx.now()),
            updated_at: Set(self.tx.now()),
            deleted_at: Set(None),
        };
        *position += 1;
        self.pending.push(row);
        self.slugs.insert(slug);
        self.by_name.insert((parent_id, key), place.clone());
        self.made.push(id);
        Ok(place)
    }

    async fn next_key(&mut self) -> Result<i64> {
        if let Some(key) = self.keys.next() {
            return Ok(key);
        }
        // Keys that stay unused are gaps, which nobody minds; but on SQLite nothing else may take them meanwhile, so
        // what was made with the last block is written first.
        self.flush().await?;
        self.keys = self.tx.keys("category", KEY_BLOCK).await?;
        self.keys.next().ok_or_else(|| Error::fault("numbering a category", "the database gave no key"))
    }

    /// Writes what was made so far, so that products can name it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.pending);
        if !rows.is_empty() {
            category::Entity::insert_many(rows).exec_without_returning(self.tx).await?;
        }
        Ok(())
    }

    /// `mugs`; where that is taken `kitchen-mugs`; where that is taken too, `mugs-2`.
    fn free_slug(&self, name: &str, path: &[String]) -> String {
        let own =
            Some(text::slug(name, SLUG_LIMIT)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| "category".into());
        let place = path.iter().rposition(|part| part == name).unwrap_or_default();
        let above = place.checked_sub(1).and_then(|above| path.get(above));
        let longer = above.map(|above| text::slug(&format!("{above} {name}"), SLUG_LIMIT));
        let numbered = (2..).map(|n| format!("{own}-{n}"));
        let tries = std::iter::once(own.clone()).chain(longer).chain(numbered);
        tries.into_iter().find(|slug| !self.slugs.contains(slug)).unwrap_or(own)
    }

    /// Writes the rest, and tells the world what was made.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn close(mut self) -> Result<usize> {
        self.flush().await?;
        let count = self.made.len();
        if count > 0 {
            tree::raise(self.tx).await?;
            self.tx.emit(CategoriesChanged { made: self.made, ..CategoriesChanged::default() }).await?;
        }
        Ok(count)
    }
}

/// Whether a name can be one.
fn check_name(name: &str) -> Result<()> {
    let length = name.trim().chars().count();
    if length == 0 || length > NAME_LIMIT {
        return Err(Error::bad_input(
            "category",
            format!(
                "a category's name has 1 to {NAME_LIMIT} characters; `{}` has {length}",
                name.trim().chars().take(40).collect::<String>()
            ),
        ));
    }
    if text::key(name).is_empty() {
        return Err(Error::bad_input(
            "category",
            format!("a category's name needs a letter or a sign that can be seen; `{name}` has none"),
        ));
    }
    Ok(())
}

/// The whole text of one category, for the field that asks for it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn descriptions(db: &impl ConnectionTrait, keys: &[i64]) -> Result<HashMap<i64, String>> {
    let rows: Vec<(i64, Option<String>)> = category::Entity::find()
        .filter(category::Column::Id.is_in(keys.iter().copied()))
        .select_only()
        .columns([category::Column::Id, category::Column::Description])
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, text)| Some((id, text?))).collect())
}
