//! The category tree in memory: read once, replaced when it changes, asked without SQL.
//!
//! Nodes lie in preorder, so a subtree is one slice and the number of products below a category is the difference of
//! two sums.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::category;
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// A category as the snapshot holds it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its key.
    pub id: i64,
    /// Its parent's place; `None` for a root.
    pub parent: Option<usize>,
    /// How many nodes its subtree has, itself included.
    pub size: usize,
    /// 0 for a root.
    pub level: usize,
    /// Its place among its siblings.
    pub position: i32,
    /// What shoppers read.
    pub name: String,
    /// Its lasting name in addresses.
    pub slug: String,
    /// Rises with every change.
    pub version: i32,
}

/// One state of the whole tree.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    by_id: HashMap<i64, usize>,
    by_slug: HashMap<String, usize>,
    version: i64,
}

/// What the snapshot reads of a category.
type Row = (i64, Option<i64>, String, String, i32, i32);

impl Tree {
    /// Reads the tree as it is now, in two statements.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn load(db: &impl ConnectionTrait) -> Result<Self> {
        // The version first: if the tree changes in between, the next look finds another version and reads again.
        let version = version(db).await?;
        let rows: Vec<Row> = category::Entity::find()
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
        Ok(Self::build(rows, version))
    }

    fn build(rows: Vec<Row>, version: i64) -> Self {
        let mut children: HashMap<Option<i64>, Vec<Row>> = HashMap::new();
        let count = rows.len();
        for row in rows {
            children.entry(row.1).or_default().push(row);
        }
        let mut tree = Self {
            nodes: Vec::with_capacity(count),
            by_id: HashMap::with_capacity(count),
            by_slug: HashMap::with_capacity(count),
            version,
        };
        // A stack and not a recursion: nobody promises how deep a tree is. Each entry is the next row of a level.
        let mut open: Vec<(Option<usize>, std::vec::IntoIter<Row>)> = Vec::new();
        open.push((None, children.remove(&None).unwrap_or_default().into_iter()));
        while let Some((parent, rest)) = open.last_mut() {
            let parent = *parent;
            if let Some((id, _, name, slug, position, version)) = rest.next() {
                let place = tree.nodes.len();
                tree.by_id.insert(id, place);
                tree.by_slug.insert(slug.clone(), place);
                let level = open.len() - 1;
                tree.nodes.push(Node { id, parent, size: 1, level, position, name, slug, version });
                open.push((Some(place), children.remove(&Some(id)).unwrap_or_default().into_iter()));
            } else {
                open.pop();
                if let Some(place) = parent {
                    tree.nodes[place].size = tree.nodes.len() - place;
                }
            }
        }
        tree
    }

    /// Where a category is.
    #[must_use]
    pub fn find(&self, id: i64) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// Where the category of this slug is.
    #[must_use]
    pub fn find_slug(&self, slug: &str) -> Option<usize> {
        self.by_slug.get(slug).copied()
    }

    /// The category at a place.
    #[must_use]
    pub fn node(&self, place: usize) -> &Node {
        &self.nodes[place]
    }

    /// The places of the roots, in order.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        self.steps(0, self.nodes.len())
    }

    /// The places of the children of a category, in order.
    pub fn children(&self, place: usize) -> impl Iterator<Item = usize> {
        self.steps(place + 1, place + self.nodes[place].size)
    }

    /// From one sibling to the next is as far as its subtree is large.
    fn steps(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let first = (from < to).then_some(from);
        std::iter::successors(first, move |place| Some(place + self.nodes[*place].size).filter(|next| *next < to))
    }

    /// The places from the root down to the parent of a category.
    #[must_use]
    pub fn ancestors(&self, place: usize) -> Vec<usize> {
        let mut up: Vec<usize> =
            std::iter::successors(self.nodes[place].parent, |above| self.nodes[*above].parent).collect();
        up.reverse();
        up
    }

    /// A category and everything below it.
    #[must_use]
    pub fn subtree(&self, place: usize) -> &[Node] {
        &self.nodes[place..place + self.nodes[place].size]
    }

    /// Everything, parents before children.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// Takes the tree's lock until the transaction ends. Everybody who changes the catalog takes it first, so that two never
/// wait for each other in a circle, and what one knows stays true. On SQLite there is one writer anyway.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock(tx: &Tx) -> Result<()> {
    if tx.sql().postgres() {
        tx.execute_unprepared("SELECT version FROM category_tree FOR NO KEY UPDATE").await?;
    }
    Ok(())
}

/// Tells everybody that the tree has changed: they read it again.
///
/// # Errors
/// When the database refuses.
pub async fn raise(tx: &Tx) -> Result<()> {
    tx.execute_unprepared("UPDATE category_tree SET version = version + 1").await?;
    Ok(())
}

/// Which state of the tree is the current one. One small read; every change of a category raises it.
async fn version(db: &impl ConnectionTrait) -> Result<i64> {
    let row = db
        .query_one_raw(sea_orm::Statement::from_string(db.get_database_backend(), "SELECT version FROM category_tree"));
    Ok(row.await?.map_or(Ok(0), |row| row.try_get("", "version"))?)
}

/// The current tree of a running shop.
#[derive(Debug)]
pub struct Forest {
    current: ArcSwap<Tree>,
}

impl Forest {
    /// Reads the tree for the first time.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn load(db: &Db) -> Result<Self> {
        Ok(Self { current: ArcSwap::from_pointee(Tree::load(db).await?) })
    }

    /// The tree as last seen.
    #[must_use]
    pub fn current(&self) -> Arc<Tree> {
        self.current.load_full()
    }

    /// Reads the tree again if it has changed, whoever changed it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        if version(db).await? != self.current.load().version {
            let fresh = Arc::new(Tree::load(db).await?);
            // Somebody who read later may have been faster.
            let newest = |now: &Arc<Tree>| Arc::clone(if now.version > fresh.version { now } else { &fresh });
            self.current.rcu(newest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let row = |id, parent, name: &str| (id, parent, name.to_owned(), name.to_lowercase(), 0, 1);
        let rows = vec![
            row(1, None, "Home"),
            row(5, None, "Garden"),
            row(2, Some(1), "Kitchen"),
            row(3, Some(2), "Mugs"),
            row(4, Some(1), "Bath"),
        ];
        Tree::build(rows, 1)
    }

    fn names(tree: &Tree, places: impl Iterator<Item = usize>) -> Vec<&str> {
        places.map(|place| tree.node(place).name.as_str()).collect()
    }

    #[test]
    fn a_subtree_is_a_slice() {
        let tree = tree();
        assert_eq!(names(&tree, tree.roots()), ["Home", "Garden"]);
        assert_eq!(names(&tree, tree.children(0)), ["Kitchen", "Bath"]);
        let mugs = tree.find_slug("mugs").expect("mugs");
        assert_eq!(names(&tree, tree.ancestors(mugs).into_iter()), ["Home", "Kitchen"]);
        assert_eq!(tree.node(mugs).level, 2);
        assert_eq!(tree.subtree(0).len(), 4);
    }

    #[test]
    fn an_empty_tree_has_no_roots() {
        assert_eq!(Tree::build(Vec::new(), 1).roots().count(), 0);
    }
}
