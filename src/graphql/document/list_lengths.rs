//! Fields of one response name whose arguments differ in the length of a list: the comparison of `apollo-compiler` takes
//! a list for the same as one that begins with it.

use std::collections::HashSet;

use apollo_compiler::{
    ExecutableDocument, Node,
    ast::{self, Argument, Definition, Document, Selection, Value},
    executable::{self, SelectionSet},
};
use async_graphql::ServerError;

use super::{LineIndex, first_errors, schema};

/// The rule that is looked for.
const CONFLICT: &str = "ConflictingFieldArgument";

/// Checks a document that is valid otherwise. Where two fields of one response name take lists, a copy in which every
/// list begins with its length is validated once more, and only conflicts of arguments count.
///
/// # Errors
/// The conflicts.
pub(super) fn check(ast: &Document, valid: &ExecutableDocument, lines: &LineIndex<'_>) -> Result<(), Vec<ServerError>> {
    let fragments = valid.fragments.values().map(|one| &one.selection_set);
    let mut sets: Vec<_> = valid.operations.iter().map(|one| &one.selection_set).chain(fragments).collect();
    let mut names = HashSet::new();
    let mut twice = false;
    while let Some(SelectionSet { selections, .. }) = sets.pop() {
        for selection in selections {
            match selection {
                executable::Selection::Field(field) => {
                    if field.arguments.iter().any(|argument| has_list(&argument.value)) {
                        twice |= !names.insert((field.response_key(), &field.name));
                    }
                    sets.push(&field.selection_set);
                }
                executable::Selection::InlineFragment(fragment) => sets.push(&fragment.selection_set),
                executable::Selection::FragmentSpread(_) => {}
            }
        }
    }
    if !twice {
        return Ok(());
    }
    let Err(failed) = with_lengths(ast).to_executable_validate(schema()) else { return Ok(()) };
    let conflicts = first_errors(&failed.errors, lines, |one| one.unstable_error_name() == Some(CONFLICT));
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Object(fields) => fields.iter().any(|(_, value)| has_list(value)),
        _ => false,
    }
}

/// A copy of a document in which every list in an argument begins with its length.
fn with_lengths(ast: &Document) -> Document {
    let mut copy = ast.clone();
    for definition in &mut copy.definitions {
        match definition {
            Definition::OperationDefinition(operation) => selections(&mut operation.make_mut().selection_set),
            Definition::FragmentDefinition(fragment) => selections(&mut fragment.make_mut().selection_set),
            _ => {}
        }
    }
    copy
}

fn selections(set: &mut [Selection]) {
    for selection in set {
        match selection {
            Selection::Field(field) => {
                let field = field.make_mut();
                field.arguments.iter_mut().for_each(|argument| argument_value(argument.make_mut()));
                selections(&mut field.selection_set);
            }
            Selection::InlineFragment(fragment) => selections(&mut fragment.make_mut().selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn argument_value(argument: &mut Argument) {
    value(argument.value.make_mut());
}

fn value(of: &mut Value) {
    match of {
        Value::List(items) => {
            for item in items.iter_mut() {
                value(item.make_mut());
            }
            items.insert(0, Node::new(Value::Int(ast::IntValue::from(i32::try_from(items.len()).unwrap_or(i32::MAX)))));
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| value(field.make_mut())),
        _ => {}
    }
}
