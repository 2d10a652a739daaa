//! Pages of a search: walked, gathered and ranked they are the same, and equal to all matches sorted here.

use std::sync::Arc;

use savannah::{
    base::{pagination::PageRequest, text},
    catalog::{
        CatalogFilter, CategoryTree,
        find::{self, CountedFacet, CountedFacets, FacetCounts, ProductRow, ProductWindow},
        product,
        product_filter::ResolvedCatalogFilter,
        product_queries::{ProductSort, ProductSortKey},
        projection::ProductColumns,
        search::{
            rules::SearchRules,
            tier::SearchTier,
            way::{SearchWay, SearchWays},
        },
    },
};
use serde_json::json;

use crate::{
    integration_tests,
    support::{
        Backend, TestApp,
        catalog_model::SeededRng,
        parse_datetime,
        search_shop::{ShopProduct, generate_shop, insert_products},
    },
};

integration_tests![
    walked_gathered_and_ranked_pages_equal_all_matches_sorted,
    orders_of_search_results_are_the_same_walked_and_gathered,
    ways_of_searches_are_learned_from_first_pages,
    facets_together_equal_facets_one_by_one,
    count_is_exact_up_to_its_limit,
];

const PAGE_SIZE: usize = 7;

/// Returns the tier of a product, as the documentation describes it.
fn tier_of(product: &ShopProduct, search: &str) -> Option<SearchTier> {
    let text = text::normalize_for_search(search);
    let name = text::normalize_for_search(&product.name);
    let name_words: Vec<&str> = name.split(' ').collect();
    let sku = text::normalize_for_search(&product.sku);
    let has = |words: &[&str], word: &str| {
        words.iter().any(|other| *other == word || (word.len() > 1 && other.starts_with(word)))
    };
    let words: Vec<&str> = text.split([' ', '-']).collect();
    // No product has a zebra, so that any of the other words is enough.
    let matches = |indexed: &[&str]| match words[..] {
        ["zebra", ref others @ ..] => others.iter().any(|word| has(indexed, word)),
        _ => words.iter().all(|word| has(indexed, word)),
    };
    let others = product.other_words.iter().map(String::as_str).chain(sku.split([' ', '-']));
    let all_words: Vec<&str> = name_words.iter().copied().chain(others).collect();
    if !product.is_active || !matches(&all_words) {
        return None;
    }
    // A single letter matches no longer word.
    let end = if text.split(' ').next_back().is_some_and(|word| word.len() == 1) { " " } else { "" };
    Some(if name == text || product.sku.to_lowercase() == text {
        SearchTier::Exact
    } else if name.starts_with(&format!("{text}{end}")) {
        SearchTier::Begins
    } else if matches(&name_words) {
        SearchTier::InName
    } else {
        SearchTier::Rest
    })
}

/// Resolves a search, with conditions on the availability and the highest price.
async fn resolve(app: &TestApp, search: &str, conditions: (Option<bool>, Option<i64>)) -> ResolvedCatalogFilter {
    let (in_stock, price_range) = (conditions.0, (None, conditions.1));
    let filter = CatalogFilter { search: Some(search.to_owned()), in_stock, price_range, ..CatalogFilter::default() };
    let tree = load_tree(app).await;
    filter.resolve(&app.db, &tree, &SearchRules::default()).await.expect("a filter")
}

async fn load_tree(app: &TestApp) -> Arc<CategoryTree> {
    app.http_app.state.category_tree_cache.refresh(&app.db).await.expect("a tree");
    app.http_app.state.category_tree_cache.current()
}

async fn find_ids(
    app: &TestApp,
    ways: &SearchWays,
    filter: &ResolvedCatalogFilter,
    (sort, request): (ProductSort, &PageRequest),
) -> (Vec<i64>, bool, bool) {
    let window = ProductWindow { sort, request, columns: ProductColumns::from([product::Column::Id]) };
    let page = find::find_page(&app.db, ways, filter, &window).await.expect("a page");
    (page.rows.iter().map(|row| row.product.id).collect(), page.has_next, page.has_previous)
}

