//! Suggestions for a search box, and the corrections that a search reports.

use savannah::{
    base::Patch,
    catalog::{CategoryInput, ProductPatch, PublicationStatus},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    suggestions_are_products_categories_and_completed_terms,
    misspelled_word_is_suggested_corrected,
    unpublished_products_are_not_suggested,
    suggestion_input_is_bounded,
    suggestions_cost_a_constant_number_of_statements,
    list_search_reports_corrections,
    correction_of_an_unpublished_product_is_shown_to_staff_only,
];

const SUGGEST: &str = "query($query: String!, $first: Int! = 10) { searchSuggest(query: $query, first: $first) {
    queries products { slug name price availability { available } featuredImage { url } } categories { slug } } }";

const SEARCH: &str = "query($search: String) { products(filter: { search: $search }) {
    search { query words corrected { word replacements } correctedQuery } nodes { slug } } }";

async fn save_shop(app: &TestApp) {
    let in_category = |slug: &str, name: &str, path: &[&str]| ProductPatch {
        category: Patch::Set(CategoryInput::Path(path.iter().map(|part| (*part).to_owned()).collect())),
        ..simple_product(slug, name, 10)
    };
    app.save_products(&[
        in_category("kettle", "Copper Kettle", &["Kitchen", "Kettles"]),
        in_category("kettle-large", "Large Kettle", &["Kitchen", "Kettles"]),
        in_category("kettlebell", "Kettlebell Crème 8 kg", &["Sport"]),
        in_category("pan", "Copper Pan", &["Kitchen"]),
    ])
    .await;
}

async fn suggest(app: &TestApp, query: &str) -> Value {
    app.query_with_variables(SUGGEST, json!({ "query": query })).await.data_at("/searchSuggest").clone()
}

fn slugs(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item["slug"].as_str().expect("a slug")).collect()
}

async fn suggestions_are_products_categories_and_completed_terms(backend: Backend) {
    let app = TestApp::start(backend).await;
    save_shop(&app).await;
    let found = suggest(&app, "KET").await;
    assert_eq!(found["queries"], json!(["kettle", "kettlebell"]));
    assert_eq!(slugs(&found["products"]), ["kettlebell", "kettle-large", "kettle"]);
    assert_eq!(slugs(&found["categories"]), ["kettles"]);
    let found = suggest(&app, "copper ket").await;
    assert_eq!(found["queries"], json!(["copper kettle"]));
    assert_eq!(slugs(&found["products"]), ["kettle"]);
    // The term as it is written, found without accents.
    assert_eq!(suggest(&app, "kettlebell creme").await["queries"], json!([]));
    assert_eq!(suggest(&app, "kettlebell cr").await["queries"], json!(["kettlebell crème"]));
    // Categories need all words, in any order.
    assert_eq!(slugs(&suggest(&app, "kit").await["categories"]), ["kitchen"]);
    assert_eq!(slugs(&suggest(&app, "kitchen sport").await["categories"]), Vec::<&str>::new());
    for nothing in ["", " - ", "zebra"] {
        assert_eq!(suggest(&app, nothing).await, json!({ "queries": [], "products": [], "categories": [] }));
    }
}

async fn misspelled_word_is_suggested_corrected(backend: Backend) {
    let app = TestApp::start(backend).await;
    save_shop(&app).await;
    let found = suggest(&app, "coper kettel").await;
    assert_eq!(found["queries"], json!(["copper kettle"]));
    assert_eq!(slugs(&found["products"]), ["kettle"]);
    // No product has both words, but each has one.
    assert_eq!(suggest(&app, "kettel pan").await["queries"], json!(["kettle pan"]));
    // Without a product there is nothing to search for instead.
    assert_eq!(suggest(&app, "zebra giraffe").await["queries"], json!([]));
}

