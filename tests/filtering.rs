//! Filters and facets, alone and together, compared with a model.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use savannah::base::text;
use serde_json::{Value, json};

use crate::{
    shop::{
        Backend, Shop,
        model::{Dice, Thing, Wish},
        moment, simple,
    },
    stories,
};

stories![
    each_filter_alone_leaves_what_the_model_leaves,
    filters_in_any_combination_leave_what_the_model_leaves,
    a_variant_that_is_gone_is_no_alternative,
    as_many_options_as_may_be_are_answered,
    limits_are_named,
    strange_texts_are_only_texts,
    a_price_between_two_cents_is_a_range_all_the_same,
];

const LIST: &str = "query($filter: ProductFilter) { products(first: 100, filter: $filter) {
    totalCount
    nodes { slug }
    facets {
        categories(first: 100) { category { name } count }
        priceRanges { min max count }
        vendors(first: 100) { value count }
        tags(first: 100) { value count }
        options(first: 100) { name values { value count } }
    }
} }";

type Counts = BTreeMap<String, usize>;

/// `field: count` of a facet, the fullest first.
fn told(list: &Value, name: impl Fn(&Value) -> String) -> Counts {
    let list = list.as_array().expect("a list");
    let count = |one: &Value| usize::try_from(one["count"].as_u64().expect("a count")).expect("few");
    assert!(list.is_sorted_by_key(|one| std::cmp::Reverse(count(one))), "{list:?}");
    let counts: Counts = list.iter().map(|one| (name(one), count(one))).collect();
    assert_eq!(counts.len(), list.len(), "a value comes twice");
    counts
}

fn value(one: &Value) -> String {
    text::key(one["value"].as_str().expect("a value"))
}

fn tally(all: impl Iterator<Item = String>) -> Counts {
    all.fold(Counts::new(), |mut counts, one| {
        *counts.entry(one).or_default() += 1;
        counts
    })
}

/// Asks, and compares everything with the model.
async fn compare(shop: &Shop, things: &[Thing], wish: &Wish) {
    let answer = shop.ask_with(LIST, json!({ "filter": wish.json() })).await;
    let context = wish.json();
    let mut expected = wish.slugs(things, "BEST_MATCH", false);
    assert_eq!(*answer.at("/products/totalCount"), json!(expected.len()), "{context}");
    expected.truncate(100);
    assert_eq!(answer.texts("/products/nodes", "slug"), expected, "{context}");
    let facet = |name: &str| answer.at(&format!("/products/facets/{name}"));

    let depth = wish.category.as_ref().map_or(0, |(_, path)| path.len());
    let below = tally(wish.of(things).into_iter().filter_map(|thing| thing.category.get(depth).cloned()));
    let name = |one: &Value| one["category"]["name"].as_str().expect("a name").to_owned();
    assert_eq!(told(facet("categories"), name), below, "categories of {context}");

    let anybody = Wish { vendors: Vec::new(), ..wish.clone() };
    let makers = tally(anybody.of(things).into_iter().filter_map(|thing| thing.vendor.as_deref().map(text::key)));
    assert_eq!(told(facet("vendors"), value), makers, "vendors of {context}");

    let anyhow = Wish { tags: Vec::new(), ..wish.clone() };
    let tags = tally(anyhow.of(things).into_iter().flat_map(|thing| thing.tags.iter().map(|tag| text::key(tag))));
    assert_eq!(told(facet("tags"), value), tags, "tags of {context}");

    prices(facet("priceRanges"), &Wish { price: (None, None), ..wish.clone() }.of(things), &context);
    options(facet("options"), things, wish);
}

fn prices(ranges: &Value, wanted: &[&Thing], context: &Value) {
    let ranges = ranges.as_array().expect("a list");
    assert!(ranges.len() <= 6);
    let amount = |value: &Value| value.as_str().map(|text| text.parse::<Decimal>().expect("an amount"));
    let (mut sum, mut from) = (0, Decimal::ZERO);
    for range in ranges {
        let (min, max) = (amount(&range["min"]).expect("a minimum"), amount(&range["max"]));
        assert!(min >= from && max.is_none_or(|max| max > min), "{ranges:?}");
        let within = |thing: &&&Thing| thing.price >= min && max.is_none_or(|max| thing.price < max);
        assert_eq!(range["count"], json!(wanted.iter().filter(within).count()), "{range} of {context}");
        sum += range["count"].as_u64().expect("a count");
        from = max.unwrap_or(min);
    }
    assert_eq!(sum, wanted.len() as u64, "prices of {context}");
}

