//! Requests for published operations: by id, by Apollo's and Relay's forms, and by address.

use reqwest::Method;
use savannah::{identity::Role, operations::document_id::sha256_hex};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, HttpResponse, TestApp, TestDatabase},
    trusted_documents::{manifest_of, publish_valid, retire},
};

integration_tests![
    published_operation_is_executed_in_each_form_of_request,
    address_finds_the_newest_version_and_the_given_one,
    invalid_requests_for_operations_are_rejected,
    unknown_documents_cost_no_statement_each,
    retired_operations_are_rejected,
    free_form_documents_are_allowed_by_the_setting,
    graphiql_explains_the_setting,
    outdated_operation_is_rejected_with_its_errors,
    uses_are_counted_and_stored,
    running_instance_learns_of_publications_and_retirements,
    published_mutation_is_executed_by_post_only,
];

const SHOP: &str = "query Shop { shop { name } }";
const PRODUCT: &str = "query Product($slug: String!) { product(slug: $slug) { name } }";
const CREATE: &str = "mutation Create { cartCreate { cart { id } } }";

async fn post(app: &TestApp, body: Value) -> HttpResponse {
    HttpResponse::send(app.build_request(Method::POST, "/graphql").json(&body)).await
}

/// Returns a path with URL parameters.
pub fn path_with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params(&format!("http://host{path}"), parameters).expect("a URL");
    url.as_str().trim_start_matches("http://host").to_owned()
}

async fn get(app: &TestApp, path: &str, parameters: &[(&str, &str)]) -> HttpResponse {
    HttpResponse::send(app.build_request(Method::GET, &path_with_parameters(path, parameters))).await
}

async fn published_operation_is_executed_in_each_form_of_request(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", "staff")]).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, PRODUCT]).await;
    let digest = sha256_hex(PRODUCT);
    let expected = json!({ "data": { "product": null } });
    let variables = json!({ "slug": "none" });
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": digest } });
    let bodies = [
        json!({ "documentId": digest, "variables": variables }),
        json!({ "documentId": format!("sha256:{digest}"), "variables": variables }),
        json!({ "documentId": digest, "variables": variables, "operationName": "Product" }),
        json!({ "doc_id": digest, "variables": variables }),
        json!({ "extensions": extensions, "variables": variables }),
        json!({ "extensions": extensions, "variables": variables, "query": PRODUCT }),
    ];
    for body in bodies {
        let response = post(&app, body.clone()).await;
        assert_eq!((response.status, response.json()), (200, expected.clone()), "{body}");
    }
    let (extensions, variables) = (extensions.to_string(), variables.to_string());
    let parameters = [
        ("/graphql", "documentId", digest.as_str()),
        ("/graphql", "doc_id", digest.as_str()),
        ("/graphql", "extensions", extensions.as_str()),
        ("/graphql/ios/Product", "version", "1.0"),
        ("/graphql/ios/Product", "version", ""),
        (&*format!("/graphql/ios/{digest}"), "version", "1.0"),
        (&*format!("/graphql/ios/sha256:{digest}"), "extensions", "{}"),
    ];
    for (path, name, value) in parameters {
        let response = get(&app, path, &[(name, value), ("variables", &variables)]).await;
        assert_eq!((response.status, response.json()), (200, expected.clone()), "{path} {name}={value}");
    }
    let shop = get(&app, "/graphql/ios/Shop", &[]).await;
    assert_eq!(shop.json(), json!({ "data": { "shop": { "name": "Savannah" } } }));
}

async fn address_finds_the_newest_version_and_the_given_one(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let currency = "query Shop { shop { currency } }";
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, PRODUCT]).await;
    let newest = publish_valid(&app, &admin, ("ios", "1.1"), &[currency]).await;
    publish_valid(&app, &admin, ("web", "1.0"), &["query Shop { shop { name currency } }"]).await;
    let shop =
        async |parameters: &[(&str, &str)]| get(&app, "/graphql/ios/Shop", parameters).await.json()["data"].clone();
    assert_eq!(shop(&[]).await, json!({ "shop": { "currency": "KES" } }));
    assert_eq!(shop(&[("version", "1.0")]).await, json!({ "shop": { "name": "Savannah" } }));
    // Only the older version has it.
    let product = get(&app, "/graphql/ios/Product", &[("variables", "{\"slug\":\"x\"}")]).await;
    assert_eq!(product.status, 200);
    for (path, version) in [
        ("/graphql/ios/Product", "1.1"),
        ("/graphql/ios/Shop", "9"),
        ("/graphql/android/Shop", ""),
        ("/graphql/ios/Other", ""),
        // Another app has the document.
        (&*format!("/graphql/web/{}", sha256_hex(SHOP)), ""),
    ] {
        let response = get(&app, path, &[("version", version)]).await;
        assert_eq!((response.status, response.error_code().as_str()), (404, "PERSISTED_QUERY_NOT_FOUND"), "{path}");
    }
    retire(&app, &admin, &newest).await;
    assert_eq!(shop(&[]).await, json!({ "shop": { "name": "Savannah" } }));
    let response = get(&app, "/graphql/ios/Shop", &[("version", "1.1")]).await;
    assert_eq!((response.status, response.error_code().as_str()), (410, "OPERATION_RETIRED"));
}

