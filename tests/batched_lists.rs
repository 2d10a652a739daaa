//! Batched lists return the same response as the executor, at the same cost. The compared fields are those of the schema.

use std::collections::HashMap;

use savannah::{
    graphql::{
        batched::BatchResolve,
        catalog::{category::Category, product::Product, variant::Variant},
    },
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, create_categories},
};

integration_tests![
    each_field_matches_the_executor,
    all_fields_together_match_the_executor,
    batched_fields_have_no_guard,
    page_edges_and_nodes_match_the_executor,
    fragments_and_aliases_match_the_executor,
    facets_match_the_executor,
    failed_list_field_reports_its_path,
    category_newer_than_the_tree_is_found,
];

/// Objects with batched fields, by their names in the schema.
const BATCHED_TYPES: [(&str, &[&str]); 3] = [
    ("Product", Product::BATCHED_FIELDS),
    ("ProductVariant", Variant::BATCHED_FIELDS),
    ("Category", Category::BATCHED_FIELDS),
];

/// Returns a selection that no batch supports, so that the executor resolves the object.
fn executor_only_selection(type_name: &str) -> &'static str {
    match type_name {
        "Product" => "executor: variants(first: 0) { product { id } }",
        "ProductVariant" => "executor: product { id }",
        "Category" => "executor: products(limit: 0) { id }",
        _ => "",
    }
}

/// Selection of an object, for a batch and for the executor.
#[derive(Clone)]
struct ComparedSelection {
    batched: String,
    executor: String,
    /// Whether a batch supports the field and those in it.
    is_batched: bool,
}

/// Fields of the schema's objects that have no required argument.
struct SchemaFields(HashMap<String, Vec<Value>>);

impl SchemaFields {
    async fn load(app: &TestApp) -> Self {
        let query =
            "{ __schema { types { name kind fields { name args { defaultValue type { kind } } type { ...t } } } } }
            fragment t on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        let is_required =
            |argument: &Value| argument["type"]["kind"] == "NON_NULL" && argument["defaultValue"].is_null();
        let has_required = |field: &Value| field["args"].as_array().is_some_and(|args| args.iter().any(is_required));
        let response = app.query(query).await;
        let types = response.data_at("/__schema/types").as_array().expect("types");
        let objects = types.iter().filter(|object| object["kind"] == "OBJECT");
        let fields = objects.map(|object| {
            let fields = object["fields"].as_array().expect("fields").iter();
            let fields = fields.filter(|field| !has_required(field)).cloned().collect();
            (object["name"].as_str().expect("a name").to_owned(), fields)
        });
        Self(fields.collect())
    }

    /// Returns a selection for each path of fields to a scalar, through the given number of objects.
    fn paths(&self, type_name: &str, levels: usize) -> Vec<ComparedSelection> {
        let mut paths = Vec::new();
        for field in &self.0[type_name] {
            let name = field["name"].as_str().expect("a name");
            let mut ty = &field["type"];
            while !ty["ofType"].is_null() {
                ty = &ty["ofType"];
            }
            let batched_fields =
                BATCHED_TYPES.iter().find(|(object, _)| *object == type_name).map(|(_, fields)| *fields);
            let is_batched = batched_fields.is_none_or(|fields| fields.contains(&name));
            let object_name = ty["name"].as_str().expect("a type");
            if ty["kind"] != "OBJECT" {
                paths.push(ComparedSelection { batched: name.to_owned(), executor: name.to_owned(), is_batched });
            } else if levels > 0 {
                let marker = executor_only_selection(object_name);
                paths.extend(self.paths(object_name, levels - 1).into_iter().map(|child| ComparedSelection {
                    batched: format!("{name} {{ __typename {} }}", child.batched),
                    executor: format!("{name} {{ __typename {} {marker} }}", child.executor),
                    is_batched: is_batched && child.is_batched,
                }));
            }
        }
        paths
    }
}

/// Removes what [`executor_only_selection`] adds.
fn remove_markers(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("executor");
            object.values_mut().for_each(remove_markers);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_markers),
        _ => {}
    }
}

/// Asserts that a batch returns the same of products as the executor, for the rows of the list and for complete rows.
async fn assert_products_match(app: &TestApp, token: &str, count: usize, selection: &ComparedSelection) {
    let ComparedSelection { batched, executor, .. } = selection;
    let marker = executor_only_selection("Product");
    let list_query = |selection: &str| format!("{{ products(first: {count}) {{ nodes {{ key: id {selection} }} }} }}");
    let list = app.query_as(token, &list_query(batched), json!({})).await;
    let list = list.data_at("/products/nodes").as_array().expect("a list");
    assert_eq!(list.len(), count);
    let mut executed = app.query_as(token, &list_query(&format!("{executor} {marker}")), json!({})).await;
    remove_markers(&mut executed.body);
    assert_eq!(executed.data_at("/products/nodes"), &json!(list), "{batched}");
    let ids: Vec<&Value> = list.iter().map(|product| &product["key"]).collect();
    let query = format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Product {{ key: id {executor} }} }} }}");
    let mut complete = app.query_as(token, &query, json!({ "ids": ids })).await;
    remove_markers(&mut complete.body);
    assert_eq!(complete.data_at("/nodes"), &json!(list), "{batched}");
}

