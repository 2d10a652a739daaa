//! Schemas of results, from the selections of the operations.

use apollo_compiler::{
    Name,
    executable::{Field, Selection, SelectionSet},
};
use serde_json::{Map, Value, json};

use super::types::{Components, Direction, described, wrap_type};
use crate::http::rest::{endpoint::ResultShape, route::RestRoute};

/// Schemas of the parts of a success response.
#[derive(Debug)]
pub struct ResultSchemas {
    /// Schema of `data`.
    pub data: Value,
    /// Schema of `meta.warnings`, if there is one.
    pub warnings: Option<Value>,
}

/// Returns the schemas of the result of an endpoint; `None` if there is none.
pub fn result_schemas(route: &RestRoute, components: &mut Components) -> Option<ResultSchemas> {
    let mut writer = OutputWriter { route, components };
    let result = find_field(route.operation()?.selection_set.fields(), "result")?;
    let data_field = match route.endpoint.result {
        ResultShape::Deletion => return None,
        ResultShape::Resource | ResultShape::List => result,
        ResultShape::Connection => find_field(result.selection_set.fields(), "nodes")?,
        ResultShape::Own | ResultShape::Payload => find_field(result.selection_set.fields(), "resource")?,
        ResultShape::OwnOfCustomer => {
            let customer = find_field(result.selection_set.fields(), "resource")?;
            find_field(customer.selection_set.fields(), "resource")?
        }
    };
    let warnings = find_field(result.selection_set.fields(), "warnings");
    // A resource that does not exist is an error.
    let ty = data_field.definition.ty.clone().non_null();
    let data = wrap_type(&ty, &mut |name| writer.describe_value(name, data_field));
    let warnings = warnings.map(|field| writer.describe_field(field));
    Some(ResultSchemas { data, warnings })
}

fn find_field<'a>(
    mut fields: impl Iterator<Item = &'a apollo_compiler::Node<Field>>,
    key: &str,
) -> Option<&'a apollo_compiler::Node<Field>> {
    fields.find(|field| field.response_key() == key)
}

struct OutputWriter<'a> {
    route: &'a RestRoute,
    components: &'a mut Components,
}

impl OutputWriter<'_> {
    fn describe_field(&mut self, field: &Field) -> Value {
        let schema = wrap_type(&field.definition.ty, &mut |name| self.describe_value(name, field));
        described(schema, field.definition.description.as_deref())
    }

    fn describe_value(&mut self, type_name: &Name, field: &Field) -> Value {
        if field.selection_set.selections.is_empty() {
            return self.components.leaf(type_name, Direction::Output);
        }
        if let [Selection::FragmentSpread(spread)] = field.selection_set.selections.as_slice()
            && let Some(fragment) = self.route.parsed.fragments.get(&spread.fragment_name)
        {
            let (route, name) = (self.route, spread.fragment_name.as_str());
            return self.components.refer(name, |components| {
                OutputWriter { route, components }.describe_selections(&fragment.selection_set)
            });
        }
        self.describe_selections(&field.selection_set)
    }

    /// Returns the schema of an object, or of the alternatives of a union.
    fn describe_selections(&mut self, selection_set: &SelectionSet) -> Value {
        let alternatives: Vec<(String, &SelectionSet)> = selection_set
            .selections
            .iter()
            .filter_map(|selection| match selection {
                Selection::InlineFragment(fragment) => {
                    Some((fragment.type_condition.as_ref()?.to_string(), &fragment.selection_set))
                }
                _ => None,
            })
            .collect();
        if alternatives.is_empty() {
            let mut object = ObjectSchema::default();
            self.add_fields(selection_set, &mut object);
            return object.into_schema();
        }
        let alternatives = alternatives.into_iter().map(|(type_name, selections)| {
            let mut object = ObjectSchema::default();
            object.properties.insert("__typename".to_owned(), json!({ "const": type_name }));
            object.required.push("__typename".to_owned());
            self.add_fields(selections, &mut object);
            object.into_schema()
        });
        json!({ "oneOf": alternatives.collect::<Vec<_>>() })
    }

    fn add_fields(&mut self, selection_set: &SelectionSet, object: &mut ObjectSchema) {
        for selection in &selection_set.selections {
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key().to_string();
                    let schema = self.describe_field(field);
                    if field.directives.get("include").is_none() {
                        object.required.push(key.clone());
                    }
                    object.properties.insert(key, schema);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.route.parsed.fragments.get(&spread.fragment_name) {
                        self.add_fields(&fragment.selection_set, object);
                    }
                }
                Selection::InlineFragment(fragment) => self.add_fields(&fragment.selection_set, object),
            }
        }
    }
}

#[derive(Default)]
struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl ObjectSchema {
    fn into_schema(self) -> Value {
        let Self { properties, required } = self;
        json!({ "type": "object", "properties": properties, "required": required })
    }
}
