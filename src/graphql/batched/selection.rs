//! Selection sets with fragments expanded.

use std::collections::HashMap;

use async_graphql::{
    Context, ContextSelectionSet, Name, Positioned,
    parser::types::{Field, FragmentDefinition, Selection as SelectionNode, SelectionSet},
};
use sea_orm::Iterable;

use super::BatchResolve;
use crate::catalog::projection::ColumnSet;

/// Fields selected of an object or of the objects of a list.
///
/// `@skip` and `@include` are already applied to the document. For an object type every fragment of a valid document
/// applies.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    set: &'a SelectionSet,
    /// Further fields with the same response key, whose selections are merged.
    repeated: &'a [&'a Positioned<Field>],
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
}

/// Selected field, merged by response key.
#[derive(Debug)]
pub struct SelectedField<'a> {
    /// Response key: alias or name.
    pub response_key: &'a Name,
    /// First field in the document with the response key.
    pub field: &'a Positioned<Field>,
    repeated: Vec<&'a Positioned<Field>>,
}

impl<'a> SelectedField<'a> {
    /// Returns the name in the schema.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.field.node.name.node
    }
}

/// Object whose fields read columns of a row.
pub trait SelectColumns {
    /// Column of the row.
    type Column: Iterable + Copy;
    /// Column that is always read.
    const ID: Self::Column;

    /// Returns the columns that a field with the selection needs.
    fn field_columns(name: &str, selection: Selection<'_>) -> ColumnSet<Self::Column>;
}

impl<'a> Selection<'a> {
    /// Returns the selection of a field.
    #[must_use]
    pub fn of_field(ctx: &Context<'a>) -> Self {
        let (set, fragments) = (&ctx.item.node.selection_set.node, &ctx.query_env.fragments);
        Self { set, repeated: &[], fragments }
    }

    /// Returns the selection of an object.
    #[must_use]
    pub fn of_object(ctx: &ContextSelectionSet<'a>) -> Self {
        Self { set: &ctx.item.node, repeated: &[], fragments: &ctx.query_env.fragments }
    }

    /// Returns the selection of a field of this selection.
    #[must_use]
    pub fn of_selected(self, field: &'a SelectedField<'a>) -> Self {
        let set = &field.field.node.selection_set.node;
        Self { set, repeated: &field.repeated, fragments: self.fragments }
    }

    /// Visits the selected fields with their selections, in response order.
    fn visit_fields(self, visit: &mut dyn FnMut(&'a Positioned<Field>, Self)) {
        let with_set = |set| Self { set, repeated: &[], ..self };
        let repeated = self.repeated.iter().map(|field| &field.node.selection_set.node);
        for selection in std::iter::once(self.set).chain(repeated).flat_map(|set| &set.items) {
            match &selection.node {
                SelectionNode::Field(field) => visit(field, with_set(&field.node.selection_set.node)),
                SelectionNode::InlineFragment(fragment) => {
                    with_set(&fragment.node.selection_set.node).visit_fields(visit);
                }
                SelectionNode::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        with_set(&fragment.node.selection_set.node).visit_fields(visit);
                    }
                }
            }
        }
    }

    /// Visits the selections of the selected fields with a name.
    pub fn visit_named(self, name: &str, visit: &mut dyn FnMut(Self)) {
        self.visit_fields(&mut |field, selection| {
            if field.node.name.node == name {
                visit(selection);
            }
        });
    }

    /// Returns the selected fields in response order, merged by response key.
    #[must_use]
    pub fn merge_fields(self) -> Vec<SelectedField<'a>> {
        let mut fields: Vec<SelectedField<'a>> = Vec::with_capacity(self.set.items.len());
        self.visit_fields(&mut |field, _| {
            let response_key = &field.node.response_key().node;
            match fields.iter_mut().find(|existing| existing.response_key == response_key) {
                Some(existing) => existing.repeated.push(field),
                None => fields.push(SelectedField { response_key, field, repeated: Vec::new() }),
            }
        });
        fields
    }

    /// Returns whether all selected fields can be resolved in a batch, at all levels.
    #[must_use]
    pub fn is_supported<T: BatchResolve>(self) -> bool {
        let mut is_supported = true;
        self.visit_fields(&mut |field, selection| {
            let name = field.node.name.node.as_str();
            is_supported = is_supported && (name == "__typename" || T::supports(name, selection));
        });
        is_supported
    }

    /// Returns whether a selected field may load data, at any level.
    #[must_use]
    pub fn loads<T: BatchResolve>(self) -> bool {
        let mut loads = false;
        self.visit_fields(&mut |field, selection| {
            loads = loads || T::loads(field.node.name.node.as_str(), selection);
        });
        loads
    }

    /// Returns the columns that the selected fields of an object need.
    #[must_use]
    pub fn columns<T: SelectColumns>(self) -> ColumnSet<T::Column> {
        let mut columns = ColumnSet::from([T::ID]);
        self.visit_fields(&mut |field, selection| {
            let name = field.node.name.node.as_str();
            if name != "__typename" {
                columns = columns.union(T::field_columns(name, selection));
            }
        });
        columns
    }

    /// Returns the columns that the selected fields with a name need of the objects in them.
    #[must_use]
    pub fn nested_columns<T: SelectColumns>(self, name: &str) -> ColumnSet<T::Column> {
        let mut columns = ColumnSet::EMPTY;
        self.visit_named(name, &mut |selection| columns = columns.union(selection.columns::<T>()));
        columns
    }

    /// Returns the number of values per object, at all levels.
    #[must_use]
    pub fn value_count(self) -> usize {
        let mut count = 0;
        self.visit_fields(&mut |_, selection| count += 1 + selection.value_count());
        count.max(1)
    }
}
