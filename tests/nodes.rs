//! Objects by global ID, and objects that staff reach from the audit log, jobs and stock movements.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    parts_of_an_order_are_nodes_for_those_who_see_the_order,
    shop_objects_are_nodes_for_staff,
    changes_jobs_and_movements_lead_to_their_objects,
];

async fn parts_of_an_order_are_nodes_for_those_who_see_the_order(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let (staff, buyer) = (app.login(Role::Staff).await, app.login(Role::Customer).await);
    let other = app.login(Role::Customer).await;
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        let order = expect_order(&app.create_order(Some(&buyer), key, &[(&mug, 2)], json!({})).await, "orderCreate");
        let id = order_id(&order);
        expect_order(&app.run_order_mutation(&staff, "orderConfirm", id, None).await, "orderConfirm");
        let fulfillment = Some(("OrderFulfillInput!", json!({ "idempotencyKey": key })));
        expect_order(&app.run_order_mutation(&staff, "orderFulfill", id, fulfillment).await, "orderFulfill");
        expect_order(&app.run_order_mutation(&staff, "orderCapture", id, None).await, "orderCapture");
        let refund = Some(("OrderRefundInput!", json!({ "amount": "10.00", "idempotencyKey": key })));
        expect_order(&app.run_order_mutation(&staff, "orderRefund", id, refund).await, "orderRefund");
        let query =
            "query($id: ID) { order(id: $id) { lines { id } payments { id } refunds { id } fulfillments { id } } }";
        let order = app.query_as(&buyer, query, json!({ "id": id })).await.data_at("/order").clone();
        for list in ["lines", "payments", "refunds", "fulfillments"] {
            ids.push(order[list][0]["id"].clone());
        }
    }
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on OrderLine { quantity }
        ... on Payment { capturedAmount { amount } } ... on Refund { reason } ... on Fulfillment { carrier } } }";
    let read = async |token: Option<&str>, ids: &[Value]| {
        let response = app.query_maybe_as(token, query, json!({ "ids": ids })).await;
        (response.data_at("/nodes").as_array().expect("a list").clone(), response.statements)
    };
    for token in [&buyer, &staff] {
        let (nodes, statements) = read(Some(token), &ids).await;
        assert_eq!(nodes.iter().map(|node| node["id"].clone()).collect::<Vec<_>>(), ids);
        let types: Vec<_> = nodes[..4].iter().map(|node| node["__typename"].as_str().expect("a name")).collect();
        assert_eq!(types, ["OrderLine", "Payment", "Refund", "Fulfillment"]);
        assert_eq!((&nodes[0]["quantity"], &nodes[1]["capturedAmount"]["amount"]), (&json!(2), &json!("200.00")));
        // As many statements for two orders as for one.
        assert_eq!(read(Some(token), &ids[..4]).await.1, statements);
    }
    for token in [None, Some(other.as_str())] {
        assert_eq!(read(token, &ids).await.0, vec![Value::Null; ids.len()]);
    }
}

