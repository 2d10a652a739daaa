//! Customer profiles, addresses, and customer search by staff.

use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    customer_reads_and_updates_own_profile,
    invalid_profile_and_address_fields_are_all_reported,
    first_address_becomes_default_shipping_and_billing,
    default_address_moves_and_is_cleared_on_delete,
    address_above_one_hundred_is_rejected,
    staff_addresses_without_staff_write_are_forbidden,
    concurrent_default_address_changes_leave_one_default,
    data_of_another_customer_is_not_accessible,
];

pub const CREATE_ADDRESS: &str = "mutation($id: ID, $input: AddressCreateInput!) { addressCreate(customerId: $id, input: $input) {
    address { id version defaultShipping defaultBilling postal { phone countryCode country } } userErrors { code field message } } }";
pub const UPDATE_CUSTOMER: &str = "mutation($id: ID, $input: CustomerUpdateInput!, $version: Int) {
    customerUpdate(id: $id, input: $input, expectedVersion: $version) {
    customer { firstName lastName phone version } userErrors { code field message } } }";
const UPDATE_ADDRESS: &str = "mutation($id: ID!, $input: AddressUpdateInput!, $version: Int) {
    addressUpdate(id: $id, input: $input, expectedVersion: $version) {
    address { version postal { company city phone } } userErrors { code field } } }";
const SET_DEFAULT_ADDRESS: &str =
    "mutation($id: ID!, $for: [AddressPurpose!]!) { addressDefaultSet(id: $id, purposes: $for) {
    address { id version } userErrors { code field } } }";
const DELETE_ADDRESS: &str = "mutation($id: ID!) { addressDelete(id: $id) { deletedId userErrors { code field } } }";
const DEFAULT_ADDRESSES: &str =
    "{ me { customer { id defaultShippingAddress { id } defaultBillingAddress { id } addresses { id } } } }";

