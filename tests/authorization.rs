//! Authorization of every field of the schema: unauthorized callers are rejected, including for fields added later.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    customers::{create_address, home_address, query_account_id, to_customer_id},
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    anonymous_mutations_are_unauthenticated,
    restricted_queries_without_permission_are_rejected,
    staff_mutations_by_a_customer_are_forbidden,
    mutations_on_data_of_another_customer_are_rejected,
    failed_mutation_keeps_the_results_of_the_others,
    field_without_permission_keeps_its_object,
];

async fn failed_mutation_keeps_the_results_of_the_others(backend: Backend) {
    let app = TestApp::start(backend).await;
    let query =
        "mutation { cartCreate { cart { id } } apiKeyRevoke(id: \"x\") { apiKey { id } } logout { sessionsEnded } }";
    let response = app.query(query).await;
    assert!(response.body["data"]["cartCreate"]["cart"]["id"].is_string(), "{}", response.body);
    let rejected = |name: &str| response.body["data"].get(name).is_some_and(Value::is_null);
    assert!(rejected("apiKeyRevoke") && rejected("logout"), "{}", response.body);
    let paths = response.body["errors"].as_array().expect("errors").iter().map(|error| error["path"].clone());
    assert_eq!(paths.collect::<Vec<_>>(), [json!(["apiKeyRevoke"]), json!(["logout"])]);
}

async fn field_without_permission_keeps_its_object(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.create_product("mug", 100, Some(5)).await;
    let query = "{ jobs { nodes { id } } product(slug: \"mug\") { name variants { sku stockLevels { onHand } } } }";
    let response = app.query(query).await;
    let expected = json!({ "jobs": null,
        "product": { "name": "mug", "variants": [{ "sku": "MUG", "stockLevels": null }] } });
    assert_eq!(response.body["data"], expected, "{}", response.body);
    assert_eq!(response.body["errors"].as_array().map(Vec::len), Some(2), "{}", response.body);
}

/// Mutations available to anonymous callers.
const PUBLIC_MUTATIONS: [&str; 24] = [
    "emailChange",
    "loginCodeRequest",
    "loginCode",
    "orderLinkRequest",
    "customerRegister",
    "login",
    "loginComplete",
    "tokenRefresh",
    "passwordResetRequest",
    "passwordReset",
    "emailVerify",
    "cartCreate",
    "cartLinesAdd",
    "cartLinesUpdate",
    "cartLinesRemove",
    "cartClear",
    "cartAddressUpdate",
    "cartShippingMethodUpdate",
    "cartNoteUpdate",
    "cartContactUpdate",
    "checkoutComplete",
    "orderCreate",
    "orderCancel",
    "orderPay",
];
/// Mutations available to customers.
const CUSTOMER_MUTATIONS: [&str; 16] = [
    "emailChangeRequest",
    "phoneVerificationRequest",
    "phoneVerify",
    "logout",
    "logoutEverywhere",
    "sessionRevoke",
    "passwordChange",
    "emailVerificationRequest",
    "customerUpdate",
    "customerDelete",
    "addressCreate",
    "addressUpdate",
    "addressDelete",
    "addressDefaultSet",
    "cartMerge",
    "notificationPreferenceUpdate",
];
/// Queries available to all callers.
const PUBLIC_QUERIES: [&str; 13] = [
    "shop",
    "product",
    "products",
    "variant",
    "searchSuggest",
    "category",
    "categories",
    "node",
    "nodes",
    "me",
    "cart",
    "order",
    "shippingOptions",
];
/// Additional queries available to customers.
const CUSTOMER_QUERIES: [&str; 2] = ["customerExport", "orders"];

const INTROSPECT_TYPES: &str = "{ __schema { types { name kind isOneOf enumValues { name }
    inputFields { name defaultValue type { ...t } }
    fields { name args { name defaultValue type { ...t } } type { ...t } } } } }
    fragment t on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Types of the schema from introspection.
struct IntrospectedSchema(Vec<Value>);

impl IntrospectedSchema {
    async fn load(app: &TestApp) -> Self {
        Self(app.query(INTROSPECT_TYPES).await.data_at("/__schema/types").as_array().expect("types").clone())
    }