async fn invalid_requests_for_operations_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, PRODUCT]).await;
    let digest = sha256_hex(PRODUCT);
    for variables in ["[]", "1", "\"slug\"", "{", "null x", "{\"slug\":}"] {
        let response = get(&app, "/graphql/ios/Product", &[("variables", variables)]).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "BAD_REQUEST"), "{variables}");
        assert!(response.error_message().contains("`variables` is not a JSON object"), "{response:?}");
        let response = get(&app, "/graphql", &[("documentId", &digest), ("variables", variables)]).await;
        assert!(response.error_message().contains("`variables` is not a JSON object"), "{response:?}");
    }
    for variables in ["{}", "", "{\"slug\":null}", "{\"slug\":1}"] {
        let response = get(&app, "/graphql/ios/Product", &[("variables", variables)]).await;
        assert_eq!(
            (response.status, response.error_code().as_str()),
            (400, "GRAPHQL_VALIDATION_FAILED"),
            "{variables}"
        );
    }
    let bodies = [
        json!({ "documentId": digest, "query": SHOP }),
        json!({ "documentId": digest, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": digest } } }),
        json!({ "documentId": 7 }),
        json!({ "documentId": digest, "doc_id": digest }),
        json!({ "documentId": null }),
        json!({}),
        json!({ "id": digest }),
    ];
    for body in bodies {
        let response = post(&app, body.clone()).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "BAD_REQUEST"), "{body}");
    }
    for document_id in ["", "x", "sha256:", "ä", "a b", &"a".repeat(129), &"a".repeat(100_000)] {
        let response = post(&app, json!({ "documentId": document_id })).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "PERSISTED_QUERY_NOT_FOUND"));
    }
    let wrong_name = post(&app, json!({ "documentId": digest, "operationName": "Shop" })).await;
    assert_eq!((wrong_name.status, wrong_name.error_code().as_str()), (400, "GRAPHQL_VALIDATION_FAILED"));
    for parameters in [[("query", SHOP)], [("documentId", digest.as_str())]] {
        assert_eq!(get(&app, "/graphql/ios/Shop", &parameters).await.status, 400);
    }
    for path in ["/graphql/%ff/Shop", "/graphql/ios/%80"] {
        let response = get(&app, path, &[]).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "BAD_REQUEST"), "{path}");
    }
    let response = HttpResponse::send(app.build_request(Method::POST, "/graphql/ios/Shop").json(&json!({}))).await;
    assert_eq!(response.status, 405);
}

async fn unknown_documents_cost_no_statement_each(backend: Backend) {
    let app = TestApp::start(backend).await;
    let refresh_count = || app.http_app.trusted_documents.refresh_count();
    let started_at = std::time::Instant::now();
    for number in 0..200 {
        let response = post(&app, json!({ "documentId": format!("unknown-{number}") })).await;
        assert_eq!(response.error_code(), "PERSISTED_QUERY_NOT_FOUND");
        let response = get(&app, &format!("/graphql/unknown-{number}/x"), &[]).await;
        assert_eq!(response.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    }
    let maximum = started_at.elapsed().as_millis() / 250 + 1;
    assert!((1..=maximum).contains(&refresh_count().into()), "{} of {maximum}", refresh_count());

    // An index that cannot be read is not tried more often.
    app.execute_sql("ALTER TABLE operation_revision RENAME TO moved_revision").await.expect("a renamed table");
    let (started_at, count_before) = (std::time::Instant::now(), refresh_count());
    let mut unavailable_count = 0;
    while unavailable_count < 200 {
        let response = post(&app, json!({ "documentId": "unknown" })).await;
        unavailable_count += i32::from(response.status == 503 && response.error_code() == "UNAVAILABLE");
    }
    let maximum = started_at.elapsed().as_millis() / 250 + 1;
    assert!((1..=maximum).contains(&(refresh_count() - count_before).into()), "{} of {maximum}", refresh_count());
    app.execute_sql("ALTER TABLE moved_revision RENAME TO operation_revision").await.expect("a renamed table");
}

async fn retired_operations_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let first = publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, PRODUCT]).await;
    let second = publish_valid(&app, &admin, ("ios", "2.0"), &[SHOP]).await;
    retire(&app, &admin, &first).await;
    let digest = sha256_hex(PRODUCT);
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": digest } });
    for body in [json!({ "documentId": digest }), json!({ "doc_id": digest }), json!({ "extensions": extensions })] {
        let response = post(&app, body).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "OPERATION_RETIRED"));
    }
    let response = get(&app, "/graphql/ios/Product", &[]).await;
    assert_eq!((response.status, response.error_code().as_str()), (410, "OPERATION_RETIRED"));
    // The other version still has this one.
    assert_eq!(post(&app, json!({ "documentId": sha256_hex(SHOP) })).await.status, 200);
    retire(&app, &admin, &second).await;
    let response = post(&app, json!({ "documentId": sha256_hex(SHOP) })).await;
    assert_eq!(response.error_code(), "OPERATION_RETIRED");
    // As a free-form document it is still allowed.
    assert_eq!(post(&app, json!({ "query": SHOP })).await.status, 200);
    // Published again as another version.
    publish_valid(&app, &admin, ("ios", "3.0"), &[SHOP]).await;
    assert_eq!(post(&app, json!({ "documentId": sha256_hex(SHOP) })).await.status, 200);
}

