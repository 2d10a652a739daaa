//! What operations cost: a number of statements that does not depend on how much they answer.

use savannah::{catalog::ImageDraft, exchange::generate::Generator};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, plant, simple},
    stories,
};

stories![
    a_hundred_products_cost_what_one_costs,
    ten_levels_of_ten_thousand_categories_cost_nothing,
    products_of_many_categories_cost_one_statement,
    a_tree_changed_elsewhere_is_seen_within_a_tick,
    long_texts_are_read_only_when_asked_for,
];

const LISTING: &str = "{ products(first: 100, orderBy: { field: NEWEST }) { nodes {
    id name sku slug price salePrice priceRange { min max } vendor tags description descriptionHtml image images { url alt }
    category { id name ancestors { name } } options { name values } inStock stockQuantity
    variants { id sku name price salePrice options { name value } inStock stockQuantity product { name } }
} pageInfo { hasNextPage endCursor } } }";

const PRODUCT: &str = "query($slug: String) { product(slug: $slug) {
    id name description vendor tags price salePrice inStock stockQuantity images { url } options { name values }
    category { name slug ancestors { name slug } children { name } }
    variants { sku price salePrice inStock options { name value } }
} }";

const TREE: &str = "{ categories { name productCount products(limit: 5) { name price inStock } children {
    name productCount products(limit: 5) { name price inStock } children { name productCount description } } } }";

const SEARCH: &str = "{ products(first: 24, filter: { search: \"the\" }) { totalCount nodes { name price category { name } } facets {
    categories { category { name productCount } count } priceRanges { min max count } vendors { value count } tags { value count }
    options { name values { value count } } } } }";

const HOME: &str = "{
    featured: products(first: 8, filter: { featured: true }) { nodes { ...card } }
    newest: products(first: 8, orderBy: { field: NEWEST }) { nodes { ...card } }
    sale: products(first: 8, filter: { onSale: true }, orderBy: { field: PRICE }) { nodes { ...card } totalCount }
    categories { name children { name } }
    shop { name currency }
} fragment card on Product { name price salePrice inStock tags images { url } variants(first: 3) { sku inStock } }";

const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename
    ... on Product { name inStock variants { sku } }
    ... on ProductVariant { sku stockQuantity product { name category { name } } }
    ... on Category { name productCount }
} }";

/// The six operations of a storefront, and what each costs.
async fn storefront(shop: &Shop, slug: &str) -> Vec<(&'static str, u64)> {
    let listing = shop.ask(LISTING).await;
    let nodes = listing.at("/products/nodes").as_array().expect("a list");
    let ids = nodes.iter().flat_map(|one| [&one["id"], &one["variants"][0]["id"], &one["category"]["id"]]);
    let ids = json!({ "ids": ids.take(99).collect::<Vec<&Value>>() });
    let cost = |name, answer: &Answer| {
        assert!(answer.body.get("errors").is_none(), "{name}: {}", answer.body);
        (name, answer.statements)
    };
    vec![
        cost("listing", &listing),
        cost("product", &shop.ask_with(PRODUCT, json!({ "slug": slug })).await),
        cost("tree", &shop.ask(TREE).await),
        cost("search", &shop.ask(SEARCH).await),
        cost("home", &shop.ask(HOME).await),
        cost("nodes", &shop.ask_with(NODES, ids).await),
    ]
}

