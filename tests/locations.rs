//! Stock locations: created, updated and deactivated by staff.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    location_is_created_and_updated,
    location_with_stock_is_not_deactivated,
    stock_of_an_inactive_location_is_not_changed,
    concurrent_deactivation_and_transfer_leave_no_stock_at_an_inactive_location,
];

const FIELDS: &str =
    "location { id name default active version address { line1 city countryCode } } userErrors { code field }";

async fn run(app: &TestApp, token: &str, mutation: &str, arguments: &str, variables: Value) -> GraphqlResponse {
    let query = format!(
        "mutation($id: ID!, $version: Int, $input: LocationUpdateInput) {{ {mutation}({arguments}) {{ {FIELDS} }} }}"
    );
    let query =
        if mutation == "locationUpdate" { query.replace("LocationUpdateInput", "LocationUpdateInput!") } else { query };
    app.query_as(token, &query, variables).await
}

async fn create(app: &TestApp, token: &str, input: Value) -> GraphqlResponse {
    let query = format!("mutation($input: LocationCreateInput!) {{ locationCreate(input: $input) {{ {FIELDS} }} }}");
    app.query_as(token, &query, json!({ "input": input })).await
}

async fn set_active(app: &TestApp, token: &str, id: &Value, active: bool) -> GraphqlResponse {
    let mutation = if active { "locationActivate" } else { "locationDeactivate" };
    let query = format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ {FIELDS} }} }}");
    app.query_as(token, &query, json!({ "id": id })).await
}

async fn transfer(app: &TestApp, token: &str, variables: Value) -> GraphqlResponse {
    let query = "mutation($input: StockTransferInput!) { stockTransfer(input: $input) {
        level { onHand } userErrors { code field } } }";
    app.query_as(token, query, json!({ "input": variables })).await
}

async fn default_location(app: &TestApp, token: &str) -> Value {
    app.query_as(token, "{ locations { id } }", json!({})).await.data_at("/locations/0/id").clone()
}

async fn location_is_created_and_updated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let address = json!({ "company": "Warehouse", "line1": "Moi Avenue 1", "city": "Mombasa", "countryCode": "KE" });
    let created = create(&app, &staff, json!({ "name": " Mombasa ", "address": address })).await;
    let location = created.data_at("/locationCreate/location");
    let id = location["id"].clone();
    let expected = json!({ "id": id, "name": "Mombasa", "default": false, "active": true, "version": 1,
        "address": { "line1": "Moi Avenue 1", "city": "Mombasa", "countryCode": "KE" } });
    assert_eq!(location, &expected);
    let taken = create(&app, &staff, json!({ "name": "Mombasa" })).await;
    assert_eq!(taken.user_errors("locationCreate"), [("ALREADY_EXISTS".to_owned(), "input.name".to_owned())]);
    for (input, field) in [
        (json!({ "name": " " }), "input.name"),
        (json!({ "name": "x".repeat(101) }), "input.name"),
        (
            json!({ "name": "Kisumu", "address": { "line1": "x", "city": "x", "countryCode": "XX", "company": "x" } }),
            "input.address.countryCode",
        ),
    ] {
        let rejected = create(&app, &staff, input).await;
        assert_eq!(rejected.user_errors("locationCreate"), [("VALIDATION_ERROR".to_owned(), field.to_owned())]);
    }
    let update = async |input: Value, version: i32| {
        let variables = json!({ "id": id, "input": input, "version": version });
        run(&app, &staff, "locationUpdate", "id: $id, input: $input, expectedVersion: $version", variables).await
    };
    let changed = update(json!({ "name": "Coast", "address": null }), 1).await;
    let location = changed.data_at("/locationUpdate/location");
    assert_eq!(
        (&location["name"], &location["address"], &location["version"]),
        (&json!("Coast"), &Value::Null, &json!(2))
    );
    assert_eq!(update(json!({ "name": "Coast" }), 2).await.data_at("/locationUpdate/location/version"), 2);
    let stale = update(json!({ "name": "Inland" }), 1).await;
    assert_eq!(stale.user_errors("locationUpdate"), [("VERSION_CONFLICT".to_owned(), "expectedVersion".to_owned())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE entity_type = 'Location'").await, 2);
}

async fn location_with_stock_is_not_deactivated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let default = default_location(&app, &staff).await;
    let rejected = set_active(&app, &staff, &default, false).await;
    assert_eq!(rejected.user_errors("locationDeactivate"), [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())]);
    assert!(app.execute_sql("UPDATE location SET active = false").await.is_err(), "the database refuses it as well");
    let branch = create(&app, &staff, json!({ "name": "Branch" })).await.data_at("/locationCreate/location/id").clone();
    let input = json!({ "variantId": mug, "fromLocationId": default, "toLocationId": branch, "quantity": 2,
        "idempotencyKey": "there" });
    assert_eq!(transfer(&app, &staff, input).await.user_errors("stockTransfer"), []);
    let rejected = set_active(&app, &staff, &branch, false).await;
    assert_eq!(rejected.user_errors("locationDeactivate"), [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())]);
    let input = json!({ "variantId": mug, "fromLocationId": branch, "toLocationId": default, "quantity": 2,
        "idempotencyKey": "back" });
    assert_eq!(transfer(&app, &staff, input).await.user_errors("stockTransfer"), []);
    let deactivated = set_active(&app, &staff, &branch, false).await;
    assert_eq!(deactivated.data_at("/locationDeactivate/location/active"), false);
}

async fn stock_of_an_inactive_location_is_not_changed(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let mug = app.create_product("mug", 10, Some(5)).await;
    let default = default_location(&app, &staff).await;
    let branch = create(&app, &staff, json!({ "name": "Branch" })).await.data_at("/locationCreate/location/id").clone();
    set_active(&app, &staff, &branch, false).await.data_at("/locationDeactivate/location/active");
    let transfer_there = async |key: &str| {
        let input = json!({ "variantId": mug, "fromLocationId": default, "toLocationId": branch, "quantity": 2,
            "idempotencyKey": key });
        transfer(&app, &staff, input).await
    };
    let rejected = transfer_there("a").await;
    assert_eq!(
        rejected.user_errors("stockTransfer"),
        [("ILLEGAL_TRANSITION".to_owned(), "input.toLocationId".to_owned())]
    );
    let activated = set_active(&app, &staff, &branch, true).await;
    assert_eq!(activated.data_at("/locationActivate/location/active"), true);
    assert_eq!(transfer_there("b").await.data_at("/stockTransfer/level/onHand"), 2);
}

async fn concurrent_deactivation_and_transfer_leave_no_stock_at_an_inactive_location(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let mug = app.create_product("mug", 10, Some(50)).await;
    let default = default_location(&app, &staff).await;
    for number in 0..8 {
        let created = create(&app, &staff, json!({ "name": format!("Branch {number}") })).await;
        let branch = created.data_at("/locationCreate/location/id").clone();
        let input = json!({ "variantId": mug, "fromLocationId": default, "toLocationId": branch, "quantity": 1,
            "idempotencyKey": format!("key {number}") });
        tokio::join!(transfer(&app, &staff, input), set_active(&app, &staff, &branch, false));
    }
    let stocked = "SELECT count(*) FROM inventory_level AS i JOIN location AS l ON l.id = i.location_id
        WHERE i.on_hand > 0 AND NOT l.active";
    assert_eq!(app.query_scalar(stocked).await, 0);
}
