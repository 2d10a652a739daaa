//! Synonyms of the search, as staff set them, and what searches find by them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, RESPONSE_CACHE_ON, TestApp, send_to_cache, simple_product},
};

integration_tests![
    two_way_synonyms_find_each_other,
    one_way_synonyms_are_found_by_their_term_only,
    synonyms_of_several_words_match_as_a_whole,
    synonyms_of_a_language_apply_to_its_searches_only,
    word_with_synonyms_is_not_corrected,
    synonyms_cost_no_statement,
    synonym_group_is_created_updated_and_deleted,
    synonym_group_with_invalid_input_reports_all_errors,
    number_of_synonym_groups_is_limited,
    synonyms_are_for_staff_only,
    change_of_synonyms_reaches_cached_searches_and_other_instances,
];

const CREATE: &str = "mutation($input: SearchSynonymGroupCreateInput!) { searchSynonymGroupCreate(input: $input) {
    searchSynonymGroup { id version term synonyms language } userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $input: SearchSynonymGroupUpdateInput!, $version: Int) {
    searchSynonymGroupUpdate(id: $id, input: $input, expectedVersion: $version) {
    searchSynonymGroup { version term synonyms language } userErrors { code field } } }";
const DELETE: &str =
    "mutation($id: ID!, $version: Int) { searchSynonymGroupDelete(id: $id, expectedVersion: $version) {
    deletedId userErrors { code field } } }";
const SEARCH: &str = "query($search: String, $language: LanguageCode) {
    products(filter: { search: $search, searchLanguage: $language }) {
    search { words corrected { word } expanded { word synonyms } matchesAny dropped } totalCount nodes { slug } } }";

async fn start_furniture_shop(backend: Backend) -> (TestApp, String) {
    let app = TestApp::start(backend).await;
    app.save_products(&[
        simple_product("sofa", "Corner Sofa", 10),
        simple_product("couch", "Leather Couch", 10),
        simple_product("phone", "Smart Phone", 10),
        simple_product("mobile", "Mobile Device", 10),
        simple_product("chai", "Chai Masala", 10),
        simple_product("tea", "Green Tea", 10),
    ])
    .await;
    let admin = app.login(Role::Admin).await;
    (app, admin)
}

async fn create_group(app: &TestApp, admin: &str, input: Value) -> Value {
    let response = app.query_as(admin, CREATE, json!({ "input": input })).await;
    assert_eq!(response.user_errors("searchSynonymGroupCreate"), [], "{}", response.body);
    response.data_at("/searchSynonymGroupCreate/searchSynonymGroup").clone()
}

/// Returns the products that a search finds, sorted by slug, and what was searched for.
async fn search(app: &TestApp, text: &str, language: Option<&str>) -> (Vec<String>, Value) {
    let response = app.query_with_variables(SEARCH, json!({ "search": text, "language": language })).await;
    let mut slugs = response.strings_at("/products/nodes", "slug");
    assert_eq!(response.data_at("/products/totalCount"), &json!(slugs.len()), "{text}");
    slugs.sort_unstable();
    (slugs, response.data_at("/products/search").clone())
}

async fn two_way_synonyms_find_each_other(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    assert_eq!(search(&app, "sofa", None).await.0, ["sofa"]);
    create_group(&app, &admin, json!({ "synonyms": ["Sofa", "couch", "Settée"] })).await;
    for text in ["sofa", "COUCH", "settee", "Settée!"] {
        let (slugs, searched) = search(&app, text, None).await;
        assert_eq!(slugs, ["couch", "sofa"], "{text}");
        assert_eq!(searched["corrected"], json!([]), "{text}");
    }
    let (slugs, searched) = search(&app, "leather sofa", None).await;
    assert_eq!(slugs, ["couch"]);
    assert_eq!(searched["expanded"], json!([{ "word": "sofa", "synonyms": ["couch", "settee"] }]));
    assert_eq!((&searched["words"], &searched["matchesAny"]), (&json!(["leather", "sofa"]), &json!(false)));
    let suggest = "{ searchSuggest(query: \"settee\") { products { slug } } }";
    let mut suggested = app.query(suggest).await.strings_at("/searchSuggest/products", "slug");
    suggested.sort_unstable();
    assert_eq!(suggested, ["couch", "sofa"]);
}

