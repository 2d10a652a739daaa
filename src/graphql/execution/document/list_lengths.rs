//! Conflicts between fields with the same response name whose list arguments differ in length: `apollo-compiler` treats
//! a list as equal to any list that starts with it.

use std::collections::HashSet;

use apollo_compiler::{
    ExecutableDocument, Node,
    ast::{self, Argument, Definition, Document, Selection, Value},
    executable::{self, SelectionSet},
};
use async_graphql::ServerError;

use super::{errors::collect_errors, line_index::LineIndex};

/// Name of the validation rule for conflicting arguments.
const CONFLICTING_ARGUMENT_ERROR: &str = "ConflictingFieldArgument";

/// Checks an otherwise valid document. If two fields with the same response name have list arguments, validates a copy
/// in which each list starts with its length; only argument conflicts count.
///
/// # Errors
/// Returns the conflicts.
pub(super) fn check_list_lengths(
    ast: &Document,
    valid: &ExecutableDocument,
    lines: &LineIndex<'_>,
) -> Result<(), Vec<ServerError>> {
    let fragments = valid.fragments.values().map(|item| &item.selection_set);
    let mut selection_sets: Vec<_> = valid.operations.iter().map(|item| &item.selection_set).chain(fragments).collect();
    let mut field_names = HashSet::new();
    let mut has_repeated_field = false;
    while let Some(SelectionSet { selections, .. }) = selection_sets.pop() {
        for selection in selections {
            match selection {
                executable::Selection::Field(field) => {
                    if field.arguments.iter().any(|argument| contains_list(&argument.value)) {
                        has_repeated_field |= !field_names.insert((field.response_key(), &field.name));
                    }
                    selection_sets.push(&field.selection_set);
                }
                executable::Selection::InlineFragment(fragment) => selection_sets.push(&fragment.selection_set),
                executable::Selection::FragmentSpread(_) => {}
            }
        }
    }
    if !has_repeated_field {
        return Ok(());
    }
    let Err(validation_failure) = insert_list_lengths(ast).to_executable_validate(super::schema::validation_schema())
    else {
        return Ok(());
    };
    let conflicts = collect_errors(&validation_failure.errors, lines, |item| {
        item.unstable_error_name() == Some(CONFLICTING_ARGUMENT_ERROR)
    });
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

fn contains_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Object(fields) => fields.iter().any(|(_, value)| contains_list(value)),
        _ => false,
    }
}

/// Returns a copy of a document in which every list in an argument starts with its length.
fn insert_list_lengths(ast: &Document) -> Document {
    let mut copy = ast.clone();
    for definition in &mut copy.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                insert_selection_lengths(&mut operation.make_mut().selection_set);
            }
            Definition::FragmentDefinition(fragment) => {
                insert_selection_lengths(&mut fragment.make_mut().selection_set);
            }
            _ => {}
        }
    }
    copy
}

fn insert_selection_lengths(selections: &mut [Selection]) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                let field = field.make_mut();
                field.arguments.iter_mut().for_each(|argument| insert_argument_lengths(argument.make_mut()));
                insert_selection_lengths(&mut field.selection_set);
            }
            Selection::InlineFragment(fragment) => insert_selection_lengths(&mut fragment.make_mut().selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn insert_argument_lengths(argument: &mut Argument) {
    insert_value_lengths(argument.value.make_mut());
}

fn insert_value_lengths(value: &mut Value) {
    match value {
        Value::List(items) => {
            for item in items.iter_mut() {
                insert_value_lengths(item.make_mut());
            }
            items.insert(0, Node::new(Value::Int(ast::IntValue::from(i32::try_from(items.len()).unwrap_or(i32::MAX)))));
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| insert_value_lengths(field.make_mut())),
        _ => {}
    }
}
