//! Coercion of variables to the specification, and the handling of omitted variables.

use std::collections::HashSet;

use apollo_compiler::schema::{ExtendedType, InputObjectType};
use async_graphql::{
    Name, Positioned, ServerError, Value, Variables,
    parser::types::{
        BaseType, Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type, VariableDefinition,
    },
};
use async_graphql_value::Value as Literal;
use serde_json::{Map, Value as Json};

use super::document::{errors::null_byte_error, input_rules::is_one_of, null_byte, schema::validation_schema};

/// Coerces the provided values to the types of an operation's variables. Omits variables without a value or default;
/// ignores values of undeclared variables.
///
/// # Errors
/// Returns an error if a value does not match its type, or a required one is missing.
pub fn coerce_variables(
    operation: &OperationDefinition,
    mut values: Map<String, Json>,
) -> Result<Variables, ServerError> {
    let mut variables = Variables::default();
    for definition in &operation.variable_definitions {
        let VariableDefinition { name, var_type, default_value, .. } = &definition.node;
        let to_error = |reason: String| {
            let message = format!("Variable \"${}\" {reason}", name.node);
            ServerError::new(message, Some(definition.pos))
        };
        let value = match (values.remove(name.node.as_str()), default_value) {
            (Some(value), _) => {
                let mut checker = ValueChecker::new(is_basic_scalar, 1);
                checker.check_variable(name.node.as_str(), &value, &var_type.node);
                if let Some(InvalidValue { path, reason, .. }) = checker.found.pop() {
                    let location = if path == name.node.as_str() { String::new() } else { format!(" at \"{path}\"") };
                    return Err(to_error(format!("got an invalid value{location}: {reason}.")));
                }
                Value::from_json(value).map_err(|_| to_error("got a value that cannot be read.".into()))?
            }
            (None, Some(default)) => default.node.clone(),
            (None, None) if var_type.node.nullable => continue,
            (None, None) => {
                return Err(to_error(format!("of required type \"{}\" was not provided.", var_type.node)));
            }
        };
        if let Some(path) = null_byte::find_null_byte_in_value(&value, &format!("variables.{}", name.node)) {
            return Err(null_byte_error(&path));
        }
        variables.insert(name.node.clone(), value);
    }
    Ok(variables)
}

/// Value of a variable that does not match its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    /// Path of the value, from the name of its variable: `input.lines[0].quantity`.
    pub path: String,
    /// Field of the value that is unknown or missing; `None` if the value itself is invalid.
    pub field: Option<String>,
    /// What is invalid.
    pub reason: String,
}

/// Returns whether a value may be one of a scalar, by the name of its type.
pub type ScalarCheck = fn(&str, &Json) -> bool;

/// Finds the variables of an operation that are missing or do not match their types, at most `limit`.
#[must_use]
pub fn find_invalid_values(
    operation: &OperationDefinition,
    values: &Map<String, Json>,
    is_scalar: ScalarCheck,
    limit: usize,
) -> Vec<InvalidValue> {
    let mut checker = ValueChecker::new(is_scalar, limit);
    for definition in &operation.variable_definitions {
        let VariableDefinition { name, var_type, default_value, .. } = &definition.node;
        match values.get(name.node.as_str()) {
            Some(value) => checker.check_variable(name.node.as_str(), value, &var_type.node),
            None if default_value.is_none() && !var_type.node.nullable => {
                let reason = format!("a value of type \"{}\" is required", var_type.node);
                checker.add(name.node.as_str(), None, reason);
            }
            None => {}
        }
    }
    checker.found
}

/// Checks the form of the scalars of the specification. Custom scalars are parsed by their own types.
#[must_use]
pub fn is_basic_scalar(name: &str, value: &Json) -> bool {
    match name {
        "Int" => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
        "Float" => value.is_number(),
        "String" => value.is_string(),
        "Boolean" => value.is_boolean(),
        "ID" => value.is_string() || value.is_i64() || value.is_u64(),
        _ => true,
    }
}

