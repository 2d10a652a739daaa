//! Customer profiles, addresses, and customer search by staff.

use savannah::identity::Role;
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
    customer_list_statement_count_is_independent_of_size,
    customer_search_matches_prefixes,
    customer_list_pages_in_both_directions,
];

pub const CREATE_ADDRESS: &str = "mutation($id: ID, $input: AddressCreateInput!) { addressCreate(customerId: $id, input: $input) {
    address { id version defaultShipping defaultBilling phone countryCode country } userErrors { code field message } } }";
const UPDATE_CUSTOMER: &str = "mutation($id: ID, $input: CustomerUpdateInput!, $version: Int) {
    customerUpdate(id: $id, input: $input, expectedVersion: $version) {
    customer { firstName lastName phone version } userErrors { code field message } } }";
const UPDATE_ADDRESS: &str = "mutation($id: ID!, $input: AddressUpdateInput!, $version: Int) {
    addressUpdate(id: $id, input: $input, expectedVersion: $version) {
    address { company city phone version } userErrors { code field } } }";
const SET_DEFAULT_ADDRESS: &str =
    "mutation($id: ID!, $for: [AddressPurpose!]!) { addressDefaultSet(id: $id, purposes: $for) {
    address { id version } userErrors { code field } } }";
const DELETE_ADDRESS: &str = "mutation($id: ID!) { addressDelete(id: $id) { deletedId userErrors { code field } } }";
const DEFAULT_ADDRESSES: &str =
    "{ me { id defaultShippingAddress { id } defaultBillingAddress { id } addresses { id } } }";

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
        "{ me { email emailVerified firstName phone role disabled version addresses { id } } }",
        json!({}),
    );
    let expected = json!({ "email": "customer1@example.com", "emailVerified": true, "firstName": "", "phone": null,
        "role": "CUSTOMER", "disabled": false, "version": 1, "addresses": [] });
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
    assert_eq!(response.data_at("/addressCreate/address/phone"), "+4930901820");
    assert_eq!(response.data_at("/addressCreate/address/country"), "Germany");
}

async fn first_address_becomes_default_shipping_and_billing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    let created = app.query_as(&token, CREATE_ADDRESS, json!({ "input": home_address() })).await;
    let address = created.data_at("/addressCreate/address");
    assert_eq!((&address["defaultShipping"], &address["defaultBilling"]), (&json!(true), &json!(true)));
    assert_eq!((&address["version"], &address["countryCode"]), (&json!(1), &json!("KE")));
    let second = app.query_as(&token, CREATE_ADDRESS, json!({ "input": home_address() })).await;
    assert_eq!(second.data_at("/addressCreate/address/defaultShipping"), false);
    let id = &address["id"];
    let update = async |input: Value, version: i32| {
        app.query_as(&token, UPDATE_ADDRESS, json!({ "id": id, "input": input, "version": version })).await
    };
    let version = address["version"].as_i64().and_then(|version| i32::try_from(version).ok()).expect("a version");
    let changed = update(json!({ "company": "Baobab Ltd", "phone": null }), version).await;
    let expected = json!({ "company": "Baobab Ltd", "city": "Nairobi", "phone": null, "version": 2 });
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
        let id = |name: &str| me.data_at(&format!("/me/{name}"))["id"].as_str().map(str::to_owned);
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
    assert_eq!(me.data_at("/me/addresses").as_array().map(Vec::len), Some(100));
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
    let other = query_account_id(&app, &other_token).await;
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

async fn customer_list_statement_count_is_independent_of_size(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let query = "{ customers(first: 100) { totalCount nodes { email addresses { city }
        defaultShippingAddress { city } defaultBillingAddress { id } } pageInfo { endCursor } } }";
    let single = app.query_as(&staff, query, json!({})).await;
    assert_eq!((single.statements, single.data_at("/customers/totalCount")), (3, &json!(1)));
    for _ in 0..12 {
        let token = app.login(Role::Customer).await;
        create_address(&app, &token, home_address()).await;
    }
    let several = app.query_as(&staff, query, json!({})).await;
    assert_eq!((several.statements, several.data_at("/customers/totalCount")), (3, &json!(13)));
    assert_eq!(several.data_at("/customers/nodes/0/defaultShippingAddress/city"), "Nairobi");
    assert_eq!(several.data_at("/customers/nodes/12/addresses"), &json!([]));
}

