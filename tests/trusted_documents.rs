//! Publication, listing, retirement and checks of the operations of apps.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use savannah::{
    base::Error,
    graphql::operations::publishing::{PublishRequest, prepare_publication},
    identity::Role,
    operations::{
        Manifest, PublishOutcome, document_id::sha256_hex, entity::ManifestFormat, manifest::parse_manifest,
        publish_version,
    },
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    published_version_is_listed_with_its_figures,
    repeated_publication_is_accepted_only_unchanged,
    concurrent_publications_of_a_version_publish_it_once,
    manifest_with_errors_is_rejected_with_all_of_them,
    id_of_another_text_is_rejected,
    version_over_a_limit_is_rejected,
    publications_and_retirements_are_audited,
    operation_versions_need_their_permission,
    invalid_rows_are_rejected_by_the_database;
    needs(has_manifests): manifests_of_client_tools_are_accepted
];

pub const PUBLISH: &str = "mutation($app: String!, $version: String!, $manifest: String!) {
    operationVersionPublish(input: { app: $app, version: $version, manifest: $manifest }) {
        operationVersion { id app version operationCount } userErrors { code field message } } }";
const RETIRE: &str = "mutation($id: ID!) { operationVersionRetire(id: $id) {
    operationVersion { retiredAt } userErrors { code field message } } }";
const LIST: &str = "query($first: Int, $after: String, $filter: OperationVersionFilter) {
    operationVersions(first: $first, after: $after, filter: $filter) {
        nodes { id app version format operationCount useCount lastUsedAt retiredAt publishedAt
            operations { documentId name type complexity depth statements statementFigure useCount lastUsedAt } }
        pageInfo { hasNextPage endCursor } totalCount } }";
pub const HOME: &str = "query Home($first: Int = 5) { products(first: $first) { nodes { id name } } }";
pub const SHOP: &str = "query Shop { shop { name } }";
pub const CREATE: &str = "mutation Create { cartCreate { cart { id } } }";

/// Next to the project, unless `SAVANNAH_MANIFESTS` names the directory.
fn manifest_directory() -> PathBuf {
    std::env::var_os("SAVANNAH_MANIFESTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/manifests"), PathBuf::from)
}

fn has_manifests() -> bool {
    manifest_directory().join("apollo.json").exists()
}

/// Returns the manifest of documents, with their digests as ids.
pub fn manifest_of(documents: &[&str]) -> String {
    let entries = documents.iter().map(|text| (sha256_hex(text), json!(text)));
    Value::Object(entries.collect()).to_string()
}

/// Publishes documents by the API; returns the payload.
pub async fn publish(app: &TestApp, token: &str, name: (&str, &str), documents: &[&str]) -> Value {
    let variables = json!({ "app": name.0, "version": name.1, "manifest": manifest_of(documents) });
    let payload = app.query_as(token, PUBLISH, variables).await.data_at("/operationVersionPublish").clone();
    app.run_clock_tick().await;
    payload
}

/// Publishes documents that must be valid; returns the id of the version.
pub async fn publish_valid(app: &TestApp, token: &str, name: (&str, &str), documents: &[&str]) -> String {
    let payload = publish(app, token, name, documents).await;
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    payload["operationVersion"]["id"].as_str().expect("an id").to_owned()
}

pub async fn retire(app: &TestApp, token: &str, id: &str) -> Value {
    let payload = app.query_as(token, RETIRE, json!({ "id": id })).await.data_at("/operationVersionRetire").clone();
    app.run_clock_tick().await;
    payload
}

fn error_messages(payload: &Value) -> Vec<String> {
    let errors = payload["userErrors"].as_array().expect("errors").iter();
    errors.map(|error| error["message"].as_str().expect("a message").to_owned()).collect()
}