async fn one_way_synonyms_are_found_by_their_term_only(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    create_group(&app, &admin, json!({ "term": "seat", "synonyms": ["sofa", "couch"] })).await;
    assert_eq!(search(&app, "seat", None).await.0, ["couch", "sofa"]);
    assert_eq!(search(&app, "sofa", None).await.0, ["sofa"]);
    // Products with the term itself are found too.
    app.save_products(&[simple_product("seat", "Wooden Seat", 10)]).await;
    assert_eq!(search(&app, "seat", None).await.0, ["couch", "seat", "sofa"]);
}

async fn synonyms_of_several_words_match_as_a_whole(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    create_group(&app, &admin, json!({ "synonyms": ["cell phone", "smart phone", "mobile device"] })).await;
    let (slugs, searched) = search(&app, "cell-phone", None).await;
    assert_eq!(slugs, ["mobile", "phone"]);
    assert_eq!(searched["words"], json!(["cell phone"]));
    let expected = json!([{ "word": "cell phone", "synonyms": ["smart phone", "mobile device"] }]);
    assert_eq!(searched["expanded"], expected);
    assert_eq!(search(&app, "phone", None).await.1["expanded"], json!([]));
    // The longest term has precedence.
    create_group(&app, &admin, json!({ "term": "phone", "synonyms": ["tea"] })).await;
    assert_eq!(search(&app, "cell phone", None).await.0, ["mobile", "phone"]);
    assert_eq!(search(&app, "phone", None).await.0, ["phone", "tea"]);
    // If no product matches, each of the words is enough.
    create_group(&app, &admin, json!({ "synonyms": ["corner bench", "window seat"] })).await;
    let (slugs, searched) = search(&app, "corner bench", None).await;
    assert_eq!((slugs, &searched["matchesAny"]), (vec!["sofa".to_owned()], &json!(true)));
    assert_eq!(searched["dropped"], json!(["corner bench", "bench"]));
}

async fn synonyms_of_a_language_apply_to_its_searches_only(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    create_group(&app, &admin, json!({ "term": "majani", "synonyms": ["tea"], "language": "sw" })).await;
    create_group(&app, &admin, json!({ "term": "majani", "synonyms": ["chai"] })).await;
    // The language of the shop is English.
    assert_eq!(search(&app, "majani", None).await.0, ["chai"]);
    assert_eq!(search(&app, "majani", Some("en")).await.0, ["chai"]);
    assert_eq!(search(&app, "majani", Some("sw")).await.0, ["chai", "tea"]);
    let suggest = "query($language: LanguageCode) { searchSuggest(query: \"majani\", language: $language) {
        products { slug } } }";
    let suggested = app.query_with_variables(suggest, json!({ "language": "sw" })).await;
    assert_eq!(suggested.strings_at("/searchSuggest/products", "slug").len(), 2);
}

async fn word_with_synonyms_is_not_corrected(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    assert_eq!(search(&app, "leathre", None).await.0, ["couch"]);
    create_group(&app, &admin, json!({ "term": "leathre", "synonyms": ["tea"] })).await;
    let (slugs, searched) = search(&app, "leathre", None).await;
    assert_eq!((slugs, &searched["corrected"]), (vec!["tea".to_owned()], &json!([])));
    // A word is dropped only if no product has one of its synonyms either.
    let (slugs, searched) = search(&app, "leathre zebra", None).await;
    assert_eq!((slugs, &searched["dropped"]), (vec!["tea".to_owned()], &json!(["zebra"])));
}

async fn synonyms_cost_no_statement(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    let query = "query($search: String) { products(filter: { search: $search }) { nodes { slug } search { words } } }";
    let count = async |text: &str| app.query_with_variables(query, json!({ "search": text })).await.statements;
    let before = (count("sofa tea").await, count("corner sofa").await);
    let synonyms: Vec<String> = (0..19).map(|number| format!("synonym{number}")).collect();
    let synonyms: Vec<String> = std::iter::once("sofa".to_owned()).chain(synonyms).collect();
    create_group(&app, &admin, json!({ "synonyms": synonyms })).await;
    // No word of the first text is looked up in the vocabulary any more.
    assert_eq!((count("sofa tea").await, count("corner sofa").await), (before.0 - 1, before.1));
}