async fn a_hundred_products_cost_what_one_costs(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "100000")]).await;
    let generator = Generator::new(1_000, 30, 2);
    let image = |n: u64| ImageDraft { url: format!("https://example.com/{n}.jpg"), alt: Some("A thing".into()) };
    let drafts = (0..1_000).map(|n| generator.product(n)).filter(|draft| draft.options.len() == 2);
    let drafts: Vec<_> = drafts
        .zip(0..100)
        .map(|(mut draft, n)| {
            draft.images = vec![image(n), image(n + 1_000)];
            draft.featured = Some(true);
            draft.status = Some(savannah::catalog::Status::Active);
            draft
        })
        .collect();
    assert_eq!(drafts.len(), 100);
    shop.shelve(&drafts[..1]).await;
    let one = storefront(&shop, &drafts[0].slug).await;
    // Of a listing: the page, the texts, tags, pictures, options, variants and their choices, stock of both.
    // Of a search for a word too short to be mistyped: the page, the count, the five facets, and the counts of the categories.
    let pinned = [("listing", 9), ("product", 9), ("tree", 4), ("search", 8), ("home", 9), ("nodes", 7)];
    assert_eq!(one, pinned);
    shop.shelve(&drafts[1..]).await;
    assert_eq!(shop.ask("{ products { totalCount } }").await.at("/products/totalCount"), &json!(100));
    assert_eq!(storefront(&shop, &drafts[50].slug).await, pinned);
    // Once more, with every document and plan at hand.
    assert_eq!(storefront(&shop, &drafts[99].slug).await, pinned);
    shop.settle().await;
}

/// A thousand roots, and below each a line of nine more: ten levels of ten thousand.
fn lines() -> impl Iterator<Item = Vec<String>> {
    (0..1_000).map(|line| (0..10).map(|level| format!("L{line} {level}")).collect())
}

/// `children { … }` ten levels deep, the same asked at each.
fn nested(fields: &str) -> String {
    let below = (1..10).fold(fields.to_owned(), |inner, _| format!("{fields} children {{ {inner} }}"));
    format!("{{ categories {{ {below} }} }}")
}