fn cursor_of(product: &ShopProduct, sort: ProductSort, tier: SearchTier) -> String {
    let model = product::Model {
        id: product.id,
        created_at: product.created_at,
        ranked_at: product.created_at,
        current_price: product.price,
        name_normalized: text::normalize_for_search(&product.name),
        ..product::Model::default()
    };
    ProductRow { product: Arc::new(model), tier: tier.rank() }.cursor(sort)
}

/// Returns the part of a sorted list that a request is for.
fn slice_page(sorted: &[i64], position: Option<usize>, backwards: bool) -> Vec<i64> {
    if backwards {
        let end = position.unwrap_or(sorted.len());
        return sorted[end.saturating_sub(PAGE_SIZE)..end].to_vec();
    }
    sorted.iter().skip(position.map_or(0, |position| position + 1)).take(PAGE_SIZE).copied().collect()
}

/// The ways that are compared: the last one remembers what it learned from the pages before.
fn all_ways() -> [SearchWays; 5] {
    let fixed = [SearchWay::Probe, SearchWay::Walk, SearchWay::Gather, SearchWay::Rank].map(SearchWays::fixed);
    let [probe, walk, gather, rank] = fixed;
    [probe, walk, gather, rank, SearchWays::default()]
}

async fn walked_gathered_and_ranked_pages_equal_all_matches_sorted(backend: Backend) {
    const SEARCHES: [&str; 15] = [
        "basket",
        "ba",
        "red",
        "antique",
        "novel",
        "museum",
        "cotton",
        "lamp bl",
        "rug red-5",
        "large ba",
        "b",
        "lamp b",
        "s17",
        "zebra museum lamp",
        "zebra",
    ];
    let mut rng = SeededRng(41);
    let app = TestApp::start(backend).await;
    let products = generate_shop(&mut rng);
    insert_products(&app, &products).await;
    let ways = all_ways();
    for (round, search) in SEARCHES.into_iter().enumerate() {
        let in_stock = if round % 3 == 2 { Some(true) } else { None };
        // From no condition to one that few products satisfy.
        let max_price = [None, Some(2_500), Some(100)][round % 3];
        let filter = resolve(&app, search, (in_stock, max_price)).await;
        assert!(filter.is_search_first());
        for reverse in [false, true] {
            let sort = ProductSort { sort_key: ProductSortKey::Relevance, reverse };
            let is_found = |product: &&ShopProduct| {
                in_stock.is_none_or(|in_stock| in_stock == product.in_stock)
                    && max_price.is_none_or(|price| product.price <= price)
            };
            let mut matches: Vec<_> = products
                .iter()
                .filter(is_found)
                .filter_map(|product| Some((tier_of(product, search)?, product.created_at, product.id, product)))
                .collect();
            matches.sort_by_key(|(tier, created_at, id, _)| (*tier, *created_at, *id));
            if !reverse {
                matches.reverse();
            }
            let sorted: Vec<i64> = matches.iter().map(|(_, _, id, _)| *id).collect();
            let mut positions = vec![None, None];
            if !sorted.is_empty() {
                // The borders of the tiers, and somewhere.
                positions.extend((0..3).map(|_| Some(rng.next_below(sorted.len()))));
                let borders = (1..matches.len()).filter(|index| matches[*index].0 != matches[index - 1].0);
                positions.extend(borders.map(Some));
            }
            for (index, position) in positions.into_iter().enumerate() {
                let backwards = index % 2 == 1;
                let cursor = position.map(|position| cursor_of(matches[position].3, sort, matches[position].0));
                let request = PageRequest { size: PAGE_SIZE, backwards, cursor };
                let expected = slice_page(&sorted, position, backwards);
                for (way, name) in ways.iter().zip(["probed", "walked", "gathered", "ranked", "remembered"]) {
                    let (ids, has_next, has_previous) = find_ids(&app, way, &filter, (sort, &request)).await;
                    let case = format!("{search} {name}, reverse {reverse}, backwards {backwards}, at {position:?}");
                    assert_eq!(ids, expected, "{case}");
                    let first = expected.first().and_then(|id| sorted.iter().position(|other| other == id));
                    let (has_more_before, has_more_after) = (
                        first.is_some_and(|first| first > 0),
                        first.is_some_and(|first| first + expected.len() < sorted.len()),
                    );
                    let has_more = if backwards { has_previous } else { has_next };
                    assert_eq!(has_more, if backwards { has_more_before } else { has_more_after }, "{case}");
                }
            }
        }
    }
}

