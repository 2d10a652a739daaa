//! Products that staff have pinned for a search text: they come first, on every page, count and facet.

use savannah::{
    base::{GlobalId, Patch, global_id::NodeType},
    catalog::{ProductPatch, PublicationStatus},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    pinned_products_come_first_in_their_order,
    pinned_products_are_paged_in_both_directions,
    pinned_products_satisfy_the_other_conditions,
    pinned_products_are_counted_and_among_facets,
    other_orders_contain_pinned_products,
    cursor_of_an_unpinned_product_continues_the_list,
    pinned_products_cost_no_further_statement,
    search_pin_is_created_updated_and_deleted,
    search_pin_with_invalid_input_reports_all_errors,
    pinned_products_are_for_staff_only,
];

const CREATE: &str = "mutation($input: SearchPinCreateInput!) { searchPinCreate(input: $input) {
    searchPin { id version query products { slug } } userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $input: SearchPinUpdateInput!, $version: Int) {
    searchPinUpdate(id: $id, input: $input, expectedVersion: $version) {
    searchPin { version query products { slug } } userErrors { code field } } }";
const DELETE: &str = "mutation($id: ID!, $version: Int) { searchPinDelete(id: $id, expectedVersion: $version) {
    deletedId userErrors { code field } } }";
const PAGE: &str =
    "query($filter: ProductFilter, $sort: ProductSort, $first: Int, $after: String, $last: Int, $before: String) {
    products(filter: $filter, sort: $sort, first: $first, after: $after, last: $last, before: $before) {
    nodes { slug } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }";

/// The products that have the word, by relevance: the name, its beginning, and the rest; the newest first.
const MATCHES: [&str; 6] = ["mug", "mug-red", "mug-blue", "big-mug", "tea-mug", "shelf"];

