//! What things cost now, and whether they can be bought: by the clock and by the shelf.

use chrono::TimeDelta;
use savannah::base::{GlobalId, Patch, global_id::NodeType};
use savannah::catalog::{ProductPatch, PublicationStatus, SaleInput, catalog_filter::ProductDateRange};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, parse_datetime, simple_product},
};

integration_tests![
    product_price_is_that_of_its_cheapest_variant,
    sale_price_applies_between_its_start_and_end,
    untracked_variant_is_always_in_stock,
    stock_above_int_range_is_capped,
];

/// A product of three sizes; the middle one may be on sale for a while.
fn product_with_sizes(sale: Option<ProductDateRange>) -> ProductPatch {
    let base = simple_product("shirt", "Shirt", 0);
    let variant = |(size, price): (&str, i64)| {
        let mut product_variant = base.variants[0].clone();
        product_variant.sku = Patch::Set(format!("SHIRT-{size}"));
        product_variant.options = Patch::Set(vec![size.to_owned()]);
        product_variant.price = Patch::Set(price.into());
        product_variant.sale_price = Patch::Clear;
        if let Some((starts_at, ends_at)) = sale.filter(|_| size == "M") {
            product_variant.set_sale(SaleInput { price: 20.into(), starts_at, ends_at });
        }
        product_variant
    };
    ProductPatch {
        options: Patch::Set(vec!["Size".to_owned().into()]),
        variants: [("S", 50), ("M", 40), ("L", 30)].map(variant).into(),
        ..base.clone()
    }
}

const PRODUCT_PRICES: &str = "{ product(slug: \"shirt\") { sku price salePrice priceRange { min { amount } max { amount } } variants { price salePrice saleStartsAt saleEndsAt } } }";

async fn product_price_is_that_of_its_cheapest_variant(backend: Backend) {
    let app = TestApp::start(backend).await;
    let summary = async || {
        let response = app.query(PRODUCT_PRICES).await;
        let product = response.data_at("/product");
        json!([
            product["sku"],
            product["price"],
            product["salePrice"],
            product["priceRange"]["min"]["amount"],
            product["priceRange"]["max"]["amount"]
        ])
    };
    app.save_products(&[product_with_sizes(None)]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "30.00", null, "30.00", "50.00"]));
    app.save_products(&[product_with_sizes(Some((None, None)))]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "40.00", "20.00", "20.00", "50.00"]));
    app.save_products(&[product_with_sizes(None)]).await;
    assert_eq!(summary().await, json!(["SHIRT-S", "30.00", null, "30.00", "50.00"]));
    app.run_pending_jobs().await;
}

async fn sale_price_applies_between_its_start_and_end(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (starts_at, ends_at) = (parse_datetime("2026-11-27T00:00:00Z"), parse_datetime("2026-11-30T00:00:00.5Z"));
    app.save_products(&[
        product_with_sizes(Some((Some(starts_at), Some(ends_at)))),
        simple_product("sock", "Sock", 25),
    ])
    .await;
    let sale_dates = json!([starts_at.to_rfc3339(), ends_at.to_rfc3339()]);
    let ended_sale = json!([null, null]);
    let instant = TimeDelta::microseconds(1);
    let moments = [
        (starts_at - instant, "30.00", Value::Null, ["sock", "shirt"], &sale_dates),
        (starts_at, "40.00", json!("20.00"), ["shirt", "sock"], &sale_dates),
        (ends_at - instant, "40.00", json!("20.00"), ["shirt", "sock"], &sale_dates),
        (ends_at, "30.00", Value::Null, ["sock", "shirt"], &ended_sale),
    ];
    for (now, price, sale_price, order, dates) in moments {
        app.clock.set(now);
        app.run_clock_tick().await;
        let response = app.query(PRODUCT_PRICES).await;
        assert_eq!(
            (response.data_at("/product/price"), response.data_at("/product/salePrice")),
            (&json!(price), &sale_price),
            "{now}"
        );
        let middle = response.data_at("/product/variants/1");
        assert_eq!((&middle["price"], &middle["salePrice"]), (&json!("40.00"), &sale_price), "{now}");
        assert_eq!(&json!([middle["saleStartsAt"], middle["saleEndsAt"]]), dates, "{now}");
        let list = app.query("{ products(sort: { field: PRICE }) { nodes { slug } } sale: products(filter: { onSale: true }) { totalCount } }").await;
        assert_eq!(list.strings_at("/products/nodes", "slug"), order, "{now}");
        assert_eq!(list.data_at("/sale/totalCount"), &json!(u8::from(!sale_price.is_null())), "{now}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM product WHERE next_price_change_at IS NOT NULL").await, 0);
    app.run_pending_jobs().await;
}

