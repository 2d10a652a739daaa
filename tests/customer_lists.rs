//! Lists of customers and accounts for staff: search, filters, pages and external ids.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    customers::{UPDATE_CUSTOMER, create_address, home_address, query_account_id, to_customer_id},
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    customer_list_statement_count_is_independent_of_size,
    customer_search_matches_prefixes,
    customer_list_pages_in_both_directions,
    external_id_is_set_by_staff_and_unique,
];

async fn customer_list_statement_count_is_independent_of_size(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let query = "{ customers(first: 100) { totalCount nodes { email addresses { postal { city } }
        defaultShippingAddress { postal { city } } defaultBillingAddress { id } } pageInfo { endCursor } } }";
    app.login(Role::Customer).await;
    let single = app.query_as(&staff, query, json!({})).await;
    let statements = single.statements;
    assert_eq!(single.data_at("/customers/totalCount"), 1);
    for _ in 0..12 {
        let token = app.login(Role::Customer).await;
        create_address(&app, &token, home_address()).await;
    }
    let several = app.query_as(&staff, query, json!({})).await;
    assert_eq!((several.statements, several.data_at("/customers/totalCount")), (statements, &json!(13)));
    assert_eq!(statements, 3);
    assert_eq!(several.data_at("/customers/nodes/0/defaultShippingAddress/postal/city"), "Nairobi");
    assert_eq!(several.data_at("/customers/nodes/12/addresses"), &json!([]));
}

/// Returns the email addresses of a list.
async fn query_emails(app: &TestApp, token: &str, filter: &str) -> Vec<String> {
    query_emails_of(app, token, "customers", filter).await
}

/// Returns the email addresses of `customers` or `accounts`.
async fn query_emails_of(app: &TestApp, token: &str, list: &str, filter: &str) -> Vec<String> {
    let query = format!("{{ {list}(filter: {{ {filter} }}) {{ totalCount nodes {{ email }} }} }}");
    let response = app.query_as(token, &query, json!({})).await;
    let emails = response.strings_at(&format!("/{list}/nodes"), "email");
    assert_eq!(response.data_at(&format!("/{list}/totalCount")), &json!(emails.len()));
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
    assert_eq!(search("  ").await.len(), 2);
    let accounts = async |filter: &str| query_emails_of(&app, &staff, "accounts", filter).await;
    assert_eq!(accounts("").await, [achieng, zoe, "staff1@example.com"]);
    assert_eq!(accounts("role: STAFF").await, ["staff1@example.com"]);
    assert_eq!(accounts("disabled: false, role: CUSTOMER").await, [achieng, zoe]);
    assert_eq!(accounts("search: \"staff1@\"").await, ["staff1@example.com"]);
    assert_eq!(query_emails(&app, &staff, "verified: false").await, [""; 0]);
    assert_eq!(query_emails(&app, &staff, "disabled: false").await, [achieng, zoe]);
    assert_eq!(query_emails(&app, &staff, "createdAt: { from: \"2026-11-01T09:00:01Z\" }").await, [""; 0]);
    assert_eq!(query_emails(&app, &staff, "createdAt: { to: \"2026-11-01T09:00:01Z\" }").await.len(), 2);
    let long = format!("{{ customers(filter: {{ search: \"{}\" }}) {{ nodes {{ id }} }} }}", "x".repeat(201));
    app.query_as(&staff, &long, json!({})).await.assert_error_field("filter.search");
}

async fn customer_list_pages_in_both_directions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    for _ in 0..5 {
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
    assert_eq!(emails(&first), ["customer6", "customer5"]);
    let info =
        |response: &GraphqlResponse, name: &str| response.data_at(&format!("/customers/pageInfo/{name}")).clone();
    assert_eq!((info(&first, "hasNextPage"), info(&first, "hasPreviousPage")), (json!(true), json!(false)));
    let second = page(&format!("first: 2, after: {}", info(&first, "endCursor"))).await;
    assert_eq!(emails(&second), ["customer4", "customer3"]);
    let last = page(&format!("first: 2, after: {}", info(&second, "endCursor"))).await;
    assert_eq!((emails(&last), info(&last, "hasNextPage")), (vec!["customer2".to_owned()], json!(false)));
    let previous_page = page(&format!("last: 2, before: {}", info(&last, "startCursor"))).await;
    assert_eq!(previous_page.data_at("/customers/edges"), second.data_at("/customers/edges"));
    page("first: 2, after: \"bm90aGluZw\"").await.assert_error_field("after");
    page("first: 101").await.assert_error_field("first");
}

async fn external_id_is_set_by_staff_and_unique(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, customer) = (app.login(Role::Admin).await, app.login(Role::Customer).await);
    let id = to_customer_id(&query_account_id(&app, &customer).await);
    let update = "mutation($id: ID, $input: CustomerUpdateInput!) { customerUpdate(id: $id, input: $input) {
        customer { externalId } userErrors { code field } } }";
    let set = async |token: &str, external_id: Value| {
        app.query_as(token, update, json!({ "id": id, "input": { "externalId": external_id } })).await
    };
    let error = |code: &str| vec![(code.to_owned(), "input.externalId".to_owned())];
    assert_eq!(set(&customer, json!("crm-7")).await.user_errors("customerUpdate"), error("VALIDATION_ERROR"));
    assert_eq!(set(&admin, json!("x".repeat(256))).await.user_errors("customerUpdate"), error("VALIDATION_ERROR"));
    let changed = set(&admin, json!(" crm-7 ")).await;
    assert_eq!(changed.data_at("/customerUpdate/customer/externalId"), "crm-7", "{}", changed.body);
    assert_eq!(query_emails(&app, &admin, "externalId: \"crm-7\"").await, ["customer2@example.com"]);
    assert_eq!(query_emails(&app, &admin, "externalId: \"crm\"").await, [""; 0]);
    // The customer does not see it.
    let own = app.query_as(&customer, "{ me { customer { externalId } } }", json!({})).await;
    assert_eq!(own.data_at("/me/customer/externalId"), &Value::Null);
    let create = "mutation($input: CustomerCreateInput!) { customerCreate(input: $input) {
        customer { externalId } userErrors { code field } } }";
    let input = json!({ "email": "amani@example.com", "externalId": "crm-7" });
    let taken = app.query_as(&admin, create, json!({ "input": input })).await;
    assert_eq!(taken.user_errors("customerCreate"), error("ALREADY_EXISTS"));
    let input = json!({ "email": "amani@example.com", "externalId": "crm-8" });
    let created = app.query_as(&admin, create, json!({ "input": input })).await;
    assert_eq!(created.data_at("/customerCreate/customer/externalId"), "crm-8", "{}", created.body);
    let duplicate = "UPDATE account SET external_id = 'crm-7' WHERE external_id = 'crm-8'";
    assert!(app.execute_sql(duplicate).await.is_err(), "the database refuses it as well");
}
