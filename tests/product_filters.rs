//! Filters and facets, alone and together, compared with a model.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use savannah::base::text;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, TestApp,
        catalog_model::{ModelFilter, ModelProduct, SeededRng},
        parse_datetime, simple_product,
    },
};

integration_tests![
    each_filter_matches_the_model,
    combined_filters_match_the_model,
    deleted_variant_is_not_in_option_values,
    maximum_number_of_option_filters_is_accepted,
    filter_over_a_limit_names_the_field,
    special_characters_in_filters_match_nothing,
    sub_cent_price_bounds_are_applied_exactly,
];

const FILTERED_PRODUCTS: &str = "query($filter: ProductFilter) { products(first: 100, filter: $filter) {
    totalCount
    nodes { slug }
    facets {
        categories(first: 100) { category { name } count }
        priceRanges { min { amount currency } max { amount } count }
        vendors(first: 100) { value count }
        tags(first: 100) { value count }
        options(first: 100) { name values { value count } }
    }
} }";

type FacetCounts = BTreeMap<String, usize>;

/// `field: count` of a facet, the fullest first.
fn parse_facet(list: &Value, name: impl Fn(&Value) -> String) -> FacetCounts {
    let list = list.as_array().expect("a list");
    let count = |facet_value: &Value| usize::try_from(facet_value["count"].as_u64().expect("a count")).expect("few");
    assert!(list.is_sorted_by_key(|facet_value| std::cmp::Reverse(count(facet_value))), "{list:?}");
    let counts: FacetCounts = list.iter().map(|facet_value| (name(facet_value), count(facet_value))).collect();
    assert_eq!(counts.len(), list.len(), "a value comes twice");
    counts
}

fn normalized_value(facet_value: &Value) -> String {
    text::normalize_text(facet_value["value"].as_str().expect("a value"))
}

fn count_values(all: impl Iterator<Item = String>) -> FacetCounts {
    all.fold(FacetCounts::new(), |mut counts, value| {
        *counts.entry(value).or_default() += 1;
        counts
    })
}

/// Asks, and compares everything with the model.
async fn assert_matches_model(app: &TestApp, products: &[ModelProduct], filter: &ModelFilter) {
    let response = app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": filter.to_json() })).await;
    let context = filter.to_json();
    let mut expected = filter.sorted_slugs(products, "BEST_MATCH", false);
    assert_eq!(*response.data_at("/products/totalCount"), json!(expected.len()), "{context}");
    expected.truncate(100);
    assert_eq!(response.strings_at("/products/nodes", "slug"), expected, "{context}");
    let facet = |name: &str| response.data_at(&format!("/products/facets/{name}"));

    let depth = filter.category.as_ref().map_or(0, |(_, path)| path.len());
    let children = count_values(
        filter.matching_products(products).into_iter().filter_map(|product| product.category.get(depth).cloned()),
    );
    let name = |facet_value: &Value| facet_value["category"]["name"].as_str().expect("a name").to_owned();
    assert_eq!(parse_facet(facet("categories"), name), children, "categories of {context}");

    let without_vendors = ModelFilter { vendors: Vec::new(), ..filter.clone() };
    let vendors = count_values(
        without_vendors
            .matching_products(products)
            .into_iter()
            .filter_map(|product| product.vendor.as_deref().map(text::normalize_text)),
    );
    assert_eq!(parse_facet(facet("vendors"), normalized_value), vendors, "vendors of {context}");

    let without_tags = ModelFilter { tags: Vec::new(), ..filter.clone() };
    let tags = count_values(
        without_tags
            .matching_products(products)
            .into_iter()
            .flat_map(|product| product.tags.iter().map(|tag| text::normalize_text(tag))),
    );
    assert_eq!(parse_facet(facet("tags"), normalized_value), tags, "tags of {context}");

    assert_price_ranges(
        facet("priceRanges"),
        &ModelFilter { price: (None, None), ..filter.clone() }.matching_products(products),
        &context,
    );
    assert_option_facets(facet("options"), products, filter);
}

