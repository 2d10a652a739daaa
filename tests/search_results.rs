//! What searches answer, in several languages and for hostile texts, and how much of the database they read for it.

use savannah::base::{Patch, pagination::PageRequest};
use savannah::catalog::{
    CatalogFilter, CategoryTree,
    find::{self, ProductWindow},
    product,
    product_queries::{ProductSort, ProductSortKey},
    projection::ProductColumns,
    queries::search_pages::build_search_page,
    search::{rules::SearchRules, way::SearchWays},
    write::OptionInput,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    searches_in_nine_languages_answer_the_same_first_products,
    hostile_search_texts_are_answered_with_few_statements,
    rows_of_search_follow_their_products,
    pages_of_searches_read_a_bounded_number_of_blocks,
];

const FIRST_PRODUCTS: &str =
    "query($search: String) { products(first: 5, filter: { search: $search }) { nodes { name } } }";

async fn search_names(app: &TestApp, search: &str) -> Vec<String> {
    let response = app.query_with_variables(FIRST_PRODUCTS, json!({ "search": search })).await;
    response.strings_at("/products/nodes", "name")
}

/// Names of products, created in this order; the newest of a tier is first.
const NAMES: [&str; 34] = [
    // English, Swahili.
    "Copper Kettle",
    "Kettle",
    "Kettle Stand",
    "Tea and a Kettle",
    "Men’s Shirt",
    "Kikapu cha kiondo",
    "Kikapu",
    "Ng'ombe wa mbao",
    // German, French, Polish, Danish.
    "Straßenkarte Köln",
    "Karte",
    "Öl aus Köln",
    "L’arbre à chat",
    "Chat en bois",
    "Crème brûlée",
    "Łóżko dziecięce",
    "Łóżko",
    "Rødgrød",
    "Grød med rød saft",
    // Turkish.
    "Işık lamba",
    "İpek ışık",
    "Isik",
    // Hindi.
    "टोकरी",
    "बड़ी टोकरी",
    "टोकरा",
    // Chinese, Japanese, Korean.
    "陶瓷杯",
    "陶瓷",
    "蓝色陶瓷碗",
    "不锈钢杯",
    "ガラス",
    "ガラスの水筒",
    "カラス",
    "무선 이어폰",
    "이어폰",
    "이어폰 케이스",
];

/// Searches with their first five products.
const GOLDEN: [(&str, &[&str]); 33] = [
    ("kettle", &["Kettle", "Kettle Stand", "Tea and a Kettle", "Copper Kettle"]),
    ("ket", &["Kettle Stand", "Kettle", "Tea and a Kettle", "Copper Kettle"]),
    ("stand kettle", &["Kettle Stand"]),
    ("kettel", &["Tea and a Kettle", "Kettle Stand", "Kettle", "Copper Kettle"]),
    ("mens shirt", &["Men’s Shirt"]),
    ("g1", &["Kettle", "İpek ışık", "Işık lamba", "Grød med rød saft", "Rødgrød"]),
    ("kikapu", &["Kikapu", "Kikapu cha kiondo"]),
    ("kiondo kikapu", &["Kikapu cha kiondo"]),
    ("ngombe", &["Ng'ombe wa mbao"]),
    ("strassenkarte", &["Straßenkarte Köln"]),
    ("köln", &["Öl aus Köln", "Straßenkarte Köln"]),
    ("karte", &["Karte"]),
    ("chat", &["Chat en bois", "L’arbre à chat"]),
    ("l'arbre", &["L’arbre à chat"]),
    ("creme brulee", &["Crème brûlée"]),
    ("lozko", &["Łóżko", "Łóżko dziecięce"]),
    ("ŁÓŻKO DZIE", &["Łóżko dziecięce"]),
    ("rod", &["Rødgrød", "Grød med rød saft"]),
    ("grød", &["Grød med rød saft"]),
    ("isik", &["Isik", "Işık lamba", "İpek ışık"]),
    ("IŞIK", &["Isik", "Işık lamba", "İpek ışık"]),
    ("टोकरी", &["टोकरी", "बड़ी टोकरी"]),
    ("टोकर", &["टोकरा", "टोकरी", "बड़ी टोकरी"]),
    ("陶瓷", &["陶瓷", "陶瓷杯", "蓝色陶瓷碗"]),
    ("不锈钢", &["不锈钢杯"]),
    ("杯", &["不锈钢杯", "陶瓷杯"]),
    ("ガラス", &["ガラス", "ガラスの水筒"]),
    ("ｶﾞﾗｽ", &["ガラス", "ガラスの水筒"]),
    ("水筒", &["ガラスの水筒"]),
    ("이어폰", &["이어폰", "이어폰 케이스", "무선 이어폰"]),
    ("무선", &["무선 이어폰"]),
    ("어폰", &["이어폰 케이스", "이어폰", "무선 이어폰"]),
    ("zzzz", &[]),
];

