//! Keys for machines: shown once, no more than their maker, gone when they are revoked.

use savannah::{
    base::error::Code,
    identity::{
        Caller, Permission, Permissions, Role,
        api_key::{self, NewApiKey},
    },
};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, moment},
    stories,
};

stories![
    a_key_is_shown_once_and_opens_until_it_is_revoked,
    a_key_that_cannot_be_is_told_why_at_once,
    a_key_may_do_no_more_than_its_maker,
    the_use_of_a_key_is_noted_once_a_minute,
    a_machine_does_what_its_key_was_made_for,
    keys_end_with_the_power_of_their_maker,
    key_does_no_more_than_its_maker_may_now,
];

const CREATE: &str = "mutation($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) {
    apiKey { id key hint name permissions madeBy { email } expiresAt } userErrors { code field } } }";
const REVOKE: &str =
    "mutation($id: ID!) { apiKeyRevoke(id: $id) { apiKey { key revokedAt } userErrors { code field } } }";

async fn create(shop: &Shop, token: &str, input: Value) -> Answer {
    shop.ask_as(token, CREATE, json!({ "input": input })).await
}

async fn a_key_is_shown_once_and_opens_until_it_is_revoked(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "name": " Stock feed ", "permissions": ["CATALOG_WRITE", "CUSTOMER_READ"] });
    let made = create(&shop, &admin, input).await;
    let made = made.at("/apiKeyCreate/apiKey");
    let word = made["key"].as_str().expect("a key");
    assert!(word.len() == 47 && word.starts_with("sav_"), "{word}");
    assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{word}");
    assert_eq!((made["name"].as_str(), made["hint"].as_str()), (Some("Stock feed"), Some(&word[43..])));
    let list = shop.ask_as(&admin, "{ apiKeys { key name permissions usedAt madeBy { email } } }", json!({})).await;
    let expected = json!([{ "key": null, "name": "Stock feed", "permissions": ["CATALOG_WRITE", "CUSTOMER_READ"],
        "usedAt": null, "madeBy": { "email": "admin1@example.com" } }]);
    assert_eq!(list.at("/apiKeys"), &expected);
    let count = format!("SELECT count(*) FROM api_key WHERE digest LIKE '%{word}%' OR hint = '{word}'");
    assert_eq!(shop.number(&count).await, 0, "the key itself is kept");

    let found = async |word: &str| api_key::find(&shop.db, word).await.expect("an answer");
    let permissions = Permissions::of(&[Permission::CatalogWrite, Permission::CustomerRead]);
    assert_eq!(found(word).await.map(|found| found.permissions), Some(permissions));
    for other in ["", "sav_", &word[4..], &word.to_lowercase(), &format!("{word}x")] {
        assert_eq!(found(other).await, None, "{other}");
    }
    let gone = shop.ask_as(&admin, REVOKE, json!({ "id": made["id"] })).await;
    assert!(gone.at("/apiKeyRevoke/apiKey/revokedAt").is_string());
    assert_eq!(found(word).await, None);
    assert_eq!(shop.ask_as(&admin, "{ apiKeys { name } }", json!({})).await.at("/apiKeys"), &json!([]));
    let missing = shop.ask_as(&admin, REVOKE, json!({ "id": "QXBpS2V5Ojk5" })).await;
    assert_eq!(missing.problems("apiKeyRevoke"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE thing_kind = 'ApiKey'").await, 2);
}

async fn a_key_that_cannot_be_is_told_why_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let wrong = json!({ "name": " ", "permissions": [], "expiresAt": "2026-11-01T09:00:00Z" });
    let fields = ["input.name", "input.permissions", "input.expiresAt"];
    let expected = fields.map(|field| ("VALIDATION_ERROR".to_owned(), field.to_owned()));
    assert_eq!(create(&shop, &admin, wrong).await.problems("apiKeyCreate"), expected);
    let short = json!({ "name": "x", "permissions": ["AUDIT_READ"], "expiresAt": "2026-11-01T09:00:01Z" });
    let made = create(&shop, &admin, short).await;
    let word = made.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert!(api_key::find(&shop.db, &word).await.expect("an answer").is_some());
    shop.clock.set(moment("2026-11-01T09:00:01Z"));
    assert_eq!(api_key::find(&shop.db, &word).await.expect("an answer"), None);
}

async fn a_key_may_do_no_more_than_its_maker(backend: Backend) {
    let shop = Shop::open(backend).await;
    let staff = shop.sign_in(Role::Staff).await;
    let input = json!({ "name": "x", "permissions": ["CATALOG_WRITE"] });
    assert_eq!(create(&shop, &staff, input).await.code(), "FORBIDDEN");
    let maker = Permissions::of(&[Permission::ApiKeyWrite, Permission::CatalogWrite]);
    let caller = Caller::Machine { key: 1, permissions: maker };
    let make = async |list: &[Permission]| {
        let new = NewApiKey { name: "x".into(), permissions: Permissions::of(list), expires_at: None };
        shop.db.write(async |tx| api_key::create(tx, caller, new).await).await
    };
    let refused = make(&[Permission::CatalogWrite, Permission::StaffWrite]).await.expect_err("more than its maker");
    assert_eq!(refused.public().code, Code::BadUserInput);
    let (row, _) = make(&[Permission::CatalogWrite]).await.expect("a key");
    assert_eq!(row.made_by, None);
}