/// Returns a valid address input.
pub fn home_address() -> Value {
    json!({ "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "ke", "phone": "0712 345678" })
}

/// Creates an address of the caller and returns its ID.
pub async fn create_address(app: &TestApp, token: &str, input: Value) -> String {
    let created = app.query_as(token, CREATE_ADDRESS, json!({ "input": input })).await;
    assert_eq!(created.user_errors("addressCreate"), [], "{}", created.body);
    created.data_at("/addressCreate/address/id").as_str().expect("an id").to_owned()
}

/// Returns the customer ID of an account ID.
pub fn to_customer_id(account_id: &str) -> String {
    let key = GlobalId::decode_as(account_id, NodeType::Account, "id").expect("an account ID");
    GlobalId::new(NodeType::Customer, key).encode()
}

/// Returns the account ID of a token's owner.
pub async fn query_account_id(app: &TestApp, token: &str) -> String {
    app.query_as(token, "{ me { id } }", json!({})).await.data_at("/me/id").as_str().expect("an id").to_owned()
}

fn error_codes(response: &GraphqlResponse, mutation: &str) -> Vec<String> {
    response.user_errors(mutation).into_iter().map(|(code, _)| code).collect()
}

async fn customer_reads_and_updates_own_profile(backend: Backend) {
    let app = TestApp::start(backend).await;
    assert_eq!(app.query("{ me { id } }").await.data_at("/me"), &Value::Null);
    let token = app.login(Role::Customer).await;
    let me = app.query_as(
        &token,
        "{ me { email emailVerified firstName phone disabled version staff { role } customer { email version addresses { id } } } }",
        json!({}),
    );
    let expected = json!({ "email": "customer1@example.com", "emailVerified": true, "firstName": "", "phone": null,
        "disabled": false, "version": 1, "staff": null,
        "customer": { "email": "customer1@example.com", "version": 1, "addresses": [] } });
    assert_eq!(me.await.data_at("/me"), &expected);

    let update = async |input: Value| app.query_as(&token, UPDATE_CUSTOMER, json!({ "input": input })).await;
    let changed = update(json!({ "firstName": " Wanjiku ", "phone": "(0712) 345-678" })).await;
    let expected = json!({ "firstName": "Wanjiku", "lastName": "", "phone": "+254712345678", "version": 2 });
    assert_eq!(changed.data_at("/customerUpdate/customer"), &expected);
    // Omitted fields are unchanged, null clears, and an update without changes keeps the version.
    let changed = update(json!({ "lastName": "Kamau", "phone": null })).await;
    let expected = json!({ "firstName": "Wanjiku", "lastName": "Kamau", "phone": null, "version": 3 });
    assert_eq!(changed.data_at("/customerUpdate/customer"), &expected);
    assert_eq!(update(json!({ "lastName": "Kamau" })).await.data_at("/customerUpdate/customer"), &expected);
    let stale = app.query_as(&token, UPDATE_CUSTOMER, json!({ "input": { "lastName": "Otieno" }, "version": 2 })).await;
    assert_eq!(stale.user_errors("customerUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let count_sql = "SELECT count(*) FROM audit_log WHERE action = 'customer.update' AND actor_kind = 'account'";
    assert_eq!(app.query_scalar(count_sql).await, 2);
}

async fn invalid_profile_and_address_fields_are_all_reported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    let long = "x".repeat(101);
    let invalid_input = json!({ "firstName": long, "lastName": "a\u{7}b", "phone": "12" });
    let response = app.query_as(&token, UPDATE_CUSTOMER, json!({ "input": invalid_input })).await;
    let fields = |fields: &[&str]| {
        fields.iter().map(|field| ("VALIDATION_ERROR".to_owned(), format!("input.{field}"))).collect::<Vec<_>>()
    };
    assert_eq!(response.user_errors("customerUpdate"), fields(&["firstName", "lastName", "phone"]));
    let invalid_input =
        json!({ "line1": " ", "city": "x\ny", "postalCode": "x".repeat(21), "countryCode": "XX", "phone": "call me" });
    let response = app.query_as(&token, CREATE_ADDRESS, json!({ "input": invalid_input })).await;
    let expected = fields(&["line1", "city", "postalCode", "countryCode", "phone", "lastName"]);
    assert_eq!(response.user_errors("addressCreate"), expected);
    assert_eq!(app.query_scalar("SELECT count(*) FROM address").await, 0);
    // Phone numbers are parsed in the address's country.
    let mut berlin_address = home_address();
    berlin_address["countryCode"] = json!("DE");
    berlin_address["phone"] = json!("030 901820");
    let response = app.query_as(&token, CREATE_ADDRESS, json!({ "input": berlin_address })).await;
    assert_eq!(response.data_at("/addressCreate/address/postal/phone"), "+4930901820");
    assert_eq!(response.data_at("/addressCreate/address/postal/country"), "Germany");
}

async fn first_address_becomes_default_shipping_and_billing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    let created = app.query_as(&token, CREATE_ADDRESS, json!({ "input": home_address() })).await;
    let address = created.data_at("/addressCreate/address");
    assert_eq!((&address["defaultShipping"], &address["defaultBilling"]), (&json!(true), &json!(true)));
    assert_eq!((&address["version"], &address["postal"]["countryCode"]), (&json!(1), &json!("KE")));
    let second = app.query_as(&token, CREATE_ADDRESS, json!({ "input": home_address() })).await;
    assert_eq!(second.data_at("/addressCreate/address/defaultShipping"), false);
    let id = &address["id"];
    let update = async |input: Value, version: i32| {
        app.query_as(&token, UPDATE_ADDRESS, json!({ "id": id, "input": input, "version": version })).await
    };
    let version = address["version"].as_i64().and_then(|version| i32::try_from(version).ok()).expect("a version");
    let changed = update(json!({ "company": "Baobab Ltd", "phone": null }), version).await;
    let expected = json!({ "version": 2, "postal": { "company": "Baobab Ltd", "city": "Nairobi", "phone": null } });
    assert_eq!(changed.data_at("/addressUpdate/address"), &expected);
    assert_eq!(error_codes(&update(json!({ "city": "Kisumu" }), version).await, "addressUpdate"), ["VERSION_CONFLICT"]);
    let rejected = update(json!({ "city": null, "countryCode": null }), 2).await;
    assert_eq!(error_codes(&rejected, "addressUpdate"), ["VALIDATION_ERROR"; 2]);
}

async fn default_address_moves_and_is_cleared_on_delete(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    let first = create_address(&app, &token, home_address()).await;
    let mut office_address = home_address();
    office_address["defaultFor"] = json!(["SHIPPING"]);
    let second = create_address(&app, &token, office_address).await;
    let defaults = async || {
        let me = app.query_as(&token, DEFAULT_ADDRESSES, json!({})).await;
        let id = |name: &str| me.data_at(&format!("/me/customer/{name}"))["id"].as_str().map(str::to_owned);
        (id("defaultShippingAddress"), id("defaultBillingAddress"))
    };
    assert_eq!(defaults().await, (Some(second.clone()), Some(first.clone())));
    let set = |purposes: Value| json!({ "id": second, "for": purposes });
    app.query_as(&token, SET_DEFAULT_ADDRESS, set(json!(["BILLING", "SHIPPING"])))
        .await
        .data_at("/addressDefaultSet/address/id");
    assert_eq!(defaults().await, (Some(second.clone()), Some(second.clone())));
    let missing = app.query_as(&token, SET_DEFAULT_ADDRESS, set(json!([]))).await;
    assert_eq!(missing.user_errors("addressDefaultSet"), [("VALIDATION_ERROR".into(), "purposes".into())]);
    let deleted = app.query_as(&token, DELETE_ADDRESS, json!({ "id": second })).await;
    assert_eq!(deleted.data_at("/addressDelete/deletedId"), &json!(second));
    assert_eq!(defaults().await, (None, None));
    let repeated = app.query_as(&token, DELETE_ADDRESS, json!({ "id": second })).await;
    assert_eq!(repeated.user_errors("addressDelete"), [("NOT_FOUND".into(), "id".into())]);
}

async fn address_above_one_hundred_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    create_address(&app, &token, home_address()).await;
    create_address(&app, &token, home_address()).await;
    while app.query_scalar("SELECT count(*) FROM address").await < 99 {
        let insert_sql = "INSERT INTO address (account_id, first_name, last_name, line1, city, country_code, is_default_shipping, \
            is_default_billing, version, created_at, updated_at) SELECT account_id, first_name, last_name, line1, city, \
            country_code, false, false, 1, created_at, updated_at FROM address LIMIT (SELECT 99 - count(*) FROM address)";
        app.execute_sql(insert_sql).await.expect("more");
    }
    let add = async || app.query_as(&token, CREATE_ADDRESS, json!({ "input": home_address() })).await;
    let (first, second) = tokio::join!(add(), add());
    let mut outcomes = [error_codes(&first, "addressCreate"), error_codes(&second, "addressCreate")];
    outcomes.sort();
    assert_eq!(outcomes, [vec![], vec!["ILLEGAL_TRANSITION".to_owned()]]);
    let me = app.query_as(&token, DEFAULT_ADDRESSES, json!({})).await;
    assert_eq!(me.data_at("/me/customer/addresses").as_array().map(Vec::len), Some(100));
}

async fn staff_addresses_without_staff_write_are_forbidden(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, staff_token) = (app.login(Role::Admin).await, app.login(Role::Staff).await);
    let address = create_address(&app, &staff_token, home_address()).await;
    let key = "mutation { apiKeyCreate(input: { name: \"Desk\", permissions: [CUSTOMER_READ, CUSTOMER_WRITE] }) {
        apiKey { key } userErrors { code } } }";
    let api_key = app.query_as(&admin, key, json!({})).await;
    let api_key = api_key.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    let changes = [
        (UPDATE_ADDRESS, json!({ "id": address, "input": { "city": "Mombasa" } })),
        (SET_DEFAULT_ADDRESS, json!({ "id": address, "for": ["SHIPPING"] })),
        (DELETE_ADDRESS, json!({ "id": address })),
    ];
    for (query, variables) in &changes {
        assert_eq!(app.query_as(&api_key, query, variables.clone()).await.error_code(), "FORBIDDEN");
    }
    for (query, variables) in &changes {
        let response = app.query_as(&admin, query, variables.clone()).await;
        assert_eq!(response.body.get("errors"), None, "{}", response.body);
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM address").await, 0);
}

