//! Rewrites a document for the executor: rewrites constructs that the executor handles incorrectly, and adds markers
//! that [`super::response_shape`] needs to interpret the response.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, FragmentDefinition, InlineFragment, Selection, SelectionSet,
    },
};

use super::response_shape::{TYPENAME_ALIAS, TypeIndex, named_type};

/// Rewrites a valid document.
pub fn rewrite_document(document: &mut ExecutableDocument) {
    let types = TypeIndex::global();
    let mut unconditional = HashMap::new();
    for name in document.fragments.keys() {
        analyze_fragment(types, &document.fragments, name, &mut unconditional);
    }
    let rewriter = DocumentRewriter { types, unconditional };
    for fragment in document.fragments.values_mut() {
        let condition = fragment.node.type_condition.node.on.node.clone();
        rewriter.rewrite_selection_set(&mut fragment.node.selection_set.node, &condition);
    }
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        if let Some(root) = types.root_type(operation.node.ty) {
            rewriter.rewrite_selection_set(&mut operation.node.selection_set.node, root);
        }
    }
}

/// Returns a document with the selected operation only. The executor also validates and counts the arguments of the
/// other operations, whose variables may be missing.
#[must_use]
pub fn select_operation(document: &ExecutableDocument, name: Option<&str>) -> ExecutableDocument {
    let DocumentOperations::Multiple(operations) = &document.operations else { return document.clone() };
    let selected = name.and_then(|name| operations.get_key_value(name)).filter(|_| operations.len() > 1);
    let Some((name, operation)) = selected else { return document.clone() };
    let mut fragments: HashMap<Name, Positioned<FragmentDefinition>> = HashMap::new();
    let mut selection_sets = vec![&operation.node.selection_set.node];
    while let Some(selection_set) = selection_sets.pop() {
        for selection in &selection_set.items {
            match &selection.node {
                Selection::Field(field) => selection_sets.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => selection_sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let entry = document.fragments.get_key_value(&spread.node.fragment_name.node);
                    if let Some((name, fragment)) = entry.filter(|(name, _)| !fragments.contains_key(*name)) {
                        fragments.insert(name.clone(), fragment.clone());
                        selection_sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    let operations = DocumentOperations::Multiple(HashMap::from([(name.clone(), operation.clone())]));
    ExecutableDocument { operations, fragments }
}

/// For each fragment, its type condition and whether it selects a field unconditionally.
type UnconditionalFragments = HashMap<Name, (Name, bool)>;

struct DocumentRewriter<'a> {
    types: &'a TypeIndex,
    unconditional: UnconditionalFragments,
}

impl DocumentRewriter<'_> {
    fn rewrite_selection_set(&self, selection_set: &mut SelectionSet, parent: &str) {
        for selection in &mut selection_set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    if field.node.name.node == "__typename" && !field.node.directives.is_empty() {
                        // The validator ignores directives on `__typename` but checks them on a fragment.
                        selection.node = wrap_in_fragment(field.clone());
                        continue;
                    }
                    let ty = self.types.field_type(parent, &field.node.name.node);
                    let Some((name, schema_type)) = ty.and_then(|ty| self.types.find_type(named_type(ty))) else {
                        continue;
                    };
                    let child_set = &mut field.node.selection_set.node;
                    let needs_marker = !child_set.items.is_empty()
                        && (schema_type.is_abstract
                            || !has_unconditional_field(self.types, child_set, name, &self.unconditional));
                    self.rewrite_selection_set(child_set, name);
                    if needs_marker {
                        child_set.items.push(build_typename_marker(field.pos));
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition =
                        fragment.node.type_condition.as_ref().map(|condition_node| condition_node.node.on.node.clone());
                    let name = condition.as_ref().map_or(parent, Name::as_str);
                    self.rewrite_selection_set(&mut fragment.node.selection_set.node, name);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

/// Returns whether a selection set always selects a field, so that an empty result means that the object is null.
fn has_unconditional_field(
    types: &TypeIndex,
    selection_set: &SelectionSet,
    parent: &str,
    unconditional: &UnconditionalFragments,
) -> bool {
    let mut unconditional_selections = selection_set
        .items
        .iter()
        .map(|selection| &selection.node)
        .filter(|selection| selection.directives().is_empty());
    unconditional_selections.any(|selection| match selection {
        Selection::Field(_) => true,
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref();
            condition.is_none_or(|condition| types.is_subtype(parent, &condition.node.on.node))
                && has_unconditional_field(types, &fragment.node.selection_set.node, parent, unconditional)
        }
        Selection::FragmentSpread(spread) => {
            let analyzed = unconditional.get(&spread.node.fragment_name.node);
            analyzed.is_some_and(|(condition, selects_field)| *selects_field && types.is_subtype(parent, condition))
        }
    })
}

/// Records whether a fragment selects a field unconditionally, after the fragments it spreads. Cycles were rejected
/// before.
fn analyze_fragment(
    types: &TypeIndex,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    name: &Name,
    unconditional: &mut UnconditionalFragments,
) {
    let Some(fragment) = fragments.get(name).filter(|_| !unconditional.contains_key(name)) else { return };
    let mut pending_sets = vec![&fragment.node.selection_set.node];
    while let Some(selection_set) = pending_sets.pop() {
        for selection in &selection_set.items {
            match &selection.node {
                Selection::Field(_) => {}
                Selection::InlineFragment(inline) => pending_sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    analyze_fragment(types, fragments, &spread.node.fragment_name.node, unconditional);
                }
            }
        }
    }
    let condition = &fragment.node.type_condition.node.on.node;
    let selects_field = has_unconditional_field(types, &fragment.node.selection_set.node, condition, unconditional);
    unconditional.insert(name.clone(), (condition.clone(), selects_field));
}

fn wrap_in_fragment(mut field: Positioned<Field>) -> Selection {
    let pos = field.pos;
    let directives = std::mem::take(&mut field.node.directives);
    let items = vec![Positioned::new(Selection::Field(field), pos)];
    let selection_set = Positioned::new(SelectionSet { items }, pos);
    Selection::InlineFragment(Positioned::new(InlineFragment { type_condition: None, directives, selection_set }, pos))
}

fn build_typename_marker(pos: async_graphql::Pos) -> Positioned<Selection> {
    let field = Field {
        alias: Some(Positioned::new(Name::new(TYPENAME_ALIAS), pos)),
        name: Positioned::new(Name::new("__typename"), pos),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
}
