//! Searching: the same words find the same products on both databases.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use savannah::{
    base::Patch,
    catalog::{ProductPatch, PublicationStatus},
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, TestApp,
        catalog_model::{ModelFilter, ModelProduct, SeededRng, index_words},
        simple_product,
    },
};

integration_tests![
    words_and_prefixes_match_the_model,
    search_requires_all_words,
    search_without_a_product_of_all_words_matches_any,
    search_ignores_case_and_accents,
    typo_in_a_word_is_corrected,
    known_word_is_not_corrected,
    match_in_the_name_ranks_first,
    exact_sku_match_ranks_first,
    search_matches_all_indexed_product_fields,
    search_operators_are_treated_as_text,
    letters_of_every_script_are_searchable,
    changed_product_is_searchable_at_once,
    long_search_terms_are_answered,
];

const SEARCH_PRODUCTS: &str =
    "query($search: String) { products(first: 100, filter: { search: $search }) { totalCount nodes { slug } } }";

/// The slugs that a search finds, in order.
async fn search_slugs(app: &TestApp, search: &str) -> Vec<String> {
    app.query_with_variables(SEARCH_PRODUCTS, json!({ "search": search })).await.strings_at("/products/nodes", "slug")
}

async fn words_and_prefixes_match_the_model(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let words: Vec<String> = products
        .iter()
        .flat_map(|product| product.indexed_words.iter().cloned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut rng = SeededRng(7);
    for round in 0..150 {
        let mut search = rng.pick(&words).clone();
        if round % 3 == 0 && search.chars().count() > 3 {
            search = search.chars().take(2 + rng.next_below(2)).collect();
        } else if round % 3 == 1 {
            let other: Vec<_> = rng.pick(&products).indexed_words.iter().collect();
            search = format!("{search} {}", rng.pick(&other));
        }
        let filter = ModelFilter { search: Some(search.clone()), ..ModelFilter::default() };
        let mut expected = filter.sorted_slugs(&products, "RELEVANCE", false);
        let response = app.query_with_variables(SEARCH_PRODUCTS, json!({ "search": search })).await;
        if expected.is_empty() {
            let has_any = |product: &&ModelProduct| search.split(' ').any(|word| product.matches_search(word));
            assert_eq!(response.data_at("/products/totalCount"), products.iter().filter(has_any).count(), "{search}");
            continue;
        }
        assert_eq!(response.data_at("/products/totalCount"), &json!(expected.len()), "{search}");
        expected.truncate(100);
        assert_eq!(response.strings_at("/products/nodes", "slug"), expected, "{search}");
    }
}

async fn search_requires_all_words(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    assert_eq!(search_slugs(&app, "mug glazed nairobi").await, ["mug"]);
    assert_eq!(search_slugs(&app, "nairobi mug").await, ["mug"]);
    assert_eq!(search_slugs(&app, "mug stoneware terracotta").await, ["mug"]);
}

async fn search_without_a_product_of_all_words_matches_any(backend: Backend) {
    const RELAXED: &str = "query($filter: ProductFilter) { products(first: 100, filter: $filter) {
        totalCount nodes { slug } facets { tags { value count } }
        search { matchesAny dropped words corrected { word } correctedQuery } } }";
    let app = TestApp::start(backend).await;
    let mut teapot = simple_product("teapot", "Blue Teapot", 10);
    teapot.tags = Patch::Set(vec!["porcelain".into()]);
    let mut draft = simple_product("draft", "Red Teapot Zebra", 10);
    draft.status = Patch::Set(PublicationStatus::Draft);
    let products = [simple_product("kettle", "Red Kettle", 10), teapot, simple_product("rug", "Wool Rug", 10), draft];
    app.save_products(&products).await;
    let search = async |filter: Value| app.query_with_variables(RELAXED, json!({ "filter": filter })).await;
    // The name has all words; then any.
    let all = search(json!({ "search": "red kettle" })).await;
    assert_eq!(all.strings_at("/products/nodes", "slug"), ["kettle"]);
    assert_eq!(all.data_at("/products/search/matchesAny"), false);
    let any = search(json!({ "search": "red teapot" })).await;
    assert_eq!(any.strings_at("/products/nodes", "slug"), ["teapot", "kettle"]);
    assert_eq!(any.data_at("/products/totalCount"), 2);
    assert_eq!(*any.data_at("/products/facets/tags"), json!([{ "value": "porcelain", "count": 1 }]));
    assert_eq!(any.data_at("/products/search/matchesAny"), true);
    assert_eq!(*any.data_at("/products/search/dropped"), json!([]));
    // Words that no visible product has are dropped; others are corrected.
    let dropped = search(json!({ "search": "zebra kettel" })).await;
    assert_eq!(dropped.strings_at("/products/nodes", "slug"), ["kettle"]);
    let expected = json!({ "matchesAny": true, "dropped": ["zebra"], "words": ["zebra", "kettle"],
        "corrected": [{ "word": "kettel" }], "correctedQuery": "kettle" });
    assert_eq!(*dropped.data_at("/products/search"), expected);
    // Other conditions do not change what a search means: no red product is of porcelain.
    let filtered = search(json!({ "search": "red kettle", "tags": { "any": ["porcelain"] } })).await;
    assert_eq!(filtered.data_at("/products/totalCount"), 0);
    assert_eq!(filtered.data_at("/products/search/matchesAny"), false);
    let nothing = search(json!({ "search": "zebra giraffe" })).await;
    assert_eq!(nothing.data_at("/products/totalCount"), 0);
    assert_eq!(nothing.data_at("/products/search/matchesAny"), false);
}

