//! The coercion of variables by the specification, and what follows from those that were not provided.

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

use super::document::{is_one_of, null_byte, null_byte_in, schema};

/// Coerces what a caller provides to the types of an operation's variables. Variables without a value and without a
/// default are not in the result; values of no variable are ignored.
///
/// # Errors
/// When a value does not fit its type, or one that is required is missing.
pub fn coerce_variables(
    operation: &OperationDefinition,
    mut given: Map<String, Json>,
) -> Result<Variables, ServerError> {
    let mut variables = Variables::default();
    for definition in &operation.variable_definitions {
        let VariableDefinition { name, var_type, default_value, .. } = &definition.node;
        let refuse = |problem: String| {
            let message = format!("Variable \"${}\" {problem}", name.node);
            ServerError::new(message, Some(definition.pos))
        };
        let value = match (given.remove(name.node.as_str()), default_value) {
            (Some(value), _) => {
                let mut path = name.node.to_string();
                if let Err(problem) = check(&value, &var_type.node, &mut path) {
                    let at = if path == name.node.as_str() { String::new() } else { format!(" at \"{path}\"") };
                    return Err(refuse(format!("got an invalid value{at}: {problem}.")));
                }
                Value::from_json(value).map_err(|_| refuse("got a value that cannot be read.".into()))?
            }
            (None, Some(default)) => default.node.clone(),
            (None, None) if var_type.node.nullable => continue,
            (None, None) => {
                return Err(refuse(format!("of required type \"{}\" was not provided.", var_type.node)));
            }
        };
        if let Some(path) = null_byte::find_in_value(&value, &format!("variables.{}", name.node)) {
            return Err(null_byte_in(&path));
        }
        variables.insert(name.node.clone(), value);
    }
    Ok(variables)
}

/// Checks a value against a type. On failure `path` is where it failed.
fn check(value: &Json, ty: &Type, path: &mut String) -> Result<(), String> {
    match (&ty.base, value) {
        (_, Json::Null) if ty.nullable => Ok(()),
        (_, Json::Null) => Err(format!("expected non-nullable type \"{ty}\" not to be null")),
        (BaseType::List(item), Json::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| below(path, &format!("[{at}]"), |path| check(value, item, path))),
        // A single value stands for a list of one.
        (BaseType::List(item), _) => check(value, item, path),
        (BaseType::Named(name), _) => match schema().types.get(name.as_str()) {
            Some(ExtendedType::InputObject(object)) => check_object(value, object, path),
            Some(ExtendedType::Enum(known)) => {
                let is_known = value.as_str().is_some_and(|value| known.values.keys().any(|one| one == value));
                if is_known { Ok(()) } else { Err(format!("expected a value of enum \"{name}\"")) }
            }
            _ => {
                let fits = match name.as_str() {
                    "Int" => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
                    "Float" => value.is_number(),
                    "String" => value.is_string(),
                    "Boolean" => value.is_boolean(),
                    "ID" => value.is_string() || value.is_i64() || value.is_u64(),
                    // A custom scalar is read by its own type.
                    _ => true,
                };
                if fits { Ok(()) } else { Err(format!("expected type \"{name}\"")) }
            }
        },
    }
}

fn check_object(value: &Json, object: &InputObjectType, path: &mut String) -> Result<(), String> {
    let Json::Object(fields) = value else { return Err(format!("expected an object of type \"{}\"", object.name)) };
    if let Some(unknown) = fields.keys().find(|name| !object.fields.contains_key(name.as_str())) {
        let unknown: String = unknown.chars().take(100).collect();
        return Err(format!("field \"{unknown}\" is not defined by type \"{}\"", object.name));
    }
    if is_one_of(object) && (fields.len() != 1 || fields.values().any(Json::is_null)) {
        return Err(format!("exactly one field of \"{}\" must be given, and it must not be null", object.name));
    }
    for (name, definition) in &object.fields {
        match fields.get(name.as_str()) {
            Some(value) => {
                // Types of the schema are written as types of a document are.
                let Some(ty) = Type::new(&definition.ty.to_string()) else { continue };
                below(path, &format!(".{name}"), |path| check(value, &ty, path))?;
            }
            None if definition.is_required() => {
                return Err(format!("field \"{name}\" of required type \"{}\" was not provided", definition.ty));
            }
            None => {}
        }
    }
    Ok(())
}

/// Does something one step further down; after a failure the path stays.
fn below(path: &mut String, step: &str, work: impl FnOnce(&mut String) -> Result<(), String>) -> Result<(), String> {
    let before = path.len();
    path.push_str(step);
    work(path)?;
    path.truncate(before);
    Ok(())
}

/// Refuses null for a variable that `@skip` or `@include` takes: its type may allow null where it has a default.
///
/// # Errors
/// One that names the variable.
pub fn check_conditions(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), ServerError> {
    let is_null = |one: &&Positioned<VariableDefinition>| variables.get(&one.node.name.node) == Some(&Value::Null);
    let boolean = |one: &&Positioned<VariableDefinition>| one.node.var_type.node.to_string() == "Boolean";
    for definition in operation.variable_definitions.iter().filter(is_null).filter(boolean) {
        let name = &definition.node.name.node;
        let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
        if fragments.chain([&operation.selection_set.node]).any(|set| decides(set, name)) {
            let message = format!("Variable \"${name}\" decides what is included and must not be null.");
            return Err(ServerError::new(message, Some(definition.pos)));
        }
    }
    Ok(())
}