async fn searches_in_nine_languages_answer_the_same_first_products(backend: Backend) {
    let app = TestApp::start(backend).await;
    let product_inputs: Vec<_> =
        NAMES.iter().enumerate().map(|(n, name)| simple_product(&format!("g{n}"), name, 10)).collect();
    app.save_products(&product_inputs).await;
    for (search, expected) in GOLDEN {
        assert_eq!(search_names(&app, search).await, expected, "{search}");
    }
}

async fn hostile_search_texts_are_answered_with_few_statements(backend: Backend) {
    const LIST: &str = "query($search: String) { products(first: 20, filter: { search: $search }) {
        totalCount nodes { name } facets { vendors { value } tags { value } } } }";
    let app = TestApp::start(backend).await;
    let mut product_inputs: Vec<_> = (0..40)
        .map(|n| simple_product(&format!("m{n}"), &format!("Mug {n} a b c \u{5e9}\u{5dc}\u{5d5}\u{5dd}"), 10))
        .collect();
    product_inputs[0].tags = Patch::Set(vec!["mug".into()]);
    app.save_products(&product_inputs).await;
    let one_letter_words = "a b c ".repeat(33);
    let mixed_directions = "mug \u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202c}mug \u{200f}\u{5e9}\u{5dc}";
    for (search, is_found) in [
        (one_letter_words.as_str(), true),
        (mixed_directions, true),
        (&"mug ".repeat(50), true),
        (&"q".repeat(200), false),
        (&"%".repeat(200), false),
        (&"* ".repeat(100), false),
        ("\"mug", true),
        ("'mug\"", true),
        ("mug\" OR \"cup", true),
        ("((((", false),
        ("&&||!!", false),
        ("mug:* & !cup", true),
        ("\u{7}mug\u{1}", true),
    ] {
        let response = app.query_with_variables(LIST, json!({ "search": search })).await;
        assert!(response.body.get("errors").is_none(), "{search}: {}", response.body);
        let count = response.data_at("/products/totalCount").as_u64().expect("a count");
        assert_eq!(count > 0, is_found, "{search}: {count}");
        // Spelling, whether a product has all words, the page, the count and the facets, whatever is found.
        assert!(response.statements <= 5, "{search}: {}", response.statements);
    }
    // What is too long is an error that names the field.
    for search in ["word ".repeat(1_000), "y".repeat(201), "y".repeat(100_000)] {
        let response = app.query_with_variables(LIST, json!({ "search": search })).await;
        response.assert_error_field("filter.search");
        assert_eq!(response.statements, 0);
    }
    let body = json!({ "query": LIST, "variables": { "search": "y".repeat(1 << 20) } });
    let status = app.post_graphql(body).await.status().as_u16();
    assert!((400..500).contains(&status) || status == 200, "{status}");
}

