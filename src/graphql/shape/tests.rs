use async_graphql::{ServerError, parser::parse_query};
use serde_json::json;

use super::*;
use crate::graphql::prepare::prepare;

/// What becomes of an executor's answer. Errors are given by their paths: `product/tags`.
fn settled(query: &str, data: serde_json::Value, errors: &[&str], variables: serde_json::Value) -> String {
    let mut document = parse_query(query).expect("a document");
    prepare(&mut document);
    let mut answer = Response::new(Value::from_json(data).expect("a value"));
    for path in errors {
        let segment = |one: &str| one.parse().map_or_else(|_| PathSegment::Field(one.to_owned()), PathSegment::Index);
        let path = path.split('/').map(segment).collect();
        answer.errors.push(ServerError { path, ..ServerError::new("no", None) });
    }
    let (_, operation) = document.operations.iter().next().expect("an operation");
    settle(&mut answer, &document, &operation.node, &Variables::from_json(variables));
    serde_json::to_string(&answer.data).expect("JSON")
}

fn ordered(query: &str, data: serde_json::Value) -> String {
    settled(query, data, &[], json!({}))
}

#[test]
fn fields_stand_in_the_order_of_the_query() {
    let query = "{ products { totalCount n: nodes { name id } pageInfo { hasNextPage } } shop { name } }";
    let data: serde_json::Value = serde_json::from_str(
        r#"{"shop":{"name":"S"},"products":{"pageInfo":{"hasNextPage":true},"n":[{"id":"1","name":"a"},{"name":"b","id":"2"}],"totalCount":2}}"#,
    )
    .expect("JSON");
    let right = r#"{"products":{"totalCount":2,"n":[{"name":"a","id":"1"},{"name":"b","id":"2"}],"pageInfo":{"hasNextPage":true}},"shop":{"name":"S"}}"#;
    assert_eq!(ordered(query, data), right);
}

#[test]
fn fragments_and_repeated_fields_are_merged_where_they_first_stand() {
    let query =
        "{ ...A shop { name } ... { shop { version } } } fragment A on Query { shop { currency } b: shop { name } }";
    let data = json!({ "b": { "name": "S" }, "shop": { "version": "1", "name": "S", "currency": "KES" } });
    let right = r#"{"shop":{"currency":"KES","name":"S","version":"1"},"b":{"name":"S"}}"#;
    assert_eq!(ordered(query, data), right);
}

#[test]
fn each_type_behind_an_interface_has_its_own_order() {
    let query = "{ nodes(ids: []) { ... on Category { slug name } ... on Product { name sku } id } }";
    let data = json!({ "nodes": [
        { "__savannah": "Product", "id": "1", "name": "a", "sku": "b" },
        { "name": "c", "id": "2", "slug": "d", "__savannah": "Category" },
        null,
    ] });
    let right = r#"{"nodes":[{"name":"a","sku":"b","id":"1"},{"slug":"d","name":"c","id":"2"},null]}"#;
    assert_eq!(ordered(query, data), right);
}

#[test]
fn what_is_skipped_has_no_place() {
    let query = "query($no: Boolean!) { shop { name @skip(if: true) version name currency @include(if: $no) } }";
    let data = json!({ "shop": { "version": "1", "name": "S" } });
    assert_eq!(settled(query, data, &[], json!({ "no": false })), r#"{"shop":{"version":"1","name":"S"}}"#);
    let query = "{ shop { name @skip(if: true) } }";
    assert_eq!(ordered(query, json!({ "shop": { "__savannah": "Shop" } })), r#"{"shop":{}}"#);
    assert_eq!(ordered("{ shop @skip(if: true) { name } }", json!(null)), "{}");
}

#[test]
fn a_failure_is_null_up_to_what_may_be_null() {
    let nullable = settled(
        "{ product { description name } shop { name } }",
        json!({ "shop": { "name": "S" }, "product": { "name": "a" } }),
        &["product/description"],
        json!({}),
    );
    assert_eq!(nullable, r#"{"product":{"description":null,"name":"a"},"shop":{"name":"S"}}"#);
    let data = json!({ "product": { "name": "a" } });
    assert_eq!(settled("{ product { name tags } }", data, &["product/tags"], json!({})), r#"{"product":null}"#);
    let data = json!({ "product": null });
    let alone = settled("{ product { description } }", data, &["product/description"], json!({}));
    assert_eq!(alone, r#"{"product":{"description":null}}"#);
    let data = json!({ "products": { "nodes": [{ "name": "a", "tags": [] }, { "name": "b" }] } });
    assert_eq!(settled("{ products { nodes { name tags } } }", data, &["products/nodes/1/tags"], json!({})), "null");
    assert_eq!(settled("{ product { id } }", json!(null), &["product"], json!({})), r#"{"product":null}"#);
}

#[test]
fn what_the_schema_tells_of_itself_is_left_as_it_is() {
    let query = "{ __schema { queryType { name } } __typename }";
    let data = json!({ "__schema": { "queryType": { "name": "Query" } }, "__typename": "Query" });
    assert_eq!(ordered(query, data.clone()), data.to_string());
}
