//! What things cost now, and whether they can be bought: by the clock and by the shelf.

use chrono::TimeDelta;
use savannah::base::{GlobalId, id::Kind};
use savannah::catalog::{ProductDraft, Sale, Status, filter::Span};
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Shop, moment, simple},
    stories,
};

stories![
    a_product_costs_what_its_cheapest_variant_costs,
    a_sale_begins_and_ends_by_the_clock,
    what_is_not_counted_can_always_be_bought,
    more_stock_than_an_int_holds_is_told_as_the_most,
];

/// A product of three sizes; the middle one may be on sale for a while.
fn sized(sale: Option<Span>) -> ProductDraft {
    let base = simple("shirt", "Shirt", 0);
    let variant = |(size, price): (&str, i64)| {
        let mut one = base.variants[0].clone();
        one.sku = Some(format!("SHIRT-{size}"));
        one.options = vec![size.to_owned()];
        one.price = Some(price.into());
        let on = sale.filter(|_| size == "M");
        one.sale = Some(on.map(|(starts_at, ends_at)| Sale { price: 20.into(), starts_at, ends_at }));
        one
    };
    ProductDraft {
        options: vec!["Size".into()],
        variants: [("S", 50), ("M", 40), ("L", 30)].map(variant).into(),
        ..base.clone()
    }
}

const PRICE: &str = "{ product(slug: \"shirt\") { sku price salePrice priceRange { min max } variants { price salePrice saleStartsAt saleEndsAt } } }";

async fn a_product_costs_what_its_cheapest_variant_costs(backend: Backend) {
    let shop = Shop::open(backend).await;
    let summary = async || {
        let answer = shop.ask(PRICE).await;
        let product = answer.at("/product");
        json!([
            product["sku"],
            product["price"],
            product["salePrice"],
            product["priceRange"]["min"],
            product["priceRange"]["max"]
        ])
    };
    shop.shelve(&[sized(None)]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "30.00", null, "30.00", "50.00"]));
    shop.shelve(&[sized(Some((None, None)))]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "40.00", "20.00", "20.00", "50.00"]));
    shop.shelve(&[sized(None)]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "30.00", null, "30.00", "50.00"]));
    shop.settle().await;
}

async fn a_sale_begins_and_ends_by_the_clock(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (starts, ends) = (moment("2026-11-27T00:00:00Z"), moment("2026-11-30T00:00:00.5Z"));
    shop.shelve(&[sized(Some((Some(starts), Some(ends)))), simple("sock", "Sock", 25)]).await;
    let sale = json!([starts.to_rfc3339(), ends.to_rfc3339()]);
    let over = json!([null, null]);
    let instant = TimeDelta::microseconds(1);
    let moments = [
        (starts - instant, "30.00", Value::Null, ["sock", "shirt"], &sale),
        (starts, "40.00", json!("20.00"), ["shirt", "sock"], &sale),
        (ends - instant, "40.00", json!("20.00"), ["shirt", "sock"], &sale),
        (ends, "30.00", Value::Null, ["sock", "shirt"], &over),
    ];
    for (now, price, reduced, order, dates) in moments {
        shop.clock.set(now);
        shop.tick().await;
        let answer = shop.ask(PRICE).await;
        assert_eq!((answer.at("/product/price"), answer.at("/product/salePrice")), (&json!(price), &reduced), "{now}");
        let middle = answer.at("/product/variants/1");
        assert_eq!((&middle["price"], &middle["salePrice"]), (&json!("40.00"), &reduced), "{now}");
        assert_eq!(&json!([middle["saleStartsAt"], middle["saleEndsAt"]]), dates, "{now}");
        let list = shop.ask("{ products(orderBy: { field: PRICE }) { nodes { slug } } sale: products(filter: { onSale: true }) { totalCount } }").await;
        assert_eq!(list.texts("/products/nodes", "slug"), order, "{now}");
        assert_eq!(list.at("/sale/totalCount"), &json!(u8::from(!reduced.is_null())), "{now}");
    }
    assert_eq!(shop.number("SELECT count(*) FROM product WHERE reprice_at IS NOT NULL").await, 0);
    shop.settle().await;
}