async fn unpublished_products_are_not_suggested(backend: Backend) {
    let app = TestApp::start(backend).await;
    let draft = ProductPatch {
        status: Patch::Set(PublicationStatus::Draft),
        ..simple_product("secret", "Kettledrum Prototype", 10)
    };
    app.save_products(&[draft]).await;
    save_shop(&app).await;
    let staff = app.login(Role::Staff).await;
    for query in ["kettledrum", "kettl", "protot", "prototipe"] {
        for token in [None, Some(staff.as_str())] {
            let response = app.query_maybe_as(token, SUGGEST, json!({ "query": query })).await;
            assert!(!response.data_at("/searchSuggest").to_string().contains("drum"), "{query}: {}", response.body);
            assert!(!response.data_at("/searchSuggest").to_string().contains("protot"), "{query}: {}", response.body);
        }
    }
}

async fn suggestion_input_is_bounded(backend: Backend) {
    let app = TestApp::start(backend).await;
    save_shop(&app).await;
    for (query, first, field) in [("x".repeat(201), 10, "query"), ("x".into(), 21, "first"), ("x".into(), -1, "first")]
    {
        let response = app.query_with_variables(SUGGEST, json!({ "query": query, "first": first })).await;
        response.assert_error_field(field);
    }
    let one = app.query_with_variables(SUGGEST, json!({ "query": "ke", "first": 1 })).await;
    let one = one.data_at("/searchSuggest");
    assert_eq!((&one["queries"], slugs(&one["products"]).len()), (&json!(["kettle"]), 1));
    suggest(&app, &"ab ".repeat(66)).await;
}

async fn suggestions_cost_a_constant_number_of_statements(backend: Backend) {
    let app = TestApp::start(backend).await;
    let query = async |text: &str| app.query_with_variables(SUGGEST, json!({ "query": text })).await;
    save_shop(&app).await;
    // The spelling, the products, the corrections to be shown, stock and images.
    assert_eq!(query("kettel").await.statements, 5);
    assert_eq!(query("kett").await.statements, 4);
    assert_eq!(query("ket").await.statements, 3);
    let more: Vec<_> = (0..30).map(|n| simple_product(&format!("k{n}"), &format!("Kettle {n}"), 10)).collect();
    app.save_products(&more).await;
    assert_eq!(query("kettel").await.statements, 5);
    assert_eq!(query("ket").await.statements, 3);
    let categories = app.query("{ searchSuggest(query: \"ket\") { categories { slug } } }").await;
    assert_eq!(categories.statements, 1);
}

async fn list_search_reports_corrections(backend: Backend) {
    let app = TestApp::start(backend).await;
    save_shop(&app).await;
    let search = async |search: Value| {
        let response = app.query_with_variables(SEARCH, json!({ "search": search })).await;
        (response.data_at("/products/search").clone(), response.statements)
    };
    assert_eq!(search(Value::Null).await, (Value::Null, 1));
    let expected = json!({ "query": "Coper Kettles", "words": ["copper", "kettle"], "correctedQuery": "copper kettle",
        "corrected": [{ "word": "coper", "replacements": ["copper"] },
            { "word": "kettles", "replacements": ["kettle"] }] });
    // The spelling, the corrections to be shown and the page.
    assert_eq!(search(json!("Coper Kettles")).await, (expected, 4));
    let expected = json!({ "query": "Copper", "words": ["copper"], "corrected": [], "correctedQuery": null });
    assert_eq!(search(json!("Copper")).await, (expected, 2));
    let expected = json!({ "query": "zebra", "words": ["zebra"], "corrected": [], "correctedQuery": null });
    assert_eq!(search(json!("zebra")).await, (expected, 2));
    let expected = json!({ "query": " ?", "words": [], "corrected": [], "correctedQuery": null });
    assert_eq!(search(json!(" ?")).await.0, expected);
}

async fn correction_of_an_unpublished_product_is_shown_to_staff_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let draft =
        ProductPatch { status: Patch::Set(PublicationStatus::Draft), ..simple_product("secret", "Prototype", 10) };
    app.save_products(&[draft]).await;
    let staff = app.login(Role::Staff).await;
    let variables = json!({ "search": "prototipe" });
    let shopper = app.query_with_variables(SEARCH, variables.clone()).await;
    assert_eq!(shopper.data_at("/products/search/corrected"), &json!([]));
    assert_eq!(shopper.data_at("/products/search/words"), &json!(["prototipe"]));
    let corrected = app.query_as(&staff, SEARCH, variables).await;
    assert_eq!(corrected.data_at("/products/search/correctedQuery"), "prototype");
}
