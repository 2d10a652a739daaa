//! In-memory category tree: read once, replaced when it changes, queried without SQL.
//!
//! Nodes are in preorder, so a subtree is one slice and the number of products in it is the difference of two prefix
//! sums.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{
    cache_tags::CATEGORIES,
    entity::{category, category_tree_version},
    search::tokenize_for_index,
};
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// A category in the tree.
#[derive(Debug, Clone)]
pub struct CategoryNode {
    /// The id.
    pub id: i64,
    /// Index of the parent; `None` for a root.
    pub parent_index: Option<usize>,
    /// Number of nodes in its subtree, including itself.
    pub subtree_size: usize,
    /// Depth in the tree; 0 for a root.
    pub depth: usize,
    /// Position among its siblings.
    pub position: i32,
    /// Display name.
    pub name: String,
    /// URL slug, unique across categories.
    pub slug: String,
    /// Version, incremented by every change.
    pub version: i32,
}

/// A snapshot of the category tree.
#[derive(Debug, Default)]
pub struct CategoryTree {
    nodes: Vec<CategoryNode>,
    index_by_id: HashMap<i64, usize>,
    index_by_slug: HashMap<String, usize>,
    version: i64,
    /// The words of the names, in the order of the nodes.
    search_words: OnceLock<Vec<Vec<String>>>,
}

/// Columns read of a category: id, parent id, name, slug, position, and version.
type CategoryTreeRow = (i64, Option<i64>, String, String, i32, i32);

impl CategoryTree {
    /// Reads the current tree. Statements: 2.
    pub async fn load(db: &impl ConnectionTrait) -> Result<Self> {
        // The version is read first: if the tree changes in between, the next refresh finds a newer version and
        // reloads.
        let version = load_tree_version(db).await?;
        let rows: Vec<CategoryTreeRow> = category::Entity::find()
            .filter(category::Column::DeletedAt.is_null())
            .select_only()
            .columns([
                category::Column::Id,
                category::Column::ParentId,
                category::Column::Name,
                category::Column::Slug,
                category::Column::Position,
                category::Column::Version,
            ])
            .order_by_asc(category::Column::Position)
            .order_by_asc(category::Column::Id)
            .into_tuple()
            .all(db)
            .await?;
        Ok(Self::from_rows(rows, version))
    }

    fn from_rows(rows: Vec<CategoryTreeRow>, version: i64) -> Self {
        let mut children: HashMap<Option<i64>, Vec<CategoryTreeRow>> = HashMap::new();
        let count = rows.len();
        for row in rows {
            children.entry(row.1).or_default().push(row);
        }
        let mut tree = Self {
            nodes: Vec::with_capacity(count),
            index_by_id: HashMap::with_capacity(count),
            index_by_slug: HashMap::with_capacity(count),
            version,
            search_words: OnceLock::new(),
        };
        // A stack instead of recursion, because the depth is not checked here. Each entry is a node and its remaining
        // children.
        let mut stack: Vec<(Option<usize>, std::vec::IntoIter<CategoryTreeRow>)> = Vec::new();
        stack.push((None, children.remove(&None).unwrap_or_default().into_iter()));
        while let Some((parent_index, remaining)) = stack.last_mut() {
            let parent_index = *parent_index;
            if let Some((id, _, name, slug, position, version)) = remaining.next() {
                let index = tree.nodes.len();
                tree.index_by_id.insert(id, index);
                tree.index_by_slug.insert(slug.clone(), index);
                let depth = stack.len() - 1;
                tree.nodes.push(CategoryNode {
                    id,
                    parent_index,
                    subtree_size: 1,
                    depth,
                    position,
                    name,
                    slug,
                    version,
                });
                stack.push((Some(index), children.remove(&Some(id)).unwrap_or_default().into_iter()));
            } else {
                stack.pop();
                if let Some(index) = parent_index {
                    tree.nodes[index].subtree_size = tree.nodes.len() - index;
                }
            }
        }
        tree
    }

    /// Returns the version: trees with the same version are equal.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Returns the index of a category by id.
    #[must_use]
    pub fn find_index(&self, id: i64) -> Option<usize> {
        self.index_by_id.get(&id).copied()
    }

    /// Returns the index of a category by slug.
    #[must_use]
    pub fn find_index_by_slug(&self, slug: &str) -> Option<usize> {
        self.index_by_slug.get(slug).copied()
    }

    /// Returns the node at an index.
    #[must_use]
    pub fn node(&self, index: usize) -> &CategoryNode {
        &self.nodes[index]
    }

    /// Returns the words of the names, as a search index has them, in the order of the nodes.
    pub fn search_words(&self) -> &[Vec<String>] {
        self.search_words
            .get_or_init(|| self.nodes.iter().map(|node| tokenize_for_index(&node.name).collect()).collect())
    }