async fn synonym_group_is_created_updated_and_deleted(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    let created = create_group(&app, &admin, json!({ "term": " Seat ", "synonyms": ["sofa"], "language": "en" })).await;
    let id = created["id"].clone();
    let expected = json!({ "id": id, "version": 1, "term": "Seat", "synonyms": ["sofa"], "language": "en" });
    assert_eq!(created, expected);
    let update = async |input: Value, version: Value| {
        app.query_as(&admin, UPDATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let changed = update(json!({ "term": null, "synonyms": ["sofa", "couch"], "language": null }), json!(1)).await;
    let expected = json!({ "version": 2, "term": null, "synonyms": ["sofa", "couch"], "language": null });
    assert_eq!(changed.data_at("/searchSynonymGroupUpdate/searchSynonymGroup"), &expected);
    assert_eq!(search(&app, "couch", None).await.0, ["couch", "sofa"]);
    let unchanged = update(json!({ "synonyms": ["sofa", "couch"] }), Value::Null).await;
    assert_eq!(unchanged.data_at("/searchSynonymGroupUpdate/searchSynonymGroup"), &expected);
    let conflict = [("VERSION_CONFLICT".to_owned(), "expectedVersion".to_owned())];
    let stale = update(json!({ "language": "sw" }), json!(1)).await;
    assert_eq!(stale.user_errors("searchSynonymGroupUpdate"), conflict);
    create_group(&app, &admin, json!({ "term": "chair", "synonyms": ["stool"] })).await;
    let list = "query($after: String) { searchSynonymGroups(first: 1, after: $after) {
        totalCount nodes { term } pageInfo { endCursor hasNextPage } } }";
    let first = app.query_as(&admin, list, json!({})).await;
    assert_eq!(first.data_at("/searchSynonymGroups/totalCount"), &json!(2));
    assert_eq!(first.data_at("/searchSynonymGroups/nodes/0/term"), "chair");
    let after = first.data_at("/searchSynonymGroups/pageInfo/endCursor");
    let second = app.query_as(&admin, list, json!({ "after": after })).await;
    assert_eq!(second.data_at("/searchSynonymGroups/nodes/0/term"), &Value::Null);
    let node = "query($id: ID!) { node(id: $id) { id ... on SearchSynonymGroup { synonyms } } }";
    let node = app.query_as(&admin, node, json!({ "id": id })).await;
    assert_eq!(node.data_at("/node/synonyms"), &json!(["sofa", "couch"]));
    let delete = async |version: i32| app.query_as(&admin, DELETE, json!({ "id": id, "version": version })).await;
    assert_eq!(delete(1).await.user_errors("searchSynonymGroupDelete"), conflict);
    assert_eq!(delete(2).await.data_at("/searchSynonymGroupDelete/deletedId"), &id);
    let missing = [("NOT_FOUND".to_owned(), "id".to_owned())];
    assert_eq!(delete(2).await.user_errors("searchSynonymGroupDelete"), missing);
    assert_eq!(search(&app, "couch", None).await.0, ["couch"]);
    let log = "query($id: ID!) { auditLog(filter: { entityId: $id }) { nodes { action before after } } }";
    let entries = app.query_as(&admin, log, json!({ "id": id })).await;
    let actions = entries.strings_at("/auditLog/nodes", "action");
    assert_eq!(actions, ["search_synonym_group.delete", "search_synonym_group.update", "search_synonym_group.create"]);
    let update = &entries.data_at("/auditLog/nodes")[1];
    let before = json!({ "term": "Seat", "synonyms": ["sofa"], "language": "en" });
    let after = json!({ "term": null, "synonyms": ["sofa", "couch"], "language": null });
    assert_eq!((&update["before"], &update["after"]), (&before, &after));
}