async fn each_field_matches_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let staff = app.login(Role::Staff).await;
    let schema = SchemaFields::load(&app).await;
    let paths = schema.paths("Product", 2);
    assert!(paths.len() > 100, "{}", paths.len());
    for path in &paths {
        assert_products_match(&app, &staff, 12, path).await;
    }
    let marker = executor_only_selection("Category");
    for ComparedSelection { batched, executor, .. } in schema.paths("Category", 2) {
        let list = app.query_as(&staff, &format!("{{ categories {{ {batched} }} }}"), json!({})).await;
        let mut executed =
            app.query_as(&staff, &format!("{{ categories {{ {executor} {marker} }} }}"), json!({})).await;
        remove_markers(&mut executed.body);
        assert_eq!(list.data_at("/categories"), executed.data_at("/categories"), "{batched}");
    }
    app.run_pending_jobs().await;
}

async fn all_fields_together_match_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let staff = app.login(Role::Staff).await;
    let paths = SchemaFields::load(&app).await.paths("Product", 1);
    let join = |selections: Vec<&str>| selections.join(" ");
    let together = ComparedSelection {
        batched: join(paths.iter().map(|path| path.batched.as_str()).collect()),
        executor: join(paths.iter().map(|path| path.executor.as_str()).collect()),
        is_batched: false,
    };
    assert_products_match(&app, &staff, 10, &together).await;
    app.run_pending_jobs().await;
}

async fn batched_fields_have_no_guard(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let schema = SchemaFields::load(&app).await;
    for (object, batched_fields) in BATCHED_TYPES {
        let names: Vec<&str> = schema.0[object].iter().filter_map(|field| field["name"].as_str()).collect();
        assert!(batched_fields.iter().all(|name| names.contains(name)), "{batched_fields:?}");
    }
    // What is batched, anybody may read.
    let paths = schema.paths("Product", 2);
    for ComparedSelection { batched, .. } in paths.iter().filter(|path| path.is_batched) {
        let response = app.query(&format!("{{ products(first: 1) {{ nodes {{ {batched} }} }} }}")).await;
        assert_eq!(response.data_at("/products/nodes").as_array().map(Vec::len), Some(1), "{batched}");
    }
    let guarded = app.query("{ products(first: 1) { nodes { variants { stockLevels { onHand } } } } }").await;
    assert_eq!(guarded.error_code(), "UNAUTHENTICATED");
    app.run_pending_jobs().await;
}

async fn page_edges_and_nodes_match_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    for order in ["BEST_MATCH", "PRICE", "NAME", "NEWEST", "UPDATED_AT", "BEST_SELLING", "DISCOUNT"] {
        let query = |selection: &str| format!("{{ products(first: 7, sort: {{ field: {order} }}) {{ {selection} }} }}");
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
    } } } fragment card on Product { sku category { name productCount } priceRange { max { amount } } }";
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

async fn facets_match_the_executor(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let marker = executor_only_selection("Category");
    let query = |marker: &str| {
        format!(
            "{{ products(first: 0) {{ facets {{ categories {{ __typename many: count category {{ name ...c {marker} }} }}
            options(first: 1) {{ name values {{ count value }} }} filters {{ ...f }} }} }} }}
            fragment c on Category {{ parent {{ name }} children {{ slug }} }}
            fragment f on Facet {{ key kind label values {{ label count selected input }} }}"
        )
    };
    let batched = app.query(&query("")).await;
    let mut executed = app.query(&query(marker)).await;
    remove_markers(&mut executed.body);
    let facets = batched.data_at("/products/facets");
    assert_eq!(facets, executed.data_at("/products/facets"));
    assert_eq!(facets["categories"][0]["__typename"], "CategoryFacet");
    let values = |list: &Value| list.as_array().is_some_and(|values| values.len() == 1);
    assert!(facets["options"].as_array().expect("options").iter().all(|option| values(&option["values"])), "{facets}");
    let kinds: Vec<&Value> = facets["filters"].as_array().expect("facets").iter().map(|facet| &facet["kind"]).collect();
    assert!(kinds.contains(&&json!("VENDOR")) && kinds.contains(&&json!("OPTION")), "{kinds:?}");
    assert!(facets["filters"][0]["values"][0]["input"].is_object(), "{facets}");
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
    // Neither the page nor the failed load is repeated.
    assert_eq!(broken.statements, 2);
    let nested =
        app.query("{ products(first: 1) { edges { node { variants(first: 1) { product { tags } } } } } }").await;
    assert_eq!(nested.first_error()["path"], json!(["products", "edges", 0, "node", "variants", 0, "product", "tags"]));
    app.execute_sql("ALTER TABLE variant_option RENAME TO gone_too").await.expect("renamed");
    let deep = app.query("{ products(first: 2) { edges { node { variants(first: 1) { options { name } } } } } }").await;
    let paths = deep.body["errors"].as_array().expect("errors").iter().map(|error| error["path"].clone());
    let path_of = |edge: usize| json!(["products", "edges", edge, "node", "variants", 0, "options"]);
    assert_eq!(paths.collect::<Vec<_>>(), [path_of(0), path_of(1)]);
}

async fn category_newer_than_the_tree_is_found(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let second_db = app.open_second_database().await;
    create_categories(&second_db, std::iter::once(vec!["Attic".to_owned()])).await;
    let query = "{ products(first: 1) { nodes { slug category { name } } } }";
    let before = app.query(query).await;
    let slug = before.data_at("/products/nodes/0/slug").as_str().expect("a slug");
    let category_id = "(SELECT id FROM category WHERE slug = 'attic')";
    let update = format!("UPDATE product SET category_id = {category_id} WHERE slug = '{slug}'");
    app.execute_sql(&update).await.expect("an update");
    let after = app.query(query).await;
    assert_eq!(after.data_at("/products/nodes/0/category/name"), "Attic");
    // The page; the version of the tree, and the tree with its version.
    assert_eq!((before.statements, after.statements), (1, 4));
    app.run_pending_jobs().await;
    second_db.close().await;
}