    /// Returns the indexes of the roots, in order.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        self.sibling_indexes(0, self.nodes.len())
    }

    /// Returns the indexes of the children of a category, in order.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> {
        self.sibling_indexes(index + 1, index + self.nodes[index].subtree_size)
    }

    /// Iterates over siblings: the next one follows after the subtree of the current one.
    fn sibling_indexes(&self, start: usize, end: usize) -> impl Iterator<Item = usize> {
        let first = (start < end).then_some(start);
        std::iter::successors(first, move |index| {
            Some(index + self.nodes[*index].subtree_size).filter(|next| *next < end)
        })
    }

    /// Returns the indexes of the ancestors of a category, from the root to its parent.
    #[must_use]
    pub fn ancestors(&self, index: usize) -> Vec<usize> {
        let mut ancestors: Vec<usize> = std::iter::successors(self.nodes[index].parent_index, |parent_index| {
            self.nodes[*parent_index].parent_index
        })
        .collect();
        ancestors.reverse();
        ancestors
    }

    /// Returns the nodes of a subtree, including its root.
    #[must_use]
    pub fn subtree(&self, index: usize) -> &[CategoryNode] {
        &self.nodes[index..index + self.nodes[index].subtree_size]
    }

    /// Returns all nodes, parents before children.
    #[must_use]
    pub fn nodes(&self) -> &[CategoryNode] {
        &self.nodes
    }
}

/// Locks the category tree until the transaction ends. All writes to the catalog take this lock first, which prevents
/// deadlocks and keeps what they have read valid. No-op on SQLite, which has a single writer.
pub async fn lock_category_tree(tx: &Tx) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        category_tree_version::Entity::find().lock(LockType::NoKeyUpdate).one(tx).await?;
    }
    Ok(())
}

/// Increments the version of the tree, so that all caches reload it.
pub async fn bump_tree_version(tx: &Tx) -> Result<()> {
    let next_version = Expr::col(category_tree_version::Column::Version).add(1);
    let update = category_tree_version::Entity::update_many();
    update.col_expr(category_tree_version::Column::Version, next_version).exec(tx).await?;
    Ok(())
}

/// Returns the current version of the tree, incremented by every change of a category.
async fn load_tree_version(db: &impl ConnectionTrait) -> Result<i64> {
    Ok(category_tree_version::Entity::find().one(db).await?.map_or(0, |row| row.version))
}

/// Cache of the current category tree.
#[derive(Debug)]
pub struct CategoryTreeCache {
    current: ArcSwap<CategoryTree>,
}

impl CategoryTreeCache {
    /// Creates the cache and loads the tree.
    pub async fn load(db: &Db) -> Result<Self> {
        Ok(Self { current: ArcSwap::from_pointee(CategoryTree::load(db).await?) })
    }

    /// Returns the cached tree.
    #[must_use]
    pub fn current(&self) -> Arc<CategoryTree> {
        self.current.load_full()
    }

    /// Reloads the tree if its version has changed, by this or another process.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        // Of a replica the tree might be older than the cached one.
        db.use_primary();
        if load_tree_version(db).await? != self.current.load().version {
            let reloaded = Arc::new(CategoryTree::load(db).await?);
            // A concurrent refresh may have stored a newer tree.
            let select_newest = |cached: &Arc<CategoryTree>| {
                Arc::clone(if cached.version > reloaded.version { cached } else { &reloaded })
            };
            // Rows of a replica may have categories that the new tree has no longer.
            db.require_committed_changes();
            self.current.rcu(select_newest);
            // Values computed from the previous tree, also those computed after the commit of the change.
            db.tag_versions().invalidate(&[CATEGORIES]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_test_tree() -> CategoryTree {
        let row = |id, parent, name: &str| (id, parent, name.to_owned(), name.to_lowercase(), 0, 1);
        let rows = vec![
            row(1, None, "Home"),
            row(5, None, "Garden"),
            row(2, Some(1), "Kitchen"),
            row(3, Some(2), "Mugs"),
            row(4, Some(1), "Bath"),
        ];
        CategoryTree::from_rows(rows, 1)
    }

    fn collect_names(tree: &CategoryTree, indexes: impl Iterator<Item = usize>) -> Vec<&str> {
        indexes.map(|index| tree.node(index).name.as_str()).collect()
    }

    #[test]
    fn subtree_is_a_contiguous_slice() {
        let tree = build_test_tree();
        assert_eq!(collect_names(&tree, tree.roots()), ["Home", "Garden"]);
        assert_eq!(collect_names(&tree, tree.children(0)), ["Kitchen", "Bath"]);
        let mugs = tree.find_index_by_slug("mugs").expect("mugs");
        assert_eq!(collect_names(&tree, tree.ancestors(mugs).into_iter()), ["Home", "Kitchen"]);
        assert_eq!(tree.node(mugs).depth, 2);
        assert_eq!(tree.subtree(0).len(), 4);
    }

    #[test]
    fn empty_tree_has_no_roots() {
        assert_eq!(CategoryTree::from_rows(Vec::new(), 1).roots().count(), 0);
    }
}
