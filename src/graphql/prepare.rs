//! A document made ready for the executor, once: what it would read wrongly said in other words, and marks left where
//! [`super::shape`] could not tell afterwards what an answer means.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, FragmentDefinition, InlineFragment, Selection, SelectionSet,
    },
};

use super::shape::{MARK, Types, named};

/// Prepares a valid document.
pub fn prepare(document: &mut ExecutableDocument) {
    let types = Types::get();
    let mut sure = HashMap::new();
    for name in document.fragments.keys() {
        surely(types, &document.fragments, name, &mut sure);
    }
    let work = Work { types, sure };
    for fragment in document.fragments.values_mut() {
        let condition = fragment.node.type_condition.node.on.node.clone();
        work.walk(&mut fragment.node.selection_set.node, &condition);
    }
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(one) => vec![one],
        DocumentOperations::Multiple(all) => all.values_mut().collect(),
    };
    for operation in operations {
        if let Some(root) = types.root(operation.node.ty) {
            work.walk(&mut operation.node.selection_set.node, root);
        }
    }
}

/// The document of one operation alone. The executor reads, and counts, the arguments of the others too, for which
/// there may be no variables.
#[must_use]
pub fn alone(document: &ExecutableDocument, name: Option<&str>) -> ExecutableDocument {
    let DocumentOperations::Multiple(all) = &document.operations else { return document.clone() };
    let named = name.and_then(|name| all.get_key_value(name)).filter(|_| all.len() > 1);
    let Some((name, operation)) = named else { return document.clone() };
    let mut fragments: HashMap<Name, Positioned<FragmentDefinition>> = HashMap::new();
    let mut sets = vec![&operation.node.selection_set.node];
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => sets.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let found = document.fragments.get_key_value(&spread.node.fragment_name.node);
                    if let Some((name, fragment)) = found.filter(|(name, _)| !fragments.contains_key(*name)) {
                        fragments.insert(name.clone(), fragment.clone());
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    let operations = DocumentOperations::Multiple(HashMap::from([(name.clone(), operation.clone())]));
    ExecutableDocument { operations, fragments }
}

/// For each fragment, the type it is on, and whether it surely asks something of that.
type Sure = HashMap<Name, (Name, bool)>;

struct Work<'a> {
    types: &'a Types,
    sure: Sure,
}

impl Work<'_> {
    fn walk(&self, set: &mut SelectionSet, parent: &str) {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    if field.node.name.node == "__typename" && !field.node.directives.is_empty() {
                        // The validation does not look at these: around a fragment it does.
                        selection.node = inside_a_fragment(field.clone());
                        continue;
                    }
                    let ty = self.types.field(parent, &field.node.name.node);
                    let Some((name, kind)) = ty.and_then(|ty| self.types.find(named(ty))) else { continue };
                    let inner = &mut field.node.selection_set.node;
                    let mark = !inner.items.is_empty() && (kind.open || !asks(self.types, inner, name, &self.sure));
                    self.walk(inner, name);
                    if mark {
                        inner.items.push(marked(field.pos));
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|one| one.node.on.node.clone());
                    let name = condition.as_ref().map_or(parent, Name::as_str);
                    self.walk(&mut fragment.node.selection_set.node, name);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

/// Whether a selection surely asks something of what it is on, so that an answer of nothing means that nothing is there.
fn asks(types: &Types, set: &SelectionSet, parent: &str, sure: &Sure) -> bool {
    let mut plain = set.items.iter().map(|one| &one.node).filter(|one| one.directives().is_empty());
    plain.any(|one| match one {
        Selection::Field(_) => true,
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref();
            condition.is_none_or(|condition| types.is(parent, &condition.node.on.node))
                && asks(types, &fragment.node.selection_set.node, parent, sure)
        }
        Selection::FragmentSpread(spread) => {
            let known = sure.get(&spread.node.fragment_name.node);
            known.is_some_and(|(condition, asks)| *asks && types.is(parent, condition))
        }
    })
}

/// Works out what a fragment surely asks, those it spreads first. There are no circles within the limits.
fn surely(types: &Types, fragments: &HashMap<Name, Positioned<FragmentDefinition>>, name: &Name, sure: &mut Sure) {
    let Some(fragment) = fragments.get(name).filter(|_| !sure.contains_key(name)) else { return };
    let mut below = vec![&fragment.node.selection_set.node];
    while let Some(set) = below.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(_) => {}
                Selection::InlineFragment(inline) => below.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => surely(types, fragments, &spread.node.fragment_name.node, sure),
            }
        }
    }
    let condition = &fragment.node.type_condition.node.on.node;
    let asks = asks(types, &fragment.node.selection_set.node, condition, sure);
    sure.insert(name.clone(), (condition.clone(), asks));
}

fn inside_a_fragment(mut field: Positioned<Field>) -> Selection {
    let pos = field.pos;
    let directives = std::mem::take(&mut field.node.directives);
    let items = vec![Positioned::new(Selection::Field(field), pos)];
    let selection_set = Positioned::new(SelectionSet { items }, pos);
    Selection::InlineFragment(Positioned::new(InlineFragment { type_condition: None, directives, selection_set }, pos))
}

fn marked(pos: async_graphql::Pos) -> Positioned<Selection> {
    let field = Field {
        alias: Some(Positioned::new(Name::new(MARK), pos)),
        name: Positioned::new(Name::new("__typename"), pos),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
}
