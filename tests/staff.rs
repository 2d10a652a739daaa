//! What staff do about accounts, and what they may not.

use savannah::{
    base::error::PublicErrorCode,
    identity::{AccountTarget, Caller, Permission, Permissions, Role, account_admin},
};
use serde_json::{Value, json};

use crate::{
    customers::{query_account_id, to_customer_id},
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    last_admin_cannot_be_demoted_disabled_or_deleted,
    admins_demoting_each_other_concurrently_leave_one,
    role_change_applies_at_once,
    disabled_account_cannot_login_until_enabled,
    staff_create_validates_input_and_creates_the_account,
    customer_create_by_staff_emails_a_token_to_set_a_password,
    staff_account_changes_without_permission_are_forbidden,
];

const UPDATE_ROLE: &str = "mutation($id: ID!, $role: Role!) { staffRoleUpdate(id: $id, role: $role) {
    account { staff { role } version } userErrors { code field } } }";
const CREATE_STAFF: &str = "mutation($input: StaffCreateInput!) { staffCreate(input: $input) {
    account { email staff { role permissions } emailVerified } userErrors { code field } } }";
const LOGIN_WITH_PASSWORD: &str =
    "mutation($email: String!) { login(input: { email: $email, password: \"correct horse\" }) {
    tokens { accessToken } userErrors { code } } }";

/// Sends `accountDisable`, `accountEnable` or `customerDelete` for an account.
async fn mutate_account(app: &TestApp, token: &str, mutation: &str, id: &str) -> GraphqlResponse {
    let query = format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ userErrors {{ code field }} }} }}");
    let id = if mutation == "customerDelete" { to_customer_id(id) } else { id.to_owned() };
    app.query_as(token, &query, json!({ "id": id })).await
}

async fn count_active_admins(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM account WHERE role = 'admin' AND disabled_at IS NULL AND deleted_at IS NULL")
        .await
}

async fn last_admin_cannot_be_demoted_disabled_or_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let me = query_account_id(&app, &admin).await;
    let expected_errors = [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())];
    let role = async |id: &str, role: &str| app.query_as(&admin, UPDATE_ROLE, json!({ "id": id, "role": role })).await;
    assert_eq!(role(&me, "STAFF").await.user_errors("staffRoleUpdate"), expected_errors);
    for mutation in ["accountDisable", "customerDelete"] {
        assert_eq!(mutate_account(&app, &admin, mutation, &me).await.user_errors(mutation), expected_errors);
    }
    // One who cannot sign in is none that helps.
    let other = app.login(Role::Admin).await;
    let other = query_account_id(&app, &other).await;
    assert_eq!(mutate_account(&app, &admin, "accountDisable", &other).await.user_errors("accountDisable"), []);
    assert_eq!(role(&me, "CUSTOMER").await.user_errors("staffRoleUpdate"), expected_errors);
    assert_eq!(mutate_account(&app, &admin, "accountEnable", &other).await.user_errors("accountEnable"), []);
    assert_eq!(role(&me, "CUSTOMER").await.user_errors("staffRoleUpdate"), []);
    assert_eq!(count_active_admins(&app).await, 1);
}

async fn admins_demoting_each_other_concurrently_leave_one(backend: Backend) {
    let app = TestApp::start(backend).await;
    for _ in 0..5 {
        app.execute_sql("UPDATE account SET role = 'customer'").await.expect("nobody");
        let (first_admin, second_admin) = (app.login(Role::Admin).await, app.login(Role::Admin).await);
        let (first, second) = (query_account_id(&app, &first_admin).await, query_account_id(&app, &second_admin).await);
        let demote = async |token: &str, id: &str| {
            app.query_as(token, UPDATE_ROLE, json!({ "id": id, "role": "CUSTOMER" })).await;
        };
        tokio::join!(demote(&first_admin, &second), demote(&second_admin, &first));
        assert_eq!(count_active_admins(&app).await, 1);
    }
}

async fn role_change_applies_at_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, staff) = (app.login(Role::Admin).await, app.login(Role::Staff).await);
    let id = query_account_id(&app, &staff).await;
    let changed = app.query_as(&admin, UPDATE_ROLE, json!({ "id": id, "role": "CUSTOMER" })).await;
    assert_eq!(changed.data_at("/staffRoleUpdate/account"), &json!({ "staff": null, "version": 2 }));
    let stale_response = app.query_as(&staff, "{ customers { totalCount } }", json!({})).await;
    assert_eq!(stale_response.error_code(), "UNAUTHENTICATED");
    let count_sql = "SELECT count(*) FROM audit_log WHERE action = 'staff.role' AND entity_type = 'Account'";
    assert_eq!(app.query_scalar(count_sql).await, 1);
}

async fn disabled_account_cannot_login_until_enabled(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        userErrors { code field } } }";
    assert_eq!(app.query(register).await.user_errors("customerRegister"), []);
    let login = async || app.query_with_variables(LOGIN_WITH_PASSWORD, json!({ "email": "amani@example.com" })).await;
    let token = login().await.data_at("/login/tokens/accessToken").as_str().expect("a token").to_owned();
    let id = query_account_id(&app, &token).await;
    mutate_account(&app, &admin, "accountDisable", &id).await.data_at("/accountDisable");
    assert_eq!(app.query_as(&token, "{ me { id } }", json!({})).await.error_code(), "UNAUTHENTICATED");
    assert_eq!(login().await.data_at("/login/tokens"), &Value::Null);
    mutate_account(&app, &admin, "accountEnable", &id).await.data_at("/accountEnable");
    assert!(login().await.data_at("/login/tokens/accessToken").is_string());
    let missing = mutate_account(&app, &admin, "accountDisable", "QWNjb3VudDo5OTk").await;
    assert_eq!(missing.user_errors("accountDisable"), [("NOT_FOUND".into(), "id".into())]);
}

