//! The whole schema, walked: whoever may not do something is refused, for every field there is and every one to come.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    customers::{add_address, home, id_of},
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    nobody_changes_anything_without_signing_in,
    nobody_reads_what_is_not_for_everybody,
    a_customer_does_what_customers_do,
    a_customer_changes_nothing_of_anothers,
];

/// Mutations that are meant for whoever has not signed in.
const OPEN: [&str; 16] = [
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
    "cartAddressSet",
    "cartShippingMethodSet",
    "cartNoteSet",
    "cartContactSet",
];
/// Mutations that a customer may send.
const OWN: [&str; 13] = [
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
    "addressSetDefault",
    "cartMerge",
    "notificationPreferenceSet",
];
/// What everybody may ask for.
const PUBLIC: [&str; 10] =
    ["loginProviders", "shop", "product", "products", "category", "categories", "node", "nodes", "me", "cart"];
/// What every customer may ask for besides.
const OWN_READS: [&str; 1] = ["customerExport"];

const TYPES: &str = "{ __schema { types { name kind isOneOf enumValues { name }
    inputFields { name defaultValue type { ...t } }
    fields { name args { name defaultValue type { ...t } } type { ...t } } } } }
    fragment t on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// The schema, as it tells of itself.
struct Schema(Vec<Value>);

impl Schema {
    async fn of(shop: &Shop) -> Self {
        Self(shop.ask(TYPES).await.at("/__schema/types").as_array().expect("types").clone())
    }

