//! API keys: shown once, limited to the permissions of their creator, revocable.

use savannah::{
    base::error::PublicErrorCode,
    identity::{
        Caller, Permission, Permissions, Role,
        api_key::{self, NewApiKey},
    },
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, parse_datetime},
};

integration_tests![
    api_key_secret_is_returned_once_and_valid_until_revoked,
    api_key_create_with_invalid_input_reports_all_errors,
    api_key_with_more_permissions_than_its_creator_is_rejected,
    api_key_last_used_at_is_updated_once_a_minute,
    api_key_request_outside_its_permissions_is_forbidden,
    api_keys_of_a_demoted_or_deleted_creator_are_revoked,
    api_key_permissions_are_limited_by_the_current_role_of_its_creator,
];

const CREATE_API_KEY: &str = "mutation($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) {
    apiKey { id key lastFour name permissions createdBy { email } expiresAt } userErrors { code field } } }";
const REVOKE_API_KEY: &str =
    "mutation($id: ID!) { apiKeyRevoke(id: $id) { apiKey { key revokedAt } userErrors { code field } } }";

async fn create_api_key(app: &TestApp, token: &str, input: Value) -> GraphqlResponse {
    app.query_as(token, CREATE_API_KEY, json!({ "input": input })).await
}

async fn api_key_secret_is_returned_once_and_valid_until_revoked(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "name": " Stock feed ", "permissions": ["CATALOG_WRITE", "CUSTOMER_READ"] });
    let created = create_api_key(&app, &admin, input).await;
    let created = created.data_at("/apiKeyCreate/apiKey");
    let secret = created["key"].as_str().expect("a key");
    assert!(secret.len() == 47 && secret.starts_with("sav_"), "{secret}");
    assert!(secret.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{secret}");
    assert_eq!((created["name"].as_str(), created["lastFour"].as_str()), (Some("Stock feed"), Some(&secret[43..])));
    let list =
        app.query_as(&admin, "{ apiKeys { key name permissions lastUsedAt createdBy { email } } }", json!({})).await;
    let expected = json!([{ "key": null, "name": "Stock feed", "permissions": ["CATALOG_WRITE", "CUSTOMER_READ"],
        "lastUsedAt": null, "createdBy": { "email": "admin1@example.com" } }]);
    assert_eq!(list.data_at("/apiKeys"), &expected);
    let count = format!("SELECT count(*) FROM api_key WHERE key_hash LIKE '%{secret}%' OR last_four = '{secret}'");
    assert_eq!(app.query_scalar(&count).await, 0, "the key itself is kept");

    let find_key = async |secret: &str| api_key::find_api_key_by_secret(&app.db, secret).await.expect("an answer");
    let permissions = Permissions::from_list(&[Permission::CatalogWrite, Permission::CustomerRead]);
    assert_eq!(find_key(secret).await.map(|find_key| find_key.permissions), Some(permissions));
    for other in ["", "sav_", &secret[4..], &secret.to_lowercase(), &format!("{secret}x")] {
        assert_eq!(find_key(other).await, None, "{other}");
    }
    let revoked = app.query_as(&admin, REVOKE_API_KEY, json!({ "id": created["id"] })).await;
    assert!(revoked.data_at("/apiKeyRevoke/apiKey/revokedAt").is_string());
    assert_eq!(find_key(secret).await, None);
    assert_eq!(app.query_as(&admin, "{ apiKeys { name } }", json!({})).await.data_at("/apiKeys"), &json!([]));
    let missing = app.query_as(&admin, REVOKE_API_KEY, json!({ "id": "QXBpS2V5Ojk5" })).await;
    assert_eq!(missing.user_errors("apiKeyRevoke"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE entity_type = 'ApiKey'").await, 2);
}

async fn api_key_create_with_invalid_input_reports_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let invalid_input = json!({ "name": " ", "permissions": [], "expiresAt": "2026-11-01T09:00:00Z" });
    let fields = ["input.name", "input.permissions", "input.expiresAt"];
    let expected = fields.map(|field| ("VALIDATION_ERROR".to_owned(), field.to_owned()));
    assert_eq!(create_api_key(&app, &admin, invalid_input).await.user_errors("apiKeyCreate"), expected);
    let short_lived = json!({ "name": "x", "permissions": ["AUDIT_READ"], "expiresAt": "2026-11-01T09:00:01Z" });
    let created = create_api_key(&app, &admin, short_lived).await;
    let secret = created.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert!(api_key::find_api_key_by_secret(&app.db, &secret).await.expect("an answer").is_some());
    app.clock.set(parse_datetime("2026-11-01T09:00:01Z"));
    assert_eq!(api_key::find_api_key_by_secret(&app.db, &secret).await.expect("an answer"), None);
}

async fn api_key_with_more_permissions_than_its_creator_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let input = json!({ "name": "x", "permissions": ["CATALOG_WRITE"] });
    assert_eq!(create_api_key(&app, &staff, input).await.error_code(), "FORBIDDEN");
    let permissions = Permissions::from_list(&[Permission::ApiKeyWrite, Permission::CatalogWrite]);
    let caller = Caller::ApiKey { api_key_id: 1, permissions };
    let make = async |list: &[Permission]| {
        let new = NewApiKey { name: "x".into(), permissions: Permissions::from_list(list), expires_at: None };
        api_key::create_api_key(&app.db, caller, new).await
    };
    let rejected = make(&[Permission::CatalogWrite, Permission::StaffWrite]).await.expect_err("more than its maker");
    assert_eq!(rejected.to_public_error().code, PublicErrorCode::BadUserInput);
    let created = make(&[Permission::CatalogWrite]).await.expect("a key");
    assert_eq!(created.row.created_by, None);
}

