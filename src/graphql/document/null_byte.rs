//! Null bytes in the texts of a request, which no text of a database can hold.

use async_graphql::{
    Positioned, Value,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet, VariableDefinition},
};

/// Returns where in a document a null byte is written.
#[must_use]
pub fn find_in_document(document: &ExecutableDocument) -> Option<String> {
    let operations = document.operations.iter().find_map(|(_, operation)| in_operation(&operation.node));
    let mut fragments = document.fragments.iter();
    operations.or_else(|| fragments.find_map(|(name, one)| in_selection(&one.node.selection_set.node, name.as_str())))
}

fn in_operation(operation: &OperationDefinition) -> Option<String> {
    let default = |variable: &Positioned<VariableDefinition>| {
        find_in_value(&variable.node.default_value.as_ref()?.node, &format!("${}", variable.node.name.node))
    };
    operation.variable_definitions.iter().find_map(default).or_else(|| in_selection(&operation.selection_set.node, ""))
}

fn in_selection(set: &SelectionSet, path: &str) -> Option<String> {
    set.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) => {
            let path = format!("{path}.{}", field.node.response_key().node);
            let path = path.trim_start_matches('.');
            let arguments = field.node.arguments.iter().find_map(|(name, value)| {
                // A variable's own value is looked at where it is given.
                let value = value.node.clone().into_const_with(|_| Ok::<_, std::convert::Infallible>(Value::Null));
                find_in_value(&value.unwrap_or_default(), &format!("{path}({})", name.node))
            });
            arguments.or_else(|| in_selection(&field.node.selection_set.node, path))
        }
        Selection::InlineFragment(fragment) => in_selection(&fragment.node.selection_set.node, path),
        Selection::FragmentSpread(_) => None,
    })
}

/// Returns where in a value a null byte is; `path` is the path of the value.
#[must_use]
pub fn find_in_value(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::List(list) => {
            list.iter().enumerate().find_map(|(at, value)| find_in_value(value, &format!("{path}[{at}]")))
        }
        Value::Object(map) => map.iter().find_map(|(name, value)| find_in_value(value, &format!("{path}.{name}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn a_null_byte_is_found_where_it_stands() {
        let document = parse_query("{ product(slug: \"a\\u0000b\") { id } }").expect("a document");
        assert_eq!(find_in_document(&document).as_deref(), Some("product(slug)"));
    }
}