async fn ten_levels_of_ten_thousand_categories_cost_nothing(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.plant(lines()).await;
    let mut drafts = [simple("high", "High", 1), simple("low", "Low", 1), simple("lower", "Lower", 1)];
    for (draft, (line, level)) in drafts.iter_mut().zip([(7, 0), (7, 4), (999, 9)]) {
        draft.category = Some((0..=level).map(|level| format!("L{line} {level}")).collect());
    }
    shop.shelve(&drafts).await;

    let answer = shop.ask(&nested("name level position")).await;
    assert_eq!(answer.statements, 0);
    let (mut level, mut seen) = (answer.at("/categories").as_array().expect("a list").clone(), 0);
    for depth in 0..10 {
        seen += level.len();
        let names = level.iter().map(|one| one["name"].as_str().expect("a name").to_owned());
        assert!(names.eq((0..1_000).map(|line| format!("L{line} {depth}"))), "level {depth} is not in order");
        assert!(level.iter().all(|one| one["level"] == depth));
        level = level.iter().flat_map(|one| one["children"].as_array().cloned().unwrap_or_default()).collect();
    }
    assert_eq!(seen, 10_000);

    let answer = shop.ask(&nested("productCount")).await;
    assert_eq!(answer.statements, 1);
    let counts = |line: usize| {
        let path = |level: usize| format!("/categories/{line}{}/productCount", "/children/0".repeat(level));
        (0..10).map(|level| answer.at(&path(level)).as_u64().expect("a count")).collect::<Vec<_>>()
    };
    assert_eq!(counts(7), [2, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(999), [1; 10]);
    assert_eq!(counts(8), [0; 10]);
    shop.settle().await;
}

async fn products_of_many_categories_cost_one_statement(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query = "{ categories { name products(limit: 2) { name } descendants { name products(limit: 2) { name category { name } } } } }";
    let answer = shop.ask(query).await;
    assert_eq!(answer.statements, 1);
    for root in answer.at("/categories").as_array().expect("a list") {
        for one in root["descendants"].as_array().expect("a list") {
            assert!(!one["products"].as_array().expect("a list").is_empty(), "{one}");
        }
    }
    let all = shop.ask("{ category(slug: \"kitchen\") { products(limit: 100) { slug } productCount children { products(limit: 100) { slug } } } }").await;
    let whole = all.texts("/category/products", "slug");
    assert_eq!(all.at("/category/productCount"), &json!(whole.len()));
    let mut parts: Vec<_> =
        (0..2).flat_map(|n| all.texts(&format!("/category/children/{n}/products"), "slug")).collect();
    assert_eq!((all.statements, parts.len()), (2, whole.len()));
    parts.sort();
    assert_eq!(parts, {
        let mut sorted = whole.clone();
        sorted.sort();
        sorted
    });
    // The same order as the list, featured ones first; limit and offset cut it anywhere.
    let list = shop
        .ask_with("query($id: ID) { products(first: 100, filter: { category: $id }) { nodes { slug } } }", {
            json!({ "id": shop.ask("{ category(slug: \"kitchen\") { id } }").await.at("/category/id") })
        });
    assert_eq!(list.await.texts("/products/nodes", "slug"), whole);
    let cut = shop.ask("{ category(slug: \"kitchen\") { a: products(limit: 2, offset: 1) { slug } b: products(limit: 0) { slug } c: products(offset: 10000) { slug } } }").await;
    assert_eq!(cut.texts("/category/a", "slug"), whole[1..3]);
    assert_eq!((cut.at("/category/b"), cut.at("/category/c")), (&json!([]), &json!([])));
    for (arguments, field) in
        [("limit: 101", "limit"), ("limit: -1", "limit"), ("offset: -1", "offset"), ("offset: 10001", "offset")]
    {
        let wrong = shop.ask(&format!("{{ category(slug: \"kitchen\") {{ products({arguments}) {{ id }} }} }}")).await;
        assert_eq!(wrong.error()["extensions"]["code"], "BAD_USER_INPUT");
        assert_eq!(wrong.error()["extensions"]["field"], json!([field]));
    }
}

async fn a_tree_changed_elsewhere_is_seen_within_a_tick(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let elsewhere = shop.elsewhere().await;
    let names = |root: &str| format!("{{ category(slug: \"{root}\") {{ children {{ name position }} }} }}");
    let before = shop.ask(&names("home")).await;
    let path = |last: &str| vec!["Home".to_owned(), last.to_owned()];
    plant(&elsewhere, [path("Attic"), vec!["Elsewhere".to_owned()]].into_iter()).await;
    assert_eq!(shop.ask(&names("home")).await.body, before.body);
    shop.tick().await;
    let after = shop.ask(&names("home")).await;
    assert_eq!(after.texts("/category/children", "name"), ["Kitchen", "Living Room", "Attic"]);
    assert_eq!(after.at("/category/children/2/position"), &json!(2));
    assert_eq!(shop.ask("{ category(slug: \"elsewhere\") { level } }").await.at("/category/level"), &json!(0));
    // Raised by hand, as a change of any kind would: the tree is read again.
    shop.sql("UPDATE category SET name = 'Loft' WHERE slug = 'attic'").await.expect("an update");
    shop.sql("UPDATE category_tree SET version = version + 1").await.expect("an update");
    shop.tick().await;
    assert_eq!(shop.ask(&names("home")).await.at("/category/children/2/name"), "Loft");
    elsewhere.close().await;
}

async fn long_texts_are_read_only_when_asked_for(backend: Backend) {
    let shop = Shop::demo(backend).await;
    // Without its table a query that reads no text is answered, and one that does fails: so the first did not read it.
    shop.sql("ALTER TABLE product_description RENAME TO gone").await.expect("a rename");
    let plain = shop.ask("{ products { nodes { name price inStock tags } } }").await;
    assert_eq!(plain.texts("/products/nodes", "name").len(), 20);
    let texts = shop.ask("{ products { nodes { description } } }").await;
    assert_eq!(texts.error()["extensions"]["code"], "INTERNAL");
    assert!(!texts.body.to_string().contains("product_description"), "{}", texts.body);
}
