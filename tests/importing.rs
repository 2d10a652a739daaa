//! Imports: what is matched, what is changed, what is left alone.

use std::fmt::Write as _;

use chrono::TimeDelta;
use savannah::exchange::{Progress, seed::seed};
use serde_json::json;

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    an_edited_price_changes_that_product_alone,
    a_missing_sku_is_made_once,
    a_sku_used_twice_stays_the_one_it_became,
    a_sku_used_by_everybody_is_still_unique,
    a_variant_is_known_by_its_sku,
    variants_may_take_each_others_options,
    a_list_of_prices_touches_nothing_else,
    a_later_part_adds_and_removes_nothing,
    a_variant_of_another_kind_is_refused,
    an_option_gets_a_new_name,
    an_empty_cell_empties,
    something_uncounted_can_be_bought,
    a_rehearsal_leaves_nothing_behind,
    two_imports_at_once_make_each_product_once,
    who_reads_meanwhile_sees_no_product_twice,
    the_made_up_shop_is_the_same_every_time,
];

const HEADER: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n";

fn csv(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

/// The variants of a product as `sku name price`.
async fn variants(shop: &Shop, slug: &str) -> Vec<String> {
    let query = "query ($slug: String) { product(slug: $slug) { variants { sku name price } } }";
    let answer = shop.ask_with(query, json!({ "slug": slug })).await;
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    let one = |one: &serde_json::Value| format!("{} {} {}", text(one, "sku"), text(one, "name"), text(one, "price"));
    answer.at("/product/variants").as_array().expect("a list").iter().map(one).collect()
}

fn many(products: usize) -> String {
    let mut text = HEADER.to_owned();
    for n in 0..products {
        let _ = writeln!(text, "p-{n},Product {n},Size,S,P{n}-S,{n}.50\np-{n},,,M,P{n}-M,{n}.75");
    }
    text
}

async fn an_edited_price_changes_that_product_alone(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = many(300);
    let (first, remarks) = shop.import(&text).await;
    assert_eq!((first.made, first.variants, remarks), (300, 600, vec![]));
    let before = shop.dump().await;

    shop.clock.set(shop.clock.now() + TimeDelta::hours(1));
    let (again, _) = shop.import(&text).await;
    assert_eq!((again.made, again.kept), (0, 300));
    assert_eq!(shop.dump().await, before);

    shop.import(text.replace("P7-M,7.75", "P7-M,9.99")).await;
    assert_eq!(variants(&shop, "p-7").await, ["P7-S S 7.50", "P7-M M 9.99"]);
    let changed: Vec<_> = shop.dump().await.into_iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(changed.len(), 2, "one product and one variant: {changed:#?}");
    assert!(changed.iter().all(|row| row.contains("10:00:00")), "{changed:#?}");
    shop.settle().await;
}

async fn a_missing_sku_is_made_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let long = "x".repeat(250);
    let text = csv(&format!("tee,Tee,Size,Größe S,,5\ntee,,,M,,6\n{long},Long,,,,7\n"));
    let (_, remarks) = shop.import(&text).await;
    assert_eq!(remarks.len(), 3, "{remarks:?}");
    assert!(remarks.iter().all(|remark| !remark.refused && remark.reason.contains("no sku")), "{remarks:?}");
    assert_eq!(variants(&shop, "tee").await, ["tee-große-s Größe S 5.00", "tee-m M 6.00"]);
    let before = shop.dump().await;
    let (again, remarks) = shop.import(&text).await;
    assert_eq!((again.made, again.variants, remarks), (0, 3, vec![]));
    assert_eq!(shop.dump().await, before);
}

async fn a_sku_used_twice_stays_the_one_it_became(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = csv("tee,Tee,Size,S,X,5\ntee,,,M,X ,6\ncup,Cup,,, X,7\n");
    let (_, remarks) = shop.import(&text).await;
    let reasons: Vec<_> = remarks.iter().map(|remark| (remark.line, remark.reason.as_str())).collect();
    let became = |sku| format!("the sku `X` is used twice: this one became `{sku}`");
    assert_eq!(reasons, [(3, became("X-2").as_str()), (4, became("X-3").as_str())]);
    let other = csv("bag,Bag,,,X,8\n");
    shop.import(&other).await;
    let before = shop.dump().await;
    for text in [&other, &text, &other] {
        let (again, remarks) = shop.import(text).await;
        assert_eq!(again.made, 0);
        assert!(remarks.iter().all(|remark| remark.reason.contains("used twice")), "{remarks:?}");
    }
    assert_eq!(shop.dump().await, before);
    assert_eq!(variants(&shop, "bag").await, ["X-4 Default 8.00"]);

    // Once the sku is free, whoever says it has it.
    shop.import(csv("tee,Tee,Size,S,TEE-S,5\n")).await;
    shop.import(&other).await;
    assert_eq!(variants(&shop, "bag").await, ["X Default 8.00"]);
}