async fn api_key_last_used_at_is_updated_once_a_minute(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let created = create_api_key(&app, &admin, json!({ "name": "x", "permissions": ["AUDIT_READ"] })).await;
    let secret = created.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    let used = async |time: &str| {
        app.clock.set(parse_datetime(time));
        api_key::find_api_key_by_secret(&app.db, &secret).await.expect("an answer").expect("a key");
        let list = app.query_as(&admin, "{ apiKeys { lastUsedAt } }", json!({})).await;
        list.data_at("/apiKeys/0/lastUsedAt").as_str().expect("a moment").to_owned()
    };
    assert_eq!(used("2026-11-01T09:00:30Z").await, "2026-11-01T09:00:30+00:00");
    assert_eq!(used("2026-11-01T09:01:29Z").await, "2026-11-01T09:00:30+00:00");
    assert_eq!(used("2026-11-01T09:01:30Z").await, "2026-11-01T09:01:30+00:00");
}

async fn api_key_request_outside_its_permissions_is_forbidden(backend: Backend) {
    const CREATE_CATEGORY: &str =
        "mutation { categoryCreate(input: { name: \"Lamps\" }) { category { name } userErrors { code } } }";
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE"], "expiresAt": "2026-11-01T10:00:00Z" });
    let created = create_api_key(&app, &admin, input).await;
    let (id, secret) =
        (created.data_at("/apiKeyCreate/apiKey/id").clone(), created.data_at("/apiKeyCreate/apiKey/key"));
    let secret = secret.as_str().expect("a key").to_owned();
    let query_with_key = |query: &'static str| app.query_as(&secret, query, json!({}));
    assert_eq!(query_with_key(CREATE_CATEGORY).await.data_at("/categoryCreate/category/name"), "Lamps");
    let by_machine = "SELECT count(*) FROM audit_log WHERE actor_kind = 'api_key' AND action = 'category.create'";
    assert_eq!(app.query_scalar(by_machine).await, 1);
    assert_eq!(query_with_key("{ customers(first: 1) { nodes { id } } }").await.error_code(), "FORBIDDEN");
    assert_eq!(
        query_with_key("mutation { logoutEverywhere { sessionsEnded } }").await.error_code(),
        "FORBIDDEN",
        "the caller is anonymous"
    );
    assert_eq!(query_with_key("{ me { id } }").await.data_at("/me"), &Value::Null);
    // Verified keys are cached for a few seconds.
    assert_eq!(app.query_as(&admin, REVOKE_API_KEY, json!({ "id": id })).await.user_errors("apiKeyRevoke"), []);
    app.clock.set(parse_datetime("2026-11-01T09:00:05Z"));
    assert_eq!(query_with_key(CREATE_CATEGORY).await.error_code(), "UNAUTHENTICATED");
    let other = create_api_key(
        &app,
        &admin,
        json!({ "name": "Other", "permissions": ["CATALOG_WRITE"], "expiresAt": "2026-11-01T09:00:07Z" }),
    )
    .await;
    let other = other.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert_eq!(app.query_as(&other, "{ shop { name } }", json!({})).await.body.get("errors"), None);
    app.clock.set(parse_datetime("2026-11-01T09:00:07Z"));
    assert_eq!(
        app.query_as(&other, "{ shop { name } }", json!({})).await.error_code(),
        "UNAUTHENTICATED",
        "it has ended"
    );
}

