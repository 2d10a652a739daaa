//! The OpenAPI document, generated from the endpoints, their operations and the GraphQL schema.

mod types;
mod inputs;
mod outputs;
mod envelopes;
mod operations;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use self::{
    envelopes::{add_envelopes, error_responses},
    operations::describe_operation,
    types::Components,
};
use super::route::{RestRoutes, prepare_routes};

/// Media type of all bodies.
const JSON_MEDIA_TYPE: &str = "application/json";

/// Returns the document.
#[must_use]
pub fn openapi_document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| build_document(prepare_routes()));
    &DOCUMENT
}

fn build_document(routes: &RestRoutes) -> Value {
    let mut components = Components::default();
    add_envelopes(&mut components);
    let mut paths: Map<String, Value> = Map::new();
    for route in &routes.routes {
        let operation = describe_operation(route, &mut components);
        let path = paths.entry(route.endpoint.path).or_insert_with(|| json!({}));
        path[route.endpoint.method.as_str().to_lowercase()] = operation;
    }
    let tags = ["products", "categories", "orders", "customers", "cart"].map(|name| json!({ "name": name }));
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Savannah REST API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "A thin form of the GraphQL API at `/graphql`, with the same permissions, costs and limits. \
                Paths may end with a slash.",
        },
        "servers": [{ "url": "/api/v1" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components.into_schemas(),
            "responses": error_responses(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Access token of a customer or of staff, or an API key.",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Collects the values of a key in a document.
    fn collect<'a>(value: &'a Value, key: &str, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get(key).and_then(Value::as_str));
                for value in fields.values() {
                    collect(value, key, found);
                }
            }
            Value::Array(items) => {
                for value in items {
                    collect(value, key, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn references_exist_and_operations_have_unique_ids() {
        let document = openapi_document();
        let mut references = BTreeSet::new();
        collect(document, "$ref", &mut references);
        assert!(references.len() > 40, "{references:?}");
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let mut operation_ids = BTreeSet::new();
        collect(document, "operationId", &mut operation_ids);
        assert_eq!(operation_ids.len(), prepare_routes().routes.len(), "{operation_ids:?}");
    }

    #[test]
    fn schemas_have_the_types_of_graphql() {
        let schemas = &openapi_document()["components"]["schemas"];
        let product = &schemas["Product"]["properties"];
        assert_eq!(product["vendor"]["type"], json!(["string", "null"]));
        assert_eq!(product["status"]["$ref"], "#/components/schemas/ProductStatus");
        assert_eq!(schemas["ProductStatus"]["enum"], json!(["DRAFT", "ACTIVE", "ARCHIVED"]));
        assert!(product["name"]["description"].is_string());
        assert_eq!(schemas["ProductCreateInput"]["required"], json!(["name"]));
        assert_eq!(schemas["ProductCreateInput"]["additionalProperties"], false);
        let replacement = &schemas["ProductReplaceBody"];
        assert_eq!(replacement["required"], json!(["name", "slug", "categoryId", "status"]));
        assert_eq!(replacement["dependentRequired"]["salePrice"], json!(["sku", "price"]));
        assert!(schemas["OrderCreateBody"]["properties"]["idempotencyKey"].is_null());
    }
}
