//! Categories the short way: the tree is in memory, counts and texts are loaded for all that are shown.

use std::collections::HashMap;

use async_graphql::Value;
use futures_util::future::BoxFuture;

use super::{
    super::{
        category::Category,
        context::Scope,
        loader::{CategoryText, CountOf},
    },
    Asked, AtHand, One, Way, maybe, text,
};
use crate::base::{GlobalId, Result, id::Kind};

/// What categories, and those shown with them, need beside the tree.
#[derive(Debug, Default)]
pub struct Beside {
    counts: HashMap<CountOf, i64>,
    texts: HashMap<CategoryText, String>,
}

impl Beside {
    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.counts.extend(other.counts);
        self.texts.extend(other.texts);
        self
    }
}

impl AtHand for Category {
    type Beside = Beside;

    fn knows(one: &One<'_>) -> bool {
        match one.name() {
            "id" | "name" | "slug" | "level" | "position" | "version" | "description" | "productCount" => true,
            "parent" | "children" | "ancestors" | "descendants" => one.below.all(Self::knows),
            _ => false,
        }
    }

    fn beside<'a>(
        things: &'a [Self],
        scope: &'a Scope,
        asked: &'a Asked<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Beside>>> {
        let (mut counts, mut texts) = (Vec::new(), Vec::new());
        for thing in things {
            thing.reach(asked, &mut |name, key| match name {
                "productCount" => counts.push(CountOf(key)),
                "description" => texts.push(CategoryText(key)),
                _ => {}
            });
        }
        if counts.is_empty() && texts.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            let (counts, texts) = futures_util::try_join!(scope.load_many(counts), scope.load_many(texts))?;
            Ok(Beside { counts, texts })
        }))
    }

    fn value(&self, beside: &Beside, one: &One<'_>, way: &Way<'_>) -> Option<Value> {
        let node = self.node();
        Some(match one.name() {
            "id" => text(GlobalId::new(Kind::Category, node.id).encode()),
            "name" => text(&node.name),
            "slug" => text(&node.slug),
            "level" => Value::from(node.level),
            "position" => Value::from(node.position),
            "version" => Value::from(node.version),
            "description" => maybe(beside.texts.get(&CategoryText(node.id)).map(String::as_str)),
            "productCount" => Value::from(beside.counts.get(&CountOf(node.id)).copied().unwrap_or(0)),
            "parent" => match self.above() {
                Some(parent) => way.object(&parent, beside, &one.below)?,
                None => Value::Null,
            },
            name => way.list(&self.related(name)?, beside, one)?,
        })
    }
}

impl Category {
    /// The categories of a field.
    fn related(&self, name: &str) -> Option<Vec<Self>> {
        Some(match name {
            "children" => self.below(),
            "ancestors" => self.trail(),
            "descendants" => self.all_below(),
            _ => return None,
        })
    }

    /// Tells every field that is asked of this category and of those shown with it, and the category's key.
    fn reach(&self, asked: &Asked<'_>, tell: &mut impl FnMut(&str, i64)) {
        for one in asked.fields() {
            tell(one.name(), self.node().id);
            if one.below.fields().next().is_none() {
                continue;
            }
            let related = self.related(one.name()).unwrap_or_else(|| self.above().into_iter().collect());
            for category in related {
                category.reach(&one.below, tell);
            }
        }
    }
}
