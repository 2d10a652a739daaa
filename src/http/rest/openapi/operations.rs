//! Operations of the OpenAPI document: one for each endpoint.

use serde_json::{Map, Value, json};

use super::{
    JSON_MEDIA_TYPE,
    envelopes::ERRORS,
    inputs::{BodySchema, body_schema, input_schema},
    outputs::{ResultSchemas, result_schemas},
    types::{Components, described, single_line},
};
use crate::{
    base::pagination::MAX_PAGE_SIZE,
    http::rest::{
        endpoint::{ParameterPlace, RequestBody, RestMethod, ResultShape},
        route::{RestRoute, TypedParameter},
    },
};

/// Describes the operation of an endpoint.
pub fn describe_operation(route: &RestRoute, components: &mut Components) -> Value {
    let endpoint = route.endpoint;
    let name = operation_name(route);
    let tag = endpoint.path.split('/').nth(1).unwrap_or_default();
    let mut operation = json!({
        "operationId": format!("{}{}", name[..1].to_lowercase(), &name[1..]),
        "summary": endpoint.summary,
        "description": format!("GraphQL: {}", describe_root_field(route)),
        "tags": [tag],
        "responses": describe_responses(route, components),
    });
    let parameters = describe_parameters(route, components);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(BodySchema { schema, is_required }) = body_schema(route, &name, components) {
        operation["requestBody"] =
            json!({ "required": is_required, "content": { JSON_MEDIA_TYPE: { "schema": schema } } });
    }
    operation["security"] =
        if endpoint.needs_token { json!([{ "bearer": [] }]) } else { json!([{}, { "bearer": [] }]) };
    operation
}

/// Returns the name of an operation, unique among the endpoints that share its document.
fn operation_name(route: &RestRoute) -> String {
    let endpoint = route.endpoint;
    let name = route.stored.operation.trim_start_matches("Rest");
    match endpoint.method {
        RestMethod::Put
            if name.starts_with("Product") || name.starts_with("Category") || name.starts_with("Customer") =>
        {
            name.replace("Update", "Replace")
        }
        RestMethod::Delete => name.replace("Cancel", "Delete"),
        _ if endpoint.path.ends_with("/me") && !name.ends_with("Own") => format!("{name}Own"),
        _ => name.to_owned(),
    }
}

/// Returns the name and the description of the root field of the document.
fn describe_root_field(route: &RestRoute) -> String {
    let field = route.operation().and_then(|operation| operation.selection_set.fields().next());
    field.map_or_else(String::new, |field| {
        let description = single_line(field.definition.description.as_deref().unwrap_or_default());
        format!("`{}`. {description}", field.name)
    })
}

fn describe_parameters(route: &RestRoute, components: &mut Components) -> Vec<Value> {
    let endpoint = route.endpoint;
    let mut parameters: Vec<Value> =
        route.parameters.iter().map(|typed| describe_parameter(typed, components)).collect();
    if endpoint.has_precondition {
        parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "Entity tag that the resource must have, from `ETag`; `*` for any.",
            "schema": { "type": "string", "pattern": "^(\\*|\"[0-9]{1,9}\")$" },
        }));
    }
    if endpoint.method != RestMethod::Get {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": endpoint.idempotency_variable.is_some(),
            "description": "Random value, such as a UUID, with at least 8 different characters. A retry with the same value is \
                not executed again, but answered as the first request.",
            "schema": { "type": "string", "pattern": "^[!-~]{20,255}$" },
        }));
    }
    parameters
}

fn describe_parameter(typed: &TypedParameter, components: &mut Components) -> Value {
    let TypedParameter { parameter, ty, description, .. } = typed;
    let mut schema = input_schema(&ty.clone().non_null(), components);
    if ["first", "limit", "last"].contains(&parameter.name) {
        schema["minimum"] = 0.into();
        schema["maximum"] = MAX_PAGE_SIZE.into();
    }
    let is_path = parameter.place == ParameterPlace::Path;
    described(
        json!({
            "name": parameter.name,
            "in": if is_path { "path" } else { "query" },
            "required": is_path,
            "schema": schema,
        }),
        description.as_deref(),
    )
}

fn describe_responses(route: &RestRoute, components: &mut Components) -> Map<String, Value> {
    let endpoint = route.endpoint;
    let has_body = !matches!(endpoint.body, RequestBody::Empty);
    let is_write = endpoint.method != RestMethod::Get;
    let is_possible = |status: &str| match status {
        "405" => false,
        // A body where there is none is refused by its fields.
        "413" | "415" | "422" | "409" => has_body || is_write,
        "412" => endpoint.has_precondition,
        _ => true,
    };
    let refer = |(status, name, _): &(&str, &str, &str)| {
        ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{name}") }))
    };
    let mut responses: Map<String, Value> =
        ERRORS.iter().filter(|(status, ..)| is_possible(status)).map(refer).collect();
    responses.insert(endpoint.status.as_str().to_owned(), describe_success(route, components));
    responses
}

fn describe_success(route: &RestRoute, components: &mut Components) -> Value {
    let endpoint = route.endpoint;
    let Some(ResultSchemas { data, warnings }) = result_schemas(route, components) else {
        return json!({ "description": "Deleted." });
    };
    let is_page = endpoint.result == ResultShape::Connection;
    let meta_name = if is_page { "PageMeta" } else { "Meta" };
    let mut meta = json!({ "$ref": format!("#/components/schemas/{meta_name}") });
    if let Some(warnings) = warnings {
        meta = json!({ "allOf": [meta], "type": "object", "properties": { "warnings": warnings } });
    }
    let schema = json!({
        "type": "object",
        "required": ["data", "meta"],
        "properties": { "data": data, "meta": meta },
    });
    let text_header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let mut headers = Map::new();
    if is_page {
        headers.insert("Link".to_owned(), text_header("Addresses of the next and the previous page."));
    } else if endpoint.result != ResultShape::List {
        headers.insert("ETag".to_owned(), text_header("Entity tag, for `If-Match`."));
    }
    if endpoint.status.as_u16() == 201 {
        headers.insert("Location".to_owned(), text_header("Address of the created resource."));
    }
    let description = if endpoint.status.as_u16() == 201 { "Created." } else { "Success." };
    json!({ "description": description, "headers": headers, "content": { JSON_MEDIA_TYPE: { "schema": schema } } })
}
