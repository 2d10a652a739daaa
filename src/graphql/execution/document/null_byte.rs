//! Detection of null bytes in request strings, which databases cannot store as text.

use async_graphql::{
    Positioned, Value,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet, VariableDefinition},
};

/// Returns the path of the first null byte in a document.
#[must_use]
pub fn find_null_byte_in_document(document: &ExecutableDocument) -> Option<String> {
    let operation_path =
        document.operations.iter().find_map(|(_, operation)| find_null_byte_in_operation(&operation.node));
    let mut fragments = document.fragments.iter();
    operation_path.or_else(|| {
        fragments.find_map(|(name, fragment)| {
            find_null_byte_in_selection_set(&fragment.node.selection_set.node, name.as_str())
        })
    })
}

fn find_null_byte_in_operation(operation: &OperationDefinition) -> Option<String> {
    let default = |variable: &Positioned<VariableDefinition>| {
        find_null_byte_in_value(&variable.node.default_value.as_ref()?.node, &format!("${}", variable.node.name.node))
    };
    operation
        .variable_definitions
        .iter()
        .find_map(default)
        .or_else(|| find_null_byte_in_selection_set(&operation.selection_set.node, ""))
}

fn find_null_byte_in_selection_set(selection_set: &SelectionSet, path: &str) -> Option<String> {
    selection_set.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) => {
            let path = format!("{path}.{}", field.node.response_key().node);
            let path = path.trim_start_matches('.');
            let arguments = field.node.arguments.iter().find_map(|(name, value)| {
                // Values of variables are checked separately.
                let value = value.node.clone().into_const_with(|_| Ok::<_, std::convert::Infallible>(Value::Null));
                find_null_byte_in_value(&value.unwrap_or_default(), &format!("{path}({})", name.node))
            });
            arguments.or_else(|| find_null_byte_in_selection_set(&field.node.selection_set.node, path))
        }
        Selection::InlineFragment(fragment) => find_null_byte_in_selection_set(&fragment.node.selection_set.node, path),
        Selection::FragmentSpread(_) => None,
    })
}

/// Returns the path of the first null byte in a value; `path` is the path of the value.
#[must_use]
pub fn find_null_byte_in_value(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::List(list) => list
            .iter()
            .enumerate()
            .find_map(|(index, value)| find_null_byte_in_value(value, &format!("{path}[{index}]"))),
        Value::Object(map) => {
            map.iter().find_map(|(name, value)| find_null_byte_in_value(value, &format!("{path}.{name}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn null_byte_in_argument_is_reported_with_its_path() {
        let document = parse_query("{ product(slug: \"a\\u0000b\") { id } }").expect("valid document");
        assert_eq!(find_null_byte_in_document(&document).as_deref(), Some("product(slug)"));
    }
}