/// Returns the email addresses of a list.
async fn query_emails(app: &TestApp, token: &str, filter: &str) -> Vec<String> {
    let query = format!("{{ customers(filter: {{ {filter} }}) {{ totalCount nodes {{ email }} }} }}");
    let response = app.query_as(token, &query, json!({})).await;
    let emails = response.strings_at("/customers/nodes", "email");
    assert_eq!(response.data_at("/customers/totalCount"), &json!(emails.len()));
    emails
}

async fn customer_search_matches_prefixes(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    for (first, last, phone) in [("Zoë", "Nakuru", "0712 345678"), ("Achieng", "Zola", "0733 000111")] {
        let token = app.login(Role::Customer).await;
        let input = json!({ "firstName": first, "lastName": last, "phone": phone });
        assert_eq!(
            app.query_as(&token, UPDATE_CUSTOMER, json!({ "input": input })).await.user_errors("customerUpdate"),
            []
        );
    }
    let (zoe, achieng) = ("customer2@example.com", "customer3@example.com");
    let search = async |text: &str| query_emails(&app, &staff, &format!("search: {}", json!(text))).await;
    assert_eq!(search("zo").await, [achieng, zoe]);
    assert_eq!(search("ZOE na").await, [zoe]);
    assert_eq!(search("Customer3@").await, [achieng]);
    assert_eq!(search("071").await, [zoe]);
    assert_eq!(search("+254 733").await, [achieng]);
    for missing in ["kuru", "0799", "%", "_", "zola a"] {
        assert_eq!(search(missing).await, [""; 0], "{missing}");
    }
    assert_eq!(search("  ").await.len(), 3);
    assert_eq!(query_emails(&app, &staff, "role: STAFF").await, ["staff1@example.com"]);
    assert_eq!(query_emails(&app, &staff, "verified: false").await, [""; 0]);
    assert_eq!(query_emails(&app, &staff, "disabled: false, role: CUSTOMER").await, [achieng, zoe]);
    assert_eq!(query_emails(&app, &staff, "createdAt: { from: \"2026-11-01T09:00:01Z\" }").await, [""; 0]);
    assert_eq!(query_emails(&app, &staff, "createdAt: { to: \"2026-11-01T09:00:01Z\" }").await.len(), 3);
    let long = format!("{{ customers(filter: {{ search: \"{}\" }}) {{ nodes {{ id }} }} }}", "x".repeat(201));
    app.query_as(&staff, &long, json!({})).await.assert_error_field("filter.search");
}

async fn customer_list_pages_in_both_directions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    for _ in 0..4 {
        app.login(Role::Customer).await;
    }
    let page = async |arguments: &str| {
        let query = format!(
            "{{ customers({arguments}) {{ edges {{ cursor node {{ email }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor startCursor }} }} }}"
        );
        app.query_as(&staff, &query, json!({})).await
    };
    let emails = |response: &GraphqlResponse| {
        let edges = response.data_at("/customers/edges").as_array().expect("edges").clone();
        edges.iter().map(|edge| edge["node"]["email"].as_str().expect("text")[..9].to_owned()).collect::<Vec<_>>()
    };
    let first = page("first: 2").await;
    assert_eq!(emails(&first), ["customer5", "customer4"]);
    let info =
        |response: &GraphqlResponse, name: &str| response.data_at(&format!("/customers/pageInfo/{name}")).clone();
    assert_eq!((info(&first, "hasNextPage"), info(&first, "hasPreviousPage")), (json!(true), json!(false)));
    let second = page(&format!("first: 2, after: {}", info(&first, "endCursor"))).await;
    assert_eq!(emails(&second), ["customer3", "customer2"]);
    let last = page(&format!("first: 2, after: {}", info(&second, "endCursor"))).await;
    assert_eq!((emails(&last), info(&last, "hasNextPage")), (vec!["staff1@ex".to_owned()], json!(false)));
    let previous_page = page(&format!("last: 2, before: {}", info(&last, "startCursor"))).await;
    assert_eq!(previous_page.data_at("/customers/edges"), second.data_at("/customers/edges"));
    page("first: 2, after: \"bm90aGluZw\"").await.assert_error_field("after");
    page("first: 101").await.assert_error_field("first");
}
