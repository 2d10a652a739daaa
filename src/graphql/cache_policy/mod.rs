//! Cache policy of operations: whether their responses are public, computed from the list of public fields.

mod invalidation;
mod public_fields;

use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

use apollo_compiler::executable::{self, ExecutableDocument, Selection, SelectionSet};

use crate::{catalog::cache_tags::STOCK, infra::cache::CacheTag};
pub use invalidation::follow_events;
pub use public_fields::{PUBLIC_FIELDS, PublicFields};

/// Arguments of lists that select by the stock too.
const FILTER_ARGUMENT: &str = "filter";

/// Policy of a query all of whose fields are public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicCachePolicy {
    /// Sets of rows that each response depends on.
    pub tags: BTreeSet<CacheTag>,
}

/// Policies of the public operations of a document, by name.
#[derive(Debug, Default)]
pub struct CachePolicies {
    anonymous: Option<PublicCachePolicy>,
    named: HashMap<String, PublicCachePolicy>,
}

impl CachePolicies {
    /// Computes the policies of the operations of a valid document.
    #[must_use]
    pub fn of_document(document: &ExecutableDocument) -> Self {
        let of_operation = |operation: &executable::Operation| PolicyVisitor::new(document).visit_operation(operation);
        let named = document.operations.named.iter();
        Self {
            anonymous: document.operations.anonymous.as_ref().and_then(|operation| of_operation(operation)),
            named: named.filter_map(|(name, operation)| Some((name.to_string(), of_operation(operation)?))).collect(),
        }
    }

    /// Returns the policy of the selected operation; `None` if its responses are private. Without a name, the document
    /// has one operation.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<&PublicCachePolicy> {
        match name {
            Some(name) => self.named.get(name),
            None => self.anonymous.as_ref().or_else(|| self.named.values().next()),
        }
    }
}

/// Visits the fields of an operation.
struct PolicyVisitor<'a> {
    document: &'a ExecutableDocument,
    /// Fragments that were visited. What they select does not depend on where they are spread.
    visited_fragments: BTreeSet<&'a str>,
    tags: BTreeSet<CacheTag>,
}

impl<'a> PolicyVisitor<'a> {
    fn new(document: &'a ExecutableDocument) -> Self {
        Self { document, visited_fragments: BTreeSet::new(), tags: BTreeSet::new() }
    }

    fn visit_operation(mut self, operation: &'a executable::Operation) -> Option<PublicCachePolicy> {
        let is_public = operation.is_query() && self.visit_selections(&operation.selection_set);
        is_public.then_some(PublicCachePolicy { tags: self.tags })
    }

    /// Adds the tags of the selections; returns whether all of them are public.
    fn visit_selections(&mut self, set: &'a SelectionSet) -> bool {
        set.selections.iter().all(|selection| match selection {
            Selection::Field(field) => {
                field.name == "__typename"
                    || (self.visit_field(&set.ty, field) && self.visit_selections(&field.selection_set))
            }
            Selection::InlineFragment(fragment) => self.visit_selections(&fragment.selection_set),
            Selection::FragmentSpread(spread) => {
                let document = self.document;
                !self.visited_fragments.insert(&spread.fragment_name)
                    || spread
                        .fragment_def(document)
                        .is_some_and(|definition| self.visit_selections(&definition.selection_set))
            }
        })
    }

    fn visit_field(&mut self, type_name: &str, field: &executable::Field) -> bool {
        let Some(tags) = find_public_field(type_name, &field.name) else { return false };
        self.tags.extend(tags);
        if field.arguments.iter().any(|argument| argument.name == FILTER_ARGUMENT) {
            self.tags.insert(STOCK);
        }
        true
    }
}

/// Returns the sets of rows that a public field depends on; `None` for a private field.
#[must_use]
pub fn find_public_field(type_name: &str, field_name: &str) -> Option<&'static [CacheTag]> {
    static TAGS_BY_FIELD: LazyLock<HashMap<(&str, &str), &[CacheTag]>> = LazyLock::new(|| {
        let fields_of = |entry: &'static PublicFields| {
            entry.fields.iter().map(|field_name| ((entry.type_name, *field_name), entry.tags))
        };
        PUBLIC_FIELDS.iter().flat_map(fields_of).collect()
    });
    TAGS_BY_FIELD.get(&(type_name, field_name)).copied()
}

#[cfg(test)]
mod tests;