/// Checks values against types, and collects those that do not match.
struct ValueChecker {
    is_scalar: ScalarCheck,
    limit: usize,
    found: Vec<InvalidValue>,
}

impl ValueChecker {
    const fn new(is_scalar: ScalarCheck, limit: usize) -> Self {
        Self { is_scalar, limit, found: Vec::new() }
    }

    fn check_variable(&mut self, name: &str, value: &Json, ty: &Type) {
        self.check_value(value, ty, &mut name.to_owned());
    }

    fn add(&mut self, path: &str, field: Option<&str>, reason: String) {
        if self.found.len() < self.limit {
            self.found.push(InvalidValue { path: path.to_owned(), field: field.map(str::to_owned), reason });
        }
    }

    fn check_value(&mut self, value: &Json, ty: &Type, path: &mut String) {
        if self.found.len() >= self.limit {
            return;
        }
        match (&ty.base, value) {
            (_, Json::Null) if ty.nullable => {}
            (_, Json::Null) => self.add(path, None, format!("expected non-nullable type \"{ty}\" not to be null")),
            (BaseType::List(item), Json::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    with_path_segment(path, &format!("[{index}]"), |path| self.check_value(value, item, path));
                }
            }
            // A single value is coerced to a list of one.
            (BaseType::List(item), _) => self.check_value(value, item, path),
            (BaseType::Named(name), _) => match validation_schema().types.get(name.as_str()) {
                Some(ExtendedType::InputObject(object)) => self.check_input_object(value, object, path),
                Some(ExtendedType::Enum(enum_definition)) => {
                    let is_known = value
                        .as_str()
                        .is_some_and(|value| enum_definition.values.keys().any(|enum_value| enum_value == value));
                    if !is_known {
                        self.add(path, None, format!("expected a value of enum \"{name}\""));
                    }
                }
                _ => {
                    if !(self.is_scalar)(name.as_str(), value) {
                        self.add(path, None, format!("expected type \"{name}\""));
                    }
                }
            },
        }
    }

    fn check_input_object(&mut self, value: &Json, input_object: &InputObjectType, path: &mut String) {
        let Json::Object(fields) = value else {
            self.add(path, None, format!("expected an object of type \"{}\"", input_object.name));
            return;
        };
        for unknown in fields.keys().filter(|name| !input_object.fields.contains_key(name.as_str())) {
            let unknown: String = unknown.chars().take(100).collect();
            let reason = format!("field \"{unknown}\" is not defined by type \"{}\"", input_object.name);
            self.add(path, Some(&unknown), reason);
        }
        if is_one_of(input_object) && (fields.len() != 1 || fields.values().any(Json::is_null)) {
            let reason =
                format!("exactly one field of \"{}\" must be given, and it must not be null", input_object.name);
            self.add(path, None, reason);
        }
        for (name, definition) in &input_object.fields {
            match fields.get(name.as_str()) {
                Some(value) => {
                    // Types have the same syntax in schemas and documents.
                    let Some(ty) = Type::new(&definition.ty.to_string()) else { continue };
                    with_path_segment(path, &format!(".{name}"), |path| self.check_value(value, &ty, path));
                }
                None if definition.is_required() => {
                    let reason = format!("field \"{name}\" of required type \"{}\" was not provided", definition.ty);
                    self.add(path, Some(name), reason);
                }
                None => {}
            }
        }
    }
}

/// Runs a check with a path segment appended.
fn with_path_segment(path: &mut String, segment: &str, check: impl FnOnce(&mut String)) {
    let previous_length = path.len();
    path.push_str(segment);
    check(path);
    path.truncate(previous_length);
}