async fn concurrent_default_address_changes_leave_one_default(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    create_address(&app, &token, home_address()).await;
    let (first, second) =
        (create_address(&app, &token, home_address()).await, create_address(&app, &token, home_address()).await);
    let set = async |id: &str| {
        let chosen =
            app.query_as(&token, SET_DEFAULT_ADDRESS, json!({ "id": id, "for": ["SHIPPING", "BILLING"] })).await;
        assert_eq!(chosen.user_errors("addressDefaultSet"), [], "{}", chosen.body);
    };
    for _ in 0..10 {
        tokio::join!(set(&first), set(&second), set(&first), set(&second));
        assert_eq!(app.query_scalar("SELECT count(*) FROM address WHERE is_default_shipping").await, 1);
        assert_eq!(app.query_scalar("SELECT count(*) FROM address WHERE is_default_billing").await, 1);
    }
}

async fn data_of_another_customer_is_not_accessible(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (own_token, other_token) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let address = create_address(&app, &other_token, home_address()).await;
    let other = to_customer_id(&query_account_id(&app, &other_token).await);
    let before = app.query_scalar("SELECT sum(version) + count(*) FROM address").await;
    let node = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ids = json!({ "ids": [address, other] });
    assert_eq!(app.query_as(&own_token, node, ids.clone()).await.data_at("/nodes"), &json!([null, null]));
    assert_eq!(app.query_with_variables(node, ids.clone()).await.data_at("/nodes"), &json!([null, null]));
    assert_eq!(app.query_as(&other_token, node, ids.clone()).await.data_at("/nodes/0/id"), &json!(address));
    let staff = app.login(Role::Staff).await;
    assert_eq!(app.query_as(&staff, node, ids).await.data_at("/nodes/1/id"), &json!(other));

    let mutations = [
        ("addressUpdate", UPDATE_ADDRESS, json!({ "id": address, "input": { "city": "Mombasa" } })),
        ("addressDefaultSet", SET_DEFAULT_ADDRESS, json!({ "id": address, "for": ["SHIPPING"] })),
        ("addressDelete", DELETE_ADDRESS, json!({ "id": address })),
        ("addressCreate", CREATE_ADDRESS, json!({ "id": other, "input": home_address() })),
        ("customerUpdate", UPDATE_CUSTOMER, json!({ "id": other, "input": { "firstName": "Mine" } })),
        (
            "customerDelete",
            "mutation($id: ID) { customerDelete(id: $id) { userErrors { code field } } }",
            json!({ "id": other }),
        ),
    ];
    // Staff with read permission cannot update customers.
    for token in [&own_token, &staff] {
        for (name, mutation, variables) in &mutations {
            let response = app.query_as(token, mutation, variables.clone()).await;
            assert_eq!(error_codes(&response, name), ["NOT_FOUND"], "{name}: {}", response.body);
        }
    }
    assert_eq!(app.query_scalar("SELECT sum(version) + count(*) FROM address").await, before);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE version > 1 OR deleted_at IS NOT NULL").await, 0);
    let admin = app.login(Role::Admin).await;
    let (name, mutation, variables) = &mutations[0];
    assert_eq!(error_codes(&app.query_as(&admin, mutation, variables.clone()).await, name), [""; 0]);
}