fn decides(set: &SelectionSet, variable: &Name) -> bool {
    set.items.iter().any(|selection| {
        let directives = selection.node.directives().iter();
        let mut conditions = directives.filter_map(|directive| directive.node.get_argument("if"));
        conditions.any(|value| matches!(&value.node, Literal::Variable(name) if name == variable))
            || match &selection.node {
                Selection::Field(field) => decides(&field.node.selection_set.node, variable),
                Selection::InlineFragment(fragment) => decides(&fragment.node.selection_set.node, variable),
                Selection::FragmentSpread(_) => false,
            }
    })
}

/// Removes the arguments and input fields of a document whose variable has no value, so that the schema's defaults apply.
/// In a list such a variable is null.
pub fn omit_absent(document: &mut ExecutableDocument, operation: &OperationDefinition, variables: &Variables) {
    let names = operation.variable_definitions.iter().map(|definition| &definition.node.name.node);
    let absent: HashSet<&Name> = names.filter(|name| !variables.contains_key(*name)).collect();
    if absent.is_empty() {
        return;
    }
    match &mut document.operations {
        async_graphql::parser::types::DocumentOperations::Single(one) => {
            omit_in_selections(&mut one.node.selection_set.node, &absent);
        }
        async_graphql::parser::types::DocumentOperations::Multiple(all) => {
            for one in all.values_mut() {
                omit_in_selections(&mut one.node.selection_set.node, &absent);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        omit_in_selections(&mut fragment.node.selection_set.node, &absent);
    }
}

fn omit_in_selections(set: &mut SelectionSet, absent: &HashSet<&Name>) {
    for selection in &mut set.items {
        for Directive { arguments, .. } in selection.node.directives_mut().iter_mut().map(|one| &mut one.node) {
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

    fn operation(document: &ExecutableDocument) -> OperationDefinition {
        match &document.operations {
            DocumentOperations::Single(one) => one.node.clone(),
            DocumentOperations::Multiple(all) => all.values().next().expect("an operation").node.clone(),
        }
    }

    fn coerce(text: &str, given: &Json) -> Result<Variables, ServerError> {
        let document = parse_query(text).expect("a document");
        coerce_variables(&operation(&document), given.as_object().expect("an object").clone())
    }

    fn problem(definitions: &str, given: &Json) -> String {
        coerce(&format!("query ({definitions}) {{ shop {{ name }} }}"), given).expect_err("an error").message
    }

    #[test]
    fn absent_variables_leave_arguments_and_fields_out_and_are_null_in_lists() {
        let text = "query ($a: Int, $b: Int = 1, $c: Int) { x(a: $a, b: $b, o: { a: $a, c: $c, l: [$a, { a: $a }] }) { ...F } }
            fragment F on Query { y(a: $a, c: $c) ... @d(a: $a) { z(a: $a) } }";
        let mut document = parse_query(text).expect("a document");
        let operation = operation(&document);
        let given = json!({ "c": null });
        let variables = coerce_variables(&operation, given.as_object().expect("an object").clone()).expect("variables");
        omit_absent(&mut document, &operation, &variables);
        let printed = format!("{document:?}");
        assert_eq!(printed.matches("Variable(Name(\"a\"))").count(), 0, "{printed}");
        assert_eq!(printed.matches("Variable(Name(\"b\"))").count(), 1, "{printed}");
        assert_eq!(printed.matches("Variable(Name(\"c\"))").count(), 2, "{printed}");
        assert!(printed.contains("List([Null, Object({})])"), "{printed}");
    }

    #[test]
    fn values_are_coerced_by_the_types_of_their_variables() {
        let text = "query ($n: [Int!] = [1], $f: ProductFilter, $s: String, $id: ID, $d: Decimal) { shop { name } }";
        let given = json!({ "n": 2, "f": { "tags": "a", "inStock": null }, "id": 7, "d": 1.5, "unknown": 1 });
        let variables = coerce(text, &given).expect("variables");
        assert_eq!(variables.len(), 4);
        assert!(!variables.contains_key("s") && !variables.contains_key("unknown"));
        assert_eq!(coerce(text, &json!({})).expect("variables").len(), 1);
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_by_its_path() {
        let cases = [
            ("$v: Int!", json!({}), "Variable \"$v\" of required type \"Int!\" was not provided."),
            ("$v: Int", json!({ "v": "1" }), "Variable \"$v\" got an invalid value: expected type \"Int\"."),
            (
                "$v: [Int!]",
                json!({ "v": [1, null] }),
                "at \"v[1]\": expected non-nullable type \"Int!\" not to be null.",
            ),
            ("$v: ProductFilter", json!({ "v": { "x": 1 } }), "field \"x\" is not defined by type \"ProductFilter\"."),
            ("$v: ProductFilter", json!({ "v": { "tags": [1] } }), "at \"v.tags[0]\": expected type \"String\"."),
            ("$v: ProductFilter", json!({ "v": [] }), "expected an object of type \"ProductFilter\"."),
            ("$v: ProductOrderField", json!({ "v": "X" }), "expected a value of enum \"ProductOrderField\"."),
            ("$v: AddressChoiceInput", json!({ "v": {} }), "exactly one field"),
            ("$v: AddressChoiceInput", json!({ "v": { "addressId": null } }), "exactly one field"),
            ("$v: String", json!({ "v": "a\u{0}" }), "null byte"),
        ];
        for (definitions, given, expected) in cases {
            let message = problem(definitions, &given);
            assert!(message.contains(expected), "{message}");
        }
    }
}