async fn staff_create_validates_input_and_creates_the_account(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let create = async |input: Value| app.query_as(&admin, CREATE_STAFF, json!({ "input": input })).await;
    let invalid_input = json!({ "email": "amani", "role": "STAFF", "firstName": "x".repeat(101), "password": "short" });
    let fields = ["input.email", "input.firstName", "input.password"];
    let expected = fields.map(|field| ("VALIDATION_ERROR".to_owned(), field.to_owned()));
    assert_eq!(create(invalid_input).await.user_errors("staffCreate"), expected);
    let created = create(json!({ "email": "amani@example.com", "role": "STAFF" })).await;
    let account = created.data_at("/staffCreate/account");
    let expected = (&json!("amani@example.com"), &json!("STAFF"), &json!(true));
    assert_eq!((&account["email"], &account["staff"]["role"], &account["emailVerified"]), expected);
    let permissions = account["staff"]["permissions"].as_array().expect("a list");
    assert!(permissions.contains(&json!("ORDER_WRITE")) && !permissions.contains(&json!("STAFF_WRITE")));
    let repeated = create(json!({ "email": "AMANI@example.com", "role": "STAFF" })).await;
    assert_eq!(repeated.user_errors("staffCreate"), [("ALREADY_EXISTS".into(), "input.email".into())]);
}

async fn customer_create_by_staff_emails_a_token_to_set_a_password(backend: Backend) {
    const CREATE_CUSTOMER: &str = "mutation($input: CustomerCreateInput!) { customerCreate(input: $input) {
        customer { email firstName externalId language account { emailVerified staff { role } } } userErrors { code field } } }";
    let app = TestApp::start(backend).await;
    let (admin, customer) = (app.login(Role::Admin).await, app.login(Role::Customer).await);
    let create =
        async |token: &str, input: Value| app.query_as(token, CREATE_CUSTOMER, json!({ "input": input })).await;
    let input = json!({ "email": "amani@example.com", "firstName": "Amani", "language": "sw" });
    assert_eq!(create(&customer, input.clone()).await.error_code(), "FORBIDDEN");
    let created = create(&admin, input.clone()).await;
    let expected = json!({ "email": "amani@example.com", "firstName": "Amani", "externalId": null, "language": "sw",
        "account": { "emailVerified": false, "staff": null } });
    assert_eq!(created.data_at("/customerCreate/customer"), &expected);
    let repeated = create(&admin, input).await;
    assert_eq!(repeated.user_errors("customerCreate"), [("ALREADY_EXISTS".into(), "input.email".into())]);
    let invalid = create(&admin, json!({ "email": "amani", "lastName": "x".repeat(101) })).await;
    let fields = ["input.email", "input.lastName"];
    let expected = fields.map(|field| ("VALIDATION_ERROR".to_owned(), field.to_owned()));
    assert_eq!(invalid.user_errors("customerCreate"), expected);
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM notification WHERE event_type = 'reset_password'").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM one_time_token WHERE purpose = 'reset_password'").await, 1);
    let as_staff =
        app.query_as(&admin, CREATE_STAFF, json!({ "input": { "email": "b@example.com", "role": "CUSTOMER" } })).await;
    assert_eq!(as_staff.user_errors("staffCreate"), [("VALIDATION_ERROR".into(), "input.role".into())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE email = 'b@example.com'").await, 0);
}

async fn staff_account_changes_without_permission_are_forbidden(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Admin).await;
    app.login(Role::Staff).await;
    app.login(Role::Customer).await;
    let key = async |role: &str| app.query_scalar(&format!("SELECT id FROM account WHERE role = '{role}'")).await;
    let machine =
        |list: &[Permission]| Some(Caller::ApiKey { api_key_id: 1, permissions: Permissions::from_list(list) });
    let account_target = |account, caller| AccountTarget { id: account, scope: caller, expected_version: None };
    let (staff_key, customer_key) = (key("staff").await, key("customer").await);
    let writer = machine(&[Permission::CustomerWrite]);
    let disable = async |account_target: AccountTarget| {
        account_admin::set_account_disabled(&app.db, None, account_target, true).await
    };
    assert!(disable(account_target(customer_key, writer)).await.is_ok());
    let rejected = disable(account_target(staff_key, writer)).await.expect_err("staff are not customers");
    assert_eq!(rejected.to_public_error().code, PublicErrorCode::Forbidden);
    // Nobody gives a role that may do more than they do.
    let role_writer = machine(&[Permission::StaffWrite]);
    let promote = async |account_target: AccountTarget| {
        account_admin::set_account_role(&app.db, None, account_target, Role::Admin).await
    };
    let rejected = promote(account_target(staff_key, role_writer)).await.expect_err("a machine is no admin");
    assert_eq!(rejected.to_public_error().code, PublicErrorCode::Forbidden);
    assert!(promote(account_target(staff_key, None)).await.is_ok(), "the shop itself may");
    assert_eq!(count_active_admins(&app).await, 2);
}
