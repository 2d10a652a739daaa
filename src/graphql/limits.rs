//! What is looked at before a document is validated: validation itself can be made to take for ever.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned, ServerError, Value,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

use crate::{base::error::Code, infra::config::GraphqlConfig};

/// Selections may nest so deep, fragments within fragments included: whoever walks them calls itself for each level.
const NESTING: usize = 100;
/// Selections, arguments, directives and variables as they are written. The validation compares many of them with each
/// other, and no query of a person's or a tool's making comes near.
const PARTS: usize = 10_000;

/// How large a selection is once its fragments are spread out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    fields: usize,
    depth: usize,
    nesting: usize,
}

/// Measures selections; each fragment once, however often it is spread.
struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being measured: meeting it again then is a circle.
    known: HashMap<&'a Name, Option<Size>>,
    parts: usize,
    /// Where it asks about the schema.
    introspects: Option<Pos>,
}

impl<'a> Measure<'a> {
    fn selection(&mut self, set: &'a Positioned<SelectionSet>, level: usize) -> Result<Size, ServerError> {
        let mut all = Size::default();
        self.parts += set.node.items.len();
        for selection in &set.node.items {
            self.parts += selection.node.directives().len();
            let one = match &selection.node {
                Selection::Field(field) => {
                    self.parts += field.node.arguments.len();
                    if ["__schema", "__type"].contains(&field.node.name.node.as_str()) {
                        self.introspects = Some(field.pos);
                    }
                    let inner = self.selection(&field.node.selection_set, level + 1)?;
                    Size { fields: inner.fields.saturating_add(1), depth: inner.depth + 1, ..inner }
                }
                Selection::InlineFragment(fragment) => self.selection(&fragment.node.selection_set, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name;
                    self.fragment(&name.node, name.pos, level + 1)?
                }
            };
            all.fields = all.fields.saturating_add(one.fields);
            all.depth = all.depth.max(one.depth);
            all.nesting = all.nesting.max(one.nesting + 1);
        }
        if level + all.nesting > NESTING {
            let message = format!("Selections and fragments nest more than {NESTING} levels deep.");
            return Err(too_complex(message, set.pos));
        }
        Ok(all)
    }

    fn fragment(&mut self, name: &'a Name, pos: Pos, level: usize) -> Result<Size, ServerError> {
        match self.known.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("The fragment \"{name}\" spreads itself.");
                return Err(ServerError::new(message, Some(pos)));
            }
            None => {}
        }
        // One that is not there is for the validation to name.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        if level > NESTING {
            let message = format!("Selections and fragments nest more than {NESTING} levels deep.");
            return Err(too_complex(message, pos));
        }
        self.known.insert(name, None);
        let size = self.selection(&fragment.node.selection_set, level)?;
        self.known.insert(name, Some(size));
        Ok(size)
    }
}

/// Refuses what is too large or too deep, and questions about the schema where they are not answered. Takes time in proportion to the document, not to what it spreads out to.
///
/// # Errors
/// One that says which limit it is.
pub fn check(document: &ExecutableDocument, limits: &GraphqlConfig, introspection: bool) -> Result<(), ServerError> {
    let mut measure = Measure { document, known: HashMap::new(), parts: document.fragments.len(), introspects: None };
    let too_many = || format!("The document has more than {} fields, its fragments spread out.", limits.max_fields);
    // Fragments that no operation uses are measured too: the validation walks them.
    for (name, fragment) in &document.fragments {
        let size = measure.fragment(name, fragment.pos, 0)?;
        if size.fields > limits.max_fields {
            return Err(too_complex(too_many(), fragment.pos));
        }
    }
    let mut fields = 0_usize;
    for (_, operation) in document.operations.iter() {
        measure.parts += operation.node.directives.len() + operation.node.variable_definitions.len();
        let size = measure.selection(&operation.node.selection_set, 0)?;
        fields = fields.saturating_add(size.fields);
        if size.depth > limits.max_depth {
            let message = format!("The operation nests {} levels deep; the limit is {}.", size.depth, limits.max_depth);
            return Err(too_complex(message, operation.pos));
        }
        if fields > limits.max_fields {
            return Err(too_complex(too_many(), operation.pos));
        }
    }
    if measure.parts > PARTS {
        let message = format!("The document has more than {PARTS} selections, arguments, directives and variables.");
        return Err(too_complex(message, Pos { line: 1, column: 1 }));
    }
    match measure.introspects.filter(|_| !introspection) {
        Some(pos) => Err(ServerError::new("This shop does not answer questions about its schema.", Some(pos))),
        None => Ok(()),
    }
}

fn too_complex(message: String, pos: Pos) -> ServerError {
    let mut error = ServerError::new(message, Some(pos));
    error.extensions.get_or_insert_default().set("code", Code::QueryTooComplex.as_str());
    error
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

    fn many(count: usize, one: impl Fn(usize) -> String) -> String {
        (0..count).map(one).collect::<Vec<_>>().concat()
    }

    fn check_text(text: &str) -> Result<(), ServerError> {
        check(&parse_query(text).expect("a document"), &limits(), true)
    }

    #[test]
    fn a_fragment_bomb_is_refused_at_once() {
        let links = many(60, |n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1));
        let text = format!("{{ ...f0 }} {links} fragment f60 on Query {{ __typename }}");
        assert!(check_text(&text).is_err_and(|error| error.message.contains("fields")));
    }

    #[test]
    fn a_circle_of_fragments_is_named() {
        let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
        assert!(check_text(text).is_err_and(|error| error.message.contains("spreads itself")));
    }

    #[test]
    fn a_chain_of_fragments_ends_somewhere() {
        let chain = |length: usize| {
            let links = many(length, |n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1));
            let last = format!("fragment f{length} on Query {{ __typename }}");
            format!("{{ ...f0 }} {links}{last}")
        };
        assert!(check_text(&chain(20)).is_ok());
        assert!(check_text(&chain(5_000)).is_err_and(|error| error.message.contains("nest")));
        // Nor does it help to reach the chain by its middle first.
        let backwards = format!("{{ ...f90 ...f0 }} {}", &chain(190)[9..]);
        assert!(check_text(&backwards).is_err_and(|error| error.message.contains("nest")));
    }

    #[test]
    fn what_no_operation_uses_is_measured_too() {
        let names = many(60, |n| format!("b{n}: name "));
        let shops = many(60, |n| format!("a{n}: shop {{ ...F }} "));
        let text = format!("{{ __typename }} fragment U on Query {{ {shops} }} fragment F on Shop {{ {names} }}");
        assert!(check_text(&text).is_err_and(|error| error.message.contains("fields")));
    }

    #[test]
    fn arguments_and_variables_count() {
        let arguments = "a: 1 ".repeat(10_001);
        assert!(check_text(&format!("{{ product({arguments}) {{ id }} }}")).is_err());
        let variables = many(10_001, |n| format!("$v{n}: Int "));
        assert!(check_text(&format!("query ({variables}) {{ __typename }}")).is_err());
    }

    #[test]
    fn aliases_of_typename_count() {
        let fields = many(2_001, |n| format!("a{n}: __typename "));
        assert!(check_text(&format!("{{ {fields} }}")).is_err());
        assert!(check_text("{ a: __typename b: __typename }").is_ok());
    }

    #[test]
    fn a_null_byte_is_found_where_it_stands() {
        let document = parse_query("{ product(slug: \"a\\u0000b\") { id } }").expect("a document");
        assert_eq!(null_byte(&document).as_deref(), Some("product(slug)"));
    }
}