fn assert_price_ranges(ranges: &Value, products: &[&ModelProduct], context: &Value) {
    let ranges = ranges.as_array().expect("a list");
    assert!(ranges.len() <= 6);
    let amount = |value: &Value| value.as_str().map(|text| text.parse::<Decimal>().expect("an amount"));
    let (mut total, mut from) = (0, Decimal::ZERO);
    for range in ranges {
        let (min, max) = (amount(&range["min"]["amount"]).expect("a minimum"), amount(&range["max"]["amount"]));
        assert_eq!(range["min"]["currency"], "KES");
        assert!(min >= from && max.is_none_or(|max| max > min), "{ranges:?}");
        let within = |product: &&&ModelProduct| product.price >= min && max.is_none_or(|max| product.price < max);
        assert_eq!(range["count"], json!(products.iter().filter(within).count()), "{range} of {context}");
        total += range["count"].as_u64().expect("a count");
        from = max.unwrap_or(min);
    }
    assert_eq!(total, products.len() as u64, "prices of {context}");
}

/// A value of an option counts what would be left if it, and nothing else of that option, were asked for.
fn assert_option_facets(facet: &Value, products: &[ModelProduct], filter: &ModelFilter) {
    let mut expected: BTreeMap<String, FacetCounts> = BTreeMap::new();
    let open = ModelFilter { options: Vec::new(), ..filter.clone() };
    let others: Vec<ModelProduct> = open.matching_products(products).into_iter().cloned().collect();
    let all = others.iter().flat_map(|product| product.variants.iter().flatten());
    for (name, value) in all.collect::<std::collections::BTreeSet<_>>() {
        let mut option_filter = ModelFilter { options: filter.options.clone(), ..ModelFilter::default() };
        option_filter.options.retain(|(other, _)| text::normalize_text(other) != *name);
        option_filter.options.push((name.clone(), vec![value.clone()]));
        let remaining = option_filter.matching_products(&others).len();
        if remaining > 0 {
            expected.entry(name.clone()).or_default().insert(value.clone(), remaining);
        }
    }
    let facet_values = facet.as_array().expect("a list").iter();
    let facet_values: BTreeMap<_, _> = facet_values
        .map(|facet_value| {
            (
                text::normalize_text(facet_value["name"].as_str().expect("a name")),
                parse_facet(&facet_value["values"], normalized_value),
            )
        })
        .collect();
    assert_eq!(facet_values, expected, "options of {}", filter.to_json());
}

async fn each_filter_matches_the_model(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    assert_matches_model(&app, &products, &ModelFilter::default()).await;
    for category in app.query_category_paths().await {
        assert_matches_model(&app, &products, &ModelFilter { category: Some(category), ..ModelFilter::default() })
            .await;
    }
    for flag in [Some(true), Some(false)] {
        assert_matches_model(&app, &products, &ModelFilter { in_stock: flag, ..ModelFilter::default() }).await;
        assert_matches_model(&app, &products, &ModelFilter { on_sale: flag, ..ModelFilter::default() }).await;
        assert_matches_model(&app, &products, &ModelFilter { featured: flag, ..ModelFilter::default() }).await;
    }
    // The bounds are prices that products have, one of them because of a sale.
    let sale_price = products.iter().find(|product| product.on_sale).expect("a sale").price;
    let (low_price, cent) = (products[0].price.min(sale_price), Decimal::new(1, 2));
    for price in [
        (Some(sale_price), Some(sale_price)),
        (Some(low_price), None),
        (None, Some(low_price)),
        (Some(low_price + cent), None),
        (None, Some(sale_price - cent)),
    ] {
        assert_matches_model(&app, &products, &ModelFilter { price, ..ModelFilter::default() }).await;
    }
    let vendor = |product: &ModelProduct| product.vendor.clone().expect("a maker").to_lowercase();
    let vendors = vec![vendor(&products[1]), vendor(&products[3]), "nobody".into()];
    assert_matches_model(&app, &products, &ModelFilter { vendors, ..ModelFilter::default() }).await;
    assert_matches_model(
        &app,
        &products,
        &ModelFilter { tags: vec!["ReTouched".into(), products[1].tags[0].clone()], ..ModelFilter::default() },
    )
    .await;
    let (tag, other_tag) = (products[1].tags[0].to_uppercase(), products[1].tags[1].clone());
    for filter in [
        ModelFilter { all_tags: vec![tag.clone(), other_tag.clone(), tag.clone()], ..ModelFilter::default() },
        ModelFilter { all_tags: vec![tag.clone(), "nothing".into()], ..ModelFilter::default() },
        ModelFilter { excluded_tags: vec![tag.clone(), "nothing".into()], ..ModelFilter::default() },
        ModelFilter { tags: vec![tag], excluded_tags: vec![other_tag], ..ModelFilter::default() },
    ] {
        assert_matches_model(&app, &products, &filter).await;
    }
    for time in [
        products[30].created_at,
        products[60].created_at,
        products[90].created_at,
        parse_datetime("2026-11-01T11:00:00Z"),
    ] {
        let later = Some(time + TimeDelta::seconds(1));
        assert_matches_model(
            &app,
            &products,
            &ModelFilter { created_at: (Some(time), None), ..ModelFilter::default() },
        )
        .await;
        assert_matches_model(
            &app,
            &products,
            &ModelFilter { created_at: (None, Some(time)), ..ModelFilter::default() },
        )
        .await;
        assert_matches_model(
            &app,
            &products,
            &ModelFilter { updated_at: (Some(time), later), ..ModelFilter::default() },
        )
        .await;
    }
    app.run_pending_jobs().await;
}