async fn orders_of_search_results_are_the_same_walked_and_gathered(backend: Backend) {
    let mut rng = SeededRng(43);
    let app = TestApp::start(backend).await;
    let products = generate_shop(&mut rng);
    insert_products(&app, &products).await;
    let ways = all_ways();
    for search in ["basket", "antique", "cotton", "zebra"] {
        let filter = resolve(&app, search, (None, None)).await;
        for (sort_key, reverse) in [
            (ProductSortKey::Price, false),
            (ProductSortKey::Price, true),
            (ProductSortKey::Name, false),
            (ProductSortKey::Newest, false),
        ] {
            let sort = ProductSort { sort_key, reverse };
            let mut matches: Vec<_> = products.iter().filter(|product| tier_of(product, search).is_some()).collect();
            match sort_key {
                ProductSortKey::Price => matches.sort_by_key(|product| (product.price, product.id)),
                ProductSortKey::Name => {
                    matches.sort_by_key(|product| (text::normalize_for_search(&product.name), product.id));
                }
                _ => matches.sort_by_key(|product| std::cmp::Reverse((product.created_at, product.id))),
            }
            if reverse {
                matches.reverse();
            }
            let sorted: Vec<i64> = matches.iter().map(|product| product.id).collect();
            let somewhere = (!sorted.is_empty()).then(|| rng.next_below(sorted.len()));
            for (position, backwards) in [(None, false), (None, true), (somewhere, false), (somewhere, true)] {
                let cursor = position.map(|position| cursor_of(matches[position], sort, SearchTier::Rest));
                let request = PageRequest { size: PAGE_SIZE, backwards, cursor };
                let expected = slice_page(&sorted, position, backwards);
                for way in &ways {
                    let (ids, ..) = find_ids(&app, way, &filter, (sort, &request)).await;
                    assert_eq!(ids, expected, "{search} {sort:?} {backwards} {position:?} {way:?}");
                }
            }
        }
    }
}

async fn ways_of_searches_are_learned_from_first_pages(backend: Backend) {
    let mut rng = SeededRng(47);
    let app = TestApp::start(backend).await;
    let products = generate_shop(&mut rng);
    insert_products(&app, &products).await;
    let sort = ProductSort { sort_key: ProductSortKey::Relevance, reverse: false };
    let request = PageRequest { size: PAGE_SIZE, backwards: false, cursor: None };
    // A search, and how many tiers of it are walked and gathered from then on.
    for (search, learned) in [
        // The page is full of exact names.
        ("basket", (0, 0)),
        // No name begins with it, and many new names have it.
        ("red", (1, 1)),
        // In the text of many new products, but in no name.
        ("cotton", (1, 2)),
        // In old names only, which fill the page: texts are not asked.
        ("antique", (0, 2)),
        ("museum", (0, 3)),
        ("zebra", (0, 3)),
    ] {
        let ways = SearchWays::default();
        let filter = resolve(&app, search, (None, None)).await;
        let first = find_ids(&app, &ways, &filter, (sort, &request)).await;
        assert_eq!(ways.count_learned(), learned, "{search}");
        assert_eq!(find_ids(&app, &ways, &filter, (sort, &request)).await, first, "{search}");
        assert_eq!(ways.count_learned(), learned, "{search} again");
    }
    // What a later page finds says nothing about the first.
    let ways = SearchWays::default();
    let oldest = products.iter().filter(|product| tier_of(product, "red") == Some(SearchTier::InName));
    let oldest = oldest.min_by_key(|product| (product.created_at, product.id)).expect("a product");
    let cursor = Some(cursor_of(oldest, sort, SearchTier::InName));
    let request = PageRequest { size: PAGE_SIZE, backwards: false, cursor };
    find_ids(&app, &ways, &resolve(&app, "red", (None, None)).await, (sort, &request)).await;
    assert_eq!(ways.count_learned(), (0, 0));
}