    fn type_by_name(&self, name: &str) -> &Value {
        self.0.iter().find(|type_json| type_json["name"] == name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// Returns the fields of a root type with their names.
    fn root_fields(&self, root: &str) -> Vec<(&str, &Value)> {
        let fields = self.type_by_name(root)["fields"].as_array().expect("fields");
        fields.iter().map(|field| (field["name"].as_str().expect("a name"), field)).collect()
    }

    /// Builds a request for one field with generated arguments; every ID is `id`. Includes optional arguments if
    /// requested.
    fn build_request(&self, (root, field): (&str, &Value), id: &str, include_optional: bool) -> String {
        let args = field["args"].as_array().expect("arguments").iter();
        let required_args = args.filter(|argument| is_required(argument) || (include_optional && is_id(argument)));
        let args: Vec<_> = required_args
            .map(|argument| format!("{}: {}", type_name(argument), self.sample_value(&argument["type"], id)))
            .collect();
        let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
        let selection = if is_leaf(&field["type"]) {
            ""
        } else if root == "mutation" {
            " { userErrors { code } }"
        } else {
            " { __typename }"
        };
        format!("{root} {{ {}{args}{selection} }}", type_name(field))
    }

    fn sample_value(&self, ty: &Value, id: &str) -> String {
        match ty["kind"].as_str().expect("a kind") {
            "NON_NULL" => self.sample_value(&ty["ofType"], id),
            "LIST" => format!("[{}]", self.sample_value(&ty["ofType"], id)),
            "ENUM" => type_name(&self.type_by_name(type_name(ty))["enumValues"][0]).to_owned(),
            "INPUT_OBJECT" => {
                let input_type = self.type_by_name(type_name(ty));
                let fields = input_type["inputFields"].as_array().expect("fields");
                let one_of = input_type["isOneOf"] == true;
                let provided_fields = fields
                    .iter()
                    .enumerate()
                    .filter(|(index, field)| if one_of { *index == 0 } else { is_required(field) });
                let provided_fields = provided_fields
                    .map(|(_, field)| format!("{}: {}", type_name(field), self.sample_value(&field["type"], id)));
                format!("{{ {} }}", provided_fields.collect::<Vec<_>>().join(", "))
            }
            _ => match type_name(ty) {
                "ID" => json!(id).to_string(),
                "Int" | "Float" => "1".to_owned(),
                "Boolean" => "true".to_owned(),
                "Decimal" => "\"1.00\"".to_owned(),
                "DateTime" => "\"2027-01-01T00:00:00Z\"".to_owned(),
                "CurrencyCode" => "\"KES\"".to_owned(),
                _ => "\"some words\"".to_owned(),
            },
        }
    }
}

/// Returns whether a type has no selection set.
fn is_leaf(ty: &Value) -> bool {
    if ty["ofType"].is_null() { matches!(ty["kind"].as_str(), Some("SCALAR" | "ENUM")) } else { is_leaf(&ty["ofType"]) }
}

fn type_name(field: &Value) -> &str {
    field["name"].as_str().expect("a name")
}

fn is_required(field: &Value) -> bool {
    field["type"]["kind"] == "NON_NULL" && field["defaultValue"].is_null()
}

fn is_id(field: &Value) -> bool {
    field["type"]["name"] == "ID" || field["type"]["ofType"]["name"] == "ID"
}

/// Returns the error code of a rejected field.
fn rejection_code<'a>(response: &'a GraphqlResponse, request: &str) -> &'a str {
    let code = response.body["errors"][0]["extensions"]["code"].as_str();
    code.unwrap_or_else(|| panic!("not refused: {request} {}", response.body))
}