async fn search_ignores_case_and_accents(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut other = simple_product("other", "NANDU GIROS", 10);
    other.vendor = Patch::Set("Ælf & ﬁne".into());
    app.save_products(&[
        simple_product("cafe", "Café CRÈME brûlée", 10),
        other,
        simple_product("istanbul", "İSTANBUL Straße", 10),
    ])
    .await;
    for search_term in ["cafe creme", "CAFÉ", "crème", "BRULEE", "cafe\u{301}"] {
        assert_eq!(search_slugs(&app, search_term).await, ["cafe"], "{search_term}");
    }
    assert_eq!(search_slugs(&app, "ñandú").await, ["other"]);
    assert_eq!(search_slugs(&app, "FINE æLF").await, ["other"]);
    assert_eq!(search_slugs(&app, "istanbul").await, ["istanbul"]);
    assert_eq!(search_slugs(&app, "straße").await, ["istanbul"]);
}

async fn typo_in_a_word_is_corrected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let names = ["Chair", "Shirt", "Lamp", "Headphones", "Kettle", "Blanket", "Kitchenware", "Table"];
    let product_inputs: Vec<_> = names.iter().map(|name| simple_product(&name.to_lowercase(), name, 10)).collect();
    app.save_products(&product_inputs).await;
    let typos = [
        ("chiar", "chair"),
        ("shrit", "shirt"),
        ("lapm", "lamp"),
        ("lump", "lamp"),
        ("headfones", "headphones"),
        ("haedphoens", "headphones"),
        ("kettel", "kettle"),
        ("blamket", "blanket"),
        ("blanketts", "blanket"),
        ("kithcenwar", "kitchenware"),
        ("tabel", "table"),
        ("tabke", "table"),
    ];
    for (search_term, expected) in typos {
        assert_eq!(search_slugs(&app, search_term).await, [expected], "{search_term}");
    }
    assert_eq!(search_slugs(&app, "zebra").await, Vec::<String>::new());
    assert_eq!(search_slugs(&app, "lap tabel").await, ["table"]);
}

async fn known_word_is_not_corrected(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("chair", "Chair", 10), simple_product("choir", "Choirbook", 10)]).await;
    assert_eq!(search_slugs(&app, "choir").await, ["choir"]);
    assert_eq!(search_slugs(&app, "chair").await, ["chair"]);
    // Two words are as near, one of them a name: both are meant, the name first.
    assert_eq!(search_slugs(&app, "chzir").await, ["chair", "choir"]);
}

async fn match_in_the_name_ranks_first(backend: Backend) {
    let app = TestApp::start(backend).await;
    let described = ProductPatch {
        description: Patch::Set("<p>Goes with a copper pot.</p>".into()),
        ..simple_product("lid", "Lid", 10)
    };
    let tagged = ProductPatch { tags: Patch::Set(vec!["copper".into()]), ..simple_product("spoon", "Spoon", 10) };
    let in_name = simple_product("pot", "Large Copper Pot", 10);
    let name_prefix = simple_product("wire", "Copper Wire", 10);
    let exact = simple_product("copper", "Copper", 10);
    // Made in this order, the newest would come last.
    app.save_products(&[exact, name_prefix, in_name, tagged, described]).await;
    assert_eq!(search_slugs(&app, "copper").await, ["copper", "wire", "pot", "lid", "spoon"]);
    assert_eq!(search_slugs(&app, "copp").await, ["wire", "copper", "pot", "lid", "spoon"]);
}

async fn exact_sku_match_ranks_first(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut exact_match = simple_product("wanted", "Something", 10);
    exact_match.variants[0].sku = Patch::Set("AB-12".into());
    let mut longer = simple_product("longer", "Something else", 10);
    longer.variants[0].sku = Patch::Set("AB-123".into());
    app.save_products(&[exact_match, longer, simple_product("named", "The AB 12 holder", 10)]).await;
    assert_eq!(search_slugs(&app, "AB-12").await, ["wanted", "named", "longer"]);
    assert_eq!(search_slugs(&app, " ab-12 ").await, ["wanted", "named", "longer"]);
    assert_eq!(search_slugs(&app, "ab-123").await, ["longer"]);
}

