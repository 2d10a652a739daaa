//! What operations cost: a number of statements that does not depend on how much they answer.

use savannah::{
    base::Patch,
    catalog::{CategoryInput, ProductImage, PublicationStatus},
    import_export::seed::{CatalogGenerator, to_product_patch},
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, create_categories, simple_product},
};

integration_tests![
    listing_statement_count_is_independent_of_product_count,
    category_tree_of_ten_thousand_is_read_without_statements,
    products_of_many_categories_are_loaded_in_one_statement,
    category_tree_changed_by_another_instance_is_seen_after_refresh,
    descriptions_are_loaded_only_when_selected,
];

const LISTING_QUERY: &str = "{ products(first: 100, sort: { field: NEWEST }) { nodes {
    id name sku slug price salePrice priceRange { min { amount } max { amount } } vendor tags description descriptionHtml image images { url alt }
    category { id name slug ancestors { name } } options { name values } inStock stockQuantity
    variants { id sku name price salePrice options { name value } inStock stockQuantity product { name } }
} pageInfo { hasNextPage endCursor } } }";

const PRODUCT_QUERY: &str = "query($slug: String) { product(slug: $slug) {
    id name description vendor tags price salePrice inStock stockQuantity images { url } options { name values }
    category { name slug ancestors { name slug } children { name } }
    variants { sku price salePrice inStock options { name value } }
} }";

const TREE_QUERY: &str = "{ categories { name productCount products(limit: 5) { name price inStock } children {
    name productCount products(limit: 5) { name price inStock } children { name productCount description } } } }";

const SEARCH_QUERY: &str = "{ products(first: 24, filter: { search: \"the\" }) { totalCount nodes { name price category { name } } facets {
    categories { category { name productCount } count } priceRanges { min { amount } max { amount } count } vendors { value count } tags { value count }
    options { name values { value count } } } } }";

const HOME_QUERY: &str = "{
    featured: products(first: 8, filter: { featured: true }) { nodes { ...card } }
    newest: products(first: 8, sort: { field: NEWEST }) { nodes { ...card } }
    sale: products(first: 8, filter: { onSale: true }, sort: { field: PRICE }) { nodes { ...card } totalCount }
    categories { name children { name } }
    shop { name currency }
} fragment card on Product { name price salePrice inStock tags images { url } variants(first: 3) { sku inStock } }";

const CHOICE_QUERY: &str = "{ products(first: 100) { nodes {
    availability { available quantity } featuredImage { url(maxWidth: 300) alt }
    options { name optionValues { name available firstAvailableVariant { sku } } }
    variant(selectedOptions: [{ name: \"Size\", value: \"M\" }]) { sku product { name } image { url } }
    variantConnection(first: 2) { totalCount nodes { sku product { name } } pageInfo { hasNextPage } }
} } }";

const CATEGORY_QUERY: &str = "query($slug: String!) { category(slug: $slug) { name productCount
    productConnection(first: 24, filter: { inStock: true }, sort: { field: UPDATED_AT }) {
        totalCount nodes { name price tags } pageInfo { endCursor } } } }";

const NODES_QUERY: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename
    ... on Product { name inStock variants { sku } }
    ... on ProductVariant { sku stockQuantity product { name category { name } } }
    ... on Category { name productCount }
} }";

/// The eight operations of a storefront, and what each costs.
async fn storefront_statement_counts(app: &TestApp, slug: &str) -> Vec<(&'static str, u64)> {
    let listing = app.query(LISTING_QUERY).await;
    let nodes = listing.data_at("/products/nodes").as_array().expect("a list");
    let ids = nodes.iter().flat_map(|node| [&node["id"], &node["variants"][0]["id"], &node["category"]["id"]]);
    let ids = json!({ "ids": ids.take(99).collect::<Vec<&Value>>() });
    let category = json!({ "slug": listing.data_at("/products/nodes/0/category/slug") });
    let cost = |name, response: &GraphqlResponse| {
        assert!(response.body.get("errors").is_none(), "{name}: {}", response.body);
        (name, response.statements)
    };
    vec![
        cost("listing", &listing),
        cost("product", &app.query_with_variables(PRODUCT_QUERY, json!({ "slug": slug })).await),
        cost("tree", &app.query(TREE_QUERY).await),
        cost("search", &app.query(SEARCH_QUERY).await),
        cost("home", &app.query(HOME_QUERY).await),
        cost("choice", &app.query(CHOICE_QUERY).await),
        cost("category", &app.query_with_variables(CATEGORY_QUERY, category).await),
        cost("nodes", &app.query_with_variables(NODES_QUERY, ids).await),
    ]
}