async fn the_use_of_a_key_is_noted_once_a_minute(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let made = create(&shop, &admin, json!({ "name": "x", "permissions": ["AUDIT_READ"] })).await;
    let word = made.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    let used = async |at: &str| {
        shop.clock.set(moment(at));
        api_key::find(&shop.db, &word).await.expect("an answer").expect("a key");
        let list = shop.ask_as(&admin, "{ apiKeys { usedAt } }", json!({})).await;
        list.at("/apiKeys/0/usedAt").as_str().expect("a moment").to_owned()
    };
    assert_eq!(used("2026-11-01T09:00:30Z").await, "2026-11-01T09:00:30+00:00");
    assert_eq!(used("2026-11-01T09:01:29Z").await, "2026-11-01T09:00:30+00:00");
    assert_eq!(used("2026-11-01T09:01:30Z").await, "2026-11-01T09:01:30+00:00");
}

async fn a_machine_does_what_its_key_was_made_for(backend: Backend) {
    const MAKE: &str =
        "mutation { categoryCreate(input: { name: \"Lamps\" }) { category { name } userErrors { code } } }";
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE"], "expiresAt": "2026-11-01T10:00:00Z" });
    let made = create(&shop, &admin, input).await;
    let (id, word) = (made.at("/apiKeyCreate/apiKey/id").clone(), made.at("/apiKeyCreate/apiKey/key"));
    let word = word.as_str().expect("a key").to_owned();
    let ask = |query: &'static str| shop.ask_as(&word, query, json!({}));
    assert_eq!(ask(MAKE).await.at("/categoryCreate/category/name"), "Lamps");
    let by_machine = "SELECT count(*) FROM audit WHERE actor_kind = 'api_key' AND action = 'category.create'";
    assert_eq!(shop.number(by_machine).await, 1);
    assert_eq!(ask("{ customers(first: 1) { nodes { id } } }").await.code(), "FORBIDDEN");
    assert_eq!(ask("mutation { logoutEverywhere { sessionsEnded } }").await.code(), "FORBIDDEN", "it is nobody");
    assert_eq!(ask("{ me { id } }").await.at("/me"), &Value::Null);
    // It is believed for a few seconds, and no longer.
    assert_eq!(shop.ask_as(&admin, REVOKE, json!({ "id": id })).await.problems("apiKeyRevoke"), []);
    shop.clock.set(moment("2026-11-01T09:00:05Z"));
    assert_eq!(ask(MAKE).await.code(), "UNAUTHENTICATED");
    let other = create(
        &shop,
        &admin,
        json!({ "name": "Other", "permissions": ["CATALOG_WRITE"], "expiresAt": "2026-11-01T09:00:07Z" }),
    )
    .await;
    let other = other.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert_eq!(shop.ask_as(&other, "{ shop { name } }", json!({})).await.body.get("errors"), None);
    shop.clock.set(moment("2026-11-01T09:00:07Z"));
    assert_eq!(shop.ask_as(&other, "{ shop { name } }", json!({})).await.code(), "UNAUTHENTICATED", "it has ended");
}

async fn keys_end_with_the_power_of_their_maker(backend: Backend) {
    let shop = Shop::open(backend).await;
    let owner = shop.sign_in(Role::Admin).await;
    let acts: [&str; 3] = [
        "customerDisable(id: $id) { userErrors { code } }",
        "customerDelete(id: $id) { userErrors { code } }",
        "staffRoleUpdate(id: $id, role: STAFF) { userErrors { code } }",
    ];
    for act in acts {
        let admin = shop.sign_in(Role::Admin).await;
        let id = shop.ask_as(&admin, "{ me { id } }", json!({})).await.at("/me/id").clone();
        let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE", "API_KEY_WRITE"] });
        let word =
            create(&shop, &admin, input).await.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
        // A key that the key makes is its maker's too.
        let more = create(&shop, &word, json!({ "name": "More", "permissions": ["CATALOG_WRITE"] })).await;
        let more = more.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
        let query = format!("mutation($id: ID!) {{ {act} }}");
        let answer = shop.ask_as(&owner, &query, json!({ "id": id })).await;
        assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
        for word in [&word, &more] {
            assert_eq!(api_key::find(&shop.db, word).await.expect("an answer"), None, "{act}");
        }
        assert_eq!(shop.number("SELECT count(*) FROM api_key WHERE revoked_at IS NULL").await, 0, "{act}");
    }
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'api_key.revoke'").await, 6);
    // Whoever gets more power loses nothing.
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE"] });
    let kept = create(&shop, &owner, input).await;
    let kept = kept.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    assert!(api_key::find(&shop.db, &kept).await.expect("an answer").is_some());
}

async fn key_does_no_more_than_its_maker_may_now(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "name": "Feed", "permissions": ["CATALOG_WRITE", "SHOP_WRITE"] });
    let word = create(&shop, &admin, input).await.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    // Past the code that revokes keys with a role.
    shop.sql("UPDATE account SET role = 'staff'").await.expect("a change");
    let found = api_key::find(&shop.db, &word).await.expect("an answer").expect("a key");
    assert_eq!(found.permissions, Permissions::of(&[Permission::CatalogWrite]));
    shop.sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    assert_eq!(api_key::find(&shop.db, &word).await.expect("an answer"), None);
    // Nor does somebody who has lost their role since they signed in make another.
    let input = json!({ "name": "Late", "permissions": ["CATALOG_WRITE"] });
    assert_eq!(create(&shop, &admin, input).await.code(), "UNAUTHENTICATED");
}