async fn untracked_variant_is_always_in_stock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let with = |slug: &str, stocks: [Option<i64>; 2]| {
        let mut product_input = simple_product(slug, slug, 10);
        product_input.options = Patch::Set(vec!["Size".to_owned().into()]);
        product_input.variants = stocks
            .iter()
            .zip(["S", "L"])
            .map(|(stock, size)| {
                let mut product_variant = product_input.variants[0].clone();
                product_variant.on_hand = Patch::from_provided(*stock);
                product_variant.sku = Patch::Set(format!("{slug}-{size}"));
                product_variant.options = Patch::Set(vec![size.into()]);
                product_variant
            })
            .collect();
        product_input
    };
    let product_input =
        ProductPatch { status: Patch::Set(PublicationStatus::Draft), ..with("hidden", [Some(9), Some(9)]) };
    app.save_products(&[
        with("both", [Some(2), Some(3)]),
        with("none", [Some(0), Some(0)]),
        with("one", [Some(0), Some(1)]),
        with("free", [None, None]),
        with("half", [None, Some(0)]),
        product_input,
    ])
    .await;
    let stock = async || {
        let response = app.query("{ products(sort: { field: NAME }) { nodes { slug inStock stockQuantity variants { inStock stockQuantity } } } in: products(filter: { inStock: true }) { totalCount } }").await;
        let line = |product_variant: &Value| {
            json!([
                product_variant["slug"],
                product_variant["inStock"],
                product_variant["stockQuantity"],
                product_variant["variants"][0]["inStock"],
                product_variant["variants"][0]["stockQuantity"]
            ])
        };
        let list: Vec<_> = response.data_at("/products/nodes").as_array().expect("a list").iter().map(line).collect();
        (Value::Array(list), response.data_at("/in/totalCount").clone())
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
    let sku = "SELECT sku FROM variant AS v JOIN inventory_level AS i ON i.variant_id = v.id WHERE i.on_hand = 2";
    let key = app.query_scalar(&format!("SELECT id FROM variant WHERE sku = ({sku})")).await;
    let variant = GlobalId::new(NodeType::Variant, key).encode();
    assert_eq!(app.create_order(None, "k", &[(&variant, 2)], json!({})).await.user_errors("orderCreate"), []);
    let (list, _) = stock().await;
    assert_eq!(list[0], json!(["both", true, 3, false, 0]));
    app.save_products(&[with("one", [Some(0), Some(0)]), with("none", [Some(1), Some(0)])]).await;
    let (list, count) = stock().await;
    assert_eq!(
        (&list[3], &list[4], count),
        (&json!(["none", true, 1, true, 1]), &json!(["one", false, 0, false, 0]), json!(4))
    );
    app.run_pending_jobs().await;
}

async fn stock_above_int_range_is_capped(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut product = simple_product("grain", "Grain of sand", 1);
    product.variants[0].on_hand = Patch::Set(8_000_000_000);
    product.variants[0].weight_grams = Patch::Set(3_000_000_000);
    app.save_products(&[product]).await;
    let response = app
        .query("{ product(slug: \"grain\") { inStock stockQuantity variants { stockQuantity weightGrams } } }")
        .await;
    let max_int = i32::MAX;
    let variant = json!({ "stockQuantity": max_int, "weightGrams": max_int });
    assert_eq!(
        response.data_at("/product"),
        &json!({ "inStock": true, "stockQuantity": max_int, "variants": [variant] })
    );
}