async fn anonymous_mutations_are_unauthenticated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let schema = IntrospectedSchema::load(&app).await;
    let mut closed = 0;
    for (name, field) in schema.root_fields("Mutation") {
        if PUBLIC_MUTATIONS.contains(&name) {
            continue;
        }
        closed += 1;
        let request = schema.build_request(("mutation", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(rejection_code(&app.query(&request).await, &request), "UNAUTHENTICATED", "{request}");
    }
    assert!(closed >= CUSTOMER_MUTATIONS.len(), "{closed} closed mutations");
}

async fn restricted_queries_without_permission_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let schema = IntrospectedSchema::load(&app).await;
    let customer = app.login(Role::Customer).await;
    let mut closed = Vec::new();
    for (name, field) in schema.root_fields("Query") {
        if PUBLIC_QUERIES.contains(&name) {
            continue;
        }
        closed.push(name);
        let request = schema.build_request(("query", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(rejection_code(&app.query(&request).await, &request), "UNAUTHENTICATED", "{request}");
        if !CUSTOMER_QUERIES.contains(&name) {
            let response = app.query_as(&customer, &request, json!({})).await;
            assert_eq!(rejection_code(&response, &request), "FORBIDDEN", "{request}");
        }
    }
    for staff in ["customers", "customer", "apiKeys", "notifications"] {
        assert!(closed.contains(&staff), "{staff} is not asked for");
    }
}

async fn staff_mutations_by_a_customer_are_forbidden(backend: Backend) {
    let app = TestApp::start(backend).await;
    let schema = IntrospectedSchema::load(&app).await;
    let customer = app.login(Role::Customer).await;
    let mut forbidden = Vec::new();
    for (name, field) in schema.root_fields("Mutation") {
        if PUBLIC_MUTATIONS.contains(&name) || CUSTOMER_MUTATIONS.contains(&name) {
            continue;
        }
        let request = schema.build_request(("mutation", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(
            rejection_code(&app.query_as(&customer, &request, json!({})).await, &request),
            "FORBIDDEN",
            "{request}"
        );
        forbidden.push(name);
    }
    for staff in
        ["accountDisable", "staffCreate", "staffRoleUpdate", "apiKeyCreate", "apiKeyRevoke", "notificationResend"]
    {
        assert!(forbidden.contains(&staff), "{staff} is not asked for");
    }
}

/// Returns all rows of other accounts.
async fn dump_accounts_of_others(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    for query in [
        "SELECT * FROM account WHERE email NOT LIKE 'mine%'",
        "SELECT * FROM address",
        "SELECT * FROM session WHERE account_id IN (SELECT id FROM account WHERE email NOT LIKE 'mine%')",
        "SELECT * FROM api_key",
    ] {
        let statement = Statement::from_string(app.db.backend(), format!("{query} ORDER BY id"));
        let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all
}

async fn mutations_on_data_of_another_customer_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let schema = IntrospectedSchema::load(&app).await;
    let admin = app.login(Role::Admin).await;
    let other_token = app.login(Role::Customer).await;
    let address = create_address(&app, &other_token, home_address()).await;
    let key = "mutation { apiKeyCreate(input: { name: \"x\", permissions: [AUDIT_READ] }) { apiKey { id } } }";
    let key = app.query_as(&admin, key, json!({})).await.data_at("/apiKeyCreate/apiKey/id").clone();
    let session = app.query_as(&other_token, "{ me { id } }", json!({})).await;
    assert!(session.data_at("/me/id").is_string());
    let session = app
        .query_scalar(
            "SELECT max(s.id) FROM session AS s JOIN account AS a ON a.id = s.account_id WHERE a.role = 'customer'",
        )
        .await;
    let session = savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Session, session).encode();
    let account = query_account_id(&app, &other_token).await;
    let ids = [to_customer_id(&account), account, address, session, key.as_str().expect("an id").to_owned()];

    let own_token = app.login(Role::Customer).await;
    app.execute_sql("UPDATE account SET email = 'mine@example.com', email_normalized = 'mine@example.com' WHERE id = (SELECT max(id) FROM account)")
        .await
        .expect("mine");
    let before = dump_accounts_of_others(&app).await;
    for (name, field) in schema.root_fields("Mutation") {
        let by_id = field["args"].as_array().expect("arguments").iter().any(is_id);
        if PUBLIC_MUTATIONS.contains(&name) || !by_id {
            continue;
        }
        for id in &ids {
            let request = schema.build_request(("mutation", field), id, true);
            let response = app.query_as(&own_token, &request, json!({})).await;
            let code = match &response.body["errors"][0]["extensions"]["code"] {
                Value::Null => &response.data_at(&format!("/{name}/userErrors/0/code")).clone(),
                code => code,
            };
            let rejection_codes = ["FORBIDDEN", "NOT_FOUND", "VALIDATION_ERROR", "BAD_USER_INPUT"];
            assert!(code.as_str().is_some_and(|code| rejection_codes.contains(&code)), "{request} {}", response.body);
        }
    }
    for id in &ids {
        let node = app.query_as(&own_token, "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(node.data_at("/node"), &Value::Null);
    }
    assert_eq!(dump_accounts_of_others(&app).await, before);
}
