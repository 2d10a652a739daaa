//! The schema as a subgraph of Apollo Federation.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    browser::{has_node_module, run_node_script},
    checkout::{expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    entities_are_loaded_by_representation,
    invalid_representations_are_rejected,
    federation_is_disabled_by_default;
    needs(has_gateway): gateway_joins_the_shop_with_another_subgraph
];

const FEDERATION_SETTING: (&str, &str) = ("SAVANNAH_GRAPHQL__FEDERATION", "true");
const ENTITIES: &str = "query($representations: [_Any!]!) { _entities(representations: $representations) { __typename
    ... on Product { id name } ... on ProductVariant { id sku } ... on Category { id slug } ... on Order { id number } } }";

fn has_gateway() -> bool {
    ["@apollo/gateway", "@apollo/subgraph", "@apollo/composition"].into_iter().all(has_node_module)
}

async fn entities_are_loaded_by_representation(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[FEDERATION_SETTING]).await;
    let variant = app.create_product("mug", 100, Some(50)).await;
    let cap = app.create_product("cap", 100, Some(50)).await;
    let staff = app.login(Role::Staff).await;
    let order = expect_order(&app.create_order(None, "a", &[(&variant, 1)], json!({})).await, "orderCreate");
    let lists = app.query("{ products { nodes { id category { id } } } }").await;
    let id_at = |pointer: &str| lists.data_at(pointer).clone();
    let (product, category) = (id_at("/products/nodes/0/id"), id_at("/products/nodes/0/category/id"));
    let representation = |type_name: &str, id: &Value| json!({ "__typename": type_name, "id": id });
    let representations = [
        representation("ProductVariant", &json!(variant)),
        representation("Category", &category),
        representation("Product", &product),
        representation("Order", &json!(order_id(&order))),
        representation("ProductVariant", &json!(cap)),
    ];
    let read = async |token: Option<&str>, representations: &[Value]| {
        let response = app.query_maybe_as(token, ENTITIES, json!({ "representations": representations })).await;
        (response.data_at("/_entities").as_array().expect("a list").clone(), response.statements)
    };
    let (entities, statements) = read(Some(&staff), &representations).await;
    for (entity, representation) in entities.iter().zip(&representations) {
        assert_eq!((&entity["id"], &entity["__typename"]), (&representation["id"], &representation["__typename"]));
    }
    // As many statements for two variants as for one.
    assert_eq!(read(Some(&staff), &representations[..4]).await.1, statements);
    let (hidden, _) = read(None, &representations).await;
    assert_eq!((&hidden[3], &hidden[4]["id"]), (&Value::Null, &json!(cap)), "a guest may not see the order");
}

async fn invalid_representations_are_rejected(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[FEDERATION_SETTING]).await;
    let variant = app.create_product("mug", 100, Some(50)).await;
    let cases = [
        (json!([{ "__typename": "Product", "id": variant }]), "representations.0.id"),
        (json!([{ "__typename": "Shop", "id": variant }]), "representations.0"),
        (json!([{ "__typename": "Product", "id": "nonsense" }]), "representations.0.id"),
        (json!(vec![json!({ "__typename": "ProductVariant", "id": variant }); 1001]), "representations"),
    ];
    for (representations, field) in cases {
        let query = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }";
        app.query_with_variables(query, json!({ "r": representations })).await.assert_error_field(field);
    }
    for representation in [json!(1), json!({ "id": variant }), json!({ "__typename": 7, "id": variant })] {
        let response = app.query_with_variables(ENTITIES, json!({ "representations": [representation] })).await;
        let message = response.first_error()["message"].as_str().expect("text");
        assert!(message.contains("__typename") || message.contains("Expected input type"), "{message}");
    }
}

async fn federation_is_disabled_by_default(backend: Backend) {
    let app = TestApp::start(backend).await;
    for query in ["{ _service { sdl } }", "{ _entities(representations: []) { __typename } }"] {
        let response = app.query(query).await;
        assert_eq!(response.first_error()["message"], "Federation is disabled.", "{}", response.body);
    }
    let types = app.query("{ __type(name: \"_Service\") { name } __schema { queryType { fields { name } } } }").await;
    assert_eq!(types.data_at("/__type"), &Value::Null);
    assert!(!types.strings_at("/__schema/queryType/fields", "name").contains(&"_service".to_owned()));
}

async fn gateway_joins_the_shop_with_another_subgraph(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[FEDERATION_SETTING]).await;
    for handle in ["mug", "cap", "pen"] {
        app.create_product(handle, 100, Some(50)).await;
    }
    let output = run_node_script("clients/gateway.mjs", vec![app.url("/graphql")]).await;
    assert!(output.contains("passed with 3 products"), "{output}");
}