async fn api_keys_of_a_demoted_or_deleted_creator_are_revoked(backend: Backend) {
    let app = TestApp::start(backend).await;
    let owner = app.login(Role::Admin).await;
    let revoking_mutations: [&str; 3] = [
        "accountDisable(id: $id) { userErrors { code } }",
        "customerDelete(id: $id) { userErrors { code } }",
        "staffRoleUpdate(id: $id, role: STAFF) { userErrors { code } }",
    ];
    for revoking_mutation in revoking_mutations {
        let admin = app.login(Role::Admin).await;
        let id = app.query_as(&admin, "{ me { id customer { id } } }", json!({})).await.data_at("/me").clone();
        let id = if revoking_mutation.starts_with("customerDelete") { &id["customer"]["id"] } else { &id["id"] };
        let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE", "API_KEY_WRITE"] });
        let secret = create_api_key(&app, &admin, input)
            .await
            .data_at("/apiKeyCreate/apiKey/key")
            .as_str()
            .expect("a key")
            .to_owned();
        // Keys created with a key belong to its creator.
        let derived_key =
            create_api_key(&app, &secret, json!({ "name": "More", "permissions": ["CATALOG_WRITE"] })).await;
        let derived_key = derived_key.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
        let query = format!("mutation($id: ID!) {{ {revoking_mutation} }}");
        let response = app.query_as(&owner, &query, json!({ "id": id })).await;
        assert_eq!(response.body.get("errors"), None, "{}", response.body);
        for secret in [&secret, &derived_key] {
            assert_eq!(
                api_key::find_api_key_by_secret(&app.db, secret).await.expect("an answer"),
                None,
                "{revoking_mutation}"
            );
        }
        assert_eq!(
            app.query_scalar("SELECT count(*) FROM api_key WHERE revoked_at IS NULL").await,
            0,
            "{revoking_mutation}"
        );
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'api_key.revoke'").await, 6);
    // A role with more permissions keeps existing keys.
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE"] });
    let owner_key = create_api_key(&app, &owner, input).await;
    let owner_key = owner_key.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert!(api_key::find_api_key_by_secret(&app.db, &owner_key).await.expect("an answer").is_some());
}

async fn api_key_permissions_are_limited_by_the_current_role_of_its_creator(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE", "SHOP_WRITE"] });
    let secret = create_api_key(&app, &admin, input)
        .await
        .data_at("/apiKeyCreate/apiKey/key")
        .as_str()
        .expect("a key")
        .to_owned();
    // Bypasses the code that revokes keys on a role change.
    app.execute_sql("UPDATE account SET role = 'staff'").await.expect("a change");
    let loaded_key = api_key::find_api_key_by_secret(&app.db, &secret).await.expect("an answer").expect("a key");
    assert_eq!(loaded_key.permissions, Permissions::from_list(&[Permission::CatalogWrite]));
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    assert_eq!(api_key::find_api_key_by_secret(&app.db, &secret).await.expect("an answer"), None);
    // A caller who lost the role after login cannot create another key.
    let input = json!({ "name": "Late", "permissions": ["CATALOG_WRITE"] });
    assert_eq!(create_api_key(&app, &admin, input).await.error_code(), "UNAUTHENTICATED");
}