async fn published_version_is_listed_with_its_figures(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[HOME, SHOP, CREATE]).await;
    publish_valid(&app, &admin, ("ios", "1.1"), &[HOME]).await;
    publish_valid(&app, &admin, ("web", "7"), &["query Empty { node(id: \"none\") { id } }"]).await;
    let list = app.query_as(&admin, LIST, json!({ "filter": { "app": "ios" } })).await;
    assert_eq!(list.strings_at("/operationVersions/nodes", "version"), ["1.1", "1.0"]);
    assert_eq!(list.data_at("/operationVersions/totalCount"), 2);
    let operations = list.data_at("/operationVersions/nodes/1/operations");
    let figures: Vec<_> = operations
        .as_array()
        .expect("a list")
        .iter()
        .map(|operation| {
            let field = |name: &str| operation[name].clone();
            (
                field("name"),
                field("type"),
                field("complexity"),
                field("depth"),
                field("statements"),
                field("statementFigure"),
            )
        })
        .collect();
    // A mutation is not executed; a page may have a hundred products.
    let expected = [
        (json!("Create"), json!("MUTATION"), json!(103), json!(3), json!(60), json!("LIMIT")),
        (json!("Home"), json!("QUERY"), json!(300), json!(3), json!(1), json!("MEASURED")),
        (json!("Shop"), json!("QUERY"), json!(2), json!(2), json!(0), json!("MEASURED")),
    ];
    assert_eq!(figures[1..], expected[1..]);
    assert_eq!((&figures[0].0, &figures[0].4, &figures[0].5), (&expected[0].0, &expected[0].4, &expected[0].5));
    assert_eq!(operations[2]["documentId"], sha256_hex(SHOP));
    let page = app.query_as(&admin, LIST, json!({ "first": 2 })).await;
    let cursor = page.data_at("/operationVersions/pageInfo/endCursor");
    let next = app.query_as(&admin, LIST, json!({ "first": 2, "after": cursor })).await;
    assert_eq!(next.strings_at("/operationVersions/nodes", "version"), ["1.0"]);
    let node = "query($id: ID!) { node(id: $id) { ... on OperationVersion { app version } } }";
    let id = page.data_at("/operationVersions/nodes/0/id");
    let found = app.query_as(&admin, node, json!({ "id": id })).await;
    assert_eq!(found.data_at("/node"), &json!({ "app": "web", "version": "7" }));
    assert_eq!(app.query_with_variables(node, json!({ "id": id })).await.data_at("/node"), &Value::Null);
}

async fn repeated_publication_is_accepted_only_unchanged(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let id = publish_valid(&app, &admin, ("ios", "1.0"), &[HOME, SHOP]).await;
    let revision = app.query_scalar("SELECT revision FROM operation_revision").await;
    assert_eq!(publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, HOME]).await, id);
    assert_eq!(app.query_scalar("SELECT revision FROM operation_revision").await, revision);
    for documents in [&[HOME][..], &[HOME, SHOP, CREATE]] {
        let payload = publish(&app, &admin, ("ios", "1.0"), documents).await;
        assert_eq!(payload["userErrors"][0]["code"], "ALREADY_EXISTS", "{payload}");
        assert_eq!(payload["userErrors"][0]["field"], json!(["input", "version"]));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM published_operation").await, 2);
    // The same operations as another version are the same documents.
    publish_valid(&app, &admin, ("ios", "1.1"), &[HOME, SHOP]).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM trusted_document").await, 2);
    retire(&app, &admin, &id).await;
    let payload = publish(&app, &admin, ("ios", "1.0"), &[HOME, SHOP]).await;
    assert_eq!(payload["userErrors"][0]["code"], "ILLEGAL_TRANSITION", "{payload}");
}