/// Starts a shop with six mugs, and a teapot, a tray and a draft without the word.
async fn start_mug_shop(backend: Backend) -> (TestApp, String) {
    let app = TestApp::start(backend).await;
    let tagged = |slug: &str, name: &str, tags: &[&str], price: i64| ProductPatch {
        tags: Patch::Set(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        ..simple_product(slug, name, price)
    };
    let draft = ProductPatch { status: Patch::Set(PublicationStatus::Draft), ..simple_product("secret", "Jug", 10) };
    app.save_products(&[
        tagged("shelf", "Shelf", &["mug"], 600),
        simple_product("tea-mug", "Tea Mug", 500),
        simple_product("big-mug", "Big Mug", 400),
        simple_product("mug-blue", "Mug Blue", 300),
        simple_product("mug-red", "Mug Red", 200),
        simple_product("mug", "Mug", 100),
        tagged("teapot", "Teapot", &["new"], 700),
        tagged("tray", "Tray", &["new"], 800),
        draft,
    ])
    .await;
    let admin = app.login(Role::Admin).await;
    (app, admin)
}

async fn product_id(app: &TestApp, slug: &str) -> String {
    let key = app.query_scalar(&format!("SELECT id FROM product WHERE slug = '{slug}'")).await;
    GlobalId::new(NodeType::Product, key).encode()
}

async fn pin(app: &TestApp, admin: &str, query: &str, slugs: &[&str]) -> Value {
    let mut ids = Vec::new();
    for slug in slugs {
        ids.push(product_id(app, slug).await);
    }
    let input = json!({ "query": query, "productIds": ids });
    let response = app.query_as(admin, CREATE, json!({ "input": input })).await;
    assert_eq!(response.user_errors("searchPinCreate"), [], "{}", response.body);
    response.data_at("/searchPinCreate/searchPin").clone()
}

async fn find(app: &TestApp, filter: Value, sort: Value) -> Vec<String> {
    let response = app.query_with_variables(PAGE, json!({ "filter": filter, "sort": sort, "first": 50 })).await;
    response.strings_at("/products/nodes", "slug")
}

async fn search(app: &TestApp, text: &str) -> Vec<String> {
    find(app, json!({ "search": text }), Value::Null).await
}

async fn pinned_products_come_first_in_their_order(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    assert_eq!(search(&app, "mug").await, MATCHES);
    pin(&app, &admin, "Mug", &["tray", "big-mug", "teapot"]).await;
    let expected = ["tray", "big-mug", "teapot", "mug", "mug-red", "mug-blue", "tea-mug", "shelf"];
    for text in ["mug", "MUG!", " mug "] {
        assert_eq!(search(&app, text).await, expected, "{text}");
    }
    assert_eq!(search(&app, "mugs").await, MATCHES, "another text");
    assert_eq!(search(&app, "red mug").await, ["mug-red"], "another text");
    // Reversed, they are the last ones.
    let mut reversed = expected;
    reversed.reverse();
    let sort = json!({ "field": "RELEVANCE", "reverse": true });
    assert_eq!(find(&app, json!({ "search": "mug" }), sort).await, reversed);
    // Also if nothing has the words, and in suggestions.
    pin(&app, &admin, "Jubilee", &["teapot"]).await;
    assert_eq!(search(&app, "jubilee").await, ["teapot"]);
    let suggested = app.query("{ searchSuggest(query: \"jubilee\") { products { slug } } }").await;
    assert_eq!(suggested.strings_at("/searchSuggest/products", "slug"), ["teapot"]);
}

/// Reads all pages of a list in one direction.
async fn read_pages(app: &TestApp, filter: &Value, sort: &Value, backwards: bool, size: usize) -> Vec<String> {
    let (mut slugs, mut cursor): (Vec<String>, Value) = (Vec::new(), Value::Null);
    loop {
        let variables = if backwards {
            json!({ "filter": filter, "sort": sort, "last": size, "before": cursor })
        } else {
            json!({ "filter": filter, "sort": sort, "first": size, "after": cursor })
        };
        let page = app.query_with_variables(PAGE, variables).await;
        let mut found = page.strings_at("/products/nodes", "slug");
        assert!(found.len() <= size && slugs.len() < 100, "{}", page.body);
        let info = page.data_at("/products/pageInfo");
        if backwards {
            found.extend(slugs);
            slugs = found;
        } else {
            slugs.extend(found);
        }
        let (more, next) = if backwards { ("hasPreviousPage", "startCursor") } else { ("hasNextPage", "endCursor") };
        if info[more] != json!(true) {
            return slugs;
        }
        cursor = info[next].clone();
    }
}

async fn pinned_products_are_paged_in_both_directions(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    pin(&app, &admin, "mug", &["tray", "big-mug", "shelf", "teapot", "secret"]).await;
    let expected = ["tray", "big-mug", "shelf", "teapot", "mug", "mug-red", "mug-blue", "tea-mug"];
    let reversed: Vec<&str> = expected.iter().rev().copied().collect();
    // By the search alone, which is walked or gathered, and with another condition, which is ranked.
    for filter in [json!({ "search": "mug" }), json!({ "search": "mug", "price": { "max": "1000" } })] {
        for size in 1..=4 {
            for backwards in [false, true] {
                let pages = read_pages(&app, &filter, &Value::Null, backwards, size).await;
                assert_eq!(pages, expected, "{filter}, {size}, backwards {backwards}");
                let sort = json!({ "field": "RELEVANCE", "reverse": true });
                let pages = read_pages(&app, &filter, &sort, backwards, size).await;
                assert_eq!(pages, reversed, "{filter}, {size}, backwards {backwards}, reversed");
            }
        }
    }
}

async fn pinned_products_satisfy_the_other_conditions(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    pin(&app, &admin, "mug", &["secret", "tray", "mug-red", "teapot"]).await;
    let with = |condition: &str, value: Value| {
        let mut filter = json!({ "search": "mug" });
        filter[condition] = value;
        filter
    };
    let found = find(&app, with("price", json!({ "max": "700" })), Value::Null).await;
    assert_eq!(found, ["mug-red", "teapot", "mug", "mug-blue", "big-mug", "tea-mug", "shelf"]);
    assert_eq!(find(&app, with("tags", json!({ "any": ["new"] })), Value::Null).await, ["tray", "teapot"]);
    assert_eq!(find(&app, with("inStock", json!(false)), Value::Null).await, Vec::<String>::new());
    let in_stock = find(&app, with("inStock", json!(true)), Value::Null).await;
    assert_eq!(in_stock[..3], ["tray", "mug-red", "teapot"]);
    // Staff find drafts by their status, the pinned one too.
    let filter = with("status", json!(["DRAFT"]));
    let drafts = app.query_as(&admin, PAGE, json!({ "filter": filter, "first": 5 })).await;
    assert_eq!(drafts.strings_at("/products/nodes", "slug"), ["secret"]);
    // A deleted product is left out.
    let delete = "mutation($id: ID!) { productDelete(id: $id) { userErrors { code } } }";
    let deleted = app.query_as(&admin, delete, json!({ "id": product_id(&app, "tray").await })).await;
    assert_eq!(deleted.user_errors("productDelete"), []);
    assert_eq!(search(&app, "mug").await[..2], ["mug-red", "teapot"]);
}

async fn pinned_products_are_counted_and_among_facets(backend: Backend) {
    const COUNTS: &str = "query($filter: ProductFilter) { products(filter: $filter, first: 0) { totalCount
        facets { tags { value count } categories { count } } } }";
    let (app, admin) = start_mug_shop(backend).await;
    pin(&app, &admin, "mug", &["tray", "mug-red", "secret"]).await;
    let counts = app.query_with_variables(COUNTS, json!({ "filter": { "search": "mug" } })).await;
    assert_eq!(counts.data_at("/products/totalCount"), &json!(7));
    assert_eq!(counts.data_at("/products/facets/categories"), &json!([{ "count": 7 }]));
    let tags = json!([{ "value": "mug", "count": 1 }, { "value": "new", "count": 1 }]);
    assert_eq!(counts.data_at("/products/facets/tags"), &tags);
    let filter = json!({ "search": "mug", "tags": { "any": ["new"] } });
    let counts = app.query_with_variables(COUNTS, json!({ "filter": filter })).await;
    assert_eq!(counts.data_at("/products/totalCount"), &json!(1));
    assert_eq!(counts.data_at("/products/facets/tags"), &tags);
}

