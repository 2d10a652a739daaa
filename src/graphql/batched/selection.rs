//! Selection sets with fragments expanded.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Value,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
};

use super::{ObjectFields, string_value};

/// Selected fields of an object in response order, merged by response key.
///
/// Fields excluded by `@skip` and `@include` are already removed. For an object type every fragment of a valid document
/// applies.
#[derive(Debug, Default)]
pub struct FieldSelection<'a>(Vec<SelectedField<'a>>);

/// Selected field.
#[derive(Debug)]
pub struct SelectedField<'a> {
    /// Response key: alias or name.
    pub response_key: &'a Name,
    /// Field in the document.
    pub field: &'a Positioned<Field>,
    /// Selection set of the field.
    pub selection: FieldSelection<'a>,
}

impl SelectedField<'_> {
    /// Returns the name in the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.field.node.name.node
    }
}

impl<'a> FieldSelection<'a> {
    /// Creates the selection from a selection set.
    #[must_use]
    pub fn from_selection_set(
        selection_set: &'a SelectionSet,
        fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    ) -> Self {
        let mut selection = Self(Vec::with_capacity(selection_set.items.len()));
        selection.collect_fields(selection_set, fragments);
        selection
    }

    fn collect_fields(
        &mut self,
        selection_set: &'a SelectionSet,
        fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    ) {
        for selection in &selection_set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let response_key = &field.node.response_key().node;
                    let child_set = &field.node.selection_set.node;
                    match self.0.iter_mut().find(|existing| existing.response_key == response_key) {
                        Some(existing) => existing.selection.collect_fields(child_set, fragments),
                        None => self.0.push(SelectedField {
                            response_key,
                            field,
                            selection: Self::from_selection_set(child_set, fragments),
                        }),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.collect_fields(&fragment.node.selection_set.node, fragments);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.collect_fields(&fragment.node.selection_set.node, fragments);
                    }
                }
            }
        }
    }

    /// Iterates over the fields except `__typename`.
    pub fn fields(&self) -> impl Iterator<Item = &SelectedField<'a>> {
        self.0.iter().filter(|field| field.name() != "__typename")
    }

    /// Iterates over the fields with a name.
    pub fn fields_named(&self, name: &str) -> impl Iterator<Item = &SelectedField<'a>> {
        self.0.iter().filter(move |field| field.name() == name)
    }

    /// Returns whether any of the names is selected.
    #[must_use]
    pub fn contains_any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|field| names.contains(&field.name()))
    }

    /// Returns whether any of the names is selected at any level.
    #[must_use]
    pub fn contains_any_nested(&self, names: &[&str]) -> bool {
        self.contains_any(names) || self.0.iter().any(|field| field.selection.contains_any_nested(names))
    }

    /// Returns whether the predicate is true for every field except `__typename`.
    pub fn all_fields(&self, predicate: impl FnMut(&SelectedField<'a>) -> bool) -> bool {
        self.fields().all(predicate)
    }

    /// Returns the number of values per object, at all levels.
    #[must_use]
    pub fn value_count(&self) -> usize {
        self.0.iter().map(|field| 1 + field.selection.value_count()).sum::<usize>().max(1)
    }

    /// Builds an object of a type from the values of its fields; `None` if a value is missing.
    pub fn build_object(
        &self,
        type_name: &str,
        mut render_field: impl FnMut(&SelectedField<'a>) -> Option<Value>,
    ) -> Option<Value> {
        let mut object = ObjectFields::with_capacity(self.0.len());
        for field in &self.0 {
            let render_field =
                if field.name() == "__typename" { string_value(type_name) } else { render_field(field)? };
            object.insert(field.response_key.clone(), render_field);
        }
        Some(Value::Object(object))
    }
}
