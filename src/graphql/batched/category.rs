//! Batch resolution of categories: the tree is in memory; counts and descriptions are loaded for all categories at
//! once.

use std::collections::HashMap;

use async_graphql::Value;
use futures_util::future::BoxFuture;

use super::{
    super::{
        category::Category,
        context::RequestContext,
        loader::{CategoryText, CountOf},
    },
    BatchResolve, FieldSelection, RenderContext, SelectedField, optional_string_value, string_value,
};
use crate::base::{GlobalId, Result, global_id::NodeType};

/// Data needed by categories and their related categories beyond the category tree.
#[derive(Debug, Default)]
pub struct PreloadedCategories {
    product_counts: HashMap<CountOf, i64>,
    descriptions: HashMap<CategoryText, String>,
}

impl PreloadedCategories {
    /// Merges two sets of preloaded data.
    pub fn merge(mut self, other: Self) -> Self {
        self.product_counts.extend(other.product_counts);
        self.descriptions.extend(other.descriptions);
        self
    }
}

impl BatchResolve for Category {
    type Preloaded = PreloadedCategories;

    fn supports(field: &SelectedField<'_>) -> bool {
        match field.name() {
            "id" | "name" | "slug" | "level" | "position" | "version" | "description" | "productCount" => true,
            "parent" | "children" | "ancestors" | "descendants" => field.selection.all_fields(Self::supports),
            _ => false,
        }
    }

    fn preload<'a>(
        categories: &'a [Self],
        context: &'a RequestContext,
        selection: &'a FieldSelection<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Preloaded>>> {
        let (mut count_keys, mut description_keys) = (Vec::new(), Vec::new());
        for category in categories {
            category.visit_selected_fields(selection, &mut |name, category_id| match name {
                "productCount" => count_keys.push(CountOf(category_id)),
                "description" => description_keys.push(CategoryText(category_id)),
                _ => {}
            });
        }
        if count_keys.is_empty() && description_keys.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            let (count_keys, description_keys) =
                futures_util::try_join!(context.load_many(count_keys), context.load_many(description_keys))?;
            Ok(PreloadedCategories { product_counts: count_keys, descriptions: description_keys })
        }))
    }

    fn render(
        &self,
        preloaded: &PreloadedCategories,
        field: &SelectedField<'_>,
        render_context: &RenderContext<'_>,
    ) -> Option<Value> {
        let node = self.node();
        Some(match field.name() {
            "id" => string_value(GlobalId::new(NodeType::Category, node.id).encode()),
            "name" => string_value(&node.name),
            "slug" => string_value(&node.slug),
            "level" => Value::from(node.depth),
            "position" => Value::from(node.position),
            "version" => Value::from(node.version),
            "description" => {
                optional_string_value(preloaded.descriptions.get(&CategoryText(node.id)).map(String::as_str))
            }
            "productCount" => Value::from(preloaded.product_counts.get(&CountOf(node.id)).copied().unwrap_or(0)),
            "parent" => match self.parent_category() {
                Some(parent) => render_context.render_object(&parent, preloaded, &field.selection)?,
                None => Value::Null,
            },
            name => render_context.render_list(&self.related_categories(name)?, preloaded, field)?,
        })
    }
}

impl Category {
    /// Returns the related categories of a field.
    fn related_categories(&self, name: &str) -> Option<Vec<Self>> {
        Some(match name {
            "children" => self.child_categories(),
            "ancestors" => self.ancestor_categories(),
            "descendants" => self.descendant_categories(),
            _ => return None,
        })
    }

    /// Visits the selected fields of this category and of its related categories, with each category's ID.
    fn visit_selected_fields(&self, selection: &FieldSelection<'_>, visit: &mut impl FnMut(&str, i64)) {
        for field in selection.fields() {
            visit(field.name(), self.node().id);
            if field.selection.fields().next().is_none() {
                continue;
            }
            let related =
                self.related_categories(field.name()).unwrap_or_else(|| self.parent_category().into_iter().collect());
            for category in related {
                category.visit_selected_fields(&field.selection, visit);
            }
        }
    }
}