async fn facets_together_equal_facets_one_by_one(backend: Backend) {
    const FACETS: [CountedFacet; 6] = [
        CountedFacet::Categories,
        CountedFacet::Prices,
        CountedFacet::Vendors,
        CountedFacet::Tags,
        CountedFacet::Options,
        CountedFacet::Flags,
    ];
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let tree = load_tree(&app).await;
    let with_options = products.iter().find(|product| product.variants.iter().any(|variant| variant.len() > 1));
    let options = &with_options.expect("a product with options").variants[0];
    let options: Vec<_> = options.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
    let vendor = products.iter().find_map(|product| product.vendor.clone()).expect("a vendor");
    let tag = products.iter().flat_map(|product| &product.tags).next().expect("a tag").clone();
    let word = products[0].indexed_words.iter().find(|word| word.len() > 3).expect("a word").clone();
    let mut rng = SeededRng(53);
    for round in 0..24 {
        let mut filter =
            CatalogFilter { search: rng.one_in(2).then(|| word.chars().take(3).collect()), ..CatalogFilter::default() };
        if rng.one_in(3) {
            filter.vendors = vec![vendor.clone()];
        }
        if rng.one_in(3) {
            filter.tags.any = vec![tag.clone()];
        }
        if rng.one_in(3) {
            filter.price_range = (Some(1_000), Some(500_000));
        }
        if rng.one_in(4) {
            filter.options.clone_from(&options);
        }
        filter.in_stock = rng.one_in(3).then_some(true);
        filter.on_sale = rng.one_in(4).then_some(false);
        let filter = filter.resolve(&app.db, &tree, &SearchRules::default()).await.expect("a filter");
        let together = find::count_facets(&app.db, &filter, &tree, CountedFacets::ALL).await.expect("facets");
        let mut one_by_one = FacetCounts::default();
        for facet in FACETS {
            let FacetCounts { categories, prices, vendors, tags, options, flags } =
                find::count_facets(&app.db, &filter, &tree, facet.into()).await.expect("a facet");
            one_by_one.categories.extend(categories);
            one_by_one.prices.extend(prices);
            one_by_one.vendors.extend(vendors);
            one_by_one.tags.extend(tags);
            one_by_one.options.extend(options);
            if facet == CountedFacet::Flags {
                one_by_one.flags = flags;
            }
        }
        assert_eq!(together, one_by_one, "{round}: {:?}", filter.conditions());
        let nothing = find::count_facets(&app.db, &filter, &tree, CountedFacets::default()).await.expect("no facets");
        assert_eq!(nothing, FacetCounts::default());
    }
}

async fn count_is_exact_up_to_its_limit(backend: Backend) {
    const PRECISE_COUNT: &str = "query($filter: ProductFilter) { products(first: 0, filter: $filter) {
        totalCount totalCountPrecision } }";
    let app = TestApp::start(backend).await;
    let product = |number: i64| ShopProduct {
        id: number,
        name: if number <= 10_000 { "Mug".to_owned() } else { "Cup".to_owned() },
        other_words: vec!["kitchen".to_owned()],
        sku: format!("K{number}"),
        created_at: parse_datetime("2026-10-01T00:00:00Z"),
        is_active: true,
        in_stock: number != 1,
        price: 100,
    };
    insert_products(&app, &(1..=10_001).map(product).collect::<Vec<_>>()).await;
    for (filter, expected, precision, statements) in [
        (json!({ "search": "mug" }), 10_000, "EXACT", 1),
        (json!({ "search": "cup" }), 1, "EXACT", 1),
        // The word is long enough to be corrected.
        (json!({ "search": "kitchen" }), 10_000, "AT_LEAST", 2),
        (json!({ "inStock": true }), 10_000, "EXACT", 1),
        (json!({ "price": { "min": "1" } }), 10_000, "AT_LEAST", 1),
        // The tallies of the categories are exact.
        (json!({}), 10_001, "EXACT", 1),
    ] {
        let response = app.query_with_variables(PRECISE_COUNT, json!({ "filter": filter })).await;
        assert_eq!(response.data_at("/products/totalCount"), &json!(expected), "{filter}");
        assert_eq!(response.data_at("/products/totalCountPrecision"), precision, "{filter}");
        assert_eq!(response.statements, statements, "{filter}");
    }
}