async fn synonym_group_with_invalid_input_reports_all_errors(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    let errors = async |input: Value| {
        let response = app.query_as(&admin, CREATE, json!({ "input": input })).await;
        let errors = response.user_errors("searchSynonymGroupCreate").into_iter();
        errors.map(|(code, field)| format!("{code} {field}")).collect::<Vec<_>>()
    };
    let long = "x".repeat(101);
    let texts = json!({ "term": " ", "synonyms": ["?!", long, "a b c d e f", "sofa\nbed", "Sofa", "sôfa"] });
    let fields = ["term", "synonyms.0", "synonyms.1", "synonyms.2", "synonyms.3", "synonyms.5"];
    let expected: Vec<String> = fields.iter().map(|field| format!("VALIDATION_ERROR input.{field}")).collect();
    assert_eq!(errors(texts).await, expected);
    let repeated = json!({ "term": "Sofa", "synonyms": ["sofa"] });
    assert_eq!(errors(repeated).await, ["VALIDATION_ERROR input.synonyms.0"]);
    let many: Vec<String> = (0..21).map(|number| format!("s{number}")).collect();
    for synonyms in [json!([]), json!(["sofa"]), json!(many)] {
        assert_eq!(errors(json!({ "synonyms": synonyms })).await, ["VALIDATION_ERROR input.synonyms"]);
    }
    create_group(&app, &admin, json!({ "term": "seat", "synonyms": ["sofa"] })).await;
    let again = json!({ "term": "SEAT", "synonyms": ["couch"] });
    assert_eq!(errors(again).await, ["ALREADY_EXISTS input.term"]);
    // Another language has a group of its own.
    create_group(&app, &admin, json!({ "term": "seat", "synonyms": ["couch"], "language": "sw" })).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM search_synonym_group").await, 2);
}

async fn number_of_synonym_groups_is_limited(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    let synonyms = r#"["sofa", "couch"]"#;
    let insert = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2000) \
         INSERT INTO search_synonym_group (synonyms, version, created_at, updated_at) \
         SELECT '{synonyms}', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM number"
    );
    let insert = if backend == Backend::Postgres { insert.replace("]'", "]'::jsonb") } else { insert };
    app.execute_sql(&insert).await.expect("groups");
    let response = app.query_as(&admin, CREATE, json!({ "input": { "term": "seat", "synonyms": ["sofa"] } })).await;
    let limit = [("ILLEGAL_TRANSITION".to_owned(), String::new())];
    assert_eq!(response.user_errors("searchSynonymGroupCreate"), limit);
}

async fn synonyms_are_for_staff_only(backend: Backend) {
    let (app, admin) = start_furniture_shop(backend).await;
    let group = create_group(&app, &admin, json!({ "synonyms": ["sofa", "couch"] })).await;
    let customer = app.login(Role::Customer).await;
    let input = json!({ "synonyms": ["sofa", "tea"] });
    for (request, variables) in [
        (CREATE, json!({ "input": input })),
        (UPDATE, json!({ "id": group["id"], "input": input })),
        (DELETE, json!({ "id": group["id"] })),
        ("{ searchSynonymGroups { nodes { id } } }", json!({})),
    ] {
        assert_eq!(app.query_as(&customer, request, variables.clone()).await.error_code(), "FORBIDDEN");
        assert_eq!(app.query_with_variables(request, variables).await.error_code(), "UNAUTHENTICATED");
    }
    let node = "query($id: ID!) { node(id: $id) { id } }";
    assert_eq!(app.query_as(&customer, node, json!({ "id": group["id"] })).await.data_at("/node"), &Value::Null);
    let staff = app.login(Role::Staff).await;
    create_group(&app, &staff, json!({ "synonyms": ["tea", "chai"] })).await;
}

async fn change_of_synonyms_reaches_cached_searches_and_other_instances(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[RESPONSE_CACHE_ON]).await;
    app.save_products(&[simple_product("sofa", "Corner Sofa", 10), simple_product("couch", "Leather Couch", 10)]).await;
    let admin = app.login(Role::Admin).await;
    let other = app.start_second_instance(&[]).await;
    let query = "{ products(filter: { search: \"sofa\" }) { nodes { slug } search { expanded { word synonyms } } } }";
    let get = async || {
        let (response, is_hit) = send_to_cache(app.build_get(query)).await;
        (response.json()["data"]["products"]["nodes"].as_array().map(Vec::len), is_hit)
    };
    assert_eq!(get().await, (Some(1), false));
    assert_eq!(get().await, (Some(1), true));
    let group = create_group(&app, &admin, json!({ "synonyms": ["sofa", "couch"] })).await;
    assert_eq!(get().await, (Some(2), false));
    assert_eq!(get().await, (Some(2), true));
    other.run_clock_tick().await;
    assert_eq!(search(&other, "sofa", None).await.0, ["couch", "sofa"]);
    // Changed by the other instance, read by this one.
    let deleted = other.query_as(&admin, DELETE, json!({ "id": group["id"] })).await;
    assert_eq!(deleted.data_at("/searchSynonymGroupDelete/deletedId"), &group["id"]);
    app.run_clock_tick().await;
    assert_eq!(get().await, (Some(1), false));
}
