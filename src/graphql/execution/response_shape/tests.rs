use async_graphql::{ServerError, parser::parse_query};
use serde_json::json;

use super::*;
use crate::graphql::execution::document_rewrite::rewrite_document;

/// Returns the shaped response of an executor as JSON. Errors are given by their paths: `product/tags`.
fn shape_with_errors(query: &str, data: serde_json::Value, errors: &[&str], variables: serde_json::Value) -> String {
    let mut document = parse_query(query).expect("valid document");
    rewrite_document(&mut document);
    let mut response = Response::new(Value::from_json(data).expect("valid JSON value"));
    for path in errors {
        let segment =
            |text: &str| text.parse().map_or_else(|_| PathSegment::Field(text.to_owned()), PathSegment::Index);
        let path = path.split('/').map(segment).collect();
        response.errors.push(ServerError { path, ..ServerError::new("no", None) });
    }
    let (_, operation) = document.operations.iter().next().expect("operation");
    shape_response(&mut response, &document, &operation.node, &Variables::from_json(variables));
    serde_json::to_string(&response.data).expect("JSON")
}

fn shape_without_errors(query: &str, data: serde_json::Value) -> String {
    shape_with_errors(query, data, &[], json!({}))
}

#[test]
fn fields_follow_query_order() {
    let query = "{ products { totalCount n: nodes { name id } pageInfo { hasNextPage } } shop { name } }";
    let data: serde_json::Value = serde_json::from_str(
        r#"{"shop":{"name":"S"},"products":{"pageInfo":{"hasNextPage":true},"n":[{"id":"1","name":"a"},{"name":"b","id":"2"}],"totalCount":2}}"#,
    )
    .expect("JSON");
    let expected = r#"{"products":{"totalCount":2,"n":[{"name":"a","id":"1"},{"name":"b","id":"2"}],"pageInfo":{"hasNextPage":true}},"shop":{"name":"S"}}"#;
    assert_eq!(shape_without_errors(query, data), expected);
}

#[test]
fn fragments_and_repeated_fields_are_merged_at_first_position() {
    let query =
        "{ ...A shop { name } ... { shop { version } } } fragment A on Query { shop { currency } b: shop { name } }";
    let data = json!({ "b": { "name": "S" }, "shop": { "version": "1", "name": "S", "currency": "KES" } });
    let expected = r#"{"shop":{"currency":"KES","name":"S","version":"1"},"b":{"name":"S"}}"#;
    assert_eq!(shape_without_errors(query, data), expected);
}

#[test]
fn interface_types_have_separate_field_orders() {
    let query = "{ nodes(ids: []) { ... on Category { slug name } ... on Product { name sku } id } }";
    let data = json!({ "nodes": [
        { "__savannah": "Product", "id": "1", "name": "a", "sku": "b" },
        { "name": "c", "id": "2", "slug": "d", "__savannah": "Category" },
        null,
    ] });
    let expected = r#"{"nodes":[{"name":"a","sku":"b","id":"1"},{"slug":"d","name":"c","id":"2"},null]}"#;
    assert_eq!(shape_without_errors(query, data), expected);
}

#[test]
fn skipped_fields_are_absent() {
    let query = "query($no: Boolean!) { shop { name @skip(if: true) version name currency @include(if: $no) } }";
    let data = json!({ "shop": { "version": "1", "name": "S" } });
    assert_eq!(shape_with_errors(query, data, &[], json!({ "no": false })), r#"{"shop":{"version":"1","name":"S"}}"#);
    let query = "{ shop { name @skip(if: true) } }";
    assert_eq!(shape_without_errors(query, json!({ "shop": { "__savannah": "Shop" } })), r#"{"shop":{}}"#);
    assert_eq!(shape_without_errors("{ shop @skip(if: true) { name } }", json!(null)), "{}");
}

#[test]
fn field_error_nulls_nearest_nullable_parent() {
    let nullable = shape_with_errors(
        "{ product { description name } shop { name } }",
        json!({ "shop": { "name": "S" }, "product": { "name": "a" } }),
        &["product/description"],
        json!({}),
    );
    assert_eq!(nullable, r#"{"product":{"description":null,"name":"a"},"shop":{"name":"S"}}"#);
    let data = json!({ "product": { "name": "a" } });
    assert_eq!(
        shape_with_errors("{ product { name tags } }", data, &["product/tags"], json!({})),
        r#"{"product":null}"#
    );
    let data = json!({ "product": null });
    let only_nullable = shape_with_errors("{ product { description } }", data, &["product/description"], json!({}));
    assert_eq!(only_nullable, r#"{"product":{"description":null}}"#);
    let data = json!({ "products": { "nodes": [{ "name": "a", "tags": [] }, { "name": "b" }] } });
    assert_eq!(
        shape_with_errors("{ products { nodes { name tags } } }", data, &["products/nodes/1/tags"], json!({})),
        "null"
    );
    assert_eq!(shape_with_errors("{ product { id } }", json!(null), &["product"], json!({})), r#"{"product":null}"#);
}

#[test]
fn introspection_data_is_unchanged() {
    let query = "{ __schema { queryType { name } } __typename }";
    let data = json!({ "__schema": { "queryType": { "name": "Query" } }, "__typename": "Query" });
    assert_eq!(shape_without_errors(query, data.clone()), data.to_string());
}