async fn concurrent_publications_of_a_version_publish_it_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let texts: Vec<String> = (0..50).map(|number| format!("query Q{number} {{ shop {{ name }} }}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let publish_once = async |version: String, texts: Vec<&str>| {
        let manifest = parse_manifest(&manifest_of(&texts)).unwrap_or_else(|error| panic!("{}", error.log_message()));
        let request = PublishRequest { app: "ios".into(), version, manifest };
        let publication = prepare_publication(&app.http_app.state, request, || {}).await?;
        publish_version(&app.db, publication).await
    };
    let outcomes = join_all((0..8).map(|_| publish_once("1.0".into(), texts.clone()))).await;
    let outcomes: Vec<PublishOutcome> =
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|error| panic!("{}", error.log_message()))).collect();
    let published = outcomes.iter().filter(|outcome| matches!(outcome, PublishOutcome::Published(_))).count();
    assert_eq!((published, outcomes.len()), (1, 8));
    assert_eq!(app.query_scalar("SELECT count(*) FROM published_operation").await, 50);

    // Different operations: one publication wins, whose operations are complete.
    let outcomes = join_all((0..8).map(|number| publish_once("2.0".into(), texts[number..number + 9].to_vec()))).await;
    let (published, rejected): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((published.len(), rejected.len()), (1, 7));
    for error in rejected.into_iter().filter_map(Result::err) {
        assert!(matches!(&error, Error::User(error) if error.code.as_str() == "ALREADY_EXISTS"));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM published_operation").await, 59);
    // Several versions at once.
    let outcomes = join_all((0..8).map(|number| publish_once(format!("3.{number}"), texts[number..].to_vec()))).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

async fn manifest_with_errors_is_rejected_with_all_of_them(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let documents = [
        SHOP,
        "query Broken {",
        "query Unknown { shop { nothing } }",
        "query A { shop { name } } query B { shop { name } }",
        "{ shop { currency } }",
        "query Shop { shop { currency } }",
    ];
    let payload = publish(&app, &admin, ("ios", "1.0"), &documents).await;
    let mut messages = error_messages(&payload);
    messages.sort();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].starts_with("A (") && messages[0].contains("exactly one operation"), "{messages:?}");
    assert!(messages[1..3].iter().all(|message| message.starts_with("Broken (")), "{messages:?}");
    assert!(messages[1].contains("): 1:15: Syntax error: "), "{messages:?}");
    assert!(messages[3].starts_with("Unknown (") && messages[3].contains("1:24: "), "{messages:?}");
    for error in payload["userErrors"].as_array().expect("errors") {
        assert_eq!(error["field"], json!(["input", "manifest"]));
    }
    let payload = publish(&app, &admin, ("ios", "1.0"), &[documents[0], documents[4], documents[5]]).await;
    let messages = error_messages(&payload);
    assert!(messages.len() == 1 && messages[0].starts_with("two operations have the name Shop"), "{messages:?}");
    for (name, field) in [(("", "1"), "app"), (("ios", "a b"), "version"), (("i/os", "1"), "app")] {
        let payload = publish(&app, &admin, name, &[SHOP]).await;
        assert_eq!(payload["userErrors"][0]["field"], json!(["input", field]), "{payload}");
    }
    for table in ["operation_version", "trusted_document", "published_operation"] {
        assert_eq!(app.query_scalar(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

async fn id_of_another_text_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let publish_text = async |name: &str, manifest: Value| {
        let variables = json!({ "app": name, "version": "1", "manifest": manifest.to_string() });
        app.query_as(&admin, PUBLISH, variables).await.data_at("/operationVersionPublish").clone()
    };
    let payload = publish_text("ios", json!({ "home": SHOP, "create": CREATE })).await;
    assert_eq!(payload["userErrors"], json!([]));
    let payload = publish_text("web", json!({ "home": HOME, "create": CREATE })).await;
    assert_eq!(error_messages(&payload), ["the id home was published with another text"]);
    assert_eq!(payload["userErrors"][0]["code"], "ALREADY_EXISTS");
    let payload = publish_text("web", json!({ sha256_hex(HOME): SHOP })).await;
    assert!(error_messages(&payload)[0].contains("does not match its text"), "{payload}");
    // Two members with one name, which a map would drop.
    let variables =
        json!({ "app": "web", "version": "1", "manifest": format!("{{\"x\":{},\"x\":{}}}", json!(HOME), json!(SHOP)) });
    let payload = app.query_as(&admin, PUBLISH, variables).await.data_at("/operationVersionPublish").clone();
    assert_eq!(error_messages(&payload), ["the id x stands for two texts"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM operation_version").await, 1);
}

async fn version_over_a_limit_is_rejected(backend: Backend) {
    let settings = [("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "1000"), ("SAVANNAH_GRAPHQL__MAX_DEPTH", "5")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let admin = app.login(Role::Admin).await;
    // 500 at the default of five products, 10,000 at a hundred.
    let expensive = "query Expensive($first: Int = 5) { products(first: $first) {
        nodes { id name sku slug description vendor price salePrice image inStock stockQuantity createdAt updatedAt } } }";
    let deep = "query Deep { categories { children { children { children { children { name } } } } } }";
    let payload = publish(&app, &admin, ("ios", "1.0"), &[expensive, deep, HOME]).await;
    let mut messages = error_messages(&payload);
    messages.sort();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("nests 6 levels deep"), "{messages:?}");
    assert!(messages[1].contains("worst-case cost is 1400, the limit is 1000"), "{messages:?}");
    publish_valid(
        &app,
        &admin,
        ("ios", "1.0"),
        &[&expensive.replace("($first: Int = 5)", "").replace("first: $first", "first: 5")],
    )
    .await;
}

async fn publications_and_retirements_are_audited(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let id = publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP]).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP]).await;
    let retired = retire(&app, &admin, &id).await;
    assert_eq!(retire(&app, &admin, &id).await, retired, "a repeated retirement changes nothing");
    let log = "query($id: ID!) { auditLog(filter: { entityId: $id }) {
        nodes { action actorKind after entity { ... on OperationVersion { version } } } } }";
    let log = app.query_as(&admin, log, json!({ "id": id })).await;
    let nodes = log.data_at("/auditLog/nodes").as_array().expect("a list");
    let actions: Vec<_> = nodes.iter().map(|node| (node["action"].clone(), node["actorKind"].clone())).collect();
    let expected = ["operation_version.retire", "operation_version.publish"];
    assert_eq!(actions, expected.map(|action| (json!(action), json!("ACCOUNT"))));
    assert_eq!((&nodes[1]["after"]["app"], &nodes[1]["entity"]["version"]), (&json!("ios"), &json!("1.0")));
    let missing = retire(&app, &admin, "T3BlcmF0aW9uVmVyc2lvbjo5OQ").await;
    assert!(!missing["userErrors"].as_array().expect("errors").is_empty(), "{missing}");
}