async fn shop_objects_are_nodes_for_staff(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let (admin, customer) = (app.login(Role::Admin).await, app.login(Role::Customer).await);
    let key = "mutation { apiKeyCreate(input: { name: \"x\", permissions: [AUDIT_READ] }) { apiKey { id } } }";
    app.query_as(&admin, key, json!({})).await.data_at("/apiKeyCreate/apiKey/id");
    let mug = app.create_product("mug", 100, Some(5)).await;
    expect_order(&app.create_order(None, "k", &[(&mug, 1)], shipping_choice(&app).await).await, "orderCreate");
    app.drain_jobs().await;
    let lists =
        "{ locations { id } shippingMethods { id } taxRates { id } apiKeys { id } jobs { nodes { id } totalCount }
        notifications { nodes { id } } auditLog { nodes { id } totalCount } lowStock { totalCount } }";
    let lists = app.query_as(&admin, lists, json!({})).await;
    let first = |path: &str| lists.data_at(path).clone();
    for list in ["jobs", "auditLog"] {
        let nodes = lists.data_at(&format!("/{list}/nodes")).as_array().map_or(0, Vec::len);
        assert!(lists.data_at(&format!("/{list}/totalCount")).as_u64().is_some_and(|count| count >= nodes as u64));
    }
    let ids = [
        first("/locations/0/id"),
        first("/shippingMethods/0/id"),
        first("/taxRates/0/id"),
        first("/apiKeys/0/id"),
        first("/jobs/nodes/0/id"),
        first("/notifications/nodes/0/id"),
        first("/auditLog/nodes/0/id"),
    ];
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let nodes = app.query_as(&admin, query, json!({ "ids": ids })).await;
    let nodes = nodes.data_at("/nodes").as_array().expect("a list").clone();
    assert_eq!(nodes.iter().map(|node| node["id"].clone()).collect::<Vec<_>>(), ids);
    let types: Vec<_> = nodes.iter().map(|node| node["__typename"].as_str().expect("a name")).collect();
    assert_eq!(types, ["Location", "ShippingMethod", "TaxRate", "ApiKey", "Job", "Notification", "AuditEntry"]);
    for token in [None, Some(customer.as_str())] {
        let hidden = app.query_maybe_as(token, query, json!({ "ids": ids })).await;
        assert_eq!(hidden.data_at("/nodes"), &json!(vec![Value::Null; ids.len()]));
    }
}

async fn shipping_choice(app: &TestApp) -> Value {
    let options = app.query("{ shippingOptions { shippingMethodId } }").await;
    json!({ "shippingMethodId": options.data_at("/shippingOptions/0/shippingMethodId") })
}

async fn changes_jobs_and_movements_lead_to_their_objects(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let admin = app.login(Role::Admin).await;
    let rename =
        "mutation($id: ID!) { productVariantUpdate(id: $id, input: { price: \"90\" }) { userErrors { code } } }";
    assert_eq!(app.query_as(&admin, rename, json!({ "id": mug })).await.user_errors("productVariantUpdate"), []);
    let order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    expect_order(&app.run_order_mutation(&admin, "orderConfirm", order_id(&order), None).await, "orderConfirm");
    let fulfillment = Some(("OrderFulfillInput!", json!({ "idempotencyKey": "f" })));
    expect_order(&app.run_order_mutation(&admin, "orderFulfill", order_id(&order), fulfillment).await, "orderFulfill");
    app.drain_jobs().await;
    let query = "query($id: ID!) {
        auditLog(filter: { entityId: $id }, first: 1) { nodes { entityId entity { id ... on ProductVariant { sku } } } }
        jobs(first: 100) { nodes { orderingKey subject { id ... on Order { number } } } }
        node(id: $id) { ... on ProductVariant { stockLevels { movements { totalCount nodes { reason order { id } } } } } } }";
    let response = app.query_as(&admin, query, json!({ "id": mug })).await;
    assert!(response.body.get("errors").is_none(), "{}", response.body);
    let entry = response.data_at("/auditLog/nodes/0");
    assert_eq!((&entry["entityId"], &entry["entity"]), (&json!(mug), &json!({ "id": mug, "sku": "MUG" })));
    let jobs = response.data_at("/jobs/nodes").as_array().expect("a list");
    let of_order = jobs.iter().find(|job| job["subject"]["id"] == order["id"]).expect("a job of the order");
    assert_eq!(of_order["subject"]["number"], order["number"]);
    assert!(of_order["orderingKey"].as_str().is_some_and(|key| key.starts_with("order:")), "{of_order}");
    let movements = response.data_at("/node/stockLevels/0/movements");
    let shipped = movements["nodes"].as_array().expect("a list").iter().find(|row| row["reason"] == "SOLD");
    assert_eq!(shipped.expect("a movement")["order"]["id"], order["id"], "{movements}");
    assert_eq!(movements["totalCount"], movements["nodes"].as_array().map_or(0, Vec::len));
}