async fn what_is_not_counted_can_always_be_bought(backend: Backend) {
    let shop = Shop::open(backend).await;
    let with = |slug: &str, stocks: [Option<i64>; 2]| {
        let mut draft = simple(slug, slug, 10);
        draft.options = vec!["Size".into()];
        draft.variants = stocks
            .iter()
            .zip(["S", "L"])
            .map(|(stock, size)| {
                let mut one = draft.variants[0].clone();
                (one.stock, one.sku, one.options) = (*stock, Some(format!("{slug}-{size}")), vec![size.into()]);
                one
            })
            .collect();
        draft
    };
    let draft = ProductDraft { status: Some(Status::Draft), ..with("hidden", [Some(9), Some(9)]) };
    shop.shelve(&[
        with("both", [Some(2), Some(3)]),
        with("none", [Some(0), Some(0)]),
        with("one", [Some(0), Some(1)]),
        with("free", [None, None]),
        with("half", [None, Some(0)]),
        draft,
    ])
    .await;
    let stock = async || {
        let answer = shop.ask("{ products(orderBy: { field: NAME }) { nodes { slug inStock stockQuantity variants { inStock stockQuantity } } } in: products(filter: { inStock: true }) { totalCount } }").await;
        let line = |one: &Value| {
            json!([
                one["slug"],
                one["inStock"],
                one["stockQuantity"],
                one["variants"][0]["inStock"],
                one["variants"][0]["stockQuantity"]
            ])
        };
        let list: Vec<_> = answer.at("/products/nodes").as_array().expect("a list").iter().map(line).collect();
        (Value::Array(list), answer.at("/in/totalCount").clone())
    };
    let (list, count) = stock().await;
    let expected = json!([
        ["both", true, 5, true, 2],
        ["free", true, 0, true, 0],
        ["half", true, 0, true, 0],
        ["none", false, 0, false, 0],
        ["one", true, 1, false, 0]
    ]);
    assert_eq!((list, count), (expected, json!(4)));
    // What is reserved cannot be bought.
    let sku = "SELECT sku FROM variant AS v JOIN inventory AS i ON i.variant_id = v.id WHERE i.on_hand = 2";
    let key = shop.number(&format!("SELECT id FROM variant WHERE sku = ({sku})")).await;
    let variant = GlobalId::new(Kind::Variant, key).encode();
    assert_eq!(shop.order(None, "k", &[(&variant, 2)], json!({})).await.problems("orderCreate"), []);
    let (list, _) = stock().await;
    assert_eq!(list[0], json!(["both", true, 3, false, 0]));
    shop.shelve(&[with("one", [Some(0), Some(0)]), with("none", [Some(1), Some(0)])]).await;
    let (list, count) = stock().await;
    assert_eq!(
        (&list[3], &list[4], count),
        (&json!(["none", true, 1, true, 1]), &json!(["one", false, 0, false, 0]), json!(4))
    );
    shop.settle().await;
}

async fn more_stock_than_an_int_holds_is_told_as_the_most(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut grain = simple("grain", "Grain of sand", 1);
    grain.variants[0].stock = Some(8_000_000_000);
    grain.variants[0].weight_grams = Some(3_000_000_000);
    shop.shelve(&[grain]).await;
    let answer =
        shop.ask("{ product(slug: \"grain\") { inStock stockQuantity variants { stockQuantity weightGrams } } }").await;
    let most = i32::MAX;
    let variant = json!({ "stockQuantity": most, "weightGrams": most });
    assert_eq!(answer.at("/product"), &json!({ "inStock": true, "stockQuantity": most, "variants": [variant] }));
}