async fn combined_filters_match_the_model(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let categories = app.query_category_paths().await;
    let mut rng = SeededRng(20_261_101);
    let mut match_count = 0;
    for _ in 0..120 {
        let filter = random_filter(&mut rng, &products, &categories);
        match_count += usize::from(!filter.matching_products(&products).is_empty());
        assert_matches_model(&app, &products, &filter).await;
    }
    assert!(match_count > 60, "only {match_count} of the filters find anything");
}

/// A filter made of what one product is, and a little more.
fn random_filter(rng: &mut SeededRng, products: &[ModelProduct], categories: &[(String, Vec<String>)]) -> ModelFilter {
    let base_product = rng.pick(products).clone();
    let other = rng.pick(products).clone();
    let mut filter = ModelFilter::default();
    if rng.one_in(3) {
        let matching_categories =
            categories.iter().filter(|(_, path)| base_product.category.starts_with(path)).collect::<Vec<_>>();
        filter.category = Some((*rng.pick(&matching_categories)).clone());
    }
    if rng.one_in(3) {
        let words: Vec<_> = base_product.indexed_words.iter().collect();
        let mut term = (*rng.pick(&words)).clone();
        if term.len() > 4 && rng.one_in(2) {
            term.truncate(term.char_indices().nth(3).map_or(term.len(), |(offset, _)| offset));
        }
        filter.search = Some(term);
    }
    if rng.one_in(4) {
        filter.price = (Some(base_product.price.min(other.price)), Some(base_product.price.max(other.price)));
    }
    filter.in_stock = rng.one_in(5).then_some(base_product.in_stock);
    filter.on_sale = rng.one_in(5).then_some(base_product.on_sale);
    filter.featured = rng.one_in(5).then_some(base_product.featured);
    if rng.one_in(4) {
        filter.vendors = [base_product.vendor, other.vendor].into_iter().flatten().collect();
    }
    if rng.one_in(4) {
        filter.tags = vec![rng.pick(&base_product.tags).clone(), rng.pick(&other.tags).clone()];
    }
    if rng.one_in(2) {
        filter.options =
            rng.pick(&base_product.variants).iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        if let (Some(first), Some((_, value))) = (filter.options.first_mut(), other.variants[0].first()) {
            first.1.push(value.to_uppercase());
        }
    }
    if rng.one_in(5) {
        filter.created_at =
            (Some(base_product.created_at.min(other.created_at)), Some(base_product.created_at.max(other.created_at)));
    }
    if rng.one_in(6) {
        filter.updated_at = (Some(base_product.updated_at), None);
    }
    filter
}

async fn deleted_variant_is_not_in_option_values(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.execute_sql("UPDATE variant SET deleted_at = updated_at WHERE sku = 'MUG-INDIGO'").await.expect("an update");
    let query = "{ products(filter: { search: \"stoneware\" }) { nodes { options { values } variants { sku } } facets { options { values { value } } } } }";
    let response = app.query(query).await;
    assert_eq!(response.data_at("/products/nodes/0/options/0/values"), &json!(["Sand", "Terracotta"]));
    assert_eq!(response.strings_at("/products/nodes/0/variants", "sku"), ["MUG-SAND", "MUG-TERRA"]);
    assert_eq!(response.strings_at("/products/facets/options/0/values", "value"), ["Sand", "Terracotta"]);
}

async fn maximum_number_of_option_filters_is_accepted(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let options: Vec<_> = (0..10).map(|n| json!({ "name": format!("Option {n}"), "values": ["a", "b"] })).collect();
    let response = app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": { "options": options } })).await;
    assert_eq!(response.data_at("/products/totalCount"), &json!(0));
    assert_eq!(response.data_at("/products/facets/options"), &json!([]));
}