/// Rejects null for a variable used by `@skip` or `@include`, whose type may be nullable if it has a default.
///
/// # Errors
/// Returns an error that names the variable.
pub fn check_condition_variables(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), ServerError> {
    let is_null =
        |definition: &&Positioned<VariableDefinition>| variables.get(&definition.node.name.node) == Some(&Value::Null);
    let is_boolean =
        |definition: &&Positioned<VariableDefinition>| definition.node.var_type.node.to_string() == "Boolean";
    for definition in operation.variable_definitions.iter().filter(is_null).filter(is_boolean) {
        let name = &definition.node.name.node;
        let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
        if fragments.chain([&operation.selection_set.node]).any(|selection_set| has_condition_on(selection_set, name)) {
            let message = format!("Variable \"${name}\" decides what is included and must not be null.");
            return Err(ServerError::new(message, Some(definition.pos)));
        }
    }
    Ok(())
}

fn has_condition_on(selection_set: &SelectionSet, variable: &Name) -> bool {
    selection_set.items.iter().any(|selection| {
        let directives = selection.node.directives().iter();
        let mut conditions = directives.filter_map(|directive| directive.node.get_argument("if"));
        conditions.any(|value| matches!(&value.node, Literal::Variable(name) if name == variable))
            || match &selection.node {
                Selection::Field(field) => has_condition_on(&field.node.selection_set.node, variable),
                Selection::InlineFragment(fragment) => has_condition_on(&fragment.node.selection_set.node, variable),
                Selection::FragmentSpread(_) => false,
            }
    })
}