async fn listing_statement_count_is_independent_of_product_count(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "100000")]).await;
    let generator = CatalogGenerator::new(1_000, 30);
    let image = |n: u64| ProductImage {
        url: format!("https://example.com/{n}.jpg"),
        alt: Some("A thing".into()),
        media_id: None,
    };
    let product_inputs = (0..1_000)
        .map(|n| to_product_patch(generator.generate_product(n), 2))
        .filter(|product_input| product_input.options().len() == 2);
    let product_inputs: Vec<_> = product_inputs
        .zip(0..100)
        .map(|(mut product_input, n)| {
            product_input.images = Patch::Set(vec![image(n), image(n + 1_000)]);
            product_input.featured = Patch::Set(true);
            product_input.status = Patch::Set(PublicationStatus::Active);
            product_input
        })
        .collect();
    assert_eq!(product_inputs.len(), 100);
    app.save_products(&product_inputs[..1]).await;
    let single_counts = storefront_statement_counts(&app, product_inputs[0].slug().expect("a slug")).await;
    // Of a listing: the page, the texts, tags, pictures, options, variants and their choices, stock of both.
    // Of a search for a word too short to be mistyped: the page, the count, the facets, and the counts of the categories.
    // Of a choice: the page, pictures, stock, options and variants with their choices, the rows of the selected and the
    // first available variants, and the variants.
    let pinned = [
        ("listing", 9),
        ("product", 9),
        ("tree", 4),
        ("search", 4),
        ("home", 9),
        ("choice", 6),
        ("category", 4),
        ("nodes", 7),
    ];
    assert_eq!(single_counts, pinned);
    app.save_products(&product_inputs[1..]).await;
    assert_eq!(app.query("{ products { totalCount } }").await.data_at("/products/totalCount"), &json!(100));
    assert_eq!(storefront_statement_counts(&app, product_inputs[50].slug().expect("a slug")).await, pinned);
    // Once more, with every document and plan at hand.
    assert_eq!(storefront_statement_counts(&app, product_inputs[99].slug().expect("a slug")).await, pinned);
    app.run_pending_jobs().await;
}

/// A thousand roots, and below each a line of nine more: ten levels of ten thousand.
fn category_paths() -> impl Iterator<Item = Vec<String>> {
    (0..1_000).map(|line| (0..10).map(|level| format!("L{line} {level}")).collect())
}

/// `children { … }` ten levels deep, the same asked at each.
fn nested_categories_query(fields: &str) -> String {
    let nested_fields = (1..10).fold(fields.to_owned(), |inner, _| format!("{fields} children {{ {inner} }}"));
    format!("{{ categories {{ {nested_fields} }} }}")
}

