//! Executes the GraphQL examples of the README in order, with the authentication that their sections describe.

use savannah::identity::Role;
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![readme_examples_run_in_order];

const README: &str = include_str!("../README.md");

/// The caller of the operations of a code block.
#[derive(Clone, Copy)]
enum ExampleCaller {
    Guest,
    Customer,
    Admin,
}

/// The sections of the README that have GraphQL code blocks, with the caller of each block.
const SECTIONS: [(&str, &[ExampleCaller]); 3] = [
    ("Example queries", &[ExampleCaller::Guest]),
    ("Checkout", &[ExampleCaller::Guest, ExampleCaller::Admin]),
    ("Authentication", &[ExampleCaller::Customer, ExampleCaller::Admin]),
];

/// Returns the GraphQL code blocks of a text.
fn graphql_blocks(text: &str) -> Vec<&str> {
    text.split("```graphql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Returns the text below a heading of the second level.
fn find_section(heading: &str) -> &'static str {
    let sections = README.split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).find(|(name, _)| *name == heading).expect(heading).1
}

/// Returns the operations of a code block with their names.
fn named_operations(block: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut starts: Vec<usize> = ["query ", "mutation "]
        .iter()
        .flat_map(|keyword| {
            block.match_indices(keyword).filter(|(offset, _)| *offset == 0 || block[..*offset].ends_with('\n'))
        })
        .map(|(offset, _)| offset)
        .collect();
    starts.sort_unstable();
    let ends_at = starts.clone().into_iter().skip(1).chain([block.len()]);
    starts.into_iter().zip(ends_at).map(|(start, end)| {
        let text = &block[start..end];
        let name = text.split_whitespace().nth(1).expect("a name");
        (name.split('(').next().expect("a name"), text)
    })
}

async fn readme_examples_run_in_order(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.seed_shipping_and_tax().await;
    let admin = app.login(Role::Admin).await;
    let mut customer = admin.clone();
    // Variables that a reader copies from the responses.
    let mut variables = json!({});
    let captured_variables = [
        ("variantId", "/product/variants/0/id"),
        ("cartId", "/cartCreate/cart/id"),
        ("shippingMethodId", "/cartCreate/cart/availableShippingOptions/0/shippingMethodId"),
        ("total", "/cartShippingMethodUpdate/cart/cost/total/amount"),
        ("orderId", "/checkoutComplete/order/id"),
        ("categoryId", "/categoryCreate/category/id"),
        ("refreshToken", "/login/tokens/refreshToken"),
        ("refreshToken", "/tokenRefresh/tokens/refreshToken"),
    ];
    let mut blocks = Vec::new();
    for (heading, callers) in SECTIONS {
        let section_blocks = graphql_blocks(find_section(heading));
        assert_eq!(section_blocks.len(), callers.len(), "code blocks of {heading}");
        blocks.extend(section_blocks.into_iter().zip(callers));
    }
    assert_eq!(blocks.len(), graphql_blocks(README).len(), "every code block is in a listed section");
    let mut operation_names = Vec::new();
    for (block, caller) in blocks {
        for (name, text) in named_operations(block) {
            let token = match caller {
                ExampleCaller::Guest => None,
                ExampleCaller::Customer => Some(customer.as_str()),
                ExampleCaller::Admin => Some(admin.as_str()),
            };
            let response = app.query_maybe_as(token, text, variables.clone()).await;
            assert!(response.body.get("errors").is_none(), "{name}: {}", response.body);
            assert!(!response.body.to_string().contains("\"userErrors\":[{"), "{name}: {}", response.body);
            for mutation in ["login", "tokenRefresh"] {
                if let Some(tokens) = response.body["data"][mutation].get("tokens") {
                    customer = String::from(tokens["accessToken"].as_str().expect("a token"));
                }
            }
            for (variable, pointer) in captured_variables {
                if let Some(value) = response.body["data"].pointer(pointer) {
                    variables[variable] = value.clone();
                }
            }
            operation_names.push(name);
        }
    }
    let expected_names = [
        "FeaturedProducts",
        "ProductPage",
        "CategoryTree",
        "Search",
        "CreateCart",
        "SelectShippingMethod",
        "PlaceOrder",
        "ConfirmOrder",
        "FulfillOrder",
        "CapturePayment",
        "DeliverOrder",
        "Register",
        "Login",
        "Refresh",
        "Me",
        "Logout",
        "CreateCategory",
        "CreateProduct",
        "AuditLog",
    ];
    assert_eq!(operation_names, expected_names);
    let lamp = app.query("{ product(sku: \"LAMP-1\") { name salePrice stockQuantity category { name } } }").await;
    assert_eq!(lamp.data_at("/product/category/name"), "Lamps");
    assert_eq!(
        (lamp.data_at("/product/salePrice"), lamp.data_at("/product/stockQuantity")),
        (&json!("3900.00"), &json!(12))
    );
    let order = app.query_as(
        &admin,
        "query($id: ID) { order(id: $id) { status paymentStatus } }",
        json!({ "id": variables["orderId"] }),
    );
    assert_eq!(order.await.data_at("/order"), &json!({ "status": "DELIVERED", "paymentStatus": "PAID" }));
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}