/// Removes arguments and input fields whose variable has no value, so that the schema's defaults apply. Inside a list,
/// such a variable becomes null.
pub fn omit_absent(document: &mut ExecutableDocument, operation: &OperationDefinition, variables: &Variables) {
    let names = operation.variable_definitions.iter().map(|definition| &definition.node.name.node);
    let absent: HashSet<&Name> = names.filter(|name| !variables.contains_key(*name)).collect();
    if absent.is_empty() {
        return;
    }
    match &mut document.operations {
        async_graphql::parser::types::DocumentOperations::Single(operation_node) => {
            omit_in_selections(&mut operation_node.node.selection_set.node, &absent);
        }
        async_graphql::parser::types::DocumentOperations::Multiple(operations) => {
            for operation_node in operations.values_mut() {
                omit_in_selections(&mut operation_node.node.selection_set.node, &absent);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        omit_in_selections(&mut fragment.node.selection_set.node, &absent);
    }
}

fn omit_in_selections(selection_set: &mut SelectionSet, absent: &HashSet<&Name>) {
    for selection in &mut selection_set.items {
        for Directive { arguments, .. } in
            selection.node.directives_mut().iter_mut().map(|directive| &mut directive.node)
        {
            omit_in_arguments(arguments, absent);
        }
        match &mut selection.node {
            Selection::Field(field) => {
                omit_in_arguments(&mut field.node.arguments, absent);
                omit_in_selections(&mut field.node.selection_set.node, absent);
            }
            Selection::InlineFragment(fragment) => omit_in_selections(&mut fragment.node.selection_set.node, absent),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn omit_in_arguments(arguments: &mut Vec<(Positioned<Name>, Positioned<Literal>)>, absent: &HashSet<&Name>) {
    arguments.retain(|(_, value)| !is_absent(&value.node, absent));
    for (_, value) in arguments {
        omit_in_value(&mut value.node, absent);
    }
}

fn omit_in_value(value: &mut Literal, absent: &HashSet<&Name>) {
    match value {
        Literal::List(items) => {
            for item in items {
                if is_absent(item, absent) {
                    *item = Literal::Null;
                }
                omit_in_value(item, absent);
            }
        }
        Literal::Object(fields) => {
            fields.retain(|_, value| !is_absent(value, absent));
            fields.values_mut().for_each(|value| omit_in_value(value, absent));
        }
        _ => {}
    }
}

fn is_absent(value: &Literal, absent: &HashSet<&Name>) -> bool {
    matches!(value, Literal::Variable(name) if absent.contains(name))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::{parse_query, types::DocumentOperations};
    use serde_json::json;

    use super::*;

    fn first_operation(document: &ExecutableDocument) -> OperationDefinition {
        match &document.operations {
            DocumentOperations::Single(operation) => operation.node.clone(),
            DocumentOperations::Multiple(operations) => operations.values().next().expect("an operation").node.clone(),
        }
    }

    fn coerce_query_variables(text: &str, values: &Json) -> Result<Variables, ServerError> {
        let document = parse_query(text).expect("a document");
        coerce_variables(&first_operation(&document), values.as_object().expect("an object").clone())
    }

    fn coercion_error(definitions: &str, values: &Json) -> String {
        coerce_query_variables(&format!("query ({definitions}) {{ shop {{ name }} }}"), values)
            .expect_err("an error")
            .message
    }

    #[test]
    fn absent_variable_omits_arguments_and_fields_and_is_null_in_lists() {
        let text = "query ($a: Int, $b: Int = 1, $c: Int) { x(a: $a, b: $b, o: { a: $a, c: $c, l: [$a, { a: $a }] }) { ...F } }
            fragment F on Query { y(a: $a, c: $c) ... @d(a: $a) { z(a: $a) } }";
        let mut document = parse_query(text).expect("a document");
        let operation = first_operation(&document);
        let values = json!({ "c": null });
        let variables =
            coerce_variables(&operation, values.as_object().expect("an object").clone()).expect("variables");
        omit_absent(&mut document, &operation, &variables);
        let printed = format!("{document:?}");
        assert_eq!(printed.matches("Variable(Name(\"a\"))").count(), 0, "{printed}");
        assert_eq!(printed.matches("Variable(Name(\"b\"))").count(), 1, "{printed}");
        assert_eq!(printed.matches("Variable(Name(\"c\"))").count(), 2, "{printed}");
        assert!(printed.contains("List([Null, Object({})])"), "{printed}");
    }

    #[test]
    fn values_are_coerced_by_variable_type() {
        let text = "query ($n: [Int!] = [1], $f: ProductFilter, $s: String, $id: ID, $d: Decimal) { shop { name } }";
        let values = json!({ "n": 2, "f": { "vendors": "a", "inStock": null }, "id": 7, "d": 1.5, "unknown": 1 });
        let variables = coerce_query_variables(text, &values).expect("variables");
        assert_eq!(variables.len(), 4);
        assert!(!variables.contains_key("s") && !variables.contains_key("unknown"));
        assert_eq!(coerce_query_variables(text, &json!({})).expect("variables").len(), 1);
    }

    #[test]
    fn invalid_value_is_reported_with_its_path() {
        let cases = [
            ("$v: Int!", json!({}), "Variable \"$v\" of required type \"Int!\" was not provided."),
            ("$v: Int", json!({ "v": "1" }), "Variable \"$v\" got an invalid value: expected type \"Int\"."),
            (
                "$v: [Int!]",
                json!({ "v": [1, null] }),
                "at \"v[1]\": expected non-nullable type \"Int!\" not to be null.",
            ),
            ("$v: ProductFilter", json!({ "v": { "x": 1 } }), "field \"x\" is not defined by type \"ProductFilter\"."),
            ("$v: ProductFilter", json!({ "v": { "vendors": [1] } }), "at \"v.vendors[0]\": expected type \"String\"."),
            ("$v: ProductFilter", json!({ "v": [] }), "expected an object of type \"ProductFilter\"."),
            ("$v: ProductSortField", json!({ "v": "X" }), "expected a value of enum \"ProductSortField\"."),
            ("$v: AddressChoiceInput", json!({ "v": {} }), "exactly one field"),
            ("$v: AddressChoiceInput", json!({ "v": { "addressId": null } }), "exactly one field"),
            ("$v: String", json!({ "v": "a\u{0}" }), "null byte"),
        ];
        for (definitions, values, expected) in cases {
            let message = coercion_error(definitions, &values);
            assert!(message.contains(expected), "{message}");
        }
    }
}