async fn category_tree_of_ten_thousand_is_read_without_statements(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.create_categories(category_paths()).await;
    let mut product_inputs =
        [simple_product("high", "High", 1), simple_product("low", "Low", 1), simple_product("lower", "Lower", 1)];
    for (product_input, (line, level)) in product_inputs.iter_mut().zip([(7, 0), (7, 4), (999, 9)]) {
        let path = (0..=level).map(|level| format!("L{line} {level}")).collect();
        product_input.category = Patch::Set(CategoryInput::Path(path));
    }
    app.save_products(&product_inputs).await;

    let response = app.query(&nested_categories_query("name level position")).await;
    assert_eq!(response.statements, 0);
    let (mut level, mut category_count) = (response.data_at("/categories").as_array().expect("a list").clone(), 0);
    for depth in 0..10 {
        category_count += level.len();
        let names = level.iter().map(|category| category["name"].as_str().expect("a name").to_owned());
        assert!(names.eq((0..1_000).map(|line| format!("L{line} {depth}"))), "level {depth} is not in order");
        assert!(level.iter().all(|category| category["level"] == depth));
        level =
            level.iter().flat_map(|category| category["children"].as_array().cloned().unwrap_or_default()).collect();
    }
    assert_eq!(category_count, 10_000);

    let response = app.query(&nested_categories_query("productCount")).await;
    assert_eq!(response.statements, 1);
    let counts = |line: usize| {
        let path = |level: usize| format!("/categories/{line}{}/productCount", "/children/0".repeat(level));
        (0..10).map(|level| response.data_at(&path(level)).as_u64().expect("a count")).collect::<Vec<_>>()
    };
    assert_eq!(counts(7), [2, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(999), [1; 10]);
    assert_eq!(counts(8), [0; 10]);
    app.run_pending_jobs().await;
}

async fn products_of_many_categories_are_loaded_in_one_statement(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "{ categories { name products(limit: 2) { name } descendants { name products(limit: 2) { name category { name } } } } }";
    let response = app.query(query).await;
    assert_eq!(response.statements, 1);
    for root in response.data_at("/categories").as_array().expect("a list") {
        for category in root["descendants"].as_array().expect("a list") {
            assert!(!category["products"].as_array().expect("a list").is_empty(), "{category}");
        }
    }
    let all = app.query("{ category(slug: \"kitchen\") { products(limit: 100) { slug } productCount children { products(limit: 100) { slug } } } }").await;
    let all_slugs = all.strings_at("/category/products", "slug");
    assert_eq!(all.data_at("/category/productCount"), &json!(all_slugs.len()));
    let mut child_slugs: Vec<_> =
        (0..2).flat_map(|n| all.strings_at(&format!("/category/children/{n}/products"), "slug")).collect();
    assert_eq!((all.statements, child_slugs.len()), (2, all_slugs.len()));
    child_slugs.sort();
    assert_eq!(child_slugs, {
        let mut sorted = all_slugs.clone();
        sorted.sort();
        sorted
    });
    // The same order as the list, featured ones first; limit and offset cut it anywhere.
    let list = app.query_with_variables(
        "query($id: ID!) { products(first: 100, filter: { category: { id: $id } }) { nodes { slug } } }",
        json!({ "id": app.query("{ category(slug: \"kitchen\") { id } }").await.data_at("/category/id") }),
    );
    assert_eq!(list.await.strings_at("/products/nodes", "slug"), all_slugs);
    let cut = app.query("{ category(slug: \"kitchen\") { a: products(limit: 2, offset: 1) { slug } b: products(limit: 0) { slug } c: products(offset: 10000) { slug } } }").await;
    assert_eq!(cut.strings_at("/category/a", "slug"), all_slugs[1..3]);
    assert_eq!((cut.data_at("/category/b"), cut.data_at("/category/c")), (&json!([]), &json!([])));
    for (arguments, field) in
        [("limit: 101", "limit"), ("limit: -1", "limit"), ("offset: -1", "offset"), ("offset: 10001", "offset")]
    {
        let rejected =
            app.query(&format!("{{ category(slug: \"kitchen\") {{ products({arguments}) {{ id }} }} }}")).await;
        assert_eq!(rejected.first_error()["extensions"]["code"], "BAD_USER_INPUT");
        assert_eq!(rejected.first_error()["extensions"]["field"], json!([field]));
    }
}

async fn category_tree_changed_by_another_instance_is_seen_after_refresh(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let second_db = app.open_second_database().await;
    let names = |root: &str| format!("{{ category(slug: \"{root}\") {{ children {{ name position }} }} }}");
    let before = app.query(&names("home")).await;
    let path = |last: &str| vec!["Home".to_owned(), last.to_owned()];
    create_categories(&second_db, [path("Attic"), vec!["Elsewhere".to_owned()]].into_iter()).await;
    assert_eq!(app.query(&names("home")).await.body, before.body);
    app.run_clock_tick().await;
    let after = app.query(&names("home")).await;
    assert_eq!(after.strings_at("/category/children", "name"), ["Kitchen", "Living Room", "Attic"]);
    assert_eq!(after.data_at("/category/children/2/position"), &json!(2));
    assert_eq!(app.query("{ category(slug: \"elsewhere\") { level } }").await.data_at("/category/level"), &json!(0));
    // Raised by hand, as a change of any kind would: the tree is read again.
    app.execute_sql("UPDATE category SET name = 'Loft' WHERE slug = 'attic'").await.expect("an update");
    app.execute_sql("UPDATE category_tree_version SET version = version + 1").await.expect("an update");
    app.run_clock_tick().await;
    assert_eq!(app.query(&names("home")).await.data_at("/category/children/2/name"), "Loft");
    second_db.close().await;
}

async fn descriptions_are_loaded_only_when_selected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    // Without its table a query that reads no text is answered, and one that does fails: so the first did not read it.
    app.execute_sql("ALTER TABLE product_description RENAME TO gone").await.expect("a rename");
    let plain = app.query("{ products { nodes { name price inStock tags } } }").await;
    assert_eq!(plain.strings_at("/products/nodes", "name").len(), 20);
    let texts = app.query("{ products { nodes { description } } }").await;
    assert_eq!(texts.first_error()["extensions"]["code"], "INTERNAL");
    assert!(!texts.body.to_string().contains("product_description"), "{}", texts.body);
}