async fn free_form_documents_are_allowed_by_the_setting(backend: Backend) {
    for (setting, expected_guest, expected_staff) in [("everyone", 200, 200), ("staff", 403, 200), ("nobody", 403, 403)]
    {
        let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", setting)]).await;
        let manifest = manifest_of(&[SHOP]);
        let publication = savannah::graphql::operations::publishing::prepare_publication(
            &app.http_app.state,
            savannah::graphql::operations::publishing::PublishRequest {
                app: "ios".into(),
                version: "1".into(),
                manifest: savannah::operations::manifest::parse_manifest(&manifest).expect("a manifest"),
            },
            || {},
        );
        let publication = publication.await.expect("a publication");
        savannah::operations::publish_version(&app.db, publication).await.expect("a version");
        let staff = app.login(Role::Admin).await;
        for (token, expected) in [(None, expected_guest), (Some(staff), expected_staff)] {
            let authorize = |request: reqwest::RequestBuilder| match &token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            for body in [
                json!({ "query": "{ shop { currency } }" }),
                json!({ "query": "{ __typename }" }),
                json!({ "query": "{" }),
            ] {
                let response =
                    HttpResponse::send(authorize(app.build_request(Method::POST, "/graphql")).json(&body)).await;
                if expected == 200 {
                    assert_ne!(response.status, 403, "{setting} {body}");
                } else {
                    assert_eq!(response.status, expected, "{setting} {body}");
                    assert_eq!(response.error_code(), "FREE_FORM_DOCUMENT_FORBIDDEN");
                }
            }
            let request = authorize(
                app.build_request(Method::GET, &path_with_parameters("/graphql", &[("query", "{ shop { name } }")])),
            );
            assert_eq!(HttpResponse::send(request).await.status, expected, "{setting}");
            let body = json!({ "documentId": sha256_hex(SHOP) });
            let response = HttpResponse::send(authorize(app.build_request(Method::POST, "/graphql")).json(&body)).await;
            assert_eq!(response.status, 200, "{setting}");
        }
    }
    let error = savannah::infra::Config::load_from(
        std::path::Path::new("/nowhere.toml"),
        [("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS".into(), "anyone".into())].into_iter(),
    );
    assert!(error.expect_err("an error").contains("everyone, staff or nobody"));
}

async fn graphiql_explains_the_setting(backend: Backend) {
    for (setting, notice) in
        [("everyone", "data-notice=\"\""), ("staff", "from staff only"), ("nobody", "published operations only")]
    {
        let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", setting)]).await;
        let page = HttpResponse::send(app.build_request(Method::GET, "/graphiql")).await;
        if page.status == 200 {
            assert!(page.text.contains(notice), "{setting}: {}", page.text);
            assert!(!page.text.contains("\"Authorization\""), "the notice is escaped");
        } else {
            assert!(!savannah::http::graphiql::is_embedded());
        }
    }
}

async fn outdated_operation_is_rejected_with_its_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP]).await;
    // As after an update of the program, whose schema no longer has the field.
    app.execute_sql("UPDATE trusted_document SET text = 'query Shop { shop { motto } }'").await.expect("an update");
    for _ in 0..2 {
        let response = post(&app, json!({ "documentId": sha256_hex(SHOP) })).await;
        assert_eq!((response.status, response.error_code().as_str()), (400, "OPERATION_OUTDATED"));
        assert!(response.error_message().contains("motto"), "{response:?}");
    }
}