async fn operation_versions_need_their_permission(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let variables = json!({ "app": "ios", "version": "1.0", "manifest": manifest_of(&[SHOP]) });
    for (query, variables) in [(PUBLISH, variables), (RETIRE, json!({ "id": "x" })), (LIST, json!({}))] {
        assert_eq!(app.query_as(&staff, query, variables.clone()).await.error_code(), "FORBIDDEN");
        assert_eq!(app.query_with_variables(query, variables).await.error_code(), "UNAUTHENTICATED");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM operation_version").await, 0);
}

async fn invalid_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP]).await;
    let statements = [
        "INSERT INTO operation_revision (id, revision) VALUES (2, 1)",
        "UPDATE operation_version SET app = ''",
        "UPDATE operation_version SET format = 'other'",
        "UPDATE operation_version SET content_hash = 'x'",
        "UPDATE operation_version SET operation_count = 0",
        "INSERT INTO operation_version (app, version, format, content_hash, operation_count, created_at, updated_at) \
         SELECT app, version, format, content_hash, operation_count, created_at, updated_at FROM operation_version",
        "UPDATE trusted_document SET document_id = ''",
        "UPDATE trusted_document SET text = ''",
        "UPDATE trusted_document SET operation_type = 'other'",
        "UPDATE trusted_document SET complexity = -1",
        "UPDATE trusted_document SET depth = 0",
        "UPDATE trusted_document SET statement_figure = 'other'",
        "UPDATE published_operation SET version_id = 99",
        "DELETE FROM trusted_document",
        "INSERT INTO trusted_document_use (trusted_document_id, use_count, last_used_at, created_at, updated_at) \
         SELECT id, 0, created_at, created_at, created_at FROM trusted_document",
        "INSERT INTO trusted_document (document_id, text, operation_type, complexity, depth, statements, \
         statement_figure, created_at, updated_at) SELECT document_id, text, operation_type, complexity, depth, \
         statements, statement_figure, created_at, updated_at FROM trusted_document",
    ];
    for statement in statements {
        assert!(app.execute_sql(statement).await.is_err(), "{statement}");
    }
}

async fn manifests_of_client_tools_are_accepted(backend: Backend) {
    // The samples are for another schema, of which this one has the list of products.
    let samples = [
        ("apollo.json", ManifestFormat::Apollo, 3),
        ("relay-md5.json", ManifestFormat::Map, 2),
        ("relay-sha1.json", ManifestFormat::Map, 2),
        ("relay-sha256.json", ManifestFormat::Map, 2),
        ("codegen-sha1.json", ManifestFormat::Map, 3),
        ("codegen-sha256.json", ManifestFormat::Map, 3),
    ];
    let app = TestApp::start(backend).await;
    for (name, format, count) in samples {
        let text = fs::read_to_string(manifest_directory().join(name)).expect(name);
        let manifest = parse_manifest(&text).unwrap_or_else(|error| panic!("{name}: {}", error.log_message()));
        assert_eq!((manifest.format, manifest.operations.len()), (format, count), "{name}");
        let prepare = async |manifest: Manifest| {
            let request = PublishRequest { app: "samples".into(), version: name.into(), manifest };
            prepare_publication(&app.http_app.state, request, || {}).await
        };
        let errors = prepare(manifest.clone()).await.expect_err("errors").into_public_errors();
        let errors = errors.unwrap_or_else(|error| panic!("{name}: {}", error.log_message()));
        assert_eq!(errors.len(), count - 1, "{name}: {errors:?}");
        let is_valid = |text: &str| text.contains("products(");
        let operations = manifest.operations.into_iter().filter(|operation| is_valid(&operation.text)).collect();
        let publication = prepare(Manifest { format, operations }).await;
        let publication = publication.unwrap_or_else(|error| panic!("{name}: {}", error.log_message()));
        let document_id = publication.operations[0].document_id.clone();
        let published = publish_version(&app.db, publication).await;
        assert!(published.is_ok(), "{name}");
        app.run_clock_tick().await;
        let response = app.post_graphql(json!({ "documentId": document_id, "variables": { "first": 1 } })).await;
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["data"]["products"]["edges"], json!([]), "{name}: {body}");
    }
}