async fn filter_over_a_limit_names_the_field(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let product = app.query("{ product(slug: \"mug\") { id } }").await;
    let generate_values = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
    let option = |count: usize| json!({ "name": "Size", "values": generate_values(count) });
    let cases = [
        (json!({ "vendors": generate_values(101) }), "filter.vendors"),
        (json!({ "tags": { "any": generate_values(101) } }), "filter.tags.any"),
        (json!({ "tags": { "all": generate_values(101) } }), "filter.tags.all"),
        (json!({ "tags": { "none": generate_values(101) } }), "filter.tags.none"),
        (json!({ "slugs": generate_values(101) }), "filter.slugs"),
        (json!({ "skus": generate_values(101) }), "filter.skus"),
        (json!({ "ids": vec![product.data_at("/product/id"); 101] }), "filter.ids"),
        (json!({ "ids": ["garbage"] }), "filter.ids"),
        (json!({ "options": vec![option(1); 11] }), "filter.options"),
        (json!({ "options": [option(101)] }), "filter.options.values"),
        (json!({ "price": { "min": "10", "max": "9.99" } }), "filter.price"),
        (json!({ "price": { "min": "-0.01" } }), "filter.price.min"),
        (json!({ "price": { "max": "-1" } }), "filter.price.max"),
        (json!({ "price": { "max": "10000000000000.01" } }), "filter.price.max"),
        (json!({ "createdAt": { "to": "+20000-01-01T00:00:00Z" } }), "filter.createdAt"),
        (json!({ "updatedAt": { "from": "-0001-01-01T00:00:00Z" } }), "filter.updatedAt"),
        (json!({ "category": { "id": "garbage" } }), "filter.category.id"),
        (json!({ "category": { "id": product.data_at("/product/id") } }), "filter.category.id"),
        (json!({ "search": "é".repeat(201) }), "filter.search"),
    ];
    for (filter, field) in cases {
        app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": filter })).await.assert_error_field(field);
    }
    let allowed = json!({
        "vendors": generate_values(100), "tags": { "any": generate_values(100), "all": generate_values(100), "none": generate_values(100) },
        "slugs": generate_values(100), "skus": generate_values(100), "ids": vec![product.data_at("/product/id"); 100], "options": [option(100)], "search": "é".repeat(200),
        "price": { "min": "0", "max": "10000000000000" }, "updatedAt": { "from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z" },
    });
    let response = app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": allowed })).await;
    assert_eq!(response.data_at("/products/totalCount"), &json!(0));
}

async fn special_characters_in_filters_match_nothing(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let special_texts = [
        "",
        "   ",
        "'",
        "\"",
        "%",
        "_",
        "\\",
        "'; DROP TABLE product; --",
        "👩‍🚀",
        "[]",
        "null",
        "\u{1f}",
        "\u{10ffff}",
        "\u{feff}",
    ];
    for text in special_texts {
        for filter in [
            json!({ "vendors": [text] }),
            json!({ "tags": { "any": [text] } }),
            json!({ "tags": { "all": [text] } }),
            json!({ "slugs": [text] }),
            json!({ "skus": [text] }),
            json!({ "options": [{ "name": text, "values": [text] }] }),
            json!({ "options": [{ "name": "Size", "values": [text] }] }),
            json!({ "search": text }),
        ] {
            let response = app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": filter })).await;
            assert_eq!(response.data_at("/products/totalCount"), &json!(0), "{filter}");
        }
    }
    for filter in [
        json!({ "search": "a\0b" }),
        json!({ "vendors": ["\0"] }),
        json!({ "options": [{ "name": "\0", "values": [] }] }),
    ] {
        let response = app.query_with_variables(FILTERED_PRODUCTS, json!({ "filter": filter })).await;
        assert_eq!(response.first_error()["extensions"]["code"], "BAD_USER_INPUT");
        let message = response.first_error()["message"].as_str().expect("a message");
        assert!(message.contains("null byte") && message.contains("variables.filter"), "{message}");
    }
    assert_eq!(app.query("{ products { totalCount } }").await.data_at("/products/totalCount"), &json!(49));
}

async fn sub_cent_price_bounds_are_applied_exactly(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("ten", "Ten", 10)]).await;
    let count = async |min: &str, max: &str| {
        let filter = json!({ "filter": { "price": { "min": min, "max": max } } });
        app.query_with_variables(FILTERED_PRODUCTS, filter).await.data_at("/products/totalCount").clone()
    };
    assert_eq!(count("9.999", "10.001").await, json!(1));
    assert_eq!(count("10.000", "10.000").await, json!(1));
    assert_eq!(count("10.001", "10.004").await, json!(0));
    assert_eq!(count("9.991", "9.999").await, json!(0));
}