async fn rows_of_search_follow_their_products(backend: Backend) {
    if backend == Backend::Sqlite {
        // Its index has words only; there is no copy that could differ.
        return;
    }
    let app = TestApp::start_with_demo_catalog(backend).await;
    // Nothing is boosted, so that products are ranked by their creation.
    let difference = "SELECT (SELECT count(*) FROM product_search_difference)
        + (SELECT count(*) FROM product_search_name AS n LEFT JOIN product AS p ON p.id = n.product_id
            WHERE n.ranked_at IS DISTINCT FROM p.created_at)";
    let count = async || crate::support::query_scalar(&app.db, difference).await;
    assert!(crate::support::query_scalar(&app.db, "SELECT count(*) FROM product_search_name").await > 10);
    assert_eq!(count().await, 0);
    app.save_products(&[simple_product("jug", "A jug", 10), simple_product("other", "Another", 10)]).await;
    app.save_products(&[simple_product("jug", "Entirely renamed", 10)]).await;
    assert_eq!(count().await, 0);
    assert_eq!(search_names(&app, "entirely").await, ["Entirely renamed"]);
    for (vendor, tags, color) in
        [("Acme", vec!["Old", "red"], "Red"), ("ACME", vec!["new"], "Blue"), ("", vec![], "Red")]
    {
        let mut jug = simple_product("jug", "A jug", 10);
        jug.vendor = Patch::Set(vendor.into());
        jug.tags = Patch::Set(tags.into_iter().map(Into::into).collect());
        jug.options = Patch::Set(vec![OptionInput::from("Color".to_owned())]);
        jug.variants[0].options = Patch::Set(vec![color.into()]);
        app.save_products(&[jug]).await;
        assert_eq!(count().await, 0, "{color}");
    }
    for change in [
        "in_stock = NOT in_stock",
        "sale_price = NULL, current_price = price, max_current_price = price, discount_percent = 0",
        "featured = NOT featured",
        "status = 'archived'",
        "deleted_at = now()",
        "status = 'active', deleted_at = NULL",
        "category_id = (SELECT MIN(id) FROM category WHERE deleted_at IS NULL)",
        "category_id = (SELECT MAX(id) FROM category WHERE deleted_at IS NULL), in_stock = NOT in_stock",
    ] {
        app.execute_sql(&format!("UPDATE product SET {change}")).await.expect("a change");
        assert_eq!(count().await, 0, "{change}");
    }
    app.execute_sql("UPDATE variant SET deleted_at = updated_at WHERE id % 3 = 0").await.expect("deleted variants");
    assert_eq!(count().await, 0);
    app.execute_sql("UPDATE product SET created_at = created_at - interval '1 day' WHERE id % 2 = 0")
        .await
        .expect("moved");
    assert_eq!(count().await, 0);
    app.execute_sql("DELETE FROM product WHERE id % 3 = 0 AND id NOT IN (SELECT product_id FROM variant WHERE id IN (SELECT variant_id FROM cart_line))")
        .await
        .expect("a deletion");
    assert_eq!(count().await, 0);
}

/// Twenty thousand products in one statement: a tenth has each of ten nouns in its name, a hundredth is of copper, the
/// oldest are antique, all are handmade, and a product of a thousand is rare.
const GENERATE_SHOP: [&str; 3] = [
    "INSERT INTO product (id, slug, name, name_normalized, category_id, status, featured, sku, price, current_price,
        max_current_price, discount_percent, in_stock, ranked_at, created_at, updated_at)
     SELECT g, 'p' || g, name, lower(name), 1, 'active', false, 'S' || g, 100, 100, 100, 0, true,
        at, at, now()
     FROM (SELECT g, 'Item' || g || ' ' || (ARRAY['basket','lamp','chair','table','mug','bowl','rug','shelf','clock',
        'vase'])[1 + g % 10] || CASE WHEN g % 100 = 7 THEN ' copper' ELSE '' END
        || CASE WHEN (g * 7919) % 20000 < 2000 THEN ' antique' ELSE '' END
        || CASE WHEN g % 1000 = 3 THEN ' rare' ELSE '' END AS name,
        '2026-01-01'::timestamptz + ((g * 7919) % 20000) * interval '1 minute' AS at FROM generate_series(1, 20000) AS g) AS shop",
    "INSERT INTO product_search (product_id, name, document)
     SELECT id, array_to_tsvector(ARRAY(SELECT DISTINCT unnest(string_to_array(name_normalized, ' ')))),
        array_to_tsvector(ARRAY(SELECT DISTINCT unnest(string_to_array(
            name_normalized || ' handmade in the town w' || id % 500 || ' x' || id % 700 || ' y' || id % 900, ' '))))
     FROM product",
    "ANALYZE",
];

