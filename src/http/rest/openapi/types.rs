//! JSON schemas of GraphQL types.

use std::collections::BTreeMap;

use apollo_compiler::{
    Name,
    ast::Type,
    schema::{EnumType, ExtendedType},
};
use serde_json::{Map, Value, json};

use crate::graphql::execution::document::schema::validation_schema;

/// Schemas that others refer to, by name.
#[derive(Debug, Default)]
pub struct Components {
    schemas: BTreeMap<String, Value>,
}

/// Direction of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Input,
    /// To the client.
    Output,
}

impl Components {
    /// Adds a schema unless there is one with its name, and returns the reference to it.
    pub fn refer(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.schemas.contains_key(name) {
            // Of types that contain themselves, the inner reference finds this.
            self.schemas.insert(name.to_owned(), Value::Null);
            let schema = build(self);
            self.schemas.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// Returns a schema by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schemas.get(name)
    }

    /// Returns all schemas.
    #[must_use]
    pub fn into_schemas(self) -> Map<String, Value> {
        self.schemas.into_iter().collect()
    }

    /// Returns the schema of a scalar or an enum.
    pub fn leaf(&mut self, name: &str, direction: Direction) -> Value {
        match validation_schema().types.get(name) {
            Some(ExtendedType::Enum(definition)) => self.refer(name, |_| enum_schema(definition)),
            _ => scalar_schema(name, direction),
        }
    }
}

fn enum_schema(definition: &EnumType) -> Value {
    let lines = definition.values.values().map(|value| {
        let description = value.description.as_deref().unwrap_or_default();
        format!("- `{}`: {}", value.value, single_line(description))
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    let values: Vec<&str> = definition.values.keys().map(Name::as_str).collect();
    let description = single_line(definition.description.as_deref().unwrap_or_default());
    json!({ "type": "string", "enum": values, "description": format!("{description}\n\n{lines}") })
}

fn scalar_schema(name: &str, direction: Direction) -> Value {
    let is_input = direction == Direction::Input;
    match name {
        "Int" => json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX }),
        "Float" => json!({ "type": "number" }),
        "Boolean" => json!({ "type": "boolean" }),
        // Amounts are texts, so that no client rounds them; numbers are accepted.
        "Decimal" if is_input => {
            json!({ "type": ["string", "number"], "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,4})?$", "examples": ["19.90"] })
        }
        "Decimal" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" }),
        "DateTime" => json!({ "type": "string", "format": "date-time" }),
        // Integers are accepted as the GraphQL specification says, but no id is one.
        "ID" if is_input => json!({ "type": "string", "minLength": 1, "maxLength": 100 }),
        "CountryCode" if is_input => json!({ "type": "string", "pattern": "^[A-Za-z]{2}$", "examples": ["KE"] }),
        "LanguageCode" if is_input => {
            json!({ "type": "string", "pattern": "^([eE][nN]|[sS][wW])$", "examples": ["en"] })
        }
        "JSON" => json!({}),
        _ => json!({ "type": "string" }),
    }
}

/// Returns the schema of a type, with the schema of its innermost type built by `build`.
pub fn wrap_type(ty: &Type, build: &mut dyn FnMut(&Name) -> Value) -> Value {
    match ty {
        Type::NonNullNamed(name) => build(name),
        Type::Named(name) => nullable(build(name)),
        Type::NonNullList(item) => json!({ "type": "array", "items": wrap_type(item, build) }),
        Type::List(item) => nullable(json!({ "type": "array", "items": wrap_type(item, build) })),
    }
}

/// Returns a schema that also allows null.
#[must_use]
pub fn nullable(mut schema: Value) -> Value {
    if schema.as_object().is_some_and(Map::is_empty) {
        return schema;
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push("null".into()),
        Some(name @ Value::String(_)) => *name = json!([name.take(), "null"]),
        _ => return json!({ "anyOf": [schema, { "type": "null" }] }),
    }
    schema
}

/// Adds a description to a schema.
#[must_use]
pub fn described(mut schema: Value, description: Option<&str>) -> Value {
    if let (Some(fields), Some(description)) = (schema.as_object_mut(), description) {
        fields.insert("description".to_owned(), single_line(description).into());
    }
    schema
}

/// Returns a description without the line breaks inside of paragraphs.
#[must_use]
pub fn single_line(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_added_to_each_form() {
        assert_eq!(nullable(json!({ "type": "string" })), json!({ "type": ["string", "null"] }));
        assert_eq!(nullable(json!({ "type": ["string", "number"] })), json!({ "type": ["string", "number", "null"] }));
        let reference = json!({ "$ref": "#/components/schemas/A" });
        assert_eq!(nullable(reference.clone()), json!({ "anyOf": [reference, { "type": "null" }] }));
    }
}
