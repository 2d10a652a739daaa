//! What is looked at before a document is validated: validation itself can be made to take for ever.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, ServerError, Value,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

use crate::infra::config::GraphqlConfig;

/// How large a selection is once its fragments are spread out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    fields: usize,
    depth: usize,
}

/// Measures selections; each fragment once, however often it is spread.
struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being measured: meeting it again then is a circle.
    known: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn selection(&mut self, set: &'a SelectionSet) -> Result<Size, ServerError> {
        let mut all = Size::default();
        for selection in &set.items {
            let one = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.selection(&field.node.selection_set.node)?;
                    Size { fields: inner.fields.saturating_add(1), depth: inner.depth + 1 }
                }
                Selection::InlineFragment(fragment) => self.selection(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name)?,
            };
            all = Size { fields: all.fields.saturating_add(one.fields), depth: all.depth.max(one.depth) };
        }
        Ok(all)
    }

    fn fragment(&mut self, name: &'a Positioned<Name>) -> Result<Size, ServerError> {
        match self.known.get(&name.node) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("The fragment \"{}\" spreads itself.", name.node);
                return Err(ServerError::new(message, Some(name.pos)));
            }
            None => {}
        }
        // One that is not there is for the validation to name.
        let Some(fragment) = self.document.fragments.get(&name.node) else { return Ok(Size::default()) };
        self.known.insert(&name.node, None);
        let size = self.selection(&fragment.node.selection_set.node)?;
        self.known.insert(&name.node, Some(size));
        Ok(size)
    }
}

/// Refuses what is too large or too deep. Takes time in proportion to the document, not to what it spreads out to.
///
/// # Errors
/// One that says which limit it is.
pub fn check(document: &ExecutableDocument, limits: &GraphqlConfig) -> Result<(), ServerError> {
    let mut measure = Measure { document, known: HashMap::new() };
    // Fragments that no operation uses are measured too: the validation walks them.
    for fragment in document.fragments.values() {
        measure.selection(&fragment.node.selection_set.node)?;
    }
    let mut fields = 0_usize;
    for (_, operation) in document.operations.iter() {
        let size = measure.selection(&operation.node.selection_set.node)?;
        fields = fields.saturating_add(size.fields);
        let limit = match (size.depth > limits.max_depth, fields > limits.max_fields) {
            (true, _) => format!("The operation nests {} levels deep; the limit is {}.", size.depth, limits.max_depth),
            (_, true) => format!("The document has more than {} fields, its fragments spread out.", limits.max_fields),
            _ => continue,
        };
        let mut error = ServerError::new(limit, Some(operation.pos));
        error.extensions.get_or_insert_default().set("code", "QUERY_TOO_COMPLEX");
        return Err(error);
    }
    Ok(())
}

/// Where in a document a null byte is written, which no text in a database can hold.
#[must_use]
pub fn null_byte(document: &ExecutableDocument) -> Option<String> {
    let operations = document.operations.iter().find_map(|(_, operation)| in_operation(&operation.node));
    let mut fragments = document.fragments.iter();
    operations.or_else(|| fragments.find_map(|(name, one)| in_selection(&one.node.selection_set.node, name.as_str())))
}

fn in_operation(operation: &OperationDefinition) -> Option<String> {
    let default = |variable: &Positioned<async_graphql::parser::types::VariableDefinition>| {
        in_value(&variable.node.default_value.as_ref()?.node, &format!("${}", variable.node.name.node))
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
                in_value(&value.unwrap_or_default(), &format!("{path}({})", name.node))
            });
            arguments.or_else(|| in_selection(&field.node.selection_set.node, path))
        }
        Selection::InlineFragment(fragment) => in_selection(&fragment.node.selection_set.node, path),
        Selection::FragmentSpread(_) => None,
    })
}

/// Where in a value a null byte is.
#[must_use]
pub fn in_value(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::List(list) => list.iter().enumerate().find_map(|(at, value)| in_value(value, &format!("{path}[{at}]"))),
        Value::Object(map) => map.iter().find_map(|(name, value)| in_value(value, &format!("{path}.{name}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn limits() -> GraphqlConfig {
        let none = std::iter::empty();
        crate::infra::Config::read(std::path::Path::new("/nowhere.toml"), none).expect("the defaults").graphql
    }

    fn check_text(text: &str) -> Result<(), ServerError> {
        check(&parse_query(text).expect("a document"), &limits())
    }

    #[test]
    fn a_fragment_bomb_is_refused_at_once() {
        let mut text = "query { ...f0 }".to_owned();
        for n in 0..60 {
            text.push_str(&format!(" fragment f{n} on Query {{ ...f{} ...f{} }}", n + 1, n + 1));
        }
        text.push_str(" fragment f60 on Query { __typename }");
        assert!(check_text(&text).is_err_and(|error| error.message.contains("fields")));
    }

    #[test]
    fn a_circle_of_fragments_is_named() {
        let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
        assert!(check_text(text).is_err_and(|error| error.message.contains("spreads itself")));
    }

    #[test]
    fn aliases_of_typename_count() {
        let fields: String = (0..2_001).map(|n| format!("a{n}: __typename ")).collect();
        assert!(check_text(&format!("{{ {fields} }}")).is_err());
        assert!(check_text("{ a: __typename b: __typename }").is_ok());
    }

    #[test]
    fn a_null_byte_is_found_where_it_stands() {
        let document = parse_query("{ product(slug: \"a\\u0000b\") { id } }").expect("a document");
        assert_eq!(null_byte(&document).as_deref(), Some("product(slug)"));
    }
}