async fn other_orders_contain_pinned_products(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    pin(&app, &admin, "mug", &["tray", "mug-red"]).await;
    let by_price = ["mug", "mug-red", "mug-blue", "big-mug", "tea-mug", "shelf", "tray"];
    let sort = json!({ "field": "PRICE" });
    for filter in [json!({ "search": "mug" }), json!({ "search": "mug", "price": { "max": "1000" } })] {
        assert_eq!(find(&app, filter.clone(), sort.clone()).await, by_price, "{filter}");
        assert_eq!(read_pages(&app, &filter, &sort, true, 2).await, by_price, "{filter}");
    }
}

async fn cursor_of_an_unpinned_product_continues_the_list(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    let pinned = pin(&app, &admin, "mug", &["tray", "teapot"]).await;
    let next = async |sort: Value| {
        let first =
            app.query_with_variables(PAGE, json!({ "filter": { "search": "mug" }, "first": 1, "sort": sort })).await;
        first.data_at("/products/pageInfo/endCursor").clone()
    };
    let cursor = next(Value::Null).await;
    let all = app.query_with_variables(
        PAGE,
        json!({ "filter": { "search": "mug" }, "last": 1, "sort": { "field": "RELEVANCE", "reverse": true } }),
    );
    let last = all.await.data_at("/products/pageInfo/endCursor").clone();
    app.query_as(&admin, DELETE, json!({ "id": pinned["id"] })).await;
    let page = async |variables: Value| {
        let response = app.query_with_variables(PAGE, variables).await;
        response.strings_at("/products/nodes", "slug")
    };
    let filter = json!({ "search": "mug" });
    assert_eq!(page(json!({ "filter": filter, "after": cursor, "first": 50 })).await, MATCHES);
    let sort = json!({ "field": "RELEVANCE", "reverse": true });
    let after_last = page(json!({ "filter": filter, "after": last, "first": 50, "sort": sort })).await;
    assert_eq!(after_last, Vec::<String>::new());
    assert_eq!(page(json!({ "filter": filter, "before": cursor, "last": 50 })).await, Vec::<String>::new());
}

async fn pinned_products_cost_no_further_statement(backend: Backend) {
    const LIST: &str = "{ products(filter: { search: \"mug\" }, first: 5) { totalCount nodes { slug }
        facets { vendors { value } } } }";
    let (app, admin) = start_mug_shop(backend).await;
    let before = app.query(LIST).await.statements;
    pin(&app, &admin, "mug", &["tray", "teapot"]).await;
    assert_eq!(app.query(LIST).await.statements, before);
}