async fn search_matches_all_indexed_product_fields(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    for (search_term, slug) in [
        ("kiondo", "kiondo-basket"),
        ("sisal", "kiondo-basket"),
        ("jewellery statement", "beaded-collar"),
        ("BAS-KIO-L-IND", "kiondo-basket"),
        ("kitui indigo", "kiondo-basket"),
        ("cherry honey", "kirinyaga-peaberry"),
        ("2–3 years", "kids-lion-t-shirt"),
    ] {
        assert!(search_slugs(&app, search_term).await.contains(&slug.to_owned()), "{search_term}");
    }
    // What is not for everybody to see is not found, and its tags do not leak.
    for hidden in ["duffel", "printed park map", "script", "strong"] {
        let slugs = search_slugs(&app, hidden).await;
        assert!(!slugs.iter().any(|slug| slug == "canvas-duffel" || slug == "paper-safari-map"), "{hidden}: {slugs:?}");
    }
}

async fn search_operators_are_treated_as_text(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let mug = search_slugs(&app, "mug").await;
    assert_eq!(mug.len(), 3, "{mug:?}");
    for search_term in
        ["-mug", "mug*", "\"mug\"", "mug:*", "'mug'", "(mug", "mug)", "^mug", "+mug", "!mug", "mug\\", "~mug"]
    {
        assert_eq!(search_slugs(&app, search_term).await, mug, "{search_term}");
    }
    for search_term in [
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        "NEAR(mug coffee, 2)",
        "'",
        "''",
        "\"",
        "&|!",
        "*",
        "a:*",
        "<->",
        "mug <-> cup",
        "\\",
        "%",
        "_",
        "mug AND NOT coffee",
        "rowid:1",
        "{name} : mug",
        "name:mug",
        ":",
        "()",
        "👩‍🚀",
        "🅰",
        "a🅰b",
        "mug 🅰",
        "\u{200d}",
        "\u{301}",
        "𐵐𐵑",
    ] {
        let response = app.query_with_variables(SEARCH_PRODUCTS, json!({ "search": search_term })).await;
        assert!(response.body.get("errors").is_none(), "{search_term}: {}", response.body);
    }
    for missing in ["", " ", "\t\n", "&|!", "''", "\u{301}"] {
        assert_eq!(search_slugs(&app, missing).await, Vec::<String>::new(), "{missing:?}");
    }
}

async fn letters_of_every_script_are_searchable(backend: Backend) {
    let app = TestApp::start(backend).await;
    let names = ["чайник", "ถ้วย", "カップ麺", "हिन्दी", "كوب", "a🅰b", "𐵐𐵑", "Ⅷ", "½ pint", "x²y", "ꭓꭓꭓ", "𞤀𞤣𞤤"];
    let product_inputs: Vec<_> =
        names.iter().enumerate().map(|(n, name)| simple_product(&format!("p{n}"), name, 10)).collect();
    app.save_products(&product_inputs).await;
    for (n, name) in names.iter().enumerate() {
        let slugs = search_slugs(&app, name).await;
        assert_eq!(slugs, [format!("p{n}")], "{name}");
        let start: String = index_words(name).next().expect("a word").chars().take(2).collect();
        assert!(search_slugs(&app, &start).await.contains(&format!("p{n}")), "{start} of {name}");
    }
}

async fn changed_product_is_searchable_at_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let change = async |product_input: ProductPatch| {
        app.clock.set(app.clock.now() + TimeDelta::seconds(1));
        app.save_products(&[product_input]).await;
    };
    let product = |name: &str| ProductPatch { name: Patch::Set(name.into()), ..simple_product("thing", "", 10) };
    change(product("Teapot")).await;
    assert_eq!(search_slugs(&app, "teapot").await, ["thing"]);
    change(product("Kettle")).await;
    assert_eq!(search_slugs(&app, "teapot").await, Vec::<String>::new());
    assert_eq!(search_slugs(&app, "kettle").await, ["thing"]);
    change(ProductPatch { tags: Patch::Set(vec!["whistling".into()]), ..product("Kettle") }).await;
    assert_eq!(search_slugs(&app, "whistling kettle").await, ["thing"]);
    change(ProductPatch { description: Patch::Set("<b>Enamel</b>led".into()), ..product("Kettle") }).await;
    assert_eq!(search_slugs(&app, "enamelled whistling").await, ["thing"]);
    let mut colored_product =
        ProductPatch { options: Patch::Set(vec!["Colour".to_owned().into()]), ..product("Kettle") };
    colored_product.variants[0].options = Patch::Set(vec!["Crimson".into()]);
    change(colored_product).await;
    assert_eq!(search_slugs(&app, "crimson").await, ["thing"]);
    app.execute_sql("DELETE FROM product").await.expect("a deletion");
    assert_eq!(search_slugs(&app, "kettle").await, Vec::<String>::new());
    assert_eq!(app.query("{ products { totalCount } }").await.data_at("/products/totalCount"), &Value::from(0));
}

async fn long_search_terms_are_answered(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long_word = "donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft";
    app.save_products(&[simple_product("long", long_word, 10)]).await;
    assert_eq!(search_slugs(&app, long_word).await, ["long"]);
    assert_eq!(search_slugs(&app, &long_word[..45]).await, ["long"]);
    assert_eq!(search_slugs(&app, &format!("{} x", &long_word[..30])).await, ["long"]);
    assert_eq!(search_slugs(&app, &"do ".repeat(66)).await, ["long"]);
    assert_eq!(search_slugs(&app, &"y".repeat(200)).await, Vec::<String>::new());
}
