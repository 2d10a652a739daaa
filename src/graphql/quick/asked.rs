//! What is asked of an object, fragments spread out.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Value,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
};

use super::{Fields, text};

/// What is asked of an object: its fields in the order of the answer, each once.
///
/// What `@skip` and `@include` leave out is gone by now, and of an object whose type is known every fragment of a valid
/// document holds.
#[derive(Debug, Default)]
pub struct Asked<'a>(Vec<One<'a>>);

/// One field that is asked for.
#[derive(Debug)]
pub struct One<'a> {
    /// What the answer calls it.
    pub key: &'a Name,
    /// As it is written.
    pub field: &'a Positioned<Field>,
    /// What is asked of what is found there.
    pub below: Asked<'a>,
}

impl One<'_> {
    /// Its name in the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.field.node.name.node
    }
}

impl<'a> Asked<'a> {
    /// Reads a selection.
    #[must_use]
    pub fn of(set: &'a SelectionSet, fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>) -> Self {
        let mut asked = Self(Vec::with_capacity(set.items.len()));
        asked.collect(set, fragments);
        asked
    }

    fn collect(&mut self, set: &'a SelectionSet, fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    let inner = &field.node.selection_set.node;
                    match self.0.iter_mut().find(|one| one.key == key) {
                        Some(one) => one.below.collect(inner, fragments),
                        None => self.0.push(One { key, field, below: Self::of(inner, fragments) }),
                    }
                }
                Selection::InlineFragment(fragment) => self.collect(&fragment.node.selection_set.node, fragments),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.collect(&fragment.node.selection_set.node, fragments);
                    }
                }
            }
        }
    }

    /// Every field but `__typename`, which everything has.
    pub fn fields(&self) -> impl Iterator<Item = &One<'a>> {
        self.0.iter().filter(|one| one.name() != "__typename")
    }

    /// The fields of a name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &One<'a>> {
        self.0.iter().filter(move |one| one.name() == name)
    }

    /// Whether one of these names is asked for.
    #[must_use]
    pub fn any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|one| names.contains(&one.name()))
    }

    /// Whether one of these names is asked for, here or anywhere below.
    #[must_use]
    pub fn deep(&self, names: &[&str]) -> bool {
        self.any(names) || self.0.iter().any(|one| one.below.deep(names))
    }

    /// Whether something holds for every field but `__typename`.
    pub fn all(&self, holds: impl FnMut(&One<'a>) -> bool) -> bool {
        self.fields().all(holds)
    }

    /// How many values are asked of one object, on all levels.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.iter().map(|one| 1 + one.below.size()).sum::<usize>().max(1)
    }

    /// An object of a type, with the value of every field; nothing where one is not at hand.
    pub fn object(&self, of: &str, mut value: impl FnMut(&One<'a>) -> Option<Value>) -> Option<Value> {
        let mut object = Fields::with_capacity(self.0.len());
        for one in &self.0 {
            let value = if one.name() == "__typename" { text(of) } else { value(one)? };
            object.insert(one.key.clone(), value);
        }
        Some(Value::Object(object))
    }
}
