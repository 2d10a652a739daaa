//! Schemas of bodies and parameters.

use apollo_compiler::{
    ast::Type,
    schema::{ExtendedType, InputObjectType},
};
use serde_json::{Map, Value, json};

use super::types::{Components, Direction, described, wrap_type};
use crate::{
    graphql::execution::document::{input_rules::is_one_of, schema::validation_schema},
    http::rest::{
        endpoint::{InputBody, Replacement, RequestBody},
        route::RestRoute,
    },
};

/// Schema of a body, and whether it is required.
#[derive(Debug)]
pub struct BodySchema {
    /// Schema.
    pub schema: Value,
    /// Whether there must be a body.
    pub is_required: bool,
}

/// Returns the schema of the body of an endpoint; `None` if there is no body.
pub fn body_schema(route: &RestRoute, name: &str, components: &mut Components) -> Option<BodySchema> {
    let operation = route.operation()?;
    match route.endpoint.body {
        RequestBody::Empty => None,
        RequestBody::Variables(names) => {
            let variables = operation.variables.iter().filter(|variable| names.contains(&variable.name.as_str()));
            let mut properties = Map::new();
            let mut required = Vec::new();
            for variable in variables {
                let schema = input_schema(&variable.ty, components);
                let argument = operation.selection_set.fields().next().and_then(|field| {
                    field.definition.arguments.iter().find(|argument| argument.name == variable.name)
                });
                let description = argument.and_then(|argument| argument.description.as_deref());
                properties.insert(variable.name.to_string(), described(schema, description));
                if variable.ty.is_non_null() && variable.default_value.is_none() {
                    required.push(variable.name.to_string());
                }
            }
            let schema = object_schema(&properties, &required);
            let schema = components.refer(&format!("{name}Body"), |_| schema);
            Some(BodySchema { schema, is_required: true })
        }
        RequestBody::Input(input) => {
            let ty = &operation.variables.iter().find(|variable| variable.name == "input")?.ty;
            let type_name = ty.inner_named_type().as_str();
            let InputBody { is_optional, excluded, replacement } = input;
            let complete = input_object(type_name, components);
            let schema = if excluded.is_empty() && replacement.is_none() {
                complete
            } else {
                let mut schema = components.get(type_name).cloned().unwrap_or_default();
                restrict(&mut schema, excluded, replacement);
                components.refer(&format!("{name}Body"), |_| schema)
            };
            Some(BodySchema { schema, is_required: !is_optional })
        }
    }
}

/// Removes the fields that another part of the request sets, and adds the rules of a complete replacement.
fn restrict(schema: &mut Value, excluded: &[&str], replacement: Option<&Replacement>) {
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| !excluded.contains(&name.as_str()));
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| !excluded.iter().any(|excluded| *name == **excluded));
    }
    let Some(Replacement { required, group, .. }) = replacement else { return };
    schema["required"] = json!(required);
    if let Some(group) = group {
        let members = group.required.iter().chain(group.cleared);
        let rules: Map<String, Value> = members.map(|name| ((*name).to_owned(), json!(group.required))).collect();
        schema["dependentRequired"] = rules.into();
    }
}

/// Returns the schema of an input type.
pub fn input_schema(ty: &Type, components: &mut Components) -> Value {
    wrap_type(ty, &mut |name| match validation_schema().types.get(name) {
        Some(ExtendedType::InputObject(_)) => input_object(name, components),
        _ => components.leaf(name, Direction::Input),
    })
}

fn input_object(name: &str, components: &mut Components) -> Value {
    components.refer(name, |components| match validation_schema().types.get(name) {
        Some(ExtendedType::InputObject(definition)) => describe_object(definition, components),
        _ => json!({}),
    })
}

fn describe_object(definition: &InputObjectType, components: &mut Components) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let is_one_of = is_one_of(definition);
    for (name, field) in &definition.fields {
        // Of the alternatives exactly one is given, and not as null.
        let schema = if is_one_of {
            input_schema(&field.ty.as_ref().clone().non_null(), components)
        } else {
            input_schema(&field.ty, components)
        };
        properties.insert(name.to_string(), described(schema, field.description.as_deref()));
        if field.is_required() {
            required.push(name.to_string());
        }
    }
    let mut schema = object_schema(&properties, &required);
    if is_one_of {
        schema["minProperties"] = 1.into();
        schema["maxProperties"] = 1.into();
    }
    described(schema, definition.description.as_deref())
}

fn object_schema(properties: &Map<String, Value>, required: &[String]) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}
