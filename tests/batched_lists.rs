//! Batched lists return the same response as the executor, at the same cost.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    each_field_matches_the_executor,
    page_edges_and_nodes_match_the_executor,
    fragments_and_aliases_match_the_executor,
    failed_list_field_reports_its_path,
];

/// Returns the selectable fields of a type for the public or for staff, with selections nested to the given number of
/// levels.
async fn selectable_fields(app: &TestApp, (name, staff): (&str, bool), levels: usize) -> Vec<String> {
    let query = "query($name: String!) { __type(name: $name) { fields { name description type { ...t } } } }
        fragment t on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let response = app.query_with_variables(query, json!({ "name": name })).await;
    let mut selections = Vec::new();
    for field in response.data_at("/__type/fields").as_array().expect("fields") {
        if field["description"].as_str().is_some_and(|text| text.contains("Staff only")) != staff {
            continue;
        }
        let mut ty = &field["type"];
        while !ty["ofType"].is_null() {
            ty = &ty["ofType"];
        }
        let (name, type_name) = (field["name"].as_str().expect("a name"), ty["name"].as_str().expect("a type"));
        if ty["kind"] == "OBJECT" {
            if levels > 0 {
                let children = Box::pin(selectable_fields(app, (type_name, false), levels - 1)).await;
                selections.push(format!("{name} {{ __typename {} }}", children.join(" ")));
            }
        } else {
            selections.push(name.to_owned());
        }
    }
    selections
}

/// Returns the response of a product list and the executor's response for the same products.
async fn query_list_and_nodes(
    app: &TestApp,
    token: Option<&str>,
    (first, selection): (usize, &str),
) -> (Vec<Value>, Vec<Value>) {
    let query = format!("{{ products(first: {first}) {{ nodes {{ key: id {selection} }} }} }}");
    let list = app.query_maybe_as(token, &query, json!({})).await;
    let list = list.data_at("/products/nodes").as_array().expect("a list").clone();
    let ids: Vec<&Value> = list.iter().map(|product| &product["key"]).collect();
    let query = format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Product {{ key: id {selection} }} }} }}");
    let nodes = app.query_maybe_as(token, &query, json!({ "ids": ids })).await;
    let nodes = nodes.data_at("/nodes").as_array().expect("a list").clone();
    assert_eq!(list.len(), first);
    (list, nodes)
}

async fn each_field_matches_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let fields = selectable_fields(&app, ("Product", false), 2).await;
    assert!(fields.len() > 20, "{fields:?}");
    for field in &fields {
        let (list, nodes) = query_list_and_nodes(&app, None, (40, field)).await;
        assert_eq!(list, nodes, "{field}");
    }
    // Fields of a variant need other columns.
    for field in self::selectable_fields(&app, ("ProductVariant", false), 1).await {
        let (list, nodes) = query_list_and_nodes(&app, None, (40, &format!("variants(first: 2) {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    for field in self::selectable_fields(&app, ("Category", false), 1).await {
        let (list, nodes) = query_list_and_nodes(&app, None, (40, &format!("category {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    let (list, nodes) = query_list_and_nodes(&app, None, (5, &fields.join(" "))).await;
    assert_eq!(list, nodes);
    let staff = app.login(Role::Staff).await;
    let guarded = self::selectable_fields(&app, ("ProductVariant", true), 2).await;
    assert!(!guarded.is_empty(), "nothing of a variant is for staff");
    for field in guarded {
        let (list, nodes) =
            query_list_and_nodes(&app, Some(&staff), (20, &format!("variants(first: 2) {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    app.run_pending_jobs().await;
}

async fn page_edges_and_nodes_match_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    for order in ["BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
        let query =
            |selection: &str| format!("{{ products(first: 7, orderBy: {{ field: {order} }}) {{ {selection} }} }}");
        let full_page = app
            .query(&query("edges { cursor node { id sku tags } } nodes { id sku tags } pageInfo { endCursor }"))
            .await;
        let (edges, nodes) = (full_page.data_at("/products/edges"), full_page.data_at("/products/nodes"));
        let of_edges: Vec<&Value> = edges.as_array().expect("edges").iter().map(|edge| &edge["node"]).collect();
        assert_eq!(json!(of_edges), *nodes);
        assert_eq!(full_page.data_at("/products/pageInfo/endCursor"), &edges[6]["cursor"]);
        // A query of cursors only, or page info only, reads the minimum of columns.
        let cursors = app.query(&query("edges { cursor }")).await;
        assert_eq!(cursors.strings_at("/products/edges", "cursor"), full_page.strings_at("/products/edges", "cursor"));
        let end_page = app.query(&query("pageInfo { endCursor } nodes { id }")).await;
        assert_eq!(end_page.data_at("/products/pageInfo"), full_page.data_at("/products/pageInfo"));
        let repeated = app.query(&query("edges { a: node { id } b: node { tags sku } }")).await;
        assert_eq!(repeated.data_at("/products/edges/3/b/sku"), &edges[3]["node"]["sku"]);
        assert_eq!(repeated.data_at("/products/edges/3/b/tags"), &edges[3]["node"]["tags"]);
        assert_eq!(repeated.data_at("/products/edges/3/a/id"), &edges[3]["node"]["id"]);
    }
    app.run_pending_jobs().await;
}

async fn fragments_and_aliases_match_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($few: Int = 1, $yes: Boolean = true) { products(first: 30) { nodes {
        __typename id @include(if: $yes) name @skip(if: $yes) ...card again: sku
        ... on Product { category { slug } } ... on Node { id } ... { category { parent { name } } }
        one: variants(first: $few) { sku } two: variants(first: 2) { sku inStock options { value __typename } }
    } } } fragment card on Product { sku category { name productCount } priceRange { max } }";
    let response = app.query(query).await;
    let nodes = response.data_at("/products/nodes").as_array().expect("a list");
    assert_eq!(nodes.len(), 30);
    // Page, counts, variants, stock and options.
    assert_eq!(response.statements, 5);
    for node in nodes {
        let keys: Vec<&String> = node.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["__typename", "again", "category", "id", "one", "priceRange", "sku", "two"]);
        let category: Vec<&String> = node["category"].as_object().expect("an object").keys().collect();
        assert_eq!(category, ["name", "parent", "productCount", "slug"]);
        assert_eq!((&node["sku"], &node["__typename"]), (&node["again"], &json!("Product")));
        assert_eq!(node["one"][0]["sku"], node["two"][0]["sku"]);
        assert_eq!(node["one"].as_array().expect("a list").len(), 1);
        assert!(node["category"]["productCount"].as_i64().is_some_and(|count| count > 0));
    }
    app.run_pending_jobs().await;
}

async fn failed_list_field_reports_its_path(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let rejected = app.query("{ products(first: 2) { nodes { id variants(first: 101) { id } } } }").await;
    rejected.assert_error_field("first");
    assert_eq!(rejected.first_error()["path"], json!(["products", "nodes", 0, "variants"]));
    app.execute_sql("ALTER TABLE product_tag RENAME TO gone").await.expect("renamed");
    let broken = app.query("{ products(first: 2) { nodes { id tags } } }").await;
    assert_eq!(broken.first_error()["path"], json!(["products", "nodes", 0, "tags"]));
    assert_eq!(broken.first_error()["extensions"]["code"], "INTERNAL");
}