/// A value of an option counts what would be left if it, and nothing else of that option, were asked for.
fn options(facet: &Value, things: &[Thing], wish: &Wish) {
    let mut expected: BTreeMap<String, Counts> = BTreeMap::new();
    let open = Wish { options: Vec::new(), ..wish.clone() };
    let others: Vec<Thing> = open.of(things).into_iter().cloned().collect();
    let all = others.iter().flat_map(|thing| thing.variants.iter().flatten());
    for (name, value) in all.collect::<std::collections::BTreeSet<_>>() {
        let mut chosen = Wish { options: wish.options.clone(), ..Wish::default() };
        chosen.options.retain(|(other, _)| text::key(other) != *name);
        chosen.options.push((name.clone(), vec![value.clone()]));
        let left = chosen.of(&others).len();
        if left > 0 {
            expected.entry(name.clone()).or_default().insert(value.clone(), left);
        }
    }
    let found = facet.as_array().expect("a list").iter();
    let found: BTreeMap<_, _> =
        found.map(|one| (text::key(one["name"].as_str().expect("a name")), told(&one["values"], value))).collect();
    assert_eq!(found, expected, "options of {}", wish.json());
}

async fn each_filter_alone_leaves_what_the_model_leaves(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    compare(&shop, &things, &Wish::default()).await;
    for category in shop.categories().await {
        compare(&shop, &things, &Wish { category: Some(category), ..Wish::default() }).await;
    }
    for flag in [Some(true), Some(false)] {
        compare(&shop, &things, &Wish { in_stock: flag, ..Wish::default() }).await;
        compare(&shop, &things, &Wish { on_sale: flag, ..Wish::default() }).await;
        compare(&shop, &things, &Wish { featured: flag, ..Wish::default() }).await;
    }
    // The bounds are prices that products have, one of them because of a sale.
    let sale = things.iter().find(|thing| thing.on_sale).expect("a sale").price;
    let (low, cent) = (things[0].price.min(sale), Decimal::new(1, 2));
    for price in [
        (Some(sale), Some(sale)),
        (Some(low), None),
        (None, Some(low)),
        (Some(low + cent), None),
        (None, Some(sale - cent)),
    ] {
        compare(&shop, &things, &Wish { price, ..Wish::default() }).await;
    }
    let maker = |thing: &Thing| thing.vendor.clone().expect("a maker").to_lowercase();
    let vendors = vec![maker(&things[1]), maker(&things[3]), "nobody".into()];
    compare(&shop, &things, &Wish { vendors, ..Wish::default() }).await;
    compare(&shop, &things, &Wish { tags: vec!["ReTouched".into(), things[1].tags[0].clone()], ..Wish::default() })
        .await;
    for at in [things[30].created, things[60].created, things[90].created, moment("2026-11-01T11:00:00Z")] {
        let later = Some(at + TimeDelta::seconds(1));
        compare(&shop, &things, &Wish { created: (Some(at), None), ..Wish::default() }).await;
        compare(&shop, &things, &Wish { created: (None, Some(at)), ..Wish::default() }).await;
        compare(&shop, &things, &Wish { updated: (Some(at), later), ..Wish::default() }).await;
    }
    shop.settle().await;
}

async fn filters_in_any_combination_leave_what_the_model_leaves(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    let categories = shop.categories().await;
    let mut dice = Dice(20_261_101);
    let mut found = 0;
    for _ in 0..120 {
        let wish = any_wish(&mut dice, &things, &categories);
        found += usize::from(!wish.of(&things).is_empty());
        compare(&shop, &things, &wish).await;
    }
    assert!(found > 60, "only {found} of the filters find anything");
}

/// A filter made of what one product is, and a little more.
fn any_wish(dice: &mut Dice, things: &[Thing], categories: &[(String, Vec<String>)]) -> Wish {
    let about = dice.pick(things).clone();
    let other = dice.pick(things).clone();
    let mut wish = Wish::default();
    if dice.maybe(3) {
        let own = categories.iter().filter(|(_, path)| about.category.starts_with(path)).collect::<Vec<_>>();
        wish.category = Some((*dice.pick(&own)).clone());
    }
    if dice.maybe(3) {
        let words: Vec<_> = about.words.iter().collect();
        let mut word = (*dice.pick(&words)).clone();
        if word.len() > 4 && dice.maybe(2) {
            word.truncate(word.char_indices().nth(3).map_or(word.len(), |(at, _)| at));
        }
        wish.search = Some(word);
    }
    if dice.maybe(4) {
        wish.price = (Some(about.price.min(other.price)), Some(about.price.max(other.price)));
    }
    wish.in_stock = dice.maybe(5).then_some(about.in_stock);
    wish.on_sale = dice.maybe(5).then_some(about.on_sale);
    wish.featured = dice.maybe(5).then_some(about.featured);
    if dice.maybe(4) {
        wish.vendors = [about.vendor, other.vendor].into_iter().flatten().collect();
    }
    if dice.maybe(4) {
        wish.tags = vec![dice.pick(&about.tags).clone(), dice.pick(&other.tags).clone()];
    }
    if dice.maybe(2) {
        wish.options =
            dice.pick(&about.variants).iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        if let (Some(first), Some((_, value))) = (wish.options.first_mut(), other.variants[0].first()) {
            first.1.push(value.to_uppercase());
        }
    }
    if dice.maybe(5) {
        wish.created = (Some(about.created.min(other.created)), Some(about.created.max(other.created)));
    }
    if dice.maybe(6) {
        wish.updated = (Some(about.updated), None);
    }
    wish
}