async fn uses_are_counted_and_stored(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[SHOP, PRODUCT]).await;
    let digest = sha256_hex(SHOP);
    let bodies = (0..20).map(|_| json!({ "documentId": digest }));
    let responses = futures_util::future::join_all(bodies.map(|body| post(&app, body))).await;
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(app.query_scalar("SELECT count(*) FROM trusted_document_use").await, 0, "not a write per request");
    let store = || app.http_app.trusted_documents.store_uses(&app.db);
    store().await.expect("stored uses");
    assert_eq!(app.query_scalar("SELECT use_count FROM trusted_document_use").await, 20);
    store().await.expect("nothing to store");
    get(&app, "/graphql/ios/Shop", &[]).await;
    store().await.expect("stored uses");
    assert_eq!(app.query_scalar("SELECT use_count FROM trusted_document_use").await, 21);
    let list = "{ operationVersions { nodes { useCount lastUsedAt operations { name useCount } } } }";
    let list = app.query_as(&admin, list, json!({})).await;
    let version = list.data_at("/operationVersions/nodes/0");
    assert_eq!((&version["useCount"], &version["lastUsedAt"]), (&json!(21), &json!("2026-11-01T09:00:00+00:00")));
    assert_eq!(version["operations"][0], json!({ "name": "Product", "useCount": 0 }));
    // Uses that could not be stored are stored later.
    get(&app, "/graphql/ios/Shop", &[]).await;
    app.execute_sql("ALTER TABLE trusted_document_use RENAME TO moved_use").await.expect("a renamed table");
    assert!(store().await.is_err());
    app.execute_sql("ALTER TABLE moved_use RENAME TO trusted_document_use").await.expect("a renamed table");
    store().await.expect("stored uses");
    assert_eq!(app.query_scalar("SELECT use_count FROM trusted_document_use").await, 22);
}

async fn running_instance_learns_of_publications_and_retirements(backend: Backend) {
    let database = TestDatabase::create_empty(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url()), ("RUST_LOG", "warn")]);
    let server = sandbox
        .start_server_with_args(&["serve", "--no-demo"], &[("SAVANNAH_GRAPHQL__USE_COUNT_INTERVAL", "1s")])
        .await;
    let request = async || -> Value {
        let url = format!("http://{}/graphql/ios/Shop", server.address);
        reqwest::get(url).await.expect("a response").json().await.expect("JSON")
    };
    let wait_for = async |is_expected: &dyn Fn(&Value) -> bool| {
        let started_at = std::time::Instant::now();
        loop {
            let body = request().await;
            if is_expected(&body) {
                return;
            }
            assert!(started_at.elapsed() < std::time::Duration::from_secs(20), "{body}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let code = |body: &Value| body["errors"][0]["extensions"]["code"].as_str().map(str::to_owned);
    assert_eq!(code(&request().await).as_deref(), Some("PERSISTED_QUERY_NOT_FOUND"));
    sandbox.write_file("manifest.json", &manifest_of(&[SHOP]));
    let publish = ["operations", "publish", "--app", "ios", "--version", "1", "manifest.json"];
    let output = sandbox.run_command(&publish, &[]).await;
    assert_eq!(output.exit_code, Some(0), "{output:?}");
    wait_for(&|body| body["data"]["shop"]["name"] == "Savannah").await;
    let retire = ["operations", "retire", "--app", "ios", "--version", "1"];
    assert_eq!(sandbox.run_command(&retire, &[]).await.exit_code, Some(0));
    wait_for(&|body| code(body).as_deref() == Some("OPERATION_RETIRED")).await;
    // Uses of a stopping instance are stored.
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    let list = sandbox.run_command(&["operations", "list", "--app", "ios", "--version", "1"], &[]).await;
    let line = list.stdout.lines().nth(1).expect("an operation").split_whitespace().nth(5).expect("uses");
    assert!(line.parse::<u32>().expect("a number") > 0, "{list:?}");
}

async fn published_mutation_is_executed_by_post_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    publish_valid(&app, &admin, ("ios", "1.0"), &[CREATE]).await;
    let digest = sha256_hex(CREATE);
    for (path, parameters) in [("/graphql/ios/Create", vec![]), ("/graphql", vec![("documentId", digest.as_str())])] {
        let response = get(&app, path, &parameters).await;
        assert_eq!((response.status, response.error_code().as_str()), (405, "BAD_REQUEST"), "{path}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 0);
    // With an idempotency key it is executed once.
    for expected_header in [None, Some("true")] {
        let request = app.build_request(Method::POST, "/graphql").json(&json!({ "documentId": digest }));
        let response =
            HttpResponse::send(request.header("idempotency-key", "4d2b1c9a-7d4e-4f60-8a1b-2c3d4e5f6072")).await;
        assert_eq!((response.status, response.header("idempotent-replayed")), (200, expected_header));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
}