async fn a_sku_used_by_everybody_is_still_unique(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut text = HEADER.to_owned();
    for n in 0..600 {
        let _ = writeln!(text, "p-{n},Product {n},,,TBD,1");
    }
    let (outcome, _) = shop.import(&text).await;
    assert_eq!((outcome.made, outcome.refused, outcome.warned), (600, 0, 599));
    let before = shop.dump().await;
    let (again, _) = shop.import(&text).await;
    assert_eq!((again.made, again.kept), (0, 600));
    assert_eq!(shop.dump().await, before);
}

async fn a_variant_is_known_by_its_sku(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(csv("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let key = shop.number("SELECT id FROM variant WHERE sku = 'B'").await;
    shop.import(csv("tee,Tee,Size,XL,B,6\n")).await;
    assert_eq!(variants(&shop, "tee").await, ["A S 5.00", "B XL 6.00"]);
    assert_eq!(shop.number("SELECT id FROM variant WHERE sku = 'B'").await, key);
    // Its sku changed and its options did not.
    shop.import(csv("tee,Tee,Size,XL,B2,6\n")).await;
    assert_eq!(shop.number("SELECT id FROM variant WHERE sku = 'B2'").await, key);
    let values = shop.ask(r#"{ product(slug: "tee") { options { values } } }"#).await;
    assert_eq!(*values.at("/product/options/0/values"), json!(["S", "XL"]));
}

async fn variants_may_take_each_others_options(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(csv("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let (outcome, remarks) = shop.import(csv("tee,Tee,Size,M,A,5\ntee,,,S,B,6\n")).await;
    assert_eq!((outcome.variants, remarks), (2, vec![]));
    assert_eq!(variants(&shop, "tee").await, ["A M 5.00", "B S 6.00"]);

    let (_, remarks) = shop.import(csv("tee,Tee,Size,L,A,5\ntee,,,L,B,6\n")).await;
    assert!(remarks.len() == 1 && remarks[0].refused && remarks[0].line == 3, "{remarks:?}");
    assert_eq!(variants(&shop, "tee").await, ["A L 5.00", "B S 6.00"]);
    let (_, remarks) = shop.import(csv("tee,Tee,Size,S,A,5\n")).await;
    assert!(remarks[0].reason.contains("has a variant `S` already"), "{remarks:?}");
}

async fn a_list_of_prices_touches_nothing_else(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(csv("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    let (_, remarks) = shop.import("Handle,Variant SKU,Variant Price\ntee,A,7\ntee,B,8\n").await;
    assert_eq!(remarks, []);
    assert_eq!(variants(&shop, "tee").await, ["A S 7.00", "B M 8.00"]);
}

async fn a_later_part_adds_and_removes_nothing(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = csv("tee,Tee,Size,S,A,5\ncup,Cup,,,C,1\ntee,,,M,B,6\n");
    let (outcome, remarks) = shop.import(&text).await;
    assert_eq!((outcome.made, outcome.kept, outcome.variants, remarks), (2, 1, 3, vec![]));
    assert_eq!(variants(&shop, "tee").await, ["A S 5.00", "B M 6.00"]);
    let before = shop.dump().await;
    shop.import(&text).await;
    assert_eq!(shop.dump().await, before);
}

async fn a_variant_of_another_kind_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(csv("tee,Tee,Size,S,A,5\ncup,Cup,,,C,1\n")).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price\n\
        tee,Tee,Size,M,Colour,Red,B,5\ncup,Cup,Size,L,,,D,1\n";
    let (_, remarks) = shop.import(text).await;
    assert!(remarks.len() == 2 && remarks.iter().all(|remark| remark.refused), "{remarks:?}");
    assert_eq!(remarks[0].reason, "the variants of `tee` are chosen by Size; this one is not");
    // All of them at once may be chosen by more.
    let (_, remarks) = shop.import(text.replace("M,Colour,Red,B", "S,Colour,Red,A").replace("L,,,D", "L,,,C")).await;
    assert_eq!(remarks, []);
    assert_eq!(variants(&shop, "tee").await, ["A S / Red 5.00"]);
    assert_eq!(variants(&shop, "cup").await, ["C L 1.00"]);
}

async fn an_option_gets_a_new_name(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(csv("tee,Tee,Size,S,A,5\ntee,,,M,B,6\n")).await;
    shop.import(csv("tee,Tee,Grösse,S,A,5\n")).await;
    let answer = shop.ask(r#"{ product(slug: "tee") { options { name values } } }"#).await;
    assert_eq!(*answer.at("/product/options"), json!([{ "name": "Grösse", "values": ["S", "M"] }]));
}

async fn an_empty_cell_empties(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Vendor,Tags,Variant SKU,Variant Price\ntee,Tee,Acme,\"a, b\",A,5\n";
    shop.import(text).await;
    shop.import("Handle,Title,Variant SKU,Variant Price\ntee,Tee,A,5\n").await;
    let query = r#"{ product(slug: "tee") { vendor tags } }"#;
    assert_eq!(*shop.ask(query).await.at("/product"), json!({ "vendor": "Acme", "tags": ["a", "b"] }));
    shop.import(text.replace("Acme", "").replace("\"a, b\"", "")).await;
    assert_eq!(*shop.ask(query).await.at("/product"), json!({ "vendor": null, "tags": [] }));
}

async fn something_uncounted_can_be_bought(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty\n";
    shop.import(format!("{text}tee,Tee,Size,S,A,5,0\n")).await;
    assert_eq!(*shop.ask(r#"{ product(slug: "tee") { inStock } }"#).await.at("/product/inStock"), json!(false));
    shop.import(format!("{text}tee,,,M,B,5,\n")).await;
    assert_eq!(*shop.ask(r#"{ product(slug: "tee") { inStock } }"#).await.at("/product/inStock"), json!(true));
    shop.settle().await;
}

async fn a_rehearsal_leaves_nothing_behind(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let mut text = many(600);
    text.push_str("p-3,,,L,P3-L,1\np-4,,,S,P4-S,-1\nmug,Mug,Size,S,,1\np-5,,,L,P6-S,2\n");
    let before = shop.dump().await;
    let mut heard = Vec::new();
    let mut tell = |remark| heard.push(remark);
    let from = std::io::Cursor::new(text.clone().into_bytes());
    let rehearsal = shop.importing(&mut tell, true).products_from(from, std::path::Path::new("test.csv")).await;
    let rehearsed = rehearsal.expect("a rehearsal");
    assert_eq!(shop.dump().await, before);
    assert_eq!(shop.number("SELECT count(*) FROM outbox WHERE kind = 'ProductsChanged'").await, 1);
    let (outcome, remarks) = shop.import(&text).await;
    assert_eq!((rehearsed, heard), (outcome, remarks));
}

async fn two_imports_at_once_make_each_product_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = many(700);
    let (one, other) = tokio::join!(shop.import(&text), shop.import(&text));
    assert_eq!((one.0.made + other.0.made, one.0.kept + other.0.kept), (700, 700));
    assert_eq!((one.1, other.1), (vec![], vec![]));
    let (single, sold) = (Shop::open(backend).await, shop.export().await);
    single.import(&text).await;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&sold), lines(&single.export().await));
    shop.settle().await;
}

async fn who_reads_meanwhile_sees_no_product_twice(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import(many(200)).await;
    let text = many(1_200);
    let read = async {
        let (mut seen, mut after) = (Vec::new(), serde_json::Value::Null);
        loop {
            let query = "query ($after: String) { products(first: 20, after: $after, orderBy: { field: NEWEST }) \
                { nodes { sku } pageInfo { hasNextPage endCursor } } }";
            let page = shop.ask_with(query, json!({ "after": after })).await;
            seen.extend(page.texts("/products/nodes", "sku"));
            if *page.at("/products/pageInfo/hasNextPage") == json!(false) {
                return seen;
            }
            after = page.at("/products/pageInfo/endCursor").clone();
        }
    };
    let (_, seen) = tokio::join!(shop.import(&text), read);
    let once: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len());
    assert!(once.len() >= 200, "{}", once.len());
}

async fn the_made_up_shop_is_the_same_every_time(backend: Backend) {
    let make = async |shop: &Shop| {
        let currency = shop.app.shared.config.shop.currency;
        seed(&shop.db, currency, (700, 40), &Progress::default()).await.expect("a made-up shop");
        shop.tick().await;
    };
    let (one, other) = (Shop::open(backend).await, Shop::open(backend).await);
    make(&one).await;
    make(&other).await;
    let before = one.dump().await;
    assert_eq!(one.number("SELECT count(*) FROM product").await, 700);
    assert_eq!(one.number("SELECT count(*) FROM category").await, 40);
    assert!(before == other.dump().await, "two made-up shops differ");
    one.settle().await;

    one.clock.set(one.clock.now() + TimeDelta::minutes(1));
    make(&one).await;
    assert!(before == one.dump().await, "the second time something changed");
}