async fn search_pin_is_created_updated_and_deleted(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    let created = pin(&app, &admin, " Tea Time ", &["teapot", "secret"]).await;
    let id = created["id"].clone();
    let products = json!([{ "slug": "teapot" }, { "slug": "secret" }]);
    assert_eq!(created, json!({ "id": id, "version": 1, "query": "Tea Time", "products": products }));
    let update = async |input: Value, version: Value| {
        app.query_as(&admin, UPDATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let tray = product_id(&app, "tray").await;
    let changed = update(json!({ "productIds": [tray] }), json!(1)).await;
    let expected = json!({ "version": 2, "query": "Tea Time", "products": [{ "slug": "tray" }] });
    assert_eq!(changed.data_at("/searchPinUpdate/searchPin"), &expected);
    assert_eq!(search(&app, "tea time").await[0], "tray");
    assert_eq!(update(json!({}), Value::Null).await.data_at("/searchPinUpdate/searchPin"), &expected);
    let conflict = [("VERSION_CONFLICT".to_owned(), "expectedVersion".to_owned())];
    assert_eq!(update(json!({ "query": "x" }), json!(1)).await.user_errors("searchPinUpdate"), conflict);
    pin(&app, &admin, "breakfast", &["mug"]).await;
    let taken = update(json!({ "query": "Breakfast!" }), Value::Null).await;
    assert_eq!(taken.user_errors("searchPinUpdate"), [("ALREADY_EXISTS".into(), "input.query".into())]);
    let list = app.query_as(&admin, "{ searchPins { totalCount nodes { query products { slug } } } }", json!({})).await;
    assert_eq!(list.strings_at("/searchPins/nodes", "query"), ["breakfast", "Tea Time"]);
    assert_eq!(list.data_at("/searchPins/totalCount"), &json!(2));
    let node = "query($id: ID!) { node(id: $id) { ... on SearchPin { query } } }";
    assert_eq!(app.query_as(&admin, node, json!({ "id": id })).await.data_at("/node/query"), "Tea Time");
    let delete = async |version: i32| app.query_as(&admin, DELETE, json!({ "id": id, "version": version })).await;
    assert_eq!(delete(1).await.user_errors("searchPinDelete"), conflict);
    assert_eq!(delete(2).await.data_at("/searchPinDelete/deletedId"), &id);
    assert_eq!(delete(2).await.user_errors("searchPinDelete"), [("NOT_FOUND".into(), "id".into())]);
    assert!(!search(&app, "tea time").await.contains(&"tray".to_owned()));
    let log = "query($id: ID!) { auditLog(filter: { entityId: $id }) { nodes { action before after } } }";
    let entries = app.query_as(&admin, log, json!({ "id": id })).await;
    let actions = entries.strings_at("/auditLog/nodes", "action");
    assert_eq!(actions, ["search_pin.delete", "search_pin.update", "search_pin.create"]);
    assert_eq!(entries.data_at("/auditLog/nodes")[1]["after"], json!({ "products": [tray] }));
}

async fn search_pin_with_invalid_input_reports_all_errors(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    let errors = async |query: &str, ids: Value| {
        let input = json!({ "query": query, "productIds": ids });
        let response = app.query_as(&admin, CREATE, json!({ "input": input })).await;
        let errors = response.user_errors("searchPinCreate").into_iter();
        errors.map(|(code, field)| format!("{code} {field}")).collect::<Vec<_>>()
    };
    let (mug, missing) = (product_id(&app, "mug").await, GlobalId::new(NodeType::Product, 9_999).encode());
    let found = errors("?!", json!([mug, missing, mug])).await;
    let expected =
        ["VALIDATION_ERROR input.query", "NOT_FOUND input.productIds.1", "VALIDATION_ERROR input.productIds.2"];
    assert_eq!(found, expected);
    assert_eq!(errors(&"x ".repeat(13), json!([mug])).await, ["VALIDATION_ERROR input.query"]);
    assert_eq!(errors(&"x".repeat(201), json!([mug])).await, ["VALIDATION_ERROR input.query"]);
    assert_eq!(errors("mug", json!([])).await, ["VALIDATION_ERROR input.productIds"]);
    assert_eq!(errors("mug", json!(["x"])).await, ["VALIDATION_ERROR input.productIds.0"]);
    let many: Vec<String> = vec![mug.clone(); 21];
    assert_eq!(errors("mug", json!(many)).await[0], "VALIDATION_ERROR input.productIds");
    assert_eq!(errors("mug", json!([mug])).await, Vec::<String>::new());
    assert_eq!(errors("MUG", json!([mug])).await, ["ALREADY_EXISTS input.query"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM search_pin").await, 1);
}

async fn pinned_products_are_for_staff_only(backend: Backend) {
    let (app, admin) = start_mug_shop(backend).await;
    let pinned = pin(&app, &admin, "mug", &["tray"]).await;
    let customer = app.login(Role::Customer).await;
    let input = json!({ "query": "tea", "productIds": [product_id(&app, "mug").await] });
    for (request, variables) in [
        (CREATE, json!({ "input": input })),
        (UPDATE, json!({ "id": pinned["id"], "input": input })),
        (DELETE, json!({ "id": pinned["id"] })),
        ("{ searchPins { nodes { id } } }", json!({})),
    ] {
        assert_eq!(app.query_as(&customer, request, variables.clone()).await.error_code(), "FORBIDDEN");
        assert_eq!(app.query_with_variables(request, variables).await.error_code(), "UNAUTHENTICATED");
    }
    let node = "query($id: ID!) { node(id: $id) { id } }";
    assert_eq!(app.query_as(&customer, node, json!({ "id": pinned["id"] })).await.data_at("/node"), &Value::Null);
}