async fn a_variant_that_is_gone_is_no_alternative(backend: Backend) {
    let shop = Shop::demo(backend).await;
    shop.sql("UPDATE variant SET deleted_at = updated_at WHERE sku = 'MUG-INDIGO'").await.expect("an update");
    let query = "{ products(filter: { search: \"stoneware\" }) { nodes { options { values } variants { sku } } facets { options { values { value } } } } }";
    let answer = shop.ask(query).await;
    assert_eq!(answer.at("/products/nodes/0/options/0/values"), &json!(["Sand", "Terracotta"]));
    assert_eq!(answer.texts("/products/nodes/0/variants", "sku"), ["MUG-SAND", "MUG-TERRA"]);
    assert_eq!(answer.texts("/products/facets/options/0/values", "value"), ["Sand", "Terracotta"]);
}

async fn as_many_options_as_may_be_are_answered(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let options: Vec<_> = (0..10).map(|n| json!({ "name": format!("Option {n}"), "values": ["a", "b"] })).collect();
    let answer = shop.ask_with(LIST, json!({ "filter": { "options": options } })).await;
    assert_eq!(answer.at("/products/totalCount"), &json!(0));
    assert_eq!(answer.at("/products/facets/options"), &json!([]));
}

async fn limits_are_named(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let product = shop.ask("{ product(slug: \"mug\") { id } }").await;
    let many = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
    let option = |count: usize| json!({ "name": "Size", "values": many(count) });
    let cases = [
        (json!({ "vendors": many(101) }), "filter.vendors"),
        (json!({ "tags": many(101) }), "filter.tags"),
        (json!({ "options": vec![option(1); 11] }), "filter.options"),
        (json!({ "options": [option(101)] }), "filter.options.values"),
        (json!({ "price": { "min": "10", "max": "9.99" } }), "filter.price"),
        (json!({ "price": { "min": "-0.01" } }), "filter.price.min"),
        (json!({ "price": { "max": "-1" } }), "filter.price.max"),
        (json!({ "price": { "max": "10000000000000.01" } }), "filter.price.max"),
        (json!({ "createdAt": { "to": "+20000-01-01T00:00:00Z" } }), "filter.createdAt"),
        (json!({ "updatedAt": { "from": "-0001-01-01T00:00:00Z" } }), "filter.updatedAt"),
        (json!({ "category": "garbage" }), "filter.category"),
        (json!({ "category": product.at("/product/id") }), "filter.category"),
        (json!({ "search": "é".repeat(201) }), "filter.search"),
    ];
    for (filter, field) in cases {
        shop.ask_with(LIST, json!({ "filter": filter })).await.blames(field);
    }
    let allowed = json!({
        "vendors": many(100), "tags": many(100), "options": [option(100)], "search": "é".repeat(200),
        "price": { "min": "0", "max": "10000000000000" }, "updatedAt": { "from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z" },
    });
    let answer = shop.ask_with(LIST, json!({ "filter": allowed })).await;
    assert_eq!(answer.at("/products/totalCount"), &json!(0));
}

async fn strange_texts_are_only_texts(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let strange = [
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
    for text in strange {
        for filter in [
            json!({ "vendors": [text] }),
            json!({ "tags": [text] }),
            json!({ "options": [{ "name": text, "values": [text] }] }),
            json!({ "options": [{ "name": "Size", "values": [text] }] }),
            json!({ "search": text }),
        ] {
            let answer = shop.ask_with(LIST, json!({ "filter": filter })).await;
            assert_eq!(answer.at("/products/totalCount"), &json!(0), "{filter}");
        }
    }
    for filter in [
        json!({ "search": "a\0b" }),
        json!({ "vendors": ["\0"] }),
        json!({ "options": [{ "name": "\0", "values": [] }] }),
    ] {
        let answer = shop.ask_with(LIST, json!({ "filter": filter })).await;
        assert_eq!(answer.error()["extensions"]["code"], "BAD_USER_INPUT");
        let message = answer.error()["message"].as_str().expect("a message");
        assert!(message.contains("null byte") && message.contains("variables.filter"), "{message}");
    }
    assert_eq!(shop.ask("{ products { totalCount } }").await.at("/products/totalCount"), &json!(49));
}

async fn a_price_between_two_cents_is_a_range_all_the_same(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.shelve(&[simple("ten", "Ten", 10)]).await;
    let count = async |min: &str, max: &str| {
        let filter = json!({ "filter": { "price": { "min": min, "max": max } } });
        shop.ask_with(LIST, filter).await.at("/products/totalCount").clone()
    };
    assert_eq!(count("9.999", "10.001").await, json!(1));
    assert_eq!(count("10.000", "10.000").await, json!(1));
    assert_eq!(count("10.001", "10.004").await, json!(0));
    assert_eq!(count("9.991", "9.999").await, json!(0));
}