    fn named(&self, name: &str) -> &Value {
        self.0.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// The fields of a root, each with its name.
    fn fields(&self, root: &str) -> Vec<(&str, &Value)> {
        let fields = self.named(root)["fields"].as_array().expect("fields");
        fields.iter().map(|field| (field["name"].as_str().expect("a name"), field)).collect()
    }

    /// A request for one field with arguments made up; every id is this one. With `whole` also what may be left out.
    fn request(&self, (root, field): (&str, &Value), id: &str, whole: bool) -> String {
        let args = field["args"].as_array().expect("arguments").iter();
        let wanted = args.filter(|one| needed(one) || (whole && is_id(one)));
        let args: Vec<_> = wanted.map(|one| format!("{}: {}", text(one), self.value(&one["type"], id))).collect();
        let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
        let below = if is_leaf(&field["type"]) {
            ""
        } else if root == "mutation" {
            " { userErrors { code } }"
        } else {
            " { __typename }"
        };
        format!("{root} {{ {}{args}{below} }}", text(field))
    }

    fn value(&self, ty: &Value, id: &str) -> String {
        match ty["kind"].as_str().expect("a kind") {
            "NON_NULL" => self.value(&ty["ofType"], id),
            "LIST" => format!("[{}]", self.value(&ty["ofType"], id)),
            "ENUM" => text(&self.named(text(ty))["enumValues"][0]).to_owned(),
            "INPUT_OBJECT" => {
                let found = self.named(text(ty));
                let fields = found["inputFields"].as_array().expect("fields");
                let one_of = found["isOneOf"] == true;
                let given = fields.iter().enumerate().filter(|(at, one)| if one_of { *at == 0 } else { needed(one) });
                let given = given.map(|(_, one)| format!("{}: {}", text(one), self.value(&one["type"], id)));
                format!("{{ {} }}", given.collect::<Vec<_>>().join(", "))
            }
            _ => match text(ty) {
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

/// Whether nothing is asked below a type.
fn is_leaf(ty: &Value) -> bool {
    if ty["ofType"].is_null() { matches!(ty["kind"].as_str(), Some("SCALAR" | "ENUM")) } else { is_leaf(&ty["ofType"]) }
}

fn text(one: &Value) -> &str {
    one["name"].as_str().expect("a name")
}

fn needed(one: &Value) -> bool {
    one["type"]["kind"] == "NON_NULL" && one["defaultValue"].is_null()
}

fn is_id(one: &Value) -> bool {
    one["type"]["name"] == "ID" || one["type"]["ofType"]["name"] == "ID"
}

/// The code of a refusal of one field.
fn refusal<'a>(answer: &'a Answer, request: &str) -> &'a str {
    let code = answer.body["errors"][0]["extensions"]["code"].as_str();
    code.unwrap_or_else(|| panic!("not refused: {request} {}", answer.body))
}

async fn nobody_changes_anything_without_signing_in(backend: Backend) {
    let shop = Shop::open(backend).await;
    let schema = Schema::of(&shop).await;
    let mut closed = 0;
    for (name, field) in schema.fields("Mutation") {
        if OPEN.contains(&name) {
            continue;
        }
        closed += 1;
        let request = schema.request(("mutation", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(refusal(&shop.ask(&request).await, &request), "UNAUTHENTICATED", "{request}");
    }
    assert!(closed >= OWN.len(), "{closed} closed mutations");
}

async fn nobody_reads_what_is_not_for_everybody(backend: Backend) {
    let shop = Shop::open(backend).await;
    let schema = Schema::of(&shop).await;
    let customer = shop.sign_in(Role::Customer).await;
    let mut closed = Vec::new();
    for (name, field) in schema.fields("Query") {
        if PUBLIC.contains(&name) {
            continue;
        }
        closed.push(name);
        let request = schema.request(("query", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(refusal(&shop.ask(&request).await, &request), "UNAUTHENTICATED", "{request}");
        if !OWN_READS.contains(&name) {
            let answer = shop.ask_as(&customer, &request, json!({})).await;
            assert_eq!(refusal(&answer, &request), "FORBIDDEN", "{request}");
        }
    }
    for staff in ["customers", "customer", "apiKeys", "messages"] {
        assert!(closed.contains(&staff), "{staff} is not asked for");
    }
}

async fn a_customer_does_what_customers_do(backend: Backend) {
    let shop = Shop::open(backend).await;
    let schema = Schema::of(&shop).await;
    let customer = shop.sign_in(Role::Customer).await;
    let mut forbidden = Vec::new();
    for (name, field) in schema.fields("Mutation") {
        if OPEN.contains(&name) || OWN.contains(&name) {
            continue;
        }
        let request = schema.request(("mutation", field), "Q3VzdG9tZXI6MQ", true);
        assert_eq!(refusal(&shop.ask_as(&customer, &request, json!({})).await, &request), "FORBIDDEN", "{request}");
        forbidden.push(name);
    }
    for staff in ["customerDisable", "staffCreate", "staffRoleUpdate", "apiKeyCreate", "apiKeyRevoke", "messageResend"]
    {
        assert!(forbidden.contains(&staff), "{staff} is not asked for");
    }
}

/// Every row about people, as it is.
async fn people(shop: &Shop) -> Vec<String> {
    let mut all = Vec::new();
    for query in [
        "SELECT * FROM account WHERE email NOT LIKE 'mine%'",
        "SELECT * FROM address",
        "SELECT * FROM session WHERE account_id IN (SELECT id FROM account WHERE email NOT LIKE 'mine%')",
        "SELECT * FROM api_key",
    ] {
        let statement = Statement::from_string(shop.db.backend(), format!("{query} ORDER BY id"));
        let rows = JsonValue::find_by_statement(statement).all(shop.db.owner()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all
}

async fn a_customer_changes_nothing_of_anothers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let schema = Schema::of(&shop).await;
    let admin = shop.sign_in(Role::Admin).await;
    let theirs = shop.sign_in(Role::Customer).await;
    let address = add_address(&shop, &theirs, home()).await;
    let key = "mutation { apiKeyCreate(input: { name: \"x\", permissions: [AUDIT_READ] }) { apiKey { id } } }";
    let key = shop.ask_as(&admin, key, json!({})).await.at("/apiKeyCreate/apiKey/id").clone();
    let session = shop.ask_as(&theirs, "{ me { id } }", json!({})).await;
    assert!(session.at("/me/id").is_string());
    let session = shop
        .number("SELECT max(s.id) FROM session AS s JOIN account AS a ON a.id = s.account_id WHERE a.role = 'customer'")
        .await;
    let session = savannah::base::GlobalId::new(savannah::base::id::Kind::Session, session).encode();
    let ids = [id_of(&shop, &theirs).await, address, session, key.as_str().expect("an id").to_owned()];

    let mine = shop.sign_in(Role::Customer).await;
    shop.sql("UPDATE account SET email = 'mine@example.com', email_key = 'mine@example.com' WHERE id = (SELECT max(id) FROM account)")
        .await
        .expect("mine");
    let before = people(&shop).await;
    for (name, field) in schema.fields("Mutation") {
        let by_id = field["args"].as_array().expect("arguments").iter().any(is_id);
        if OPEN.contains(&name) || !by_id {
            continue;
        }
        for id in &ids {
            let request = schema.request(("mutation", field), id, true);
            let answer = shop.ask_as(&mine, &request, json!({})).await;
            let code = match &answer.body["errors"][0]["extensions"]["code"] {
                Value::Null => &answer.at(&format!("/{name}/userErrors/0/code")).clone(),
                code => code,
            };
            let no = ["FORBIDDEN", "NOT_FOUND", "VALIDATION_ERROR", "BAD_USER_INPUT"];
            assert!(code.as_str().is_some_and(|code| no.contains(&code)), "{request} {}", answer.body);
        }
    }
    for id in &ids {
        let node = shop.ask_as(&mine, "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(node.at("/node"), &Value::Null);
    }
    assert_eq!(people(&shop).await, before);
}