/// Returns the blocks that the first page of a search reads.
async fn count_blocks(app: &TestApp, ways: &SearchWays, search: &str, sort_key: ProductSortKey) -> i64 {
    let tree = CategoryTree::load(&app.db).await.expect("a tree");
    let filter = CatalogFilter { search: Some(search.to_owned()), ..CatalogFilter::default() };
    let filter = filter.resolve(&app.db, &tree, &SearchRules::default()).await.expect("a filter");
    let request = PageRequest { size: 24, backwards: false, cursor: None };
    let sort = ProductSort { sort_key, reverse: false };
    let window = ProductWindow { sort, request: &request, columns: ProductColumns::from([product::Column::Id]) };
    let page = build_search_page(DbBackend::Postgres, ways, &filter, &window).expect("a page").expect("a statement");
    let explain =
        Statement { sql: format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {}", page.sql), ..page };
    let row = app.db.query_one_raw(explain).await.expect("a plan").expect("a row");
    let plan: Value = row.try_get_by(0).expect("JSON");
    let blocks = ["Shared Hit Blocks", "Shared Read Blocks"].into_iter();
    let count = blocks.map(|name| plan[0]["Plan"][name].as_i64().expect("a number")).sum();
    // The next page of the same search is built from what this one learned.
    find::find_page(&app.db, ways, &filter, &window).await.expect("a page");
    count
}

async fn pages_of_searches_read_a_bounded_number_of_blocks(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let app = TestApp::start(backend).await;
    app.create_categories(std::iter::once(vec!["Things".to_owned()])).await;
    for statement in GENERATE_SHOP {
        app.execute_sql(statement).await.expect("a shop");
    }
    let ways = SearchWays::default();
    // The blocks of the first page when nothing is known of the search, and when it is known what to gather. All products
    // and their documents are 2,000 blocks, and a lookup of a product or document by its id reads three.
    for (search, sort_key, first_maximum, known_maximum) in [
        ("basket", ProductSortKey::Relevance, 1_000, 500),
        ("ba", ProductSortKey::Relevance, 1_000, 500),
        ("copper", ProductSortKey::Relevance, 900, 450),
        // In no name, in every text.
        ("handmade", ProductSortKey::Relevance, 900, 350),
        ("rare", ProductSortKey::Relevance, 800, 300),
        // In the oldest names only.
        ("antique", ProductSortKey::Relevance, 6_500, 450),
        ("item77", ProductSortKey::Relevance, 800, 300),
        ("zzz", ProductSortKey::Relevance, 100, 100),
        ("basket", ProductSortKey::Price, 1_300, 1_000),
        ("handmade", ProductSortKey::Newest, 300, 250),
        ("rare", ProductSortKey::Newest, 250, 250),
    ] {
        let first = count_blocks(&app, &ways, search, sort_key).await;
        let known = count_blocks(&app, &ways, search, sort_key).await;
        println!("{search} {sort_key:?}: {first} blocks, then {known}");
        assert!(first <= first_maximum, "{search} {sort_key:?}: {first} blocks");
        assert!(known <= known_maximum, "{search} {sort_key:?}: {known} blocks when known");
    }
}
